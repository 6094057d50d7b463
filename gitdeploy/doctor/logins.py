"""Registries: whether there is a login for each that images are pushed to, and whether it is accepted.

The engine is asked to try it, for it is the engine that pushes: its network, its certificates and its settings count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gitdeploy.config.imagereference import HUB, registry
from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding
from gitdeploy.engine.types import Credentials
from gitdeploy.errors import GitdeployError

Login = Callable[[str, Credentials], None]
"""`Engine.login`."""


@dataclass(frozen=True)
class Account:
    """A login of a registry.

    Attributes:
        host: of the registry.
        apps: that push with it.
        user: "" for nobody.
        problem: why it does not work, None if it does or was not tried.
        tried: whether an engine tried it.
    """

    host: str
    apps: tuple[str, ...]
    user: str = ""
    problem: GitdeployError | None = None
    tried: bool = False


def examine_registries(
    apps: Iterable[App], credentials: Callable[[App], Credentials], login: Login | None
) -> Iterator[Finding]:
    """Try each login that the apps push with, once; `login` is None if there is no engine to try it."""
    together: dict[tuple[str, object], list[App]] = {}
    for app in apps:
        if app.push.enabled:
            together.setdefault((registry(app.image), app.push.auth_file), []).append(app)
    for (host, _), users in together.items():
        yield judge_account(_try(host, users, credentials, login))


def _try(host: str, apps: list[App], credentials: Callable[[App], Credentials], login: Login | None) -> Account:
    names, user = tuple(app.name for app in apps), ""
    try:
        known = credentials(apps[0])
        user = (known(host) or ("", ""))[0]
        if login:
            login(apps[0].image, known)
    except GitdeployError as error:
        return Account(host, names, user, error, tried=True)
    return Account(host, names, user, tried=login is not None)


def judge_account(account: Account) -> Finding:
    """Return whether images can be pushed with it; nothing secret is in the finding. Pure."""
    who = f'as "{account.user}"' if account.user else "without a login"
    where = f"{account.host} {who}, for {', '.join(account.apps[:5])}"
    if account.problem:
        return Finding("error", "registry", f"{where}: {account.problem.reason}", account.problem.hint)
    if not account.user and account.host == HUB:
        fix = "docker login as the user that runs gitdeploy, or set push.auth_file, or push.enabled = false"
        return Finding("error", "registry", f"{where}: it takes images from known users only", fix)
    if not account.tried:
        return Finding("warning", "registry", f"{where}: not tried, for no engine answers", "get an engine to answer first")
    return Finding("ok", "registry", f"{where}: accepted")
