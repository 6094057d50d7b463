"""An `Output` that remembers."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Recorder:
    """What was said: lines, those of them that are no detail, and the states of each key in their order."""

    lines: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    states: dict[str, list[str]] = field(default_factory=dict)

    def line(self, text: str, *, detail: bool = False) -> None:
        """One line."""
        self.lines.append(text)
        if not detail:
            self.short.append(text)

    def progress(self, key: str, text: str) -> None:
        """The new state of something long."""
        self.states.setdefault(key, []).append(text)
