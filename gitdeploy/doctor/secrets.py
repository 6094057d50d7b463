"""The files with secrets that config.toml names: there, readable, and by nobody else. What is in them is never shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.errors import GitdeployError
from gitdeploy.secretfile import parse_env_file, read_secret


def examine_secrets(apps: Iterable[App]) -> Iterator[Finding]:
    """Reads env_file and build.secrets of each app. Registry credentials are read where they are tried."""
    count = 0
    for app in apps:
        keys = [*([("env_file", app.env_file)] if app.env_file else ()), *app.build.secrets.items()]
        for key, path in keys:
            count += 1
            try:
                data = read_secret(path, key)
                if key == "env_file":
                    parse_env_file(data, path)
            except GitdeployError as error:
                yield from_error("secrets", error, app=app.name)
                count -= 1
    if count:
        yield Finding("ok", "secrets", f"{count} file{'s' if count != 1 else ''} that nobody else can read")
