"""The files that config.toml names, above all those with secrets: there, readable, and secrets by nobody else.

What is in them is never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.envfile import parse_env_file
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import read_secret
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.edge.given import error_page, given_certificate, users
from gitdeploy.errors import GitdeployError, StageFailed


def examine_secrets(apps: Iterable[App], edge: EdgeSettings, now: float) -> Iterator[Finding]:
    """Read env_file and build.secrets of each app, and what domains need. Registry credentials are read where they are tried.

    Args:
        now: seconds since the epoch: a certificate may have ended.
    """
    good = 0
    for name, read in [*_reads_of_edge(edge), *((app.name, read) for app in apps for read in _reads(app, now))]:
        try:
            read()
        except GitdeployError as error:
            yield from_error("secrets", error, app=name)
        else:
            good += 1
    if good:
        yield Finding("ok", "secrets", f"files in order, and secrets that nobody else can read: {good}")


def _reads_of_edge(edge: EdgeSettings) -> Iterator[tuple[str, Callable[[], object]]]:
    if edge.error_page:
        yield "", partial(error_page, edge)
    if edge.acme_root:
        yield "", partial(_read, edge.acme_root, "edge.acme_root")


def _reads(app: App, now: float) -> Iterator[Callable[[], object]]:
    """Yield what reads each of the app's files, and raises GitdeployError for one that will not do."""
    for key, path in {"env_file": app.env_file, **_of_accessories(app)}.items():
        if path:
            yield partial(_read_env_file, path, key)
    for name, path in app.build.secrets.items():
        yield partial(read_secret, path, f"build.secrets.{name}")
    for inner, path in app.swarm.files.items():
        yield partial(read_secret, path, f"swarm.files.{inner}", private=False)
    if app.domains and app.tls.certificate:
        yield partial(given_certificate, app, now)
    if app.domains and app.proxy.basic_auth:
        yield partial(users, app)


def _of_accessories(app: App) -> dict[str, Path | None]:
    return {f"accessories.{name}.env_file": accessory.env_file for name, accessory in app.accessories.items()}


def _read_env_file(path: Path, key: str) -> None:
    parse_env_file(read_secret(path, key), path)


def _read(path: Path, key: str) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise StageFailed(f"{key}: {path} cannot be read: {error.strerror}", "correct the path in config.toml") from error
