"""Enrolling a repository: the hook and its gitdeploy.conf go in, and come out again without a trace.

A hook that was there before is kept beside the new one, which runs it with the same input. Whatever happens in between, the
repository has either its old hook or gitdeploy's: files change by rename.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gitdeploy.errors import UsageError
from gitdeploy.gitserver import pushoptions
from gitdeploy.gitserver.hookconf import FILE, MAX_APPS, MAX_SIZE, HookConf, refs_by_app, value_of, without_app
from gitdeploy.gitserver.openrepository import exists, opened_repository, status, unlink
from gitdeploy.gitserver.ownedfiles import make_directory, read_file, write_file

HOOK = "post-receive"
KEPT = "post-receive.before-gitdeploy"
MARK = b"\n# gitdeploy post-receive hook"
"""In the second line of every version of gitdeploy's hook."""

MOVED = "reference-transaction"
MOVED_MARK = b"\n# gitdeploy reference-transaction hook"
"""Of the hook beside Gogs' own ones that tells of refs which move without a push that runs custom hooks."""

HOOK_DIRECTORIES = ("custom_hooks", "hooks")
"""Below a repository: where Gogs' own hook looks for others, and where git looks."""

GITEA = "post-receive.d"
GITEA_HOOK = "gitdeploy"
"""Below hooks/: where the hooks of Gitea and Forgejo look for others, and the name of gitdeploy's among them."""

MAX_HOOK = 1_000_000


@dataclass(frozen=True)
class Enrolled:
    """What enrolling has done.

    Attributes:
        hook: the hook's path.
        changed: whether any file was written.
        kept: the hook that was there before and still runs, None if there was none.
    """

    hook: Path
    changed: bool
    kept: Path | None


@dataclass(frozen=True)
class Removed:
    """What removing has done.

    Attributes:
        found: whether the repository was enrolled at all.
        restored: the earlier hook that is back in place, None if there was none.
        left: a hook that is not gitdeploy's and was left alone, None if there was none.
        others: apps that are still deployed from this repository; the hook stays for them.
    """

    found: bool
    restored: Path | None = None
    left: Path | None = None
    others: tuple[str, ...] = ()


def hook_text(name: str = HOOK) -> bytes:
    """gitdeploy's hook of that name."""
    return (Path(__file__).parent / name).read_bytes()


def enrol(
    data: Path, repository: Path, conf: HookConf, *, bare: bool = False, as_of_ns: int = 0, instead_of: str = ""
) -> Enrolled:
    """Install the hook and its conf in a repository, or bring both up to date. Safe to run twice at once.

    Args:
        data: the Git server's data directory; symbolic links up to it are trusted.
        repository: a bare repository, below `data` or elsewhere.
        conf: what the hook is to know.
        bare: a plain bare repository, without Gogs: git itself runs the hook.
        as_of_ns: modification time of the config.toml that `conf` was made of, in nanoseconds: an edit after it makes the
            hook leave the choice of refs to the worker. 0 for now.
        instead_of: the name that the app had until now.

    Raises:
        UnfitError: the repository is not there, or cannot be written safely.
        UsageError: there is a hook that is not gitdeploy's, and one kept from before, too.
    """
    with opened_repository(data, repository) as directory:
        owner = os.fstat(directory)
        name, file = (HOOK_DIRECTORIES[bare], HOOK)
        giteas = -1 if bare else _open_giteas(directory)
        if giteas >= 0:
            name, file = f"hooks/{GITEA}", GITEA_HOOK
        hooks = giteas if giteas >= 0 else make_directory(directory, name, 0o755, owner)
        try:
            kept = giteas < 0 and _keep(hooks, repository / name)
            changed = write_file(hooks, file, hook_text(), mode=0o755, owner=owner)
        finally:
            os.close(hooks)
        if not bare and giteas < 0:
            changed |= _follow_moves(directory, owner)
        changed |= pushoptions.offer(directory)
        changed |= _write_conf(directory, conf, owner, as_of_ns, instead_of)
    return Enrolled(repository / name / file, changed, repository / name / KEPT if kept else None)


