"""What doctor looks at in Gogs itself: its database of webhooks and its log of hooks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitdeploy.doctor.finding import Finding
from gitdeploy.doctor.hooklog import judge_hook_log, look_at_hook_log
from gitdeploy.doctor.webhooks import judge_webhooks, read_webhooks
from gitdeploy.gitserver.appini import read_ini
from gitdeploy.gitserver.gitserver import Gogs, host_path
from gitdeploy.gitserver.newcomers import missing, user_home


def examine_gogs(gogs: Gogs, enrolled: Mapping[str, str], now: float) -> Iterator[Finding]:
    """Look at Gogs' database and log.

    Args:
        enrolled: repository, "owner/name", to its app.
        now: seconds since the epoch.

    Raises UnfitError if app.ini cannot be read any more.
    """
    settings = read_ini(gogs.data, gogs.ini)
    yield from _webhooks(gogs, settings.get("database", {}), enrolled)
    root = settings.get("log", {}).get("ROOT_PATH") or "log"
    path = host_path(gogs.data, gogs.layout, root) / "hooks" / "post-receive.log"
    try:
        yield from judge_hook_log(look_at_hook_log(path), now)
    except OSError as error:
        yield Finding("warning", "Gogs' log", f"{path} cannot be read: {error.strerror}", f"look into it: tail {path}")


def examine_newcomers(gogs: Gogs, image: str) -> Iterator[Finding]:
    """Yield whether git puts the hook into new repositories, where `server.new_repositories` is this image. Raises OSError."""
    wrong = missing(user_home(gogs))
    if wrong is None:
        yield Finding("ok", "new ones", f"new repositories are enrolled by their first push, as {image}")
        return
    found = f"{wrong} is not as `enrol --all` made it: new repositories are not enrolled by their first push"
    fix = "gitdeploy enrol --later; or take new_repositories out of config.toml"
    yield Finding("warning", "new ones", found, fix)


def _webhooks(gogs: Gogs, database: Mapping[str, str], enrolled: Mapping[str, str]) -> Iterator[Finding]:
    kind = database.get("TYPE") or database.get("DB_TYPE") or "postgres"  # DB_TYPE until 0.12, and Gogs' default
    fix = "see whether Settings, Webhooks of your repositories in Gogs still names a Jenkins: it would deploy a second time"
    if kind != "sqlite3":
        yield Finding("ok", "webhook", f"not looked for: Gogs keeps them in {kind}; {fix}")
        return
    path: Path = host_path(gogs.data, gogs.layout, database.get("PATH") or "data/gogs.db")
    try:
        webhooks = read_webhooks(path)
    except (sqlite3.Error, OSError) as error:
        yield Finding("warning", "webhook", f"Gogs' database {path} cannot be read: {error}", fix)
        return
    found = list(judge_webhooks(webhooks, enrolled))
    yield from found or [Finding("ok", "webhook", f"none of {len(webhooks)} for pushes would deploy a second time")]
