"""`gitdeploy enrol APP …`: writes the app's table in config.toml and puts the hook into its repository."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gitdeploy.cli.gitside import hook_conf, hook_places
from gitdeploy.cli.installation import make_site
from gitdeploy.cli.who import audit_config, complain
from gitdeploy.config.edit import set_app, set_server
from gitdeploy.config.formats import fill_in
from gitdeploy.config.load import parse_config
from gitdeploy.config.model import Config
from gitdeploy.engine.client import connect
from gitdeploy.errors import ConfigError, UsageError
from gitdeploy.gitserver.enrolment import enrol
from gitdeploy.gitserver.gitserver import GitServer, read_server
from gitdeploy.gitserver.hookconf import enrolled_apps
from gitdeploy.gitserver.newcomers import forget_newcomers, may_enrol, reseed, seed_server
from gitdeploy.gitserver.ownedfiles import locked, write_file
from gitdeploy.gitserver.repositorysettings import is_clone, require_sha1, uses_sha256
from gitdeploy.releases.release import APP, INSTALLATION
from gitdeploy.worker.binding import rebind, require_same
from gitdeploy.worker.installationid import read_id
from gitdeploy.worker.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("app", nargs="?", metavar="APP", help="owner/repo")
    which.add_argument(
        "--all", action="store_true", help="every repository of Gogs but forks; --image may hold {owner} and {repo}"
    )
    which.add_argument("--later", action="store_true", help="bring up to date what has those enrolled that are made later")
    parser.add_argument("--image", metavar="REF", help="image to build and push, without a tag: 6ain/dev-app")
    parser.add_argument("--container", metavar="NAME", help="name of the running container; the repository's name if left out")
    parser.add_argument(
        "--publish", action="append", metavar="HOST:CONTAINER", help="port, as with docker run -p; may be repeated"
    )
    parser.add_argument(
        "--take-over", action="store_true", help="take what another gitdeploy on the engine has of this app for its own"
    )
    parser.add_argument("--strategy", metavar="S", help="recreate, rolling, blue-green or canary")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--repository", metavar="OWNER/NAME", help="of Gogs, for one more app of it: APP is a name of your own")
    where.add_argument("--bare", metavar="PATH", type=Path, help="a bare repository that no Gogs keeps")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Enrol; return 0, or the exit status of the last failure among all."""
    site = make_site(environ)
    if arguments.later:
        reseed(site.data, _config(site).server, site.mode)
        return 0
    if arguments.all:
        return _enrol_all(site, _values(arguments), environ)
    if arguments.bare and not (arguments.bare / "objects").is_dir():
        raise UsageError(f"--bare: expected a bare repository, found none at {arguments.bare}", "git init --bare makes one")
    name, values = arguments.app.lower(), _values(arguments)
    if arguments.take_over:
        values["taken_from"] = _others(environ, site, name)
        print(f"{name}: what is there of {', '.join(values['taken_from'])} is its own from now on")
    _enrol(site, name, values, environ)
    return 0


def _others(environ: Mapping[str, str], site: Site, name: str) -> list[str]:
    """Return the ids of the other installations that have containers or images of this app, and of those known before."""
    engine = connect(environ)
    known = _config(site).apps.get(name)
    labels = [*(c.labels for c in engine.containers({APP: name})), *(image.labels for image in engine.images({APP: name}))]
    ids = sorted(
        {*(found.get(INSTALLATION, "") for found in labels), *(known.taken_from if known else ())} - {"", read_id(site.home)}
    )
    if not ids:
        raise UsageError(f"no other gitdeploy has anything of {name} on this engine", f"gitdeploy enrol {name}, without it")
    return ids


def _config(site: Site) -> Config:
    """Return the server's config; an empty one before the first app is enrolled."""
    path = site.home / "config.toml"
    return site.load_config() if path.exists() else parse_config(b"", path)


def _enrol_all(site: Site, values: Mapping[str, object], environ: Mapping[str, str]) -> int:
    """Enrol what there is, going on after a failure; and, if there is an image for it, what comes later."""
    server, config, status = read_server(site.data), _config(site), 0
    image = str(values.get("image", ""))
    for called, path in server.repositories():
        apps = [app for app in enrolled_apps(path) if app in config.tables]
        if apps and called not in apps:
            print(f"{called}: enrolled as {', '.join(apps)}; to call it as its repository: gitdeploy rename {apps[0]} {called}")
        for name in apps or [called]:
            try:
                _require_same(site, name, path)
                if reason := _left_out(path, known=name in config.tables, image=image):
                    print(f"{name}: left out, {reason}")
                else:
                    _enrol(site, name, _values_for(name, config, values), environ)
            except Exception as error:  # the others are enrolled
                status = complain(site, name, error)
    if image:
        _enrol_later(site, server, image, environ)
    return status


def _left_out(repository: Path, *, known: bool, image: str) -> str:
    """Return why `--all` is not for a repository, "" if it is; `known`: config.toml has a table for it."""
    if uses_sha256(repository):
        return "its SHA-256 object ids cannot be read"
    if known:
        return ""
    return "config.toml has no table for it" if not image else "a fork or mirror" if is_clone(repository) else ""


