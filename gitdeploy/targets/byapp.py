"""Each app on the target that its configuration names; with a new one it moves there with its next deployment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from gitdeploy.config.checks import processes
from gitdeploy.config.model import App, TargetName
from gitdeploy.engine.protocol import CommandSession
from gitdeploy.engine.types import Attended, Output
from gitdeploy.releases.release import Release
from gitdeploy.targets.accessory import Accessories
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.targets.known import DEFAULT, TARGETS, reachable
from gitdeploy.targets.strategies.together import left_to_the_next
from gitdeploy.targets.target import Incoming, Outcome, Strength, Surroundings, Target
from gitdeploy.targets.undo import Undo


def can_stay(app: App) -> bool:
    """Return whether what is on another target may run until this release serves: it needs no port of a machine. Pure."""
    return bool(app.led_to) and all(part.strategy != "recreate" and not part.publish for part in processes(app))


class TargetByApp:
    """A `Target` that asks each app's own; every method is documented there."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._made: dict[TargetName, Target] = {}

    def _named(self, name: TargetName) -> Target:
        if name not in self._made:
            self._made[name] = TARGETS[name](self._around)
        return self._made[name]

    def _of(self, app: App) -> Target:
        return self._named(app.target)

    def _elsewhere(self, app: App) -> list[tuple[Target, App]]:
        """Return all other targets, each with the app as it would be there."""
        others = [name for name in TARGETS if name != app.target and reachable(name, self._around)]
        return [(self._named(name), replace(app, target=name)) for name in others]

    def _all(self) -> list[Target]:
        return [self._named(name) for name in TARGETS if reachable(name, self._around)]

    def require_fit(self, app: App, granted: App) -> None:
        self._of(app).require_fit(app, granted)

    def bring_live(self, incoming: Incoming) -> Outcome:
        app = incoming.release.app
        before = next(((other, there) for other, there in self._elsewhere(app) if other.is_there(there)), None)
        if before is None:
            return self._of(app).bring_live(incoming)
        return self._move(incoming, *before)

    def _move(self, incoming: Incoming, other: Target, there: App) -> Outcome:
        """Bring a release live in place of one that is on another target, which gives up its ports first if it needs any."""
        output, serves = incoming.output, other.serving(there) != 0
        beside = can_stay(incoming.release.app)
        cost = "side by side, without an outage" if beside else "an outage until it serves there"
        cost = cost if serves else "what is on the other one does not serve"
        output.line(f"{there.name} moves from {there.target} to {incoming.release.app.target}: {cost}")
        incoming.published()
        began = self._around.clock()
        undo, own = Undo(output), self._of(incoming.release.app)
        with undo.on_failure():
            undo.add(f"bringing it back on {there.target}", lambda: other.bring_back(there, output), traffic=True)
            undo.add("removing what was made for it", lambda: own.discard(incoming.release.app, output))
            if not beside:
                other.take_out(there)
            outcome = own.bring_live(incoming)
        outage = (0.0 if beside else self._around.clock() - began) if serves else None
        with left_to_the_next(output):
            other.discard(there, output)
            self.accessories.let_go(incoming.release.app)
        return replace(outcome, outage=outage, note=f"moved from {there.target}")

    def resize(self, incoming: Incoming) -> None:
        self._of(incoming.release.app).resize(incoming)

    def patience(self, app: App) -> float:
        return self._of(app).patience(app)

    def serving(self, app: App) -> int:
        return self._of(app).serving(app)

    def processes(self, app: App) -> tuple[Strength, ...]:
        return self._of(app).processes(app)

    def condition(self, app: App) -> str:
        return self._of(app).condition(app)

    def recover(self, app: App, output: Output, release: int = 0) -> int:
        served = here = self._of(app).recover(app, output, release)
        for other, there in self._elsewhere(app):
            if not other.is_there(there):
                continue
            if served:
                other.discard(there, output)
            else:
                served = other.bring_back(there, output)
        if here:
            self.accessories.let_go(app)
        return served

    def take_out(self, app: App) -> None:
        self._of(app).take_out(app)

    def bring_back(self, app: App, output: Output) -> int:
        return self._of(app).bring_back(app, output)

    def keep_up(self, app: App, output: Output) -> None:
        self._of(app).keep_up(app, output)

    def settle(self, app: App, output: Output) -> float:
        return self._of(app).settle(app, output)

    def is_there(self, app: App) -> bool:
        return self._of(app).is_there(app)

    def discard(self, app: App, output: Output) -> None:
        self._of(app).discard(app, output)

    def run_task(self, errand: Errand) -> TaskEnd | None:
        return self._of(errand.app).run_task(errand)

    def drop_tasks(self, app: App, keep: Collection[tuple[int, str]]) -> None:
        self._of(app).drop_tasks(app, keep)

    def drop_runs(self, app: App, keep: Callable[[], Collection[int]]) -> None:
        self._of(app).drop_runs(app, keep)

    @property
    def accessories(self) -> Accessories:
        return self._named(DEFAULT).accessories

    def run_beside(
        self, release: Release, env: Mapping[str, str], command: Sequence[str], how: Attended
    ) -> AbstractContextManager[CommandSession]:
        return self._of(release.app).run_beside(release, env, command, how)

    def run_inside(self, app: App, command: Sequence[str], how: Attended) -> AbstractContextManager[CommandSession]:
        return self._of(app).run_inside(app, command, how)

    def sweep(self, app: App, output: Output) -> None:
        self._of(app).sweep(app, output)

    def newest(self, app: str) -> int:
        return max(target.newest(app) for target in self._all())

    def images_in_use(self) -> frozenset[str]:
        return frozenset().union(*(target.images_in_use() for target in self._all()))

    def used_by_others(self, app: App, image: str) -> bool:
        return self._of(app).used_by_others(app, image)
