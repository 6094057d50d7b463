"""Pushes to and pulls from registries through the Docker Engine.

Both answer with HTTP 200 and a stream of JSON messages in which failures come too:
https://docs.docker.com/reference/api/engine/ (ImagePush, ImageCreate).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from gitdeploy.config.imagereference import HUB, registry, split
from gitdeploy.engine.credentials import HUB_SERVER, TOKEN, Login
from gitdeploy.engine.diagnosis import registry_failure
from gitdeploy.engine.transport import SLOW, Api, TimedOut, part
from gitdeploy.engine.types import NEVER, Cancel, Credentials, Output
from gitdeploy.errors import EngineError, RegistryError

LOGIN = 30.0
"""Seconds that a registry may take for a login."""

DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})", re.I)


class Registries:
    """The part of `types.Engine` about registries; every method is documented there."""

    _api: Api

    def push(self, ref: str, credentials: Credentials, output: Output, cancel: Cancel = NEVER) -> str:
        repository, tag = split(ref)
        transfer = Transfer(ref, "pushed", output)
        self._transfer(f"/images/{part(repository)}/push", {"tag": tag}, transfer, credentials, cancel)
        if not transfer.digest:
            raise RegistryError(f"{ref}: the engine pushed it without naming its digest", transient=False)
        return transfer.digest

    def pull(self, ref: str, credentials: Credentials, output: Output, cancel: Cancel = NEVER) -> str:
        repository, tag = split(ref)
        transfer = Transfer(ref, "pulled", output)
        self._transfer("/images/create", {"fromImage": repository, "tag": tag}, transfer, credentials, cancel)
        pulled: str = self._api.call("GET", f"/images/{part(ref)}/json").json()["Id"]
        return pulled

    def login(self, ref: str, credentials: Credentials) -> None:
        """POST /auth (SystemAuth); it stores nothing."""
        host = registry(ref)
        login = credentials(host)
        content = {**_content(login), "serveraddress": HUB_SERVER if host == HUB else host}
        try:
            self._api.call("POST", "/auth", json=content, timeout=LOGIN)
        except EngineError as error:
            raise registry_failure(error.reason, ref, login[0] if login else "") from error

    def _transfer(
        self, path: str, params: Mapping[str, str], transfer: Transfer, credentials: Credentials, cancel: Cancel
    ) -> None:
        login = credentials(registry(transfer.ref))
        headers = {"X-Registry-Auth": authorization(login)}
        try:
            answer = self._api.call("POST", path, params=params, headers=headers, stream=True, timeout=SLOW)
            try:
                for message in self._api.messages(answer, cancel):
                    transfer.take(message)
            except TimedOut as error:  # the engine is there: it said so
                reason = f"{transfer.ref}: nothing more came for {SLOW:.0f} s"
                raise RegistryError(reason, transient=True, hint="does the engine reach the registry, and is it up?") from error
        except RegistryError:
            raise
        except EngineError as error:
            raise registry_failure(error.reason, transfer.ref, login[0] if login else "") from error


class Transfer:
    """What a push or pull has moved so far, from its messages.

    Attributes:
        ref: what is moved, "repository:tag"; also the key of its progress.
        digest: of its manifest, "" until the engine names it.
    """

    def __init__(self, ref: str, done: str, output: Output) -> None:
        """`done`: "pushed" or "pulled"; `output` is told "pushed 12.3/45.6 MB" whenever that changes."""
        self.ref = ref
        self.digest = ""
        self._done = done
        self._output = output
        self._layers: dict[str, tuple[int, int]] = {}  # id → bytes so far, in the end
        self._sums = (0, 0)
        self._text = ""

    def take(self, message: Mapping[str, Any]) -> None:
        """Take the next message."""
        status = str(message.get("status") or "")
        if named := DIGEST.search(status):
            self.digest = named[1]
        self.digest = (message.get("aux") or {}).get("Digest") or self.digest
        layer = str(message.get("id") or "")
        detail = message.get("progressDetail") or {}
        if status in ("Pushing", "Downloading") and detail.get("total"):
            # Layers are counted before compression and may end a little above their total.
            self._count(layer, min(detail.get("current") or 0, detail["total"]), detail["total"])
        elif layer in self._layers and status in ("Pushed", "Download complete", "Pull complete"):
            self._count(layer, self._layers[layer][1], self._layers[layer][1])
        so_far, total = self._sums
        text = f"{self._done} {so_far / 1e6:.1f}/{total / 1e6:.1f} MB"
        if total and text != self._text:
            self._text = text
            self._output.progress(self.ref, text)

    def _count(self, layer: str, so_far: int, total: int) -> None:
        """Add up in passing: an image can have thousands of layers, each told again and again."""
        before = self._layers.get(layer, (0, 0))
        self._layers[layer] = (so_far, total)
        self._sums = (self._sums[0] + so_far - before[0], self._sums[1] + total - before[1])


def authorization(login: Login | None) -> str:
    """Return the X-Registry-Auth header: base64url of {"username", "password"} or {"identitytoken"}; {} is anonymous."""
    return base64.urlsafe_b64encode(json.dumps(_content(login)).encode()).decode()


def _content(login: Login | None) -> dict[str, str]:
    if login is None:
        return {}
    user, secret = login
    return {"identitytoken": secret} if user == TOKEN else {"username": user, "password": secret}
