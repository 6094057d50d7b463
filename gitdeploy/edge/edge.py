"""What a deployment asks of the edge, without a word of how."""

from __future__ import annotations

from typing import Protocol

from gitdeploy.config.model import App
from gitdeploy.edge.standingnames import StandingName
from gitdeploy.engine.types import Cancel, Output


class Edge(Protocol):
    """Leads the domains of all apps to where those serve. It is one for the box, and has a lock of its own."""

    def require_fit(self, app: App) -> None:
        """Raise StageFailed if the app's domains could not be served, with a certificate that does not fit, say."""

    def concerns(self, app: App) -> bool:
        """Return whether anything is to be done for this release once it serves."""

    def admit(self, app: App, output: Output) -> bool:
        """Lead the app's domains to this release, too, once it answers; what serves now goes on. Raises StageFailed.

        Returns:
            whether anything serves for them now; if not, nothing is done.
        """

    def turn(self, number: int, app: App, output: Output) -> None:
        """Lead them to this release of a deployment alone: what serves until now is about to go. Raises StageFailed."""

    def go_back(self, app: App, output: Output) -> None:
        """Lead them to what serves by the records, after `admit` or `turn`. Raises StageFailed."""

    def settle(self, number: int, app: App, output: Output, cancel: Cancel) -> None:
        """Lead them to this release alone, which serves now, and order the certificates that are missing.

        Raises StageFailed if they do not lead there, or a certificate could not be had: `refresh` tries again.
        """

    def is_due(self) -> bool:
        """Return whether `refresh` has anything to do; where it has not, that costs one question to the engine."""

    def names(self) -> tuple[StandingName, ...]:
        """Return how all domains stand by the records."""

    def refresh(self, output: Output, cancel: Cancel, *, anyway: bool = False) -> None:
        """Lead all domains to what serves by the records, and renew certificates that are due. Raises StageFailed.

        Nothing is done where nothing is due, unless it is done `anyway`.
        """
