"""What a strategy asks of a target: two releases side by side, requests that move between them, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from gitdeploy.targets.router.runtime import Counts
from gitdeploy.targets.strategies.takingover import TakingOver

Replica = TypeVar("Replica")


class SideBySide(Protocol[Replica]):
    """One release on its way beside another; what a replica is, the target alone knows.

    Attributes:
        old: what serves when it begins and is to go, [] for none.
        new: what there is of the new release so far.
    """

    old: list[Replica]
    new: list[Replica]

    @property
    def r(self) -> TakingOver: ...

    @property
    def gradual(self) -> bool:
        """Whether old and new can share the requests."""

    @property
    def serves_already(self) -> bool:
        """Whether this very release serves, because a run was cut off after its switch."""

    @property
    def holds(self) -> str:
        """The version that can be kept for an instant way back, "" for none."""

    def undone_on_failure(self) -> AbstractContextManager[None]:
        """Whatever is raised inside, what served before serves again when it leaves."""

    def reuse(self) -> bool:
        """Take the replicas of the release that is rolled back to, if all of them still run."""

    def bring_up(self, count: int) -> Sequence[Replica]:
        """Start so many more replicas and wait until they are healthy and the router reaches them; return them."""

    def hand_over(self, batch: Sequence[Replica], leaving: Sequence[Replica]) -> None:
        """Let new replicas serve beside the others, and give no more requests to those that leave."""

    def share(self, percent: int) -> None:
        """Give all of the new release so much of the requests."""

    def counts(self) -> tuple[Counts, Counts]:
        """Return what the old and what the new replicas did since the router was started."""

    def require_serving(self) -> None:
        """Raise StageFailed if a new replica has ended, or the router finds it down."""

    def move_all(self) -> float | None:
        """Send all requests to the new release; return the outage in seconds, None if nothing served before."""

    def drain(self, leaving: Sequence[Replica]) -> None:
        """Wait until what runs in `leaving` has ended, with an eye on the new ones. Raises StageFailed if they break."""

    def stop(self, leaving: Sequence[Replica]) -> None:
        """Stop old replicas; they are kept until `finish`, to be started again if the rest fails."""

    def keep_only(self, new: Sequence[Replica]) -> None:
        """Send all requests to these alone."""

    def finish(self, hold: bool = False) -> None:
        """Give the app's name to the new release and remove everything older, the last one not if it is held.

        The new release serves: what fails here is said, and done by the next deployment.
        """
