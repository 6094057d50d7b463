"""The files with secrets that config.toml names: there, readable, and by nobody else. What is in them is never shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitdeploy.config.envfile import parse_env_file
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import read_secret
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.errors import GitdeployError


def examine_secrets(apps: Iterable[App]) -> Iterator[Finding]:
    """Read env_file and build.secrets of each app. Registry credentials are read where they are tried."""
    good = 0
    for app in apps:
        files = {f"build.secrets.{name}": path for name, path in app.build.secrets.items()}
        beside = {f"accessories.{name}.env_file": accessory.env_file for name, accessory in app.accessories.items()}
        files |= {f"swarm.files.{inner}": path for inner, path in app.swarm.files.items()}
        for key, path in {"env_file": app.env_file, **beside, **files}.items():
            try:
                if path and key.endswith("env_file") and key not in files:
                    parse_env_file(read_secret(path, key), path)
                elif path:
                    read_secret(path, key, private=not key.startswith("swarm.files."))
            except GitdeployError as error:
                yield from_error("secrets", error, app=app.name)
            else:
                good += path is not None
    if good:
        yield Finding("ok", "secrets", f"files that nobody else can read: {good}")
