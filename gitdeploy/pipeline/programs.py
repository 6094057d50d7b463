"""Programs of the server: found in fixed places, run without a shell and without gitdeploy's own environment."""

from __future__ import annotations

import shutil

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for. Nobody but root can put one there."""


def find_program(name: str) -> str | None:
    """Return the path of a program, by name or absolute path; None if there is none that can be run."""
    return shutil.which(name, path=PATH)


def environment(home: str) -> dict[str, str]:
    """Return all that a program is given: no variable of gitdeploy's own, which may hold secrets."""
    return {"PATH": PATH, "HOME": home, "LC_ALL": "C.UTF-8"}
