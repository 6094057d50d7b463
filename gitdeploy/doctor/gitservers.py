"""What doctor looks at in the Git server itself: its database of webhooks and its log of hooks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from gitdeploy.doctor.finding import Finding
from gitdeploy.doctor.hooklog import judge_hook_log, look_at_hook_log
from gitdeploy.doctor.webhooks import judge_webhooks, read_webhooks
from gitdeploy.gitserver.gitserver import GitServer
from gitdeploy.gitserver.newcomers import missing, user_home


def examine_server(server: GitServer, enrolled: Mapping[str, str], now: float) -> Iterator[Finding]:
    """Look at the Git server's database and log.

    Args:
        enrolled: repository, "owner/name", to its app.
        now: seconds since the epoch.
    """
    yield from _webhooks(server, enrolled)
    log = server.adapter.hook_log(server.settings)
    if not log:
        return
    path = server.path(log)
    try:
        yield from judge_hook_log(look_at_hook_log(path), now)
    except OSError as error:
        yield Finding("warning", "hook log", f"{path} cannot be read: {error.strerror}", f"look into it: tail {path}")


def examine_newcomers(server: GitServer, image: str) -> Iterator[Finding]:
    """Yield whether git puts the hook into new repositories, where `server.new_repositories` is this image. Raises OSError."""
    wrong = missing(user_home(server), server.adapter.hooks)
    if wrong is None:
        yield Finding("ok", "new ones", f"new repositories are enrolled by their first push, as {image}")
        return
    found = f"{wrong} is not as `enrol --all` made it: new repositories are not enrolled by their first push"
    fix = "gitdeploy enrol --later; or take new_repositories out of config.toml"
    yield Finding("warning", "new ones", found, fix)


def _webhooks(server: GitServer, enrolled: Mapping[str, str]) -> Iterator[Finding]:
    name, database = server.adapter.name, server.database
    fix = f"see whether Settings, Webhooks of your repositories in {name} still names a Jenkins: it would deploy a second time"
    if database.kind != "sqlite3":
        yield Finding("ok", "webhook", f"not looked for: {name} keeps them in {database.kind}; {fix}")
        return
    try:
        webhooks = read_webhooks(Path(database.path))
    except (sqlite3.Error, OSError) as error:
        yield Finding("warning", "webhook", f"the database of {name}, {database.path}, cannot be read: {error}", fix)
        return
    found = list(judge_webhooks(webhooks, enrolled, name))
    yield from found or [Finding("ok", "webhook", f"none of {len(webhooks)} for pushes would deploy a second time")]
