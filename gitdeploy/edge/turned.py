"""What the edge leads to before the records say so: others look, too, between a release's switch and its deployment's end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = "turned.json"


@dataclass(frozen=True)
class Turned:
    """A release that serves, though its deployment is not over.

    Attributes:
        number: the deployment; 0 for none any more.
        app: whose it is.
        config: as `snapshot.dump` gives it.
    """

    number: int
    app: str
    config: str = field(repr=False)


def read_turned(home: Path) -> Mapping[str, Turned]:
    """Return what is on record, by app; nothing if that cannot be read."""
    try:
        return {name: Turned(**values) for name, values in json.loads((home / FILE).read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write_turned(home: Path, turned: Turned) -> None:
    """Put that on record in the place of what there is of its app; the caller has the edge's lock."""
    kept = {**read_turned(home), turned.app: turned}
    temporary = home / f"{FILE}.tmp"
    temporary.write_text(json.dumps({name: asdict(one) for name, one in kept.items() if one.number}))
    temporary.replace(home / FILE)
