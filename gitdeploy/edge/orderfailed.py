"""An order that failed, as one type, and how what acme, requests and an authority say becomes one.

Imports none of them: what they raise is known by its attributes, and by the OSError at the bottom of it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime

from gitdeploy.errors import GitdeployError

_HINTS = {
    "dns": "let an A or AAAA record of the name lead to this machine",
    "unknownHost": "let an A or AAAA record of the name lead to this machine",
    "connection": "the authority connects to port 80 of the name: open it, and let the name lead to this machine",
    "unauthorized": "something else answers port 80 of the name: let it lead to this machine, AAAA records too",
    "incorrectResponse": "something else answers port 80 of the name: let it lead to this machine, AAAA records too",
    "caa": "a CAA record of the name or of a domain above it must name this authority",
    "rejectedIdentifier": "the authority gives none for this name, or something else answers port 80 of it",
    "externalAccountRequired": "give the key identifier and the HMAC key that the authority handed out",
    "invalidContact": "correct the email address",
    "unsupportedContact": "correct the email address",
    "rateLimited": "nothing to do: it is tried again when the authority allows it",
}


class OrderFailed(GitdeployError):
    """An authority did not issue a certificate; what is served goes on being served.

    Attributes:
        retry_at: when the authority said to come again, in seconds since the epoch; 0 if it did not.
        everywhere: whether it would have failed for any name (nobody answers, no account), so that no other need be tried.
    """

    def __init__(self, reason: str, hint: str = "", *, retry_at: float = 0, everywhere: bool = False) -> None:
        super().__init__(reason, hint)
        self.retry_at = retry_at
        self.everywhere = everywhere


def refused(authority: str, problem: object, name: str = "") -> OrderFailed:
    """Return what an authority's problem document (RFC 8555, 6.7) says, with those of names within it."""
    code = str(getattr(problem, "typ", "")).rpartition(":")[2].replace("blank", "")
    words = [str(getattr(problem, "detail", None) or getattr(problem, "title", None) or "no reason given")]
    for part in getattr(problem, "subproblems", None) or ():
        identifier = getattr(part, "identifier", None)
        words.append(f"{identifier.value}: {part.detail}" if identifier else str(part.detail))
        code = str(part.typ).rpartition(":")[2] if code == "compound" else code
    said = one_line("; ".join(words)) + (f" ({one_line(code, 60)})" if code else "")
    return OrderFailed(f"{authority} refused {name or 'the order'}: {said}", _HINTS.get(code, ""))


def unreachable(authority: str, error: OSError) -> OrderFailed:
    """Return what keeps an authority from being spoken with at all."""
    hint = "what this machine's network, proxy or firewall lets through; it is tried again"
    bottom = list(_causes(error))[-1]
    untrusted = next((one for one in _causes(error) if isinstance(one, ssl.SSLCertVerificationError)), None)
    if untrusted:
        reason = f"its certificate is not trusted ({untrusted.verify_message})"
        hint = "an authority of your own needs its root certificate in the configuration; is this machine's clock right?"
    elif isinstance(bottom, TimeoutError) or "timed out" in str(bottom):
        reason = "no answer in time"
    else:
        reason = one_line(getattr(bottom, "strerror", None) or str(bottom)) or type(bottom).__name__
    return OrderFailed(f"{authority} cannot be reached: {reason}", hint, everywhere=True)


def retry_at(header: str, now: float) -> float:
    """Return the moment that a Retry-After means, seconds or a date; 0 without one, or for what cannot be read."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return now + int(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def one_line(text: str, most: int = 400) -> str:
    """Return others' words without line breaks and escapes, cut to a length."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * most])
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from: its cause, or the error in its arguments, as requests has it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current and id(current) not in seen:
        seen.add(id(current))
        yield current
        inside = [getattr(current, "reason", None), *current.args, current.__cause__, current.__context__]
        current = next((one for one in inside if isinstance(one, BaseException) and id(one) not in seen), None)
