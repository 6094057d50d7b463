"""The JSON that the Docker Engine answers with.

What a build prints, what an image is called and what a registry answers is in it. None of that is ours, so that everything is
cut to a length before it is searched or kept.

Work that takes long is reported in lines of JSON with HTTP status 200, failures included:
https://docs.docker.com/reference/api/engine/.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gitdeploy.engine.cutting import beginning, hidden, shortened
from gitdeploy.errors import EngineError

LONGEST = 16 << 20
"""Bytes of one message; the engine's own have 64 KiB or little more."""


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that are not blank of a stream cut anywhere. Raises EngineError for one beyond LONGEST."""
    rest: list[bytes] = []
    length = 0
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        if whole:
            whole[0] = b"".join([*rest, whole[0]])
            rest, length = [], 0
            yield from (line for line in whole if line.strip())
        rest.append(last)
        length += len(last)
        if length > LONGEST:
            raise EngineError(f"the engine sent a message of more than {LONGEST >> 20} MiB")
    if (line := b"".join(rest)).strip():
        yield line


def decoded(line: bytes) -> dict[str, Any]:
    """Return one message of a streamed answer. Raises EngineError for anything but a JSON object."""
    with contextlib.suppress(ValueError, RecursionError):
        message = json.loads(line)
        if isinstance(message, dict):
            return message
    shown = hidden(line[:LONGEST].decode("utf-8", "surrogateescape"))[:200].encode("utf-8", "surrogateescape")
    raise EngineError(f"the engine sent something else than JSON: {shown!r}")


def failure(message: Mapping[str, Any]) -> str:
    """Return what a message says that went wrong, "" if it says nothing of that kind."""
    detail = message.get("errorDetail")
    detailed = detail.get("message") if isinstance(detail, Mapping) else ""
    return shortened(str(detailed or message.get("error") or ""))


def refusal(body: bytes) -> str:
    """Return what the body of an HTTP error says: {"message": …}, or the plain text of a proxy before the engine."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        return shortened(str(json.loads(body)["message"]))
    return beginning(body.decode("utf-8", "replace").strip(), 2000)
