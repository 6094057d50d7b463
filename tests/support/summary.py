"""What a run says in its end: the engines it ran on and the fault table, also of tests in several processes (pytest-xdist)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pytest


@dataclass
class Row:
    """One line of the fault table.

    Attributes:
        known: points that there are.
        tried: those at which something was killed or taken away.
        held: those after which everything was as promised.
    """

    known: int = 0
    tried: int = 0
    held: int = 0


class Summary:
    """A pytest plugin that collects what tests tell it.

    Attributes:
        engines: versions and storage drivers.
        faults: what was tried and what held, by kind of fault.
    """

    def __init__(self) -> None:
        self.engines: set[str] = set()
        self.faults: dict[str, Row] = {}

    def row(self, fault: str) -> Row:
        """The line of the fault table of that name."""
        return self.faults.setdefault(fault, Row())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A process of several passes on what it has."""
        if hasattr(session.config, "workeroutput"):
            rows = {name: asdict(row) for name, row in self.faults.items()}
            session.config.workeroutput["summary"] = {"engines": sorted(self.engines), "faults": rows}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Adds what another process has."""
        theirs = getattr(node, "workeroutput", {}).get("summary", {"engines": [], "faults": {}})
        self.engines.update(theirs["engines"])
        for name, counts in theirs["faults"].items():
            row = self.row(name)
            for key, count in counts.items():
                setattr(row, key, getattr(row, key) + count)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints it."""
        for engine in sorted(self.engines):
            terminalreporter.write_line(f"engine: {engine}")
        if not self.faults:
            return
        total = Row(*(sum(getattr(row, key) for row in self.faults.values()) for key in ("known", "tried", "held")))
        terminalreporter.write_line(f"{'fault':<44}{'points':>8}{'tried':>8}{'held':>8}")
        for name, row in [*sorted(self.faults.items()), ("all", total)]:
            terminalreporter.write_line(f"{name:<44}{row.known:>8}{row.tried:>8}{row.held:>8}")
