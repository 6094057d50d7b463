"""Names in a cluster: what a service or a network of many machines may be called. Pure."""

from __future__ import annotations

import re

LIMIT = 63
"""Characters of a name in DNS (RFC 1035, 2.3.4)."""


def dns_name(name: str, end: str) -> str:
    """Return a name that DNS takes, with that end: `name` as it is where it may stay so, else made different by a digest."""
    plain = re.sub("[^A-Za-z0-9-]", "-", name).strip("-")
    if plain == name and len(name) + len(end) <= LIMIT:
        return name + end
    import hashlib  # noqa: PLC0415 - few names need it

    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: LIMIT - len(end) - 9]}-{digest}{end}"