def _open_giteas(directory: int) -> int:
    """Open the directory of hooks that Gitea or Forgejo runs beside its own, for merges, too; -1 if there is none."""
    try:
        hooks = os.open("hooks", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            return os.open(GITEA, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=hooks)
        finally:
            os.close(hooks)
    except OSError:
        return -1


def refresh(data: Path, repository: Path, conf: HookConf, *, as_of_ns: int) -> bool:
    """Write gitdeploy.conf anew, as after an edit of config.toml; return whether it changed. See `enrol`."""
    with opened_repository(data, repository) as directory:
        return _write_conf(directory, conf, os.fstat(directory), as_of_ns)


def _write_conf(directory: int, conf: HookConf, owner: os.stat_result, as_of_ns: int, instead_of: str = "") -> bool:
    """Write gitdeploy.conf with the token and the other apps that the repository has; return whether it changed."""
    before = read_file(directory, FILE, MAX_SIZE) or b""
    token, others = value_of(before, "token"), refs_by_app(before)
    others.pop(instead_of, None)
    if conf.app not in others and len(others) >= MAX_APPS:
        reason = f"the repository serves {len(others)} apps already: {', '.join(others)}"
        raise UsageError(reason, "take one out: gitdeploy remove APP")
    known = re.fullmatch("[0-9a-f]{32}", token) is not None
    text = replace(conf.beside(others), token=token if known else secrets.token_hex(16)).render()
    return write_file(directory, FILE, text, mode=0o644, owner=owner, mtime_ns=as_of_ns)


def _keep(hooks: int, path: Path) -> bool:
    """Put a hook that is not gitdeploy's aside; return whether one is kept, now or from before."""
    kept = exists(hooks, KEPT)
    if not exists(hooks, HOOK) or is_ours(read_file(hooks, HOOK, MAX_HOOK)):
        return kept
    if kept and not os.path.samestat(status(hooks, HOOK), status(hooks, KEPT)):
        reason = f"{path / HOOK} is not gitdeploy's hook, and {KEPT} holds another one from before"
        raise UsageError(reason, f"move what you need of both into {path / KEPT}, remove {path / HOOK}, and try again")
    if not kept:
        try:
            # A second name, so that the old hook stays in place until the new one replaces it.
            os.link(HOOK, KEPT, src_dir_fd=hooks, dst_dir_fd=hooks, follow_symlinks=False)
        except OSError:  # file systems without hard links, or another user's file (fs.protected_hardlinks)
            os.rename(HOOK, KEPT, src_dir_fd=hooks, dst_dir_fd=hooks)
    return True


def _follow_moves(directory: int, owner: os.stat_result) -> bool:
    """Put the hook that tells of moves in place, unless there is one of somebody else's."""
    hooks = make_directory(directory, "hooks", 0o755, owner)
    try:
        free = not exists(hooks, MOVED) or is_ours(read_file(hooks, MOVED, MAX_HOOK), MOVED_MARK)
        return free and write_file(hooks, MOVED, hook_text(MOVED), mode=0o755, owner=owner)
    finally:
        os.close(hooks)


def remove(data: Path, repository: Path, app: str = "") -> Removed:
    """Take gitdeploy out of a repository and put back what was there before. Does nothing if it is not enrolled.

    Takes the app to take out, "" for all; the hook stays while it serves others.

    Raises:
        UnfitError: the repository is not there, or cannot be written safely.
    """
    restored = left = None
    with opened_repository(data, repository) as directory:
        before = read_file(directory, FILE, MAX_SIZE) or b""
        apps = refs_by_app(before)
        if app and (others := tuple(other for other in apps if other != app)):
            if app in apps:
                facts = os.stat(FILE, dir_fd=directory, follow_symlinks=False)
                text = without_app(before, app)
                write_file(directory, FILE, text, mode=0o644, owner=os.fstat(directory), mtime_ns=facts.st_mtime_ns)
            return Removed(app in apps, others=others)
        # The conf first: without it, the hook does nothing.
        found = unlink(directory, FILE)
        pushoptions.withdraw(directory)
        giteas = _open_giteas(directory)
        if giteas >= 0:
            found |= is_ours(read_file(giteas, GITEA_HOOK, MAX_HOOK)) and unlink(giteas, GITEA_HOOK)
            os.close(giteas)
        for name in HOOK_DIRECTORIES:
            try:
                hooks = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
            except OSError:
                continue
            try:
                if is_ours(read_file(hooks, MOVED, MAX_HOOK), MOVED_MARK):
                    os.unlink(MOVED, dir_fd=hooks)
                ours = is_ours(read_file(hooks, HOOK, MAX_HOOK))
                found |= ours
                if exists(hooks, KEPT) and (ours or not exists(hooks, HOOK)):
                    os.rename(KEPT, HOOK, src_dir_fd=hooks, dst_dir_fd=hooks)
                    restored = repository / name / HOOK
                elif ours:
                    os.unlink(HOOK, dir_fd=hooks)
                elif exists(hooks, KEPT):
                    left = repository / name / HOOK
                os.fsync(hooks)
            finally:
                os.close(hooks)
        with suppress(OSError):  # Gogs makes this directory with its first hook: keep it only if it holds one
            os.rmdir(HOOK_DIRECTORIES[False], dir_fd=directory)
        os.fsync(directory)
    return Removed(found, restored, left)


def is_ours(text: bytes | None, mark: bytes = MARK) -> bool:
    """Return whether a file is gitdeploy's hook, of any version. Pure."""
    return text is not None and text.startswith(b"#!") and mark in text[:200].replace(b"\r", b"")
