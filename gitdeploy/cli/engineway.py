"""The way to the Docker Engine and to registries, as the environment of a command names them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gitdeploy.config.load import NOBODY, load_config
from gitdeploy.config.secretfile import require_own_place
from gitdeploy.engine.client import DEFAULT_HOST, connect
from gitdeploy.engine.credentials import load
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.scope import Scope
from gitdeploy.engine.types import Credentials
from gitdeploy.errors import ConfigError
from gitdeploy.releases.release import APP, INSTALLATION
from gitdeploy.worker.installationid import installation_id


def connect_for(home: Path, environ: Mapping[str, str]) -> Engine:
    """Return the engine as the installation at `home` sees it. Raises UnfitError, OSError."""
    return connect(environ, scope(home, installation_id(home)))


def scope(home: Path, own: str) -> Scope:
    """Return what of the engine's things is the installation's with this id; other names only as far as config.toml tells."""
    try:
        apps = load_config(home / "config.toml", NOBODY).apps.values()
    except ConfigError:
        return Scope(APP, installation=INSTALLATION, own=own)
    renamed = {old: app.name for app in apps for old in app.formerly}
    return Scope(APP, renamed, INSTALLATION, own, {app.name: app.taken_from for app in apps if app.taken_from})


def credentials(environ: Mapping[str, str], auth_file: Path | None) -> Credentials:
    """Return the logins of a file, or of Docker's own configuration. Raises ConfigError, UnfitError."""
    if auth_file:
        require_own_place(auth_file, "push.auth_file")
    return load(environ, auth_file)


def proxies(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables that Docker's own configuration has for this engine's builds and containers. Raises UnfitError."""
    return load(environ).proxies(environ.get("DOCKER_HOST") or DEFAULT_HOST)
