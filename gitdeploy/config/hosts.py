"""Hosts as people and pushers write them: one spelling for all of an address's, and one for all of this machine's own. Pure.

Numbers are read as inet_aton(3) reads them, which getaddrinfo(3) and so every program that resolves names falls back to.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote

LOCAL = "localhost"
"""For all spellings of this machine: 127.0.0.0/8, ::1, the unspecified addresses, and the usual names in /etc/hosts."""

_LOCAL_NAMES = re.compile(r"(?:.*\.)?localhost[46]?(?:\.localdomain[46]?)?|ip6-(?:localhost|loopback)")
_NUMBER = re.compile(r"0x[0-9a-f]+|[0-9]+")


def host_key(host: str) -> str:
    """Return one spelling of a host: lower case, an address in its usual form (IPv6 in brackets), LOCAL for this machine."""
    name, found = _name(host), addresses(host)
    if _LOCAL_NAMES.fullmatch(name) or any(address.is_loopback or address.is_unspecified for address in found):
        return LOCAL
    return next((f"[{address}]" if address.version == 6 else str(address) for address in found), name)


def is_link_local(host: str) -> bool:
    """Return whether an address is link-local (169.254.0.0/16, fe80::/10): clouds keep their machines' secrets there."""
    return any(address.is_link_local for address in addresses(host))


def addresses(host: str) -> list[IPv4Address | IPv6Address]:
    """Return what some program takes the host for, nothing for a name: "010.0.0.1" is 8.0.0.1 to most, 10.0.0.1 to others."""
    name = _name(host)
    if ":" not in name:
        return [address for octal in (8, 10) if (address := _ipv4(name, octal))]
    try:
        found = IPv6Address(name.strip("[]").partition("%")[0])
    except ValueError:
        return []
    return [found.ipv4_mapped or found]


def _name(host: str) -> str:
    """Return a host in lower case, with what Go's net/url and IDNA (UTS 46) take for letters, digits and dots as those.

    Characters that IDNA leaves out are out, and with them all of their kind: formats and marks.
    """
    plain = unicodedata.normalize("NFKC", unquote(host, errors="replace"))
    seen = "".join(sign for sign in plain if unicodedata.category(sign) not in ("Cf", "Mn", "Me"))
    return seen.replace("\u3002", ".").lower().rstrip(".")


def _ipv4(text: str, octal: int) -> IPv4Address | None:
    parts = text.split(".")
    if len(parts) > 4 or not all(map(_NUMBER.fullmatch, parts)):
        return None
    try:
        *first, last = (int(part, 16 if "x" in part else octal if part.startswith("0") else 10) for part in parts)
    except ValueError:  # no octal number, or one of thousands of digits
        return None
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return IPv4Address(sum(number << 8 * (3 - place) for place, number in enumerate(first)) + last)
