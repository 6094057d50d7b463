"""Connects to the Docker Engine that the environment names. Importing this does not import docker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gitdeploy.engine.apiversion import NEWEST, OLDEST, at_least, numbers
from gitdeploy.errors import EngineError, UnfitError

if TYPE_CHECKING:
    from gitdeploy.engine.docker_engine import DockerEngine
    from gitdeploy.engine.scope import Scope
    from gitdeploy.engine.transport import Api

DEFAULT_HOST = "unix:///var/run/docker.sock"

ANSWER = 20
"""Seconds for the first answer."""

VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def connect(environ: Mapping[str, str], scope: Scope | None = None) -> DockerEngine:
    """Return the engine that DOCKER_HOST names, with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or the local one.

    Takes what of all that is there is whose, too. Raises UnfitError, with what to do, if there is none, it may not
    be used, or it is too old.
    """
    # docker takes 0.1 s to import, which those who only import this module must not pay.
    from gitdeploy.engine.docker_engine import DockerEngine  # noqa: PLC0415

    context = environ.get("DOCKER_CONTEXT") or "default"
    if context != "default" and not environ.get("DOCKER_HOST"):
        hint = f"set DOCKER_HOST to what `docker context inspect {context}` shows as its Host"
        raise UnfitError(f"DOCKER_CONTEXT is {context!r}, and gitdeploy reads DOCKER_HOST only", hint)
    api = _open(environ.get("DOCKER_HOST") or DEFAULT_HOST, environ)
    buildkit = _greet(api, environ)
    if scope:
        from gitdeploy.engine.scoped import ScopedEngine  # noqa: PLC0415

        return ScopedEngine(api, buildkit, scope)
    return DockerEngine(api, buildkit)


def _open(host: str, environ: Mapping[str, str]) -> Api:
    """Return a client of the engine at `host`; of all transports, only ssh:// connects already."""
    from docker.errors import DockerException  # noqa: PLC0415
    from docker.utils import kwargs_from_env, parse_host  # noqa: PLC0415

    from gitdeploy.engine.credentials import docker_config  # noqa: PLC0415
    from gitdeploy.engine.transport import Api  # noqa: PLC0415

    try:
        # An empty mapping would make docker-py read this process's own environment.
        options = kwargs_from_env({"DOCKER_HOST": "", **{name: environ[name] for name in VARIABLES if name in environ}})
        parse_host(host)
    except (DockerException, ValueError) as error:
        raise UnfitError(f"DOCKER_HOST={host}: {error}", "see DOCKER_HOST, DOCKER_TLS_VERIFY and DOCKER_CERT_PATH") from error
    try:
        return Api(host=host, version=NEWEST, **options)
    except DockerException as error:
        raise UnfitError(f"DOCKER_HOST={host}: {error}", "see DOCKER_HOST, and config.json in DOCKER_CONFIG") from error
    except (ValueError, TypeError, AttributeError):  # docker-py reads config.json, too, and takes it to be well formed
        reason = f"{docker_config(environ)}: expected JSON as `docker login` writes it"
        raise UnfitError(reason, "repair it, or log in again") from None
    except Exception as error:  # paramiko has exceptions of its own
        if not host.startswith("ssh://"):
            raise
        reason = f"no ssh connection to the Docker Engine at {host} ({error})"
        raise UnfitError(reason, f"see what `docker -H {host} version` says") from error


def _greet(api: Api, environ: Mapping[str, str]) -> bool:
    """Ask the engine for the versions that it speaks, and agree on one; return whether it builds with BuildKit.

    /_ping answers in headers: https://docs.docker.com/reference/api/engine/ (SystemPing).
    """
    try:
        headers = api.get(f"{api.base_url}/_ping", timeout=ANSWER).headers
    except EngineError as error:
        hint = "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH" if "HTTPS" in error.reason else "check DOCKER_HOST"
        raise UnfitError(f"what answers at {api.host} refuses to talk: {error.reason}", hint) from error
    except UnfitError as error:
        rootless = Path(environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "docker.sock")
        if api.host == DEFAULT_HOST and rootless.is_socket():
            error.hint = f"there is a rootless engine: set DOCKER_HOST=unix://{rootless}"
        raise
    version = headers.get("Api-Version", "")
    if not version:
        raise UnfitError(f"what answers at {api.host} is not a Docker Engine", "check DOCKER_HOST")
    if not at_least(version, OLDEST):
        raise UnfitError(
            f"the Docker Engine at {api.host} is too old (API {version})", "Docker Engine 20.10 or newer is needed"
        )
    api.speak(min(version, NEWEST, key=numbers))
    if not at_least(NEWEST, version):
        _require_spoken(api)
    return headers.get("Builder-Version", "2") == "2"  # 20.10 has BuildKit and leaves it out; Podman has none, and says ""


def _require_spoken(api: Api) -> None:
    """Raise UnfitError if the engine speaks newer versions only: it says so in /version, which has no version itself."""
    found = api.get(f"{api.base_url}/version", timeout=ANSWER).json()
    least = str(found.get("MinAPIVersion") or OLDEST)
    if not at_least(NEWEST, least):
        speaks = f"the Docker Engine at {api.host} is too new: it speaks API {least} to {found.get('ApiVersion')}"
        hint = f"upgrade gitdeploy; until then set DOCKER_MIN_API_VERSION={NEWEST} in dockerd's environment, if it takes that"
        raise UnfitError(f"{speaks}, and this gitdeploy {OLDEST} to {NEWEST}", hint)
