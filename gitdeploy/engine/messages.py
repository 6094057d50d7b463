"""The JSON that the Docker Engine answers with. Pure.

Work that takes long is reported in lines of JSON with HTTP status 200, failures included:
https://docs.docker.com/reference/api/engine/.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from gitdeploy.errors import EngineError


def decoded(line: bytes) -> dict[str, Any]:
    """One message of a streamed answer. Raises EngineError for anything but a JSON object."""
    with contextlib.suppress(ValueError):
        message = json.loads(line)
        if isinstance(message, dict):
            return message
    raise EngineError(f"the engine sent something else than JSON: {line[:200]!r}")


def failure(message: Mapping[str, Any]) -> str:
    """What a message says that went wrong, "" if it says nothing of that kind."""
    detail = message.get("errorDetail")
    detailed = detail.get("message") if isinstance(detail, Mapping) else ""
    return str(detailed or message.get("error") or "")


def refusal(body: bytes) -> str:
    """What the body of an HTTP error says: {"message": …}, or the plain text of a proxy before the engine."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(body)["message"])
    return body.decode("utf-8", "replace").strip()[:2000]
