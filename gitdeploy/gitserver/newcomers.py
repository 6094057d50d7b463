"""Repositories that are made after `enrol --all`: git puts the hook into each of them, and its first push enrols it.

`git init` and `git clone` copy a template directory into what they make (git-init(1), init.templateDir). gitdeploy's lies
in the home directory of the Git server's user and holds the hook with a gitdeploy.conf that names no app. Whether a push
enrols a repository is for the server's config.toml to say (`server.new_repositories`), and never for the repository.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver.enrolment import hook_text, remove
from gitdeploy.gitserver.gitserver import GOGS, GitServer, has_server, read_server
from gitdeploy.gitserver.hookconf import ANY, FILE, HookConf, Mode, enrols_itself
from gitdeploy.gitserver.hookplaces import HookPlaces
from gitdeploy.gitserver.openrepository import exists
from gitdeploy.gitserver.ownedfiles import (
    make_directories,
    make_directory,
    open_directory,
    read_file,
    write_file,
)
from gitdeploy.gitserver.repositorysettings import is_clone

if TYPE_CHECKING:
    from gitdeploy.config.sections import Server

TEMPLATE = "gitdeploy-template"
SETTINGS = ".gitconfig"
SETTING = b"[init] # by gitdeploy, for repositories that are made later\n\ttemplateDir = ~/gitdeploy-template\n"
"""Added to the settings: with ~, for that directory may have another path where Gogs runs."""

EVERY_REF = ("refs/heads/*", "refs/tags/*")
"""In the template's gitdeploy.conf: the config may be another one at the first push, so the worker says what is deployed."""

MAX_SETTINGS = 1_000_000
_OTHER = re.compile(rb"^\s*(?:\[[^]\n]*\]\s*)?templatedir\s*=", re.IGNORECASE | re.MULTILINE)


def seed(base: Path, home: Path, conf: HookConf, places: HookPlaces = GOGS.hooks) -> bool:
    """Have git put the hook into what it makes from now on; return whether anything changed.

    Args:
        base: a directory above `home`, or that itself; links up to it are trusted.
        home: of the Git server's user.
        conf: what the hook is to know, whatever its app and refs are.
        places: where the hook goes in a repository.

    Raises:
        UsageError: that user has chosen another template directory.
        UnfitError: the directory is not there, or cannot be written safely.
    """
    with _opened(base, home) as directory:
        owner = os.fstat(directory)
        settings = _settings(directory, home)
        if _OTHER.search(settings.replace(SETTING, b"")):
            reason = f"{home / SETTINGS} has an init.templateDir already: new repositories will not be enrolled by themselves"
            raise UsageError(reason, f"take that out, or put the contents of {home / TEMPLATE} into that directory")
        changed = _write_template(directory, owner, conf, places)
        if SETTING not in settings:
            mode = _mode(directory) if settings else 0o644
            gap = b"" if not settings or settings.endswith(b"\n") else b"\n"
            changed |= write_file(directory, SETTINGS, settings + gap + SETTING, mode=mode, owner=owner)
    return changed


@contextmanager
def _opened(base: Path, home: Path) -> Iterator[int]:
    """Yield the home directory; what fails in it is said with what to do."""
    try:
        directory = open_directory(base, home)
        try:
            yield directory
        finally:
            os.close(directory)
    except OSError as error:
        where = home / os.fsdecode(error.filename) if error.filename else home
        hint = "the user that the Git server runs as needs a home directory of its own; run this as that user, or as root"
        raise UnfitError(f"{where}: {error.strerror}", hint) from error


def _settings(directory: int, home: Path) -> bytes:
    """Return what git's settings of that user are, b"" if there are none. Raises UnfitError for anything but a file."""
    settings = read_file(directory, SETTINGS, MAX_SETTINGS)
    if settings is None and exists(directory, SETTINGS):
        reason = f"{home / SETTINGS}: expected a regular file, found a symbolic link or something else"
        raise UnfitError(reason, "put a copy of what it leads to in its place, for as long as this runs at least")
    return settings or b""


def _write_template(home: int, owner: os.stat_result, conf: HookConf, places: HookPlaces) -> bool:
    """Gogs writes its own hooks into hooks/ and expects that directory to be there."""
    with make_directories(home, TEMPLATE, owner) as template:
        for name in ("hooks", "info"):
            os.close(make_directory(template, name, 0o755, owner))
        with make_directories(template, places.directory, owner) as hooks:
            changed = write_file(hooks, places.file, hook_text(), mode=0o755, owner=owner)
        return changed | write_file(template, FILE, replace(conf, app=ANY, refs=EVERY_REF).render(), mode=0o644, owner=owner)


