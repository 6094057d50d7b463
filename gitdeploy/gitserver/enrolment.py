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
from gitdeploy.gitserver.gitserver import GITEA, GOGS
from gitdeploy.gitserver.hookconf import FILE, MAX_APPS, MAX_SIZE, HookConf, refs_by_app, value_of, without_app
from gitdeploy.gitserver.hookplaces import HOOK, MOVED, PLAIN, HookPlaces
from gitdeploy.gitserver.openrepository import exists, opened_repository, status, unlink
from gitdeploy.gitserver.ownedfiles import make_directories, opened_below, read_file, write_file

KEPT = "post-receive.before-gitdeploy"
MARK = b"\n# gitdeploy post-receive hook"
"""In the second line of every version of gitdeploy's hook."""

MOVED_MARK = b"\n# gitdeploy reference-transaction hook"
"""The same in the hook beside the Git server's own ones that tells of refs which move without a push."""

PLACES = (GOGS.hooks, GITEA.hooks, PLAIN)
"""Where a hook may lie, whichever server kept the repository when it was enrolled."""

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
    data: Path, repository: Path, conf: HookConf, places: HookPlaces = GOGS.hooks, *, as_of_ns: int = 0, instead_of: str = ""
) -> Enrolled:
    """Install the hook and its conf in a repository, or bring both up to date. Safe to run twice at once.

    Args:
        data: the Git server's data directory; symbolic links up to it are trusted.
        repository: a bare repository, below `data` or elsewhere.
        conf: what the hook is to know.
        places: where the hooks go.
        as_of_ns: modification time of the config.toml that `conf` was made of, in nanoseconds: an edit after it makes the
            hook leave the choice of refs to the worker. 0 for now.
        instead_of: the name that the app had until now.

    Raises:
        UnfitError: the repository is not there, or cannot be written safely.
        UsageError: there is a hook that is not gitdeploy's, and one kept from before, too.
    """
    with opened_repository(data, repository) as directory:
        owner = os.fstat(directory)
        changed = False
        for other in PLACES:  # another server's, which kept the repository until now
            if other.directory != places.directory:
                changed |= _take_out(directory, other)[0]
        with make_directories(directory, places.directory, owner) as hooks:
            kept = places.alone and _keep(hooks, repository / places.directory)
            changed |= write_file(hooks, places.file, hook_text(), mode=0o755, owner=owner)
        if places.served:
            changed |= _follow_moves(directory, owner)
        changed |= pushoptions.offer(directory)
        changed |= _write_conf(directory, conf, owner, as_of_ns, instead_of)
    hook = repository / places.directory / places.file
    return Enrolled(hook, changed, hook.with_name(KEPT) if kept else None)


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
    with make_directories(directory, "hooks", owner) as hooks:
        free = not exists(hooks, MOVED) or is_ours(read_file(hooks, MOVED, MAX_HOOK), MOVED_MARK)
        return free and write_file(hooks, MOVED, hook_text(MOVED), mode=0o755, owner=owner)


def _forget_moves(directory: int) -> None:
    with suppress(OSError), opened_below(directory, "hooks") as hooks:
        if is_ours(read_file(hooks, MOVED, MAX_HOOK), MOVED_MARK):
            os.unlink(MOVED, dir_fd=hooks)


def remove(data: Path, repository: Path, app: str = "") -> Removed:
    """Take gitdeploy out of a repository and put back what was there before. Does nothing if it is not enrolled.

    Takes the app to take out, "" for all; the hook stays while it serves others.

    Raises:
        UnfitError: the repository is not there, or cannot be written safely.
    """
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
        _forget_moves(directory)
        restored = left = None
        for places in PLACES:
            ours, state = _take_out(directory, places)
            found |= ours
            restored = repository / places.directory / HOOK if state == "restored" else restored
            left = repository / places.directory / HOOK if state == "left" else left
        with suppress(OSError):  # Gogs makes this directory with its first hook: keep it only if it holds one
            os.rmdir(GOGS.hooks.directory, dir_fd=directory)
        os.fsync(directory)
    return Removed(found, restored, left)


def _take_out(directory: int, places: HookPlaces) -> tuple[bool, str]:
    """Take gitdeploy's hook out of one place.

    Returns:
        whether it was there; "restored" if the one from before is back, "left" if both are somebody else's.
    """
    with suppress(FileNotFoundError, NotADirectoryError), opened_below(directory, places.directory) as hooks:
        ours = is_ours(read_file(hooks, places.file, MAX_HOOK))
        kept, state = places.alone and exists(hooks, KEPT), ""
        if kept and (ours or not exists(hooks, places.file)):
            os.rename(KEPT, places.file, src_dir_fd=hooks, dst_dir_fd=hooks)
            state = "restored"
        elif ours:
            os.unlink(places.file, dir_fd=hooks)
        elif kept:
            state = "left"
        os.fsync(hooks)
        return ours, state
    return False, ""


def is_ours(text: bytes | None, mark: bytes = MARK) -> bool:
    """Return whether a file is gitdeploy's hook, of any version. Pure."""
    return text is not None and text.startswith(b"#!") and mark in text[:200].replace(b"\r", b"")
