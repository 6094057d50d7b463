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
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gitdeploy.enrol import HOOK, HOOK_DIRECTORIES, hook_text, remove
from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gogs import Gogs
from gitdeploy.hookconf import ANY, FILE, HookConf, app_in_conf
from gitdeploy.ownedfiles import make_directory, open_directory, read_file, write_file

TEMPLATE = "gitdeploy-template"
SETTINGS = ".gitconfig"
SETTING = b"[init] # by gitdeploy, for repositories that are made later\n\ttemplateDir = ~/gitdeploy-template\n"
"""Added to the settings: with ~, for that directory may have another path where Gogs runs."""

MAX_SETTINGS = 1_000_000
_OTHER = re.compile(rb"^\s*templatedir\s*=", re.IGNORECASE | re.MULTILINE)
_REMOTE = re.compile(rb"^\s*\[remote ", re.MULTILINE)


def seed(base: Path, home: Path, conf: HookConf) -> bool:
    """Has git put the hook into what it makes from now on; returns whether anything changed.

    Args:
        base: a directory above `home`, or that itself; links up to it are trusted.
        home: of the Git server's user.
        conf: what the hook is to know, whatever its app is.

    Raises:
        UsageError: that user has chosen another template directory.
        UnfitError: the directory is not there, or cannot be written safely.
    """
    directory = open_directory(base, home)
    try:
        owner = os.fstat(directory)
        settings = read_file(directory, SETTINGS, MAX_SETTINGS) or b""
        if _OTHER.search(settings.replace(SETTING, b"")):
            reason = f"{home / SETTINGS} has an init.templateDir already: new repositories will not be enrolled by themselves"
            raise UsageError(reason, f"take that out, or put the contents of {home / TEMPLATE} into that directory")
        changed = _write_template(directory, owner, conf)
        if SETTING not in settings:
            mode = _mode(directory) if settings else 0o644
            gap = b"" if not settings or settings.endswith(b"\n") else b"\n"
            changed |= write_file(directory, SETTINGS, settings + gap + SETTING, mode=mode, owner=owner)
    finally:
        os.close(directory)
    return changed


def _write_template(home: int, owner: os.stat_result, conf: HookConf) -> bool:
    """Gogs writes its own hooks into hooks/ and expects that directory to be there."""
    template = make_directory(home, TEMPLATE, 0o755, owner)
    custom = -1
    try:
        for name in ("hooks", "info"):
            os.close(make_directory(template, name, 0o755, owner))
        custom = make_directory(template, HOOK_DIRECTORIES[False], 0o755, owner)
        changed = write_file(custom, HOOK, hook_text(), mode=0o755, owner=owner)
        return changed | write_file(template, FILE, replace(conf, app=ANY).render(), mode=0o644, owner=owner)
    finally:
        os.close(template)
        if custom >= 0:
            os.close(custom)


def _mode(directory: int) -> int:
    return stat.S_IMODE(os.stat(SETTINGS, dir_fd=directory, follow_symlinks=False).st_mode)


def missing(home: Path) -> Path | None:
    """The file of `seed` that is not there as it should be; None if all are. Raises OSError."""
    directory = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if SETTING not in (read_file(directory, SETTINGS, MAX_SETTINGS) or b""):
            return home / SETTINGS
    finally:
        os.close(directory)
    hook = home / TEMPLATE / HOOK_DIRECTORIES[False] / HOOK
    if app_in_conf(home / TEMPLATE) != ANY:
        return home / TEMPLATE / FILE
    return None if os.access(hook, os.X_OK) and hook.read_bytes() == hook_text() else hook


def withdraw(base: Path, home: Path) -> bool:
    """Undoes `seed`; returns whether there was anything to undo."""
    if not home.is_dir():
        return False
    directory = open_directory(base, home)
    try:
        settings = read_file(directory, SETTINGS, MAX_SETTINGS) or b""
        found = SETTING in settings
        if settings == SETTING:
            os.unlink(SETTINGS, dir_fd=directory)
        elif found:
            left, owner = settings.replace(SETTING, b""), os.fstat(directory)
            write_file(directory, SETTINGS, left, mode=_mode(directory), owner=owner)
        with suppress(FileNotFoundError, NotADirectoryError):
            shutil.rmtree(TEMPLATE, dir_fd=directory)
    finally:
        os.close(directory)
    return found


def user_home(gogs: Gogs) -> Path:
    """Home directory of the user that Gogs runs as, where git looks for that user's settings. Raises UnfitError."""
    if gogs.layout.container:
        return gogs.data / "git"
    uid = gogs.root.stat().st_uid
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError as error:
        raise UnfitError(f"this machine knows no user {uid}, who owns {gogs.root}", "run this where Gogs runs") from error


def base_of(gogs: Gogs) -> Path:
    """The trusted directory above the home directory of its user, or that itself."""
    home = user_home(gogs)
    return gogs.data if home.is_relative_to(gogs.data) else home


def forget_newcomers(gogs: Gogs) -> None:
    """No repository is made with the hook in it any more, and those that had no push yet lose theirs."""
    with suppress(UnfitError):  # a user whom this machine does not know: nothing was put into that home
        withdraw(base_of(gogs), user_home(gogs))
    for path in sorted(gogs.root.glob("*/*.git")):  # wikis included
        if app_in_conf(path) == ANY:
            remove(gogs.data, path)


def may_enrol(repository: Path) -> bool:
    """Whether a push may enrol this repository: it was made with the hook in it, and is no fork or mirror of another one.

    Those are clones, and name what they were cloned from; deploying a fork would be deploying whatever its owner likes.
    """
    if app_in_conf(repository) != ANY:
        return False
    try:
        directory = os.open(repository, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        config = read_file(directory, "config", MAX_SETTINGS)
    finally:
        os.close(directory)
    return config is not None and not _REMOTE.search(config)
