"""The hooks of a repository: gitdeploy's two, and Gogs' own that runs the first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.doctor.finding import Finding
from gitdeploy.doctor.permissions import FileFacts, look_at_file
from gitdeploy.gitserver.enrolment import HOOK, HOOK_DIRECTORIES, KEPT, MAX_HOOK, MOVED, MOVED_MARK, is_ours

RESYNC = 'in Gogs: Admin Panel, "Resync pre-receive, update and post-receive hooks of all repositories"'


@dataclass(frozen=True)
class HookFacts:
    """The hooks of one repository.

    Attributes:
        app: "owner/repo", as it is enrolled.
        repository: its directory.
        uid: owner of that.
        hook: gitdeploy's hook.
        delegate: Gogs' own post-receive hook, None where git itself runs gitdeploy's.
        moves: the hook that tells of merges in the web page; None where post-receive does.
        kept: whether a hook from before gitdeploy is kept.
        noexec: whether the repository's file system forbids to run programs.
    """

    app: str
    repository: Path
    uid: int
    hook: FileFacts
    delegate: FileFacts | None
    moves: FileFacts | None
    kept: bool
    noexec: bool


def look_at_hooks(app: str, repository: Path, *, bare: bool) -> HookFacts:
    """Look into a repository; `bare`: no Gogs is there, git itself runs the hook. Raises OSError if it is gone."""
    hooks = repository / HOOK_DIRECTORIES[bare]
    return HookFacts(
        app=app,
        repository=repository,
        uid=repository.stat().st_uid,
        hook=look_at_file(hooks / HOOK, MAX_HOOK),
        delegate=None if bare else look_at_file(repository / "hooks" / HOOK, MAX_HOOK),
        moves=None if bare else look_at_file(repository / "hooks" / MOVED, MAX_HOOK),
        kept=os.path.lexists(hooks / KEPT),
        noexec=bool(os.statvfs(repository).f_flag & os.ST_NOEXEC),
    )


def judge_hooks(facts: HookFacts, current: bytes) -> Iterator[Finding]:
    """Yield what is wrong with the hooks of a repository; `current` is the text of this gitdeploy's hook. Pure."""
    yield from _judge_text(facts, current)
    if facts.hook.kind == "file":
        yield from _judge_permissions(facts)
    if facts.delegate is not None:
        yield from _judge_delegate(facts.app, facts.delegate)


def judge_moves(facts: HookFacts, current: bytes) -> Iterator[Finding]:
    """Yield what is wrong with the hook for merges; `current` is its text in this gitdeploy. Pure."""
    hook, fix = facts.moves, f"gitdeploy enrol {facts.app}"
    if hook is None:
        return
    problem = hook.problem
    if hook.kind == "file" and not is_ours(hook.data, MOVED_MARK):
        problem = "is somebody else's, which enrolling leaves alone"
        fix = f'have it run at its end: custom_hooks/{HOOK} moved, if "$1" is committed'
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


def _judge_delegate(app: str, delegate: FileFacts) -> Iterator[Finding]:
    """Gogs writes it into every repository (gogs/internal/database/repo.go, hooksTpls); it runs the custom hooks."""
    problem = delegate.problem
    if delegate.kind == "file" and (b" hook " not in delegate.data or b"post-receive" not in delegate.data):
        problem = "does not call `gogs hook`"
    elif delegate.kind == "file" and not delegate.mode & 0o111:
        problem = f"is not executable (mode {delegate.mode:o})"
    if problem:
        found = f"{delegate.path} {problem}: Gogs runs no custom hook, feed or webhook after a push"
        yield Finding("error", "Gogs' hook", found, RESYNC, app)