def _mode(directory: int) -> int:
    return stat.S_IMODE(os.stat(SETTINGS, dir_fd=directory, follow_symlinks=False).st_mode)


def missing(home: Path, places: HookPlaces) -> Path | None:
    """Return the file of `seed` that is not there as it should be; None if all are. Raises OSError."""
    directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if SETTING not in (read_file(directory, SETTINGS, MAX_SETTINGS) or b""):
            return home / SETTINGS
    finally:
        os.close(directory)
    if not enrols_itself(home / TEMPLATE):
        return home / TEMPLATE / FILE
    hooks, text = home / TEMPLATE / places.directory, hook_text()
    good = False
    with suppress(OSError):
        directory = os.open(hooks, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            good = read_file(directory, places.file, len(text) + 1) == text
            good = good and os.access(places.file, os.X_OK, dir_fd=directory)
        finally:
            os.close(directory)
    return None if good else hooks / places.file


def withdraw(base: Path, home: Path) -> bool:
    """Undo `seed`; return whether there was anything to undo. Raises UnfitError if it cannot be undone."""
    if not os.path.isdir(home):  # noqa: PTH112 (one that may not be looked at counts as none: nothing was put into it)
        return False
    with _opened(base, home) as directory:
        if not exists(directory, TEMPLATE) and read_file(directory, SETTINGS, MAX_SETTINGS) is None:
            return False
        settings = _settings(directory, home)
        found = SETTING in settings
        if settings == SETTING:
            os.unlink(SETTINGS, dir_fd=directory)
        elif found:
            write_file(directory, SETTINGS, _without(settings), mode=_mode(directory), owner=os.fstat(directory))
        with suppress(FileNotFoundError, NotADirectoryError):
            shutil.rmtree(TEMPLATE, dir_fd=directory)
    return found


def _without(settings: bytes) -> bytes:
    """Return settings without what `seed` added. What git has put into that section since keeps one of its own. Pure."""
    before, _, after = settings.partition(SETTING)
    lines = (line.strip() for line in after.splitlines())
    following = next((line for line in lines if line and not line.startswith((b"#", b";"))), b"[")
    return before + (b"" if following.startswith(b"[") else b"[init]\n") + after


def user_home(server: GitServer) -> Path:
    """Return the directory in which the Git server's git looks for its user's settings. Raises UnfitError."""
    if home := server.adapter.home(server.layout, server.settings):
        return server.path(home)
    uid = server.owner.st_uid
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError as error:
        where = f"run this where {server.adapter.name} runs"
        raise UnfitError(f"this machine knows no user {uid}, who owns {server.root}", where) from error


def base_of(server: GitServer) -> Path:
    """Return the trusted directory above the home directory of its user, or that itself."""
    home = user_home(server)
    return server.data if home.is_relative_to(server.data) else home


def seed_server(server: GitServer, wait: float, mode: Mode) -> Path:
    """Have a Git server's git put the hook into what it makes from now on; return the template. See `seed` and HookConf."""
    home = user_home(server)
    seed(base_of(server), home, HookConf(ANY, server.homes, EVERY_REF, wait, mode), server.adapter.hooks)
    return home / TEMPLATE


def reseed(data: Path, config: Server, mode: Mode) -> None:
    """Bring the template up to date with this version and the config, where new repositories are to be enrolled.

    Raises:
        UsageError, UnfitError: see `seed`.
    """
    if config.new_repositories and has_server(data):
        seed_server(read_server(data), config.relay_timeout, mode)


def forget_newcomers(server: GitServer) -> None:
    """No repository is made with the hook in it any more, and those that had no push yet lose theirs. Raises UnfitError."""
    try:
        home = None
        with suppress(UnfitError):  # a user whom this machine does not know: nothing was put into that home
            home = user_home(server)
        if home:
            withdraw(base_of(server), home)
    finally:
        for path in sorted(server.root.glob("*/*.git")):  # wikis included
            if enrols_itself(path):
                remove(server.data, path)


def may_enrol(repository: Path) -> bool:
    """Return whether a push may enrol this repository: it was made with the hook in it, and is no fork or mirror."""
    return enrols_itself(repository) and not is_clone(repository, unknown=True)
