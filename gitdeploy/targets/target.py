"""What gitdeploy asks of the place where releases run, without a word of how; one folder for each kind of place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import CommandSession, Engine
from gitdeploy.engine.types import Attended, Cancel, Credentials, Image, Output
from gitdeploy.releases.release import Release
from gitdeploy.targets.accessory import Accessories
from gitdeploy.targets.errand import Errand, TaskEnd


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
        serves: called once all of it serves, before anything old is destroyed; what it raises undoes the release.
    """

    release: Release
    image: Image
    env: Mapping[str, str] = field(repr=False)
    output: Output
    cancel: Cancel
    published: Callable[[], object]
    reuse: int = 0
    serves: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Outcome:
    """How a release went live.

    Attributes:
        outage: seconds in which nothing served; 0.0 where old and new overlap, None where nothing ran before.
        note: what the pusher should know, "" for nothing.
        place: where it answers, in words, if that is neither a port of this machine nor a container of the app's name.
    """

    outage: float | None
    note: str = ""
    place: str = ""


@dataclass(frozen=True)
class Strength:
    """How many containers of one process of an app run, and how many are to.

    Attributes:
        process: its name, "web".
        wrong: what is wrong with it, "" if all of it runs or none is to.
        where: the machine of each that runs, () where there is only one.
    """

    process: str
    running: int
    wanted: int
    wrong: str = ""
    where: tuple[str, ...] = ()


def whole_condition(processes: Iterable[Strength]) -> str:
    """Return what is wrong with an app, "" if all of it runs, from its processes. Pure."""
    return "; ".join(filter(None, (process.wrong for process in processes)))


class Releases(Protocol):
    """What a target knows of releases: how they come, serve and go."""

    def require_fit(self, app: App, granted: App) -> None:
        """Raise StageFailed if the app would take what is not its own there, or ask for what there is not; before any build.

        Args:
            app: its configuration, with what the tree says.
            granted: what the server's config.toml alone says.
        """

    def bring_live(self, incoming: Incoming) -> Outcome:
        """Let the app's strategy bring a release live; on failure or cancel what served before serves when this raises."""

    def resize(self, incoming: Incoming) -> None:
        """Bring one process of what serves to as many replicas as its configuration has; those that stay are not touched.

        On failure or cancel as many run as before when this raises.

        Args:
            incoming: what is live; its app is that of the process, see `App.of_process`.
        """

    def patience(self, app: App) -> float:
        """Return the seconds after which `bring_live` has succeeded or failed, all its own deadlines added up."""

    def serving(self, app: App) -> int:
        """Return the release that serves now; 0 for none, or for what gitdeploy did not bring live."""

    def processes(self, app: App) -> tuple[Strength, ...]:
        """Return how many containers of each process run, "web" first; takes the configuration of what is live."""

    def condition(self, app: App) -> str:
        """Return what is wrong with what should serve now, "" if all of it runs; takes the configuration of what is live."""

    def recover(self, app: App, output: Output, release: int = 0) -> int:
        """Put right what an interrupted deployment left: finish what had switched, undo what had not.

        Args:
            app: the configuration of that deployment.
            release: its number, where that is known: an app with several processes goes on with it in all of them, or in none.

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

    def is_there(self, app: App) -> bool:
        """Return whether anything of an app's releases is there, running or not; every deployment asks all targets."""

    def discard(self, app: App, output: Output) -> None:
        """Remove all of an app's releases, which serve somewhere else now. Accessories stay."""


class Target(Releases, Protocol):
    """A place where releases run. Every method may raise UnfitError when it cannot be reached.

    Releases are known by the number of the deployment that made them, and everything about them is found there: a target
    keeps nothing in this process, so that another process can go on after a crash.
    """

    def run_task(self, errand: Errand) -> TaskEnd | None:
        """Run a task or a scheduled run to its end, or take up what an earlier attempt has begun; see `errand.next_move`.

        What ran is known here until `drop_tasks` or `drop_runs` is called, whatever becomes of this process.

        Returns:
            how it ended; None: it began before, and nobody knows whether it finished.

        Raises:
            Cancelled: `cancel` was set, and it was stopped, or `leave` said that it runs on.
            StageFailed: it took too long, and was stopped.
        """

    def drop_tasks(self, app: App, keep: Collection[tuple[int, str]]) -> None:
        """Forget all of the app's tasks but these, by deployment and name; one that runs is stopped."""

    def drop_runs(self, app: App, keep: Callable[[], Collection[int]]) -> None:
        """Forget all runs of the app's schedules but these, by number; one that goes on is stopped.

        Args:
            keep: asked once it is known what there is.
        """

    @property
    def accessories(self) -> Accessories:
        """What looks after the databases and caches beside apps."""

    def run_beside(
        self, release: Release, env: Mapping[str, str], command: Sequence[str], how: Attended
    ) -> AbstractContextManager[CommandSession]:
        """Run a command beside what serves, with all that the release has but what leads requests there.

        It is gone when this leaves, at the latest when it ends. No deployment, recovery or removal of old releases touches it
        before that.

        Args:
            release: what was brought live, with its configuration.
            env: its environment, env_file included.

        Raises:
            EngineError: it cannot be started; NotRunnable if there is no such program.
        """

    def run_inside(self, app: App, command: Sequence[str], how: Attended) -> AbstractContextManager[CommandSession]:
        """Run a command within what serves; takes the configuration of what is live. Raises StageFailed if nothing runs."""

    def sweep(self, app: App, output: Output) -> None:
        """Remove what is left of commands that nobody waits for any more; the caller has the app's lock."""

    def newest(self, app: str) -> int:
        """Return the highest release number of the app that is there, 0 for none: numbers go on above it."""

    def images_in_use(self) -> frozenset[str]:
        """Return the ids of all images that anything there was made from."""

    def used_by_others(self, app: App, image: str) -> bool:
        """Return whether an image, by its id, runs there as anything but the app, or what the app takes the place of."""
