"""What the engine's words mean and what to do about them. Pure: text in, errors out."""

from __future__ import annotations

import re

from gitdeploy.config.imagereference import registry, split
from gitdeploy.engine.imagefaults import image_fault
from gitdeploy.engine.optionfaults import option_fault
from gitdeploy.errors import EngineError, NotFound, NotRunnable, RegistryError

PORT_TAKEN = re.compile(
    r"(?:bind for|bind host port(?: for)?|listen (?:tcp|udp)[46]?) (\[[^]]*\]|\S*(?=:\d+ failed)|[^:\s]*):(\d+)"
    r".*already (allocated|in use)",
    re.I,
)
"""Engines 20.10 to 28.5: "allocated" where the engine itself gave the port away, "in use" where the kernel says so."""

PROGRAM = re.compile(r'exec: "([^"]*)": (?:stat [^:]*: )?([^:]*(?:not found|no such file|denied|directory|format error)[^:]*)')
"""A program that runc cannot run, in the words of Go's os/exec."""

NO_SPACE = "no space left on device"
FREE_SPACE = "free disk space; `docker system df` shows what takes it"

FINAL = re.compile(
    r"denied|unauthorized|\b40[13]\b|forbidden|no basic auth credentials|authentication required|incorrect username or password"
    r"|name (?:not known|unknown|invalid)|does not exist|manifest unknown|not found|invalid reference format"
    r"|server gave http response to https client|x509:|" + NO_SPACE
)
"""What a registry will say again, however often it is asked; looked for in lower case."""

MANY = r"too ?many ?requests|\b429\b"
"""A registry that has been asked too often; its words may speak of authenticating."""

PASSING = re.compile(
    r"connection refused|connection reset|broken pipe|\beof\b|time-?out|timed out|deadline exceeded|no route to host"
    r"|network is unreachable|no such host|server misbehaving|temporary failure|use of closed network connection"
    r"|\b5\d\d (?:internal|bad|service|gateway)|http(?: status:)? 5\d\d|blob upload (?:unknown|invalid)|" + MANY
)
"""What may be over at the next try; looked for in lower case where FINAL is not found."""

NAMES = re.compile(r'"[^"]*"|https?://\S+')
"""URLs and references within a message: the name of a repository must not decide what the message means."""


def refused(status: int, message: str) -> EngineError:
    """Return the error for an answer of the engine with that HTTP status, from 400."""
    if status == 404:
        return NotFound(message, status)
    return EngineError(message, status, FREE_SPACE if NO_SPACE in message else "")


def program_failure(message: str) -> NotRunnable | None:
    """Return the error of a program that could not be run, None if the message is of something else."""
    if not (found := PROGRAM.search(message)):
        return None
    program, why = found.groups()
    missing = "not found" in why or "no such file" in why
    return NotRunnable(f"{program}: {'there is no such program in the image' if missing else why}", 127 if missing else 126)


def container_failure(error: EngineError) -> EngineError:
    """Return the error of a container's creation or start, with what to do, and the host port named where one is taken."""
    found = PORT_TAKEN.search(error.reason)
    if found is None:
        hint = image_fault([error.reason]) or option_fault(error.reason) or error.hint
        return EngineError(error.reason, error.status, hint) if hint != error.hint else error
    address, port, how = found.groups()
    if how == "allocated":
        reason = f"host port {port} is already taken by another container"
        hint = f"`docker ps --filter publish={port}` shows it"
    else:
        reason = f"host port {port} is already in use by a program outside this engine"
        hint = f"`ss -ltunp 'sport = :{port}'` shows it"
    where = "" if address in ("0.0.0.0", "[::]", "::", "") else f" on {address}"
    return EngineError(reason + where, error.status, f"{hint}; stop it, or publish another port")


def registry_failure(message: str, ref: str, user: str) -> RegistryError:
    """Return the error of a push or pull.

    Takes the engine's message, the "repository:tag", and the user that was logged in ("" for nobody).
    """
    words = NAMES.sub("", message.replace(ref, "")).lower()
    transient = not FINAL.search(words) and bool(PASSING.search(words))
    return RegistryError(f"{ref}: {message}", transient=transient, hint=_registry_hint(words, ref, user))


def _registry_hint(words: str, ref: str, user: str) -> str:
    host, (repository, _) = registry(ref), split(ref)
    if user:
        login = f'check the password of "{user}" at {host}, and that this user may use {repository}'
    else:
        login = f"run `docker login {host}` as the user that runs gitdeploy (nobody is logged in), or set push.auth_file"
    limits = "the registry limits how often it is asked: wait a while" + ("" if user else f", or `docker login {host}`")
    hints = {
        NO_SPACE: FREE_SPACE,
        MANY: limits,
        "http response to https": f'give it a certificate, or put {{"insecure-registries": ["{host}"]}} into daemon.json',
        "x509:": f"put its CA certificate into /etc/docker/certs.d/{host}/ca.crt on the engine's machine",
        r"denied|unauthorized|\b40[13]\b|forbidden|auth|password": login,
        "no such host|connection refused": f"check the registry's address, {host}, and that it runs",
    }
    return next((hint for pattern, hint in hints.items() if re.search(pattern, words)), "")
