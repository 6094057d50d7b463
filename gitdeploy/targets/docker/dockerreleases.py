"""What serves on one Docker Engine, and how releases come and go there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gitdeploy.config.checks import processes
from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Output
from gitdeploy.errors import StageFailed
from gitdeploy.targets.docker.condition import condition
from gitdeploy.targets.docker.dockeraccessories import ensure_own_network
from gitdeploy.targets.docker.kernellimits import require_limits
from gitdeploy.targets.docker.ownership import releases_of, require_own
from gitdeploy.targets.docker.rollout.found import look
from gitdeploy.targets.docker.rollout.held import release_held
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.leaving import has_committed, leave, start_again, take_away, to_leave
from gitdeploy.targets.docker.rollout.recovery import recover
from gitdeploy.targets.docker.rollout.scaling import resize
from gitdeploy.targets.docker.rollout.serving import serving_now, serving_release
from gitdeploy.targets.docker.rollout.strategies import STRATEGIES
from gitdeploy.targets.docker.service import let_run, renew_policies, standing_still, take_out
from gitdeploy.targets.strategies.together import Ways, bring_all_live, to_run
from gitdeploy.targets.target import Incoming, Outcome, Strength, Surroundings, whole_condition

STARTS = 900.0
"""Seconds for what a rollout does besides waiting: an engine with much to do makes, starts and removes containers slowly."""


class DockerReleases:
    """The part of a `Target` about what serves; every method is documented there."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    @property
    def _engine(self) -> Engine:
        return self._around.engine()

    def require_fit(self, app: App, granted: App) -> None:
        require_own(self._engine, app, granted, self._around.here)
        if mount := ", ".join(f'"{path}:{inner}:ro"' for inner, path in app.swarm.files.items()):
            raise StageFailed(f'{app.name}: swarm.files is for target = "swarm" alone', f"mount them: volumes = [{mount}]")
        for part in (*processes(app), *map(app.of_accessory, app.accessories)):
            require_limits(self._engine, part)

    def bring_live(self, incoming: Incoming) -> Outcome:
        ways = Ways(STRATEGIES, leave, partial(take_away, self._engine))
        return bring_all_live(self._rollout(incoming), to_leave(self._engine, incoming.release.app), ways)

    def _rollout(self, incoming: Incoming) -> Rollout:
        ensure_own_network(self._engine, incoming.release.app)
        credentials = self._around.credentials(incoming.release.app)
        return Rollout(
            **vars(incoming),
            engine=self._engine,
            clock=self._around.clock,
            credentials=credentials,
            committed=incoming.serves,
        )

    def patience(self, app: App) -> float:
        return patience_of(app)

    def serving(self, app: App) -> int:
        return serving_release(self._engine, app)

    def processes(self, app: App) -> tuple[Strength, ...]:
        return tuple(self._strength(part) for part in processes(app))

    def _strength(self, app: App) -> Strength:
        found = look(self._engine, app)
        group, _ = serving_now(self._engine, app, found)
        wrong = condition(app, found, group, self._around.now()) if app.replicas else ""
        return Strength(app.process, sum(c.running for c in group.containers) if group else 0, app.replicas, wrong)

    def condition(self, app: App) -> str:
        return whole_condition(map(self._strength, to_run(app)))

    def resize(self, incoming: Incoming) -> None:
        resize(self._rollout(incoming))

    def recover(self, app: App, output: Output, release: int = 0) -> int:
        wanted, leaving = to_run(app), to_leave(self._engine, app)
        if len(wanted) + len(leaving) == 1 or not release:
            return self._recover(wanted, output)
        if not has_committed(self._engine, wanted, release):
            for part in leaving:
                start_again(self._engine, part)
            return self._recover(wanted, output, but=release)
        for part in leaving:
            take_away(self._engine, part)
        return self._recover(wanted, output, onto=release)

    def _recover(self, wanted: Sequence[App], output: Output, *, waits: bool = False, onto: int = 0, but: int = 0) -> int:
        """Recover processes one after the other, as `recover` does; return what serves as "web", 0 where not all are at one."""
        around, served = self._around, []
        for app in wanted:
            credentials = around.credentials(app)
            served.append(
                recover(
                    *(self._engine, app, output, around.clock),
                    now=around.now,
                    credentials=credentials,
                    waits=waits,
                    onto=onto,
                    but=but,
                )
            )
        return served[0] if not onto or set(served) == {onto} else 0

    def take_out(self, app: App) -> None:
        take_out(self._engine, (*to_run(app), *to_leave(self._engine, app)))

    def bring_back(self, app: App, output: Output) -> int:
        return self._bring_back(to_run(app), output)

    def _bring_back(self, wanted: Sequence[App], output: Output) -> int:
        for part in wanted:
            let_run(self._engine, part, output)
        return self._recover(wanted, output, waits=True)

    def keep_up(self, app: App, output: Output) -> None:
        for part in to_run(app):
            found = look(self._engine, part)
            renew_policies(self._engine, part, found, output)
            group, _ = serving_now(self._engine, part, found)
            if down := standing_still(part, found, group):
                output.line(f"starting what should run: {', '.join(down)}")
                self._bring_back([part], output)

    def is_there(self, app: App) -> bool:
        return any(releases_of(self._engine, app))

    def discard(self, app: App, output: Output) -> None:
        for part in (*processes(app), *to_leave(self._engine, app)):
            take_away(self._engine, part)

    def settle(self, app: App, output: Output) -> float:
        left = [release_held(self._engine, part, output, self._around.now()) for part in processes(app)]
        return min(filter(None, left), default=0.0)


def patience_of(app: App) -> float:
    """Return the seconds after which a rollout of all of an app's processes has succeeded or failed. Pure."""
    return STARTS + sum(map(_waits, processes(app)))


def _waits(app: App) -> float:
    """Return the seconds that the deadlines of one process come to."""
    ready = max(app.health.patience, app.health.min_uptime)
    waits = 2 * (ready + app.router.drain_timeout + app.stop_timeout)
    steps = len(app.canary.weight) * app.canary.duration if app.strategy == "canary" else 0.0
    return app.replicas * waits + steps
