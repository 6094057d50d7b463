"""Secrets that text may hold, and text without them: a build step, a program or an error may print what it was given."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

from gitdeploy.config.model import App
from gitdeploy.config.sections import Notify
from gitdeploy.engine.types import Credentials

SHORTEST = 4
"""Characters of the shortest value that is hidden: shorter ones would shred every log."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x1b\\|\x07|$)|[ -/]*[0-~])"  # ECMA-48: CSI, strings (OSC, DCS, …), others
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SECRET_NAME = re.compile(r"pass|pwd|secret|token|key|credential|auth|dsn|private|salt|cookie|session", re.IGNORECASE)
_USERINFO = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")


def harmless(text: str) -> str:
    """Return the text without terminal escapes, control characters, direction overrides and what is no character. Pure."""
    return _CONTROL.sub("", _ESCAPES.sub("", text))


class Redactor:
    """Replaces known secret values in text. Safe to use from several threads."""

    def __init__(self) -> None:
        self._values: tuple[str, ...] = ()
        self._adding = threading.Lock()

    def add(self, values: Iterable[str]) -> None:
        """Add secret values; each line of one counts, and very short ones do not."""
        lines = {harmless(line).strip() for value in values for line in value.splitlines()}
        with self._adding:  # readers take the tuple as it is at that moment
            known = {*self._values, *(line for line in lines if len(line) >= SHORTEST)}
            self._values = tuple(known)

    def __call__(self, text: str) -> str:
        """Return the text, which may have several lines, harmless and without secrets."""
        return "\n".join(self._line(line) for line in text.splitlines()) if "\n" in text else self._line(text)

    def _line(self, line: str) -> str:
        shown = harmless(line)  # first: an escape in the middle of a value would hide that from here and not from a terminal
        spans = sorted(span for value in self._values if value in shown for span in _spans(value, shown))
        parts, end = [], 0
        for start, stop in spans:
            if start >= end:  # values that overlap are hidden as one
                parts += [shown[end:start], "***"]
            end = max(end, stop)
        return "".join([*parts, shown[end:]])

    def credentials(self, credentials: Credentials) -> Credentials:
        """Return the same credentials, with every password known here before it is handed out."""

        def handed_out(host: str) -> tuple[str, str] | None:
            login = credentials(host)
            if login:
                joined = f"{login[0]}:{login[1]}".encode()
                self.add([login[1], *(base64.b64encode(value).decode() for value in (joined, login[1].encode()))])
            return login

        return handed_out


def _spans(value: str, line: str) -> Iterator[tuple[int, int]]:
    """Yield where the value stands in the line, also where it overlaps itself. Pure."""
    start = line.find(value)
    while start >= 0:
        yield start, start + len(value)
        start = line.find(value, start + 1)


def secrets_of(app: App) -> list[str]:
    """Return values in the app's configuration that are secret by their names or their form. Pure.

    Not every value of `env` or `build.args` is: "production", a port or a host name would make the log unreadable.
    """
    beside = [table for found in app.accessories.values() for table in (found.env, found.health.headers)]
    tables = (app.env, app.build.args, app.health.headers, app.router.labels, *beside)
    pairs = [(name, value) for table in tables for name, value in table.items()]
    named = [value for name, value in pairs if _SECRET_NAME.search(name)]
    return named + [password for _, value in pairs for password in _USERINFO.findall(value)]


def secrets_of_url(notify: Notify) -> list[str]:
    """Return what is secret in notify.url: a chat's address is its password, in the path or in the query. Pure."""
    if not notify.url:
        return []
    try:
        parts = urlsplit(notify.url)
        inside = [parts.username or "", parts.password or "", *(value for _, value in parse_qsl(parts.query))]
    except ValueError:
        return [notify.url]
    segments = [segment for segment in parts.path.split("/") if len(segment) >= 8]
    address = f"{parts.path}?{parts.query}" if parts.query else ""
    found = [value for value in (notify.url, address, *inside, *segments) if len(value) > SHORTEST]
    return [*found, *map(unquote, found)]
