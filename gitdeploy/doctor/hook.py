"""The hooks of a repository: gitdeploy's two, and Gogs' own that runs the first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.doctor.finding import Finding
from gitdeploy.doctor.permissions import FileFacts, look_at_file
from gitdeploy.gitserver.adapter import Adapter
from gitdeploy.gitserver.enrolment import KEPT, MAX_HOOK, MOVED_MARK, is_ours
from gitdeploy.gitserver.hookplaces import HOOK, MOVED, PLAIN
from gitdeploy.gitserver.repositorysettings import is_clone


@dataclass(frozen=True)
class HookFacts:
    """The hooks of one repository.

    Attributes:
        app: "owner/repo", as it is enrolled.
        repository: its directory.
        uid: owner of that.
        hook: gitdeploy's hook.
        delegate: the Git server's own post-receive hook, None where git itself runs gitdeploy's.
        mirror: whether the repository is a fork or a mirror: the Git server writes no hooks of its own into a mirror.
        moves: the hook that tells of refs which move without a push; None where post-receive does.
        kept: whether a hook from before gitdeploy is kept.
        noexec: whether the repository's file system forbids to run programs.
    """

    app: str
    repository: Path
    uid: int
    hook: FileFacts
    delegate: FileFacts | None
    mirror: bool
    moves: FileFacts | None
    kept: bool
    noexec: bool


def look_at_hooks(app: str, repository: Path, adapter: Adapter | None) -> HookFacts:
    """Look into a repository; takes the adapter of the Git server that keeps it, if any. Raises OSError if it is gone."""
    places = adapter.hooks if adapter else PLAIN
    hooks = repository / places.directory
    return HookFacts(
        app=app,
        repository=repository,
        uid=repository.stat().st_uid,
        hook=look_at_file(hooks / places.file, MAX_HOOK),
        delegate=look_at_file(repository / "hooks" / HOOK, MAX_HOOK) if places.served else None,
        mirror=is_clone(repository),
        moves=look_at_file(repository / "hooks" / MOVED, MAX_HOOK) if places.served else None,
        kept=places.alone and os.path.lexists(hooks / KEPT),
        noexec=bool(os.statvfs(repository).f_flag & os.ST_NOEXEC),
    )


def judge_hooks(facts: HookFacts, current: bytes, adapter: Adapter | None) -> Iterator[Finding]:
    """Yield what is wrong with the hooks of a repository; `current` is the text of this gitdeploy's hook. Pure."""
    yield from _judge_text(facts, current)
    if facts.hook.kind == "file":
        yield from _judge_permissions(facts)
    if adapter and facts.delegate is not None:
        yield from _judge_delegate(facts, facts.delegate, adapter)


def judge_moves(facts: HookFacts, current: bytes) -> Iterator[Finding]:
    """Yield what is wrong with the hook for merges; `current` is its text in this gitdeploy. Pure."""
    hook, fix = facts.moves, f"gitdeploy enrol {facts.app}"
    if hook is None:
        return
    problem = hook.problem
    if hook.kind == "file" and not is_ours(hook.data, MOVED_MARK):
        problem = "is somebody else's, which enrolling leaves alone"
        fix = f'have it run at its end: {facts.hook.path.relative_to(facts.repository)} moved, if "$1" is committed'
    elif hook.kind == "file" and hook.mode & 0o555 != 0o555:
        problem = f"is not executable (mode {hook.mode:o})"
    elif hook.kind == "file" and hook.data != current:
        problem = "is of another version than this gitdeploy, or was edited"
    if problem:
        found = f"{hook.path} {problem}: pull requests merged in the web page, and mirrors, may not be deployed"
        yield Finding("warning", "hook", found, hook.remove + fix, facts.app)


def _judge_text(facts: HookFacts, current: bytes) -> Iterator[Finding]:
    path, data, enrol = facts.hook.path, facts.hook.data, f"gitdeploy enrol {facts.app}"
    if problem := facts.hook.problem:
        yield Finding("error", "hook", f"{path} {problem}: a push deploys nothing", facts.hook.remove + enrol, facts.app)
    elif not is_ours(data):
        found = f"{path} is not gitdeploy's hook (any more): somebody replaced it, perhaps in the web editor"
        fix = f"{enrol} puts gitdeploy's in place and keeps that one, which then runs first"
        if facts.kept:
            fix = f"move what you need of it into {path.with_name(KEPT)}, remove it, then: {enrol}"
        yield Finding("error", "hook", found, fix, facts.app)
    elif b"\r\n" in data:
        yield Finding("error", "hook", f"{path} has CRLF line ends, which no shell can run", enrol, facts.app)
    elif data != current:
        found = f"{path} is of another version than this gitdeploy, or was edited"
        yield Finding("warning", "hook", found, enrol, facts.app)


def _judge_permissions(facts: HookFacts) -> Iterator[Finding]:
    hook, fix = facts.hook, f"chmod 755 {facts.hook.path}"
    if hook.mode & 0o555 != 0o555:
        found = f"{hook.path} is not executable (mode {hook.mode:o}, expected 755): the Git server cannot run it"
        yield Finding("error", "hook", found, fix, facts.app)
    if hook.mode & 0o022:
        found = f"{hook.path} can be changed by others (mode {hook.mode:o}, expected 755)"
        yield Finding("error", "hook", found, f"see whether anybody did, then: {fix}", facts.app)
    if facts.noexec:
        found = f"{facts.repository} is on a file system mounted noexec: no hook can run there"
        fix = f"mount it without noexec; this shows what it is: findmnt -T {facts.repository}"
        yield Finding("error", "hook", found, fix, facts.app)
    if hook.uid != facts.uid:
        found = f"{hook.path} belongs to user {hook.uid}, its repository to user {facts.uid}"
        yield Finding("warning", "hook", found, f"chown {facts.uid} {hook.path}", facts.app)


def _judge_delegate(facts: HookFacts, delegate: FileFacts, adapter: Adapter) -> Iterator[Finding]:
    """Yield what is wrong with the Git server's own hook, which it writes into every repository that is no mirror."""
    problem = "" if facts.mirror and delegate.kind == "missing" else delegate.problem
    if delegate.kind == "file" and not all(call in delegate.data for call in adapter.hooks.calls):
        problem = f"does not run {facts.hook.path.relative_to(facts.repository)}"
    elif delegate.kind == "file" and not delegate.mode & 0o111:
        problem = f"is not executable (mode {delegate.mode:o})"
    if problem:
        found = f"{delegate.path} {problem}: {adapter.name} runs no hook of others, feed or webhook after a push"
        yield Finding("error", "server's hook", found, f"in {adapter.name}: {adapter.resync}", facts.app)
