"""An `Output` for one part of the work among others."""

from __future__ import annotations

from dataclasses import dataclass

from gitdeploy.engine.types import Output


@dataclass(frozen=True)
class Named:
    """An `Output` for what runs beside others: its lines come below their headings, and so bear its own name."""

    output: Output
    name: str

    def line(self, text: str, *, detail: bool = False) -> None:
        """Pass a line on."""
        self.output.line(f"    {self.name}: {text.strip()}", detail=detail)

    def progress(self, key: str, text: str) -> None:
        """Pass the state of something long on."""
        self.output.progress(key, f"    {self.name}: {text}")
