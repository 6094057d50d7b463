"""Pushes an image's tags to its registry, again after what may pass, not again after what will not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel, Credentials, Output
from gitdeploy.errors import Cancelled, RegistryError

PAUSES = (1.0, 5.0)
"""Seconds between tries. The engine itself tries a registry that does not answer for most of a minute each time."""


def publish(
    engine: Engine,
    references: Sequence[str],
    credentials: Credentials,
    output: Output,
    cancel: Cancel,
    *,
    tagged: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> str:
    """Pushes each "repository:tag"; returns the digest of the first, "sha256:…".

    Args:
        tagged: sets a tag on the engine while it is pushed, and takes it back if that fails; see `publictags.tagged`.

    Raises:
        RegistryError: a tag could not be pushed; those before it are in the registry.
        Cancelled: `cancel` was set.
    """
    digests = []
    for reference in references:
        with tagged(reference):
            digests.append(_push(engine, reference, credentials, output, cancel))
    return digests[0] if digests else ""


def _push(engine: Engine, reference: str, credentials: Credentials, output: Output, cancel: Cancel) -> str:
    for pause in (*PAUSES, None):
        try:
            digest = engine.push(reference, credentials, output, cancel)
        except RegistryError as error:
            if not error.transient or pause is None:
                raise
            output.line(f"    {error.reason}; trying again in {pause:.0f} s")
            if cancel.wait(pause):
                raise Cancelled("cancelled while waiting for the registry") from error
        else:
            output.line(f"    pushed {reference}")
            return digest
    raise AssertionError  # the last try returns or raises
