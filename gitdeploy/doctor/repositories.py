"""The repositories that gitdeploy deploys: which they are, and what lies in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.config.model import App
from gitdeploy.doctor.conf import judge_conf, look_at_conf
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.doctor.hook import judge_hooks, judge_moves, look_at_hooks
from gitdeploy.errors import UsageError
from gitdeploy.gitserver.adapter import Adapter
from gitdeploy.gitserver.enrolment import hook_text
from gitdeploy.gitserver.gitserver import GitServer
from gitdeploy.gitserver.hookconf import FILE, HookConf
from gitdeploy.gitserver.hookplaces import MOVED
from gitdeploy.gitserver.repositorysettings import uses_sha256


@dataclass(frozen=True)
class FoundRepository:
    """A repository of an app.

    Attributes:
        name: of the app, "owner/repo".
        app: None if config.toml has no such app, or cannot be read.
    """

    name: str
    path: Path
    app: App | None


def find_repositories(apps: Mapping[str, App], server: GitServer | None) -> tuple[list[FoundRepository], list[Finding]]:
    """Return all enrolled repositories and those of all apps, in order of the apps' names; and the apps that have none.

    Args:
        apps: of config.toml.
        server: where to look, None if there is no Git server.
    """
    enrolled: dict[str, list[Path]] = {}
    for name, path in server.enrolled() if server else ():
        enrolled.setdefault(name, []).append(path)
    found: list[FoundRepository] = []
    problems: list[Finding] = []
    for name in sorted(apps.keys() | enrolled.keys()):
        app, paths = apps.get(name), enrolled.get(name, [])
        try:
            paths = [_repository_of(app, server)] if app and (app.bare or not paths) else paths
        except UsageError as error:
            problems.append(from_error("repository", error, app=name))
            continue
        found += [FoundRepository(name, path, app) for path in paths]
    return found, problems


def _repository_of(app: App, server: GitServer | None) -> Path:
    if app.bare and (app.bare / "objects").is_dir():
        return app.bare
    if app.bare:
        raise UsageError(f"there is no bare repository at {app.bare}", "correct repository in config.toml")
    if server is None:
        raise UsageError(
            "there is no Git server that would keep it", "name its bare repository in config.toml: repository = PATH"
        )
    return server.repository_of(app.name, name=app.served_by)


def judge_repositories(repositories: Sequence[FoundRepository]) -> Iterator[Finding]:
    """Yield which are enrolled in vain, or too often. Pure. Only where config.toml tells all apps."""
    found: dict[str, list[FoundRepository]] = {}
    for repository in repositories:
        found.setdefault(repository.name, []).append(repository)
    for name, same in found.items():
        if same[0].app is None:
            problem = f"{same[0].path} is enrolled, and config.toml has no such app: its pushes fail"
            fix = f"gitdeploy enrol {name} --image REF, or: gitdeploy remove {name}"
            yield Finding("warning", "repository", problem, fix, name)
        if len(same) > 1:
            paths = ", ".join(str(repository.path) for repository in same)
            problem = f"enrolled more than once: a push to any of {paths} deploys it"
            yield Finding("error", "repository", problem, f"remove {FILE} in those that are not meant", name)


@dataclass(frozen=True)
class Expected:
    """What should lie in a repository.

    Attributes:
        home: the gitdeploy directory, links resolved.
        hook: the text of the hook.
        conf: what the hook is to know; None where config.toml does not tell.
        config_mtime_ns: when config.toml was written.
    """

    home: Path
    hook: bytes
    conf: HookConf | None
    config_mtime_ns: int


def examine_repository(repository: FoundRepository, expected: Expected, adapter: Adapter | None) -> Iterator[Finding]:
    """Look into one repository; takes the adapter of the Git server that keeps it, if any. Raises OSError if it is gone."""
    if uses_sha256(repository.path):
        problem = f"{repository.path} uses SHA-256 object ids, which gitdeploy cannot read: its pushes fail"
        yield Finding("error", "repository", problem, f"gitdeploy remove {repository.name}", repository.name)
    hooks = look_at_hooks(repository.name, repository.path, adapter)
    problems = [
        *judge_hooks(hooks, expected.hook, adapter),
        *judge_moves(hooks, hook_text(MOVED)),
        *judge_conf(look_at_conf(repository.name, repository.path), expected.home, expected.conf, expected.config_mtime_ns),
    ]
    yield from problems or [Finding("ok", "hook", f"in place: {hooks.hook.path}", app=repository.name)]
