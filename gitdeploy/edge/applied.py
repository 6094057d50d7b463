"""What the edge was brought to last, so that looking whether anything has changed costs next to nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.model import App
from gitdeploy.edge.given import changes_of
from gitdeploy.edge.route import Route

FILE = "applied.json"


@dataclass(frozen=True)
class Applied:
    """What was done last.

    Attributes:
        digest: of what was asked for; "" while it is being done, and where it failed.
        look_at: when a certificate is to be looked after next, in seconds since the epoch; 0.0 for at once.
    """

    digest: str = ""
    look_at: float = 0.0


def digest_of_traffic(edge: EdgeSettings, routes: Sequence[Route], apps: Iterable[App]) -> str:
    """Return what tells one state of affairs from another: settings, routes, and the times of the files that they name."""
    files = sorted({change for app in apps for change in changes_of(edge, app)})
    kinds = sorted({(route.domain, route.rules.acme) for route in routes})
    return hashlib.sha256(repr((edge, sorted(map(repr, routes)), kinds, files)).encode()).hexdigest()


def read_applied(home: Path) -> Applied:
    """Return what is on record; nothing if that cannot be read."""
    try:
        return Applied(**json.loads((home / FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return Applied()


def write_applied(home: Path, applied: Applied) -> None:
    """Put that on record."""
    temporary = home / f"{FILE}.tmp"
    temporary.write_text(json.dumps(asdict(applied)))
    temporary.replace(home / FILE)
