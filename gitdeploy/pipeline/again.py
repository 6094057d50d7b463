"""Asking a registry again after what may pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gitdeploy.engine.types import Cancel, Output
from gitdeploy.errors import Cancelled, RegistryError

T = TypeVar("T")

PAUSES = (1.0, 5.0)
"""Seconds between tries. The engine itself tries a registry that does not answer for most of a minute each time."""


def again(call: Callable[[], T], output: Output, cancel: Cancel) -> T:
    """Return what a call returns that asks a registry; call again after a failure that may pass.

    Raises:
        RegistryError: it failed for good, or at the last try.
        Cancelled: `cancel` was set.
    """
    for pause in PAUSES:
        try:
            return call()
        except RegistryError as error:
            if not error.transient:
                raise
            output.line(f"{error.reason}; trying again in {pause:.0f} s")
            if cancel.wait(pause):
                raise Cancelled("cancelled while waiting for the registry") from error
    return call()
