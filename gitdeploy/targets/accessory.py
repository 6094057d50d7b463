"""What gitdeploy asks of the accessories of an app, the databases and caches beside it, without a word of how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gitdeploy.config.model import App
from gitdeploy.engine.types import Cancel, Image, Output


@dataclass(frozen=True)
class WantedAccessory:
    """An accessory as it is to run.

    Attributes:
        app: its configuration.
        name: of the accessory, which it has a table of.
        env: its environment, env_file included.
        image: returns its image, pulled where need be; called only where one is made, before anything is touched.
        renew: whether it is to be made anew though its table is the same.
    """

    app: App
    name: str
    env: Mapping[str, str] = field(repr=False)
    image: Callable[[], Image]
    output: Output
    cancel: Cancel
    renew: bool = False


@dataclass(frozen=True)
class Standing:
    """How an accessory stands.

    Attributes:
        name: of the accessory.
        container: what its container is called, "" if there is none.
        configured: whether the app has a table of it.
        wrong: why it does not run as it should, "" if it does.
        volumes: names of the volumes that it keeps its data in.
    """

    name: str
    container: str
    configured: bool
    wrong: str = ""
    volumes: tuple[str, ...] = ()


class Accessories(Protocol):
    """The accessories of apps at one target. Every method may raise UnfitError when that cannot be reached.

    One is never removed without being asked for by name, and its volumes never at all.
    """

    def look(self, app: App) -> tuple[Standing, ...]:
        """Return those that the app has a table of, and those that are there without one."""

    def bring_up(self, wanted: WantedAccessory) -> str:
        """Let it run, healthy, as its table says; return what was done, "" if nothing had to be.

        One whose table is the same is not touched if it runs; where the app is about to move to another target, it is on the
        networks of both until `let_go`. One whose table has changed makes room for a new one, and is there again if that does
        not get healthy.

        Raises:
            StageFailed: it does not get healthy, is stopped by `stop`, or would lose data.
            Cancelled: `cancel` was set; what ran before runs again.
        """

    def let_go(self, app: App) -> None:
        """Take them off the network of their app's own that it had on another target, now that it serves on this one."""

    def recover(self, app: App, output: Output) -> None:
        """Put right what an interrupted change left: of an old and a new one, exactly one stays. What fails is told."""

    def keep_up(self, app: App, output: Output) -> None:
        """Do that, and start what should run and does not."""

    def stop(self, app: App, name: str, output: Output) -> None:
        """Stop it, so that it stays stopped whatever starts again. Raises StageFailed if there is none."""

    def start(self, app: App, name: str, output: Output, cancel: Cancel, *, again: bool = False) -> None:
        """Start it as it was made, with `again` after a stop, and wait until it is healthy. Raises as `bring_up`."""

    def logs(self, app: App, name: str, lines: int, *, follow: bool = False) -> Iterable[str]:
        """Return the last lines that it said, with `follow` and what it says until it stops. Raises StageFailed for none."""

    def remove(self, app: App, name: str) -> tuple[str, ...]:
        """Stop it and remove it; return the volumes that stay. Raises StageFailed if there is none."""
