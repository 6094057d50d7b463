"""What gitdeploy asks of the place where releases run, without a word of how; one folder for each kind of place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel, Credentials, Image, Output
from gitdeploy.releases.release import Release


@dataclass(frozen=True)
class Here:
    """Where this gitdeploy runs.

    Attributes:
        container: the beginning of the id of the container that it runs in, "" for none.
        places: directories of gitdeploy and the Git server, as this process sees them.
    """

    container: str = ""
    places: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """What a target works with.

    Attributes:
        engine: returns the engine, connected when it is first asked for.
        credentials: an app's registry credentials.
        here: this installation, so that no app takes the place of a part of it.
        now: seconds since the epoch.
        clock: seconds, monotonic.
    """

    engine: Callable[[], Engine]
    credentials: Callable[[App], Credentials]
    here: Here
    now: Callable[[], float]
    clock: Callable[[], float]


@dataclass(frozen=True)
class Incoming:
    """One release to bring live.

    Attributes:
        release: what to run, with its configuration.
        image: its image.
        env: its environment, env_file included.
        published: waits until the image is in the registry; raises what went wrong there. Called before the switch.
        reuse: the release that is rolled back to, which may still run; 0 for none.
    """

    release: Release
    image: Image
    env: Mapping[str, str] = field(repr=False)
    output: Output
    cancel: Cancel
    published: Callable[[], object]
    reuse: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a release went live.

    Attributes:
        outage: seconds in which nothing served; 0.0 where old and new overlap, None where nothing ran before.
        note: what the pusher should know, "" for nothing.
    """

    outage: float | None
    note: str = ""


class Target(Protocol):
    """A place where releases run. Every method may raise UnfitError when it cannot be reached.

    Releases are known by the number of the deployment that made them, and everything about them is found there: a target
    keeps nothing in this process, so that another process can go on after a crash.
    """

    def require_fit(self, app: App, granted: App) -> None:
        """Raise StageFailed if the app would take what is not its own there; asked before anything is built.

        Args:
            app: its configuration, with what the tree says.
            granted: what the server's config.toml alone says.
        """

    def bring_live(self, incoming: Incoming) -> Outcome:
        """Let the app's strategy bring a release live; on failure or cancel what served before serves when this raises."""

    def patience(self, app: App) -> float:
        """Return the seconds after which `bring_live` has succeeded or failed, all its own deadlines added up."""

    def serving(self, app: App) -> int:
        """Return the release that serves now; 0 for none, or for what gitdeploy did not bring live."""

    def condition(self, app: App) -> str:
        """Return what is wrong with what should serve now, "" if all of it runs; takes the configuration of what is live."""

    def recover(self, app: App, output: Output) -> int:
        """Put right what an interrupted deployment left: finish what had switched, undo what had not.

        Args:
            app: the configuration of that deployment.

        Returns:
            the release that serves afterwards, as `serving` does.
        """

    def take_out(self, app: App) -> None:
        """Stop all of the app, so that it stays stopped whatever starts again; takes the configuration of what is live."""

    def bring_back(self, app: App, output: Output) -> int:
        """Make what served last serve again after `take_out`, as `recover` does; nothing to an app that runs."""

    def keep_up(self, app: App, output: Output) -> None:
        """Start what should serve and does not run, and see to it that it survives a crash of what runs it.

        For an app that was not taken out; takes the configuration of what is live, `restart` as the server has it now. An app
        that serves, or that its restart policy starts again, is left as it is.
        """

    def settle(self, app: App, output: Output) -> float:
        """Remove what is held for a way back if its time is over; return the seconds until then, 0.0 if nothing is held."""

    def newest(self, app: str) -> int:
        """Return the highest release number of the app that is there, 0 for none: numbers go on above it."""

    def images_in_use(self) -> frozenset[str]:
        """Return the ids of all images that anything there was made from."""

    def used_by_others(self, app: App, image: str) -> bool:
        """Return whether an image, by its id, runs there as anything but the app, or what the app takes the place of."""
