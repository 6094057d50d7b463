"""HAProxy's way to Docker's DNS, for the edge and for apps' routers. Pure."""

from __future__ import annotations


def resolvers(*more: str) -> list[str]:
    """Return the section of the configuration.

    A name that DNS does not know for a while leaves a server as it is: the checks tell whether it serves.
    An address that an answer no longer has is let go at once (hold obsolete is 0): another container may be given it.

    Args:
        more: lines of it that not everybody needs.
    """
    return [
        "resolvers docker",
        "    nameserver docker 127.0.0.11:53",
        *more,
        "    resolve_retries 3",
        "    timeout resolve 1s",
        "    timeout retry 1s",
        "    hold valid 1s",
        *(f"    hold {why} 30s" for why in ("nx", "other", "refused", "timeout")),
    ]
