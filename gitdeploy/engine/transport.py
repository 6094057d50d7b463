"""The HTTP connections to the Docker Engine, whose failures are gitdeploy's own errors.

docker-py's `APIClient` is a `requests.Session`: its own requests and those of `call` all pass `send`, so that nothing else has
to translate exceptions.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

import docker
import requests

from gitdeploy.engine.diagnosis import refused
from gitdeploy.engine.messages import decoded, failure, lines, refusal
from gitdeploy.engine.reach import unreachable
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import Cancelled, EngineError, EngineGone, UnfitError

TIMEOUT = 120
"""Seconds for calls that a working engine answers at once; a busy disk may delay them."""

SLOW = 600.0
"""Seconds for what an engine may work at for long without a word: large removals, and the silence within a push or pull."""

CANCEL_INTERVAL = 0.05
"""Seconds after which a wish to stop is noticed at the latest."""

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/-]*")


class TimedOut(EngineGone):
    """The engine did not answer in the time given."""


class Api(docker.APIClient):
    """docker-py's client, which raises NotFound, EngineError and UnfitError in place of docker's and requests' exceptions.

    Attributes:
        host: the engine's address as the user gave it, for messages.
    """

    def __init__(self, *, host: str, **options: Any) -> None:
        self.host = host
        super().__init__(**{"timeout": TIMEOUT, **options})
        # Neither HTTP_PROXY nor REQUESTS_CA_BUNDLE nor .netrc is about the engine, whose address and certificates are known.
        self.trust_env = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send one request. Raises NotFound for status 404, EngineError for others from 400, UnfitError for no answer."""
        try:
            response = super().send(request, **options)
        except requests.RequestException as error:
            raise self.broken(error) from error
        if response.status_code >= 400:
            message = refusal(response.content) or f"HTTP {response.status_code} {response.reason}"
            raise refused(response.status_code, message)
        return response

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        timeout: float = TIMEOUT,
    ) -> requests.Response:
        """Make a request for which docker-py has no method, or none with a read timeout of its own.

        Takes a path without the API version, and seconds to wait for the connection, and for each next byte.
        Docker Engine API: https://docs.docker.com/reference/api/engine/
        """
        url = f"{self.base_url}/v{self.api_version}{path}"
        patience = (min(self.timeout, timeout), timeout)
        return self.request(method, url, params=params, json=json, headers=headers, stream=stream, timeout=patience)

    def speak(self, version: str) -> None:
        """Use that version of the API from now on; docker-py takes it at construction only, before anything is known."""
        self._version = version

    def messages(self, response: requests.Response, cancel: Cancel) -> Iterator[dict[str, Any]]:
        """Yield the JSON messages of a streamed answer, as they come.

        Raises Cancelled when `cancel` is set (the engine stops the work when the connection closes), EngineError for a message
        that reports one, UnfitError when the engine goes away.
        """
        with _watched(response, cancel):
            try:
                for line in lines(response.iter_content(chunk_size=None)):
                    message = decoded(line)
                    if reason := failure(message):
                        raise EngineError(reason)
                    yield message
            except (requests.RequestException, OSError) as error:
                if not cancel.is_set():
                    raise self.broken(error) from error
            if cancel.is_set():
                raise Cancelled("cancelled")

    def broken(self, error: Exception) -> UnfitError:
        """Return what to raise for a connection that failed with `error`."""
        if isinstance(error, requests.ReadTimeout) or "Read timed out" in str(error):
            return TimedOut(f"the Docker Engine at {self.host} accepts connections and does not answer", "restart it")
        return unreachable(self.host, error)


def part(ref: str) -> str:
    """Return a container, network or image reference as part of a path. Raises EngineError for what cannot be one."""
    if not REFERENCE.fullmatch(ref) or {".", ".."} & set(ref.split("/")):
        raise EngineError(f"{ref!r} is not a valid name or reference", 400)
    return quote(ref, safe="/:@")


def _connection(response: requests.Response) -> socket.socket:
    """Return the connection below a streamed answer."""
    raw: Any = response.raw
    reader = raw._fp.fp
    found: socket.socket = reader.channel if hasattr(reader, "channel") else reader.raw._sock  # paramiko has channels
    return found


@contextmanager
def _watched(response: requests.Response, cancel: Cancel) -> Iterator[None]:
    """End the reading of `response`, in whatever thread, soon after `cancel` is set; close it in the end."""
    done = threading.Event()
    sock = _connection(response)

    def watch() -> None:
        while not done.wait(CANCEL_INTERVAL):
            if cancel.is_set():
                with suppress(OSError):  # the engine may have been quicker
                    sock.shutdown(socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, name="cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()  # which waits for `done`, not for `cancel`: this is every push's last moment
        response.close()
