"""Text that others wrote, made fit for a message."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return the text with control characters escaped, so that nothing a pusher wrote can steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def show(path: bytes) -> str:
    """Return a path for a message; bytes that are no UTF-8 are escaped too."""
    return printable(path.decode("utf-8", "backslashreplace"))
