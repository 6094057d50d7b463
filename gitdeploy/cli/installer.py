"""What install.sh does in Python: `python3 gitdeploy/cli/installer.py STEP ARGUMENT…`. Not a verb of gitdeploy.

It runs from a checkout, before anything is installed and where an installation is broken, so it needs nothing but the standard
library. What it writes, it writes as the owner of the repositories: root would follow any link that this user puts in its way.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gitdeploy.errors import GitdeployError, UnfitError
from gitdeploy.gitserver.enrolment import remove
from gitdeploy.gitserver.gitserver import has_server, read_server
from gitdeploy.gitserver.hookconf import enrolled_apps
from gitdeploy.gitserver.newcomers import forget_newcomers
from gitdeploy.gitserver.ownedfiles import locked, make_directory, open_directory, write_file

CHECKOUT = Path(__file__).resolve().parents[2]

WRAPPER = """\
#!/bin/sh
# gitdeploy's command line, made by install.sh.
self=$(readlink -f "$0") && home=$(cd "${{self%/*}}/.." && pwd -P) && lib=$(cd "$home/lib" && pwd -P) || exit 3
python={python}
[ -x "$python" ] || python=python3 # in Gogs' container, not that of the machine it was installed from
GITDEPLOY_HOME=$home PYTHONPATH=$lib exec "$python" -s -P -m gitdeploy "$@"
"""

CONFIG = """\
# gitdeploy's configuration; `gitdeploy config reference` explains every key, `gitdeploy config check` finds mistakes.
# It may hold passwords and decides what runs on this machine: nobody but its owner may write or read it.
#
# [apps."devops/dev-app"]
# image = "6ain/dev-app"       # any registry: "127.0.0.1:5000/dev-app"
# publish = ["8080:80"]        # HOST:CONTAINER
# strategy = "blue-green"      # recreate (the default), rolling, blue-green or canary
"""


def owner(data: str, bare: str) -> None:
    """Print user and group, by number, of the repositories: the Git server runs its hooks as this user."""
    home = Path(data) / "gitdeploy"
    if bare:
        facts = Path(bare).stat()
    elif home.is_dir() and not has_server(Path(data)):
        facts = home.stat()
    else:
        facts = read_server(Path(data)).owner
    print(facts.st_uid, facts.st_gid)


def run(uid: str, gid: str, *command: str) -> None:
    """Becomes a program, as this user."""
    _become(int(uid), int(gid))
    os.execvp(command[0], command)


def version() -> None:
    """Print what changes when an installation would."""
    names = [path for top in ("gitdeploy", "hooks") for path in (CHECKOUT / top).rglob("*") if "__pycache__" not in path.parts]
    names += [CHECKOUT / name for name in ("pyproject.toml", ".constraints.txt")]
    digest = hashlib.sha256(repr(sys.version_info[:2]).encode())
    for path in sorted(path for path in names if path.is_file()):
        digest.update(f"{path.relative_to(CHECKOUT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    print(digest.hexdigest()[:12])


def requirements(extra: str) -> None:
    """Print the dependencies, one a line, as pip wants them; `extra`: those of this extra, too, "" for none."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    print(*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ()), sep="\n")


def enrolled(data: str) -> None:
    """Print every enrolled app, one a line."""
    print(*_enrolled(Path(data)), sep="\n")


def setup(data: str, lib: str, lib_version: str, uid: str, gid: str) -> None:
    """Make or upgrades the gitdeploy directory.

    Args:
        data: the Git server's data directory.
        lib: a directory with the package and its dependencies, "" if the installed one is to stay.
        lib_version: see `version`.
        uid, gid: whose it is to be.
    """
    home = Path(data) / "gitdeploy"
    as_root = os.geteuid() == 0 and Path(data).stat().st_uid == 0
    if as_root and not os.path.lexists(home):  # the owner could not make it
        home.mkdir(mode=0o700)
        os.chown(home, int(uid), int(gid))
    _become(int(uid), int(gid))
    os.umask(0o077)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    directory = open_directory(home, home)
    facts = os.fstat(directory)
    with locked(directory):
        for name in ("spool", "logs"):
            os.close(make_directory(directory, name, 0o700, facts))
        if lib:
            _install_lib(home, Path(lib), f"lib-{lib_version}-")
        programs = make_directory(directory, "bin", 0o755, facts)
        wrapper = WRAPPER.format(python=shlex.quote(sys.executable)).encode()
        write_file(programs, "gitdeploy", wrapper, mode=0o755, owner=facts)
        if not os.path.lexists(home / "config.toml"):
            write_file(directory, "config.toml", CONFIG.encode(), mode=0o600, owner=facts)