def _values_for(name: str, config: Config, values: Mapping[str, object]) -> dict[str, object]:
    """Return what `--all` sets for one app: one that has an image keeps it."""
    layers = [config.tables[name], config.defaults] if name in config.tables else []
    given = {key: value for key, value in values.items() if key != "image"}
    if "image" in values and not any("image" in layer for layer in layers):
        given["image"] = fill_in(str(values["image"]), name)
    return given


def _require_same(site: Site, name: str, path: Path) -> None:
    """Raise UsageError for a repository that was made anew: enrolling it is for somebody to ask for by name."""
    if (site.home / "state.db").exists():
        with site.open_state() as state:
            require_same(state, name, path)


def _enrol_later(site: Site, gitserver: GitServer, image: str, environ: Mapping[str, str]) -> None:
    """Have repositories that are made from now on enrolled; where that fails, config.toml stays as it was."""
    server = _config(site).server
    template = seed_server(gitserver, server.relay_timeout, site.mode)
    try:
        if edit_server(site, "new_repositories", image):
            audit_config(site, environ, "enrol", reason="what is made from now on, by its first push")
    except ConfigError:
        if not server.new_repositories:
            forget_newcomers(gitserver)
        raise
    print(f"repositories that are made from now on are enrolled by their first push ({template})")


def enrol_newcomer(site: Site, name: str) -> bool:
    """Enrol a repository that was made after `enrol --all`, at its first push; return whether it did.

    Raises:
        ConfigError: it cannot be, for example because its container's name is another app's.
        UnfitError, UsageError: the hook cannot be put in place.
    """
    config = site.load_config()
    path = site.find_repository(name, "", "")
    if not may_enrol(path):
        return False
    image = fill_in(config.server.new_repositories, name)
    try:
        edit_config(site, name, {"image": image, "adopt": False})
    except ConfigError as error:
        fix = f"on the server, with another name for what is taken: gitdeploy enrol {name} --image {image} --container NAME"
        raise ConfigError(error.problems, fix) from error
    config = site.load_config()
    site.install_hook(config.apps[name], config, path)
    with site.open_state() as state:
        rebind(state, name, path)
    return True


def _enrol(site: Site, name: str, values: Mapping[str, object], environ: Mapping[str, str]) -> None:
    """Enrol one repository."""
    known = _config(site).apps.get(name)
    named = str(values.get("repository") or (known.repository if known else None) or "").lower()
    require_sha1(Path(named) if named.startswith("/") else site.find_repository(name, "", named))  # before anything is written
    edited = edit_config(site, name, values)
    config = site.load_config()
    if name not in config.apps:
        raise UsageError(f"{name} has no table in {config.source}", "name its image: --image REF")
    app = config.apps[name]
    repository = site.repository(app)
    conf, places = hook_conf(app, config, site.homes(), site.mode), hook_places(app, site.git_server())
    done = enrol(site.data, repository, conf, places, as_of_ns=config.written)
    with site.open_state() as state:
        rebind(state, name, repository)
    print(f"{name}: hook {'installed' if done.changed else 'in place'} in {repository}")
    if others := [other for other in enrolled_apps(repository) if other != name]:
        print(f"{name}: a push there deploys {', '.join(others)}, too; `paths` in config.toml says which files concern which")
    if done.kept:
        print(f"{name}: the hook that was there before is kept and still runs: {done.kept}")
    if edited:
        print(f"{name}: config written to {config.source}")
    if edited or done.changed:
        audit_config(site, environ, "enrol", app=name)


def _values(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line sets."""
    values: dict[str, Any] = {
        key: getattr(arguments, key)
        for key in ("image", "container", "publish", "strategy", "repository")
        if getattr(arguments, key) is not None
    }
    if arguments.bare:
        values["repository"] = str(arguments.bare.resolve())
    return values


def edit_config(site: Site, name: str, values: Mapping[str, object]) -> bool:
    """Set keys of one app in config.toml, as a whole or not at all; return whether the file changed.

    Raises:
        ConfigError: the file would be in error; it is left as it was.
    """
    return bool(values) and change_config(site, lambda text: set_app(text, name, values))


def edit_server(site: Site, key: str, value: object) -> bool:
    """Return the same with a key of `[server]`."""
    return change_config(site, lambda text: set_server(text, key, value))


def change_config(site: Site, change: Callable[[str], str]) -> bool:
    """Change the text of config.toml, as a whole or not at all; return whether it changed. Raises ConfigError."""
    directory = os.open(site.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with locked(directory):  # two at once would undo each other's edits
            return _written(directory, site.home / "config.toml", change)
    finally:
        os.close(directory)


def _written(directory: int, path: Path, change: Callable[[str], str]) -> bool:
    before = path.read_bytes() if path.exists() else b""
    try:
        after = change(before.decode("utf-8")).encode()
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: expected UTF-8, found byte {error.start} that is none"]) from error
    if after == before:
        return False
    parse_config(after, path)
    return write_file(directory, path.name, after, mode=0o600, owner=os.fstat(directory))
