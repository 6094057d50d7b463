"""Registry credentials from Docker's own config.json, or from a file of the same format.

Format: https://docs.docker.com/reference/cli/docker/login/ ("auths", "credsStore", "credHelpers"); helpers' protocol:
https://github.com/docker/docker-credential-helpers. Secrets stay in memory and out of every message and repr.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from gitdeploy.config.imagereference import HUB, HUB_HOSTS
from gitdeploy.engine.cutting import beginning
from gitdeploy.engine.proxies import proxies
from gitdeploy.errors import UnfitError

TOKEN = "<token>"
"""The user of a login whose password is an identity token, as helpers write it."""

HUB_SERVER = "https://index.docker.io/v1/"
"""The name of Docker Hub in config.json and to helpers."""

HUB_NAMES = (*HUB_HOSTS, HUB_SERVER)

NOT_FOUND = "credentials not found"
HELPER_TIMEOUT = 60.0
"""Seconds; a cloud registry's helper asks its cloud."""

Login = tuple[str, str]


class Logins:
    """An `engine.types.Credentials`; remembers what it found, so make a new one for each deployment."""

    def __init__(self, config: Mapping[str, Any], source: Path, environ: Mapping[str, str]) -> None:
        self._config = config
        self._source = source
        self._environ = environ
        self._found: dict[str, Login | None] = {}

    def __call__(self, host: str) -> Login | None:
        """Return the (user, password) for a registry host, None for anonymous; ("<token>", token) for an identity token.

        Raises UnfitError where a credential helper is missing or fails, or an entry cannot be read.
        """
        server = HUB_SERVER if host in HUB_NAMES else host
        if server not in self._found:
            self._found[server] = self._look_up(server)
        return self._found[server]

    def proxies(self, host: str) -> Mapping[str, str]:
        """Return the proxies that the file has for builds and containers of the engine at `host`."""
        return proxies(self._config, host)

    def __repr__(self) -> str:
        return f"Logins({self._source})"

    def _look_up(self, server: str) -> Login | None:
        helpers = self._config.get("credHelpers") or {}
        names = [name for name in helpers if host_of(name) == host_of(server)]
        helper = helpers[names[0]] if names else self._config.get("credsStore")
        if helper:
            return ask_helper(str(helper), names[0] if names else server, self._source, self._environ)
        for name, entry in (self._config.get("auths") or {}).items():
            if host_of(name) == host_of(server) and (login := self._decode(name, entry)):
                return login
        return None

    def _decode(self, name: str, entry: Mapping[str, Any]) -> Login | None:
        if token := entry.get("identitytoken"):
            return TOKEN, str(token)
        if entry.get("username"):
            return str(entry["username"]), str(entry.get("password") or "")
        if not entry.get("auth"):
            return None
        try:
            user, colon, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, TypeError):
            colon = ""
        if not colon:
            raise UnfitError(
                f'{self._source}: auths."{name}".auth: expected the base64 of user:password', _login(name)
            ) from None
        return user, password.rstrip("\0")


def load(environ: Mapping[str, str], auth_file: Path | None = None) -> Logins:
    """Return the credentials in `auth_file`, or else in Docker's config.json in DOCKER_CONFIG or HOME/.docker.

    Raises UnfitError if the file cannot be read, is not JSON, or holds secrets that other users can read.
    """
    path = auth_file or docker_config(environ)
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except FileNotFoundError:
        if auth_file is None:
            return Logins({}, path, environ)
        raise UnfitError(f"{path} (push.auth_file): there is no such file", _login("REGISTRY", path)) from None
    except OSError as error:
        raise UnfitError(
            f"{path}: the registry credentials cannot be read: {error.strerror}", "give this user the file"
        ) from None
    config = _parse(content, path)
    if mode & 0o077 and _has_secrets(config):
        raise UnfitError(
            f"{path}: other users can read the registry passwords in it (mode {mode & 0o777:o})", f"chmod 600 {path}"
        )
    return Logins(config, path, environ)


def docker_config(environ: Mapping[str, str]) -> Path:
    """Return where Docker keeps its config.json for the user of this environment."""
    directory = environ.get("DOCKER_CONFIG")
    return (Path(directory) if directory else Path(environ.get("HOME") or "~").expanduser() / ".docker") / "config.json"


def host_of(name: str) -> str:
    """Return the host (with port) of a server in config.json: "https://r.example/v2/" → "r.example"; one for Docker Hub."""
    host = re.sub(r"^https?://", "", name).partition("/")[0].lower()
    return HUB if host in HUB_NAMES else host


def ask_helper(helper: str, server: str, source: Path, environ: Mapping[str, str]) -> Login | None:
    """Return what the program docker-credential-HELPER knows of a server, None if nothing.

    Raises UnfitError if there is no such program or it fails.
    """
    program = f"docker-credential-{helper}"
    path = shutil.which(program, path=environ.get("PATH")) if re.fullmatch(r"[A-Za-z0-9_.-]+", helper) else None
    if path is None:
        raise UnfitError(
            f"{source} names the credential helper {program}, which is not on the PATH", "install it, or log in again"
        )
    try:
        run = subprocess.run(
            [path, "get"], input=server.encode(), capture_output=True, timeout=HELPER_TIMEOUT, env=dict(environ), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        what = "cannot be run" if isinstance(error, OSError) else f"did not answer within {HELPER_TIMEOUT:.0f} s"
        raise UnfitError(f"the credential helper {program} {what}", f"try it: echo {server} | {program} get") from None
    if run.returncode:
        # Helpers print their errors to stdout.
        message = (run.stdout or run.stderr).decode("utf-8", "replace").strip()
        if NOT_FOUND in message:
            return None
        raise UnfitError(
            f"the credential helper {program} failed for {server}: {beginning(message, 200)}", f"docker login {server}"
        )
    try:
        answer = json.loads(run.stdout)
        login = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise UnfitError(f"the credential helper {program} answered something else than Username and Secret") from None
    return login if login[1] else None


def _parse(content: bytes, path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(content)
    except ValueError:
        config = None
    if not _well_formed(config):
        raise UnfitError(f"{path}: expected JSON as `docker login` writes it", "repair it, or log in again") from None
    return cast(Mapping[str, Any], config)


def _well_formed(config: object) -> bool:
    """Return whether the parts that are read are tables, "auths" one of tables."""
    if not isinstance(config, dict):
        return False
    auths, helpers = (config.get(key) or {} for key in ("auths", "credHelpers"))
    return isinstance(auths, dict) and isinstance(helpers, dict) and all(isinstance(entry, dict) for entry in auths.values())


def _has_secrets(config: Mapping[str, Any]) -> bool:
    secrets = ("auth", "password", "identitytoken")
    return any(entry.get(key) for entry in (config.get("auths") or {}).values() for key in secrets)


def _login(name: str, path: Path | None = None) -> str:
    if path is None:
        return f"docker login {name}"
    return f"make it: `docker --config {path.parent} login {name}` writes {path.parent}/config.json"