def _install_lib(home: Path, source: Path, prefix: str) -> None:
    """Make HOME/lib a link to a new directory, in one step. The one before stays, for the workers that run from it."""
    link = home / "lib"
    before = link.readlink().name if link.is_symlink() else ""
    new = Path(tempfile.mkdtemp(prefix=prefix, dir=home))
    try:
        shutil.copytree(source, new, dirs_exist_ok=True)
        new_link = home / ".lib.new"
        new_link.unlink(missing_ok=True)
        new_link.symlink_to(new.name)
        new_link.rename(link)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for old in home.glob("lib-*"):
        if old.name not in (new.name, before):
            shutil.rmtree(old, ignore_errors=True)


def uninstall(data: str, purge: str, uid: str, gid: str) -> None:
    """Take the hook out of every repository, then removes what install.sh made; with `purge` also what came to be since."""
    home = Path(data) / "gitdeploy"
    _become(int(uid), int(gid))
    for lock in home.glob("locks/**/*.lock"):
        _require_free(lock)
    for name, path in _enrolled(Path(data)).items():
        done = remove(Path(data), path)
        print(f"{name}: hook removed from {path}")
        if done.restored:
            print(f"{name}: the earlier hook is back: {done.restored}")
        if done.left:
            print(f"{name}: {done.left} is not gitdeploy's and was left alone; the one it replaced is beside it")
    if has_server(Path(data)):
        forget_newcomers(read_server(Path(data)))
    waiting = [] if purge else list(home.glob("spool/*.push"))
    for path in home.iterdir() if home.is_dir() else ():
        made = path.name in ("bin", "lib", "locks") or path.name.startswith("lib-")
        if purge or made or (path.name == "spool" and not waiting):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    if waiting:
        print(f"{len(waiting)} pushes that wait in {home}/spool were left there: an installation would deploy them")
    with suppress(OSError):
        home.rmdir()


def _require_free(lock: Path) -> None:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnfitError(
                f"a deployment or a scheduled run is under way: {lock} is held", "try again when it has ended: gitdeploy status"
            ) from error


def _enrolled(data: Path) -> dict[str, Path]:
    """Enrolled apps with their repositories: those of Gogs, and plain ones that config.toml names."""
    found = dict(read_server(data).enrolled()) if has_server(data) else {}
    try:
        apps = tomllib.loads((data / "gitdeploy" / "config.toml").read_text(encoding="utf-8")).get("apps", {})
    except (OSError, ValueError):
        apps = {}
    for name, table in apps.items() if isinstance(apps, dict) else ():
        path = table.get("repository") if isinstance(table, dict) else None
        if isinstance(path, str) and path.startswith("/") and name.lower() in enrolled_apps(Path(path)):
            found[name.lower()] = Path(path)
    return dict(sorted(found.items()))


def _become(uid: int, gid: int) -> None:
    """Give up root for this user, with the groups this machine knows that user in."""
    if os.geteuid() == uid:
        return
    try:
        known = pwd.getpwuid(uid)
        os.initgroups(known.pw_name, gid)
        os.environ.update(HOME=known.pw_dir, USER=known.pw_name)
    except KeyError:  # a container's user
        os.setgroups([gid])
        os.environ.update(HOME="/", USER=str(uid))
    os.setgid(gid)
    os.setuid(uid)


STEPS: dict[str, Callable[..., None]] = {
    step.__name__: step for step in (owner, run, version, requirements, enrolled, setup, uninstall)
}


def main(step: str, *arguments: str) -> int:
    """Do one step; return the exit status."""
    try:
        STEPS[step](*arguments)
    except GitdeployError as error:
        print(f"install.sh: {error.reason}\n    what to do: {error.hint}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        print(f"install.sh: {name}{error.strerror or error}", file=sys.stderr)
        print("    what to do: DIR/gitdeploy must be of the owner of the repositories, with room: df", file=sys.stderr)
        return UnfitError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
