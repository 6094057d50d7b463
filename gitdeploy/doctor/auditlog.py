"""Whether the audit log can be written. Whose it is, and who may read it, is asked of all private files together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from gitdeploy.doctor.finding import Finding
from gitdeploy.doctor.permissions import look_at_file
from gitdeploy.releases.audit import FILE


def examine_audit(home: Path) -> Iterator[Finding]:
    """Look at HOME/audit.jsonl, which the first deployment makes."""
    path = home / FILE
    facts = look_at_file(path)
    if facts.kind == "missing":
        yield Finding("ok", "audit", f"{path}: nothing is recorded yet")
    elif facts.kind != "file":
        yield Finding("error", "audit", f"{path}: expected a regular file, found {facts.kind}", "move it away")
    elif not os.access(path, os.W_OK):
        yield Finding("error", "audit", f"{path} cannot be written: nothing is recorded", f"chown it to the owner of {home}")
    else:
        yield Finding("ok", "audit", f"{path} records who asked for what")
