"""Text of others, cut to a length after what is secret in it was hidden: half a secret is recognized by nobody."""

from __future__ import annotations

from collections.abc import Callable

LONGEST_REASON = 4000
"""Characters of what went wrong; its beginning and its end are kept."""


def _as_it_is(text: str) -> str:
    return text


_hide: Callable[[str], str] = _as_it_is


def hide_with(hide: Callable[[str], str]) -> None:
    """Let text pass through this before it is cut, in this process and from now on."""
    global _hide  # noqa: PLW0603 - one process, and one app whose secrets it knows
    _hide = hide


def hidden(text: str) -> str:
    """Return the text without secrets, as far as any are known."""
    return _hide(text)


def beginning(text: str, length: int) -> str:
    """Return the text, cut at so many characters if it is longer."""
    if len(text) <= length:
        return text
    shown = _hide(text)
    return shown if len(shown) <= length else f"{shown[: length - 1]}…"


def shortened(reason: str) -> str:
    """Return a text without its middle if it is long: an error quotes the whole command, and the cause comes last."""
    if len(reason) <= LONGEST_REASON:
        return reason
    half, shown = LONGEST_REASON // 2, _hide(reason)
    return shown if len(shown) <= LONGEST_REASON else f"{shown[:half]} … {shown[-half:]}"
