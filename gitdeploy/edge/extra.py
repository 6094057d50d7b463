"""Whether what certificates need is installed, the extra gitdeploy[edge]; nothing of it is imported for that."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from gitdeploy.errors import UnfitError

NEEDED = {"acme": 5, "josepy": 2, "cryptography": 47}
"""Package to the first major version that will do, as in pyproject.toml: a system's own may be older."""

HINT = "run install.sh again with --edge; build an agent's image anew; with a virtual environment: pip install '.[edge]'"


def lacking() -> Iterator[str]:
    """Yield what is not installed, or too old, in words."""
    for name, least in NEEDED.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"{name} (not there)"
        else:
            if int(found.partition(".")[0]) < least:
                yield f"{name} ({found}, needed is {least} or newer)"


def require_extra() -> None:
    """Raise UnfitError that says how to install it, where it is not."""
    if wrong := list(lacking()):
        raise UnfitError(f"certificates need Python packages that are not installed here: {', '.join(wrong)}", HINT)
