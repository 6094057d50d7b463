"""What `gitdeploy doctor` finds, and how it is shown. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from gitdeploy import __version__
from gitdeploy.errors import GitdeployError
from gitdeploy.terminal.redact import harmless

Level = Literal["ok", "warning", "error"]

BROKEN = 3
"""Exit status when something is broken: the environment is not fit."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: "error" where pushes are not deployed, or not safely; "warning" where that may come; "ok" else.
        check: what was looked at, one or two words.
        found: what was found there.
        fix: what to do about it, "" for nothing.
        app: "owner/repo" where it concerns one app alone.
    """

    level: Level
    check: str
    found: str
    fix: str = ""
    app: str = ""


def from_error(check: str, error: GitdeployError, level: Level = "error", app: str = "") -> Finding:
    """Return the finding that an error stands for."""
    return Finding(level, check, error.reason, error.hint, app)


def exit_status(findings: Sequence[Finding]) -> int:
    """0 if nothing is broken: warnings alone do not count."""
    return BROKEN if any(finding.level == "error" for finding in findings) else 0


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """Return all findings for monitoring, with their number by level."""
    counts = {level: sum(finding.level == level for finding in findings) for level in ("error", "warning", "ok")}
    return {
        "healthy": exit_status(findings) == 0,
        "gitdeploy": __version__,
        "counts": counts,
        "findings": [asdict(finding) for finding in findings],
    }


def as_text(findings: Sequence[Finding]) -> str:
    """Return all findings for people, one block each, and a last line that sums up."""
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        head = f"{finding.level:<8} {finding.check:<{width}}  "
        found = f"{finding.app}: {finding.found}" if finding.app else finding.found
        lines.append(head + _indented(found, len(head)))
        if finding.fix and finding.level != "ok":
            lines.append(" " * len(head) + _indented(f"what to do: {finding.fix}", len(head)))
    return "\n".join([*lines, "", _summary(findings)])


def _indented(text: str, width: int) -> str:
    """Return names of files and words of other programs are in it: nothing may steer the terminal."""
    return ("\n" + " " * width).join(harmless(line) for line in text.splitlines() or [""])


def _summary(findings: Sequence[Finding]) -> str:
    errors, warnings = (sum(finding.level == level for finding in findings) for level in ("error", "warning"))
    if not errors and not warnings:
        return "all fine"
    counted = [
        f"{count} {word}{'s' if count != 1 else ''}" for count, word in ((errors, "error"), (warnings, "warning")) if count
    ]
    return ", ".join(counted) + ("" if errors else ": everything works")
