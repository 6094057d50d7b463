"""One run of a schedule, from its first line to its end in state.db.

Its container stays until its end is on record. So whoever takes up a run that was cut off (gitdeploy or the engine was killed)
follows that container, or reads how it ended; what has begun is never begun again.
"""

from __future__ import annotations

from collections.abc import Mapping

from gitdeploy.config import snapshot
from gitdeploy.config.jobs import Schedule, Task
from gitdeploy.config.model import App
from gitdeploy.config.secretfile import values_in_files, whole_env
from gitdeploy.config.sections import Notify, Server
from gitdeploy.engine.proxies import passwords
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import Cancelled, GitdeployError, StageFailed, UnfitError, understood
from gitdeploy.releases.records import Deployment, RunStatus, ScheduledRun
from gitdeploy.releases.retention import live_image
from gitdeploy.releases.state import State
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.terminal import console as log
from gitdeploy.terminal.console import Console
from gitdeploy.terminal.redact import Redactor, secrets_of, secrets_of_url
from gitdeploy.worker.limits import require_space
from gitdeploy.worker.notify import notify_run
from gitdeploy.worker.schedules import in_force, run_lock
from gitdeploy.worker.site import Site

CUT_OFF = "it was cut off, and its container does not tell how it ended"


class _OutOfServiceError(StageFailed):
    """The schedules of what is live are not in force any more."""


def look_after(site: Site, state: State, number: int, stop: Cancel) -> None:
    """Run it, or go on with it where an earlier process was cut off; nothing if another process does, or it is over.

    Args:
        stop: leaves it to the next process that looks.
    """
    with site.spool.lock(run_lock(number)) as got:
        run = state.run(number)
        if got and run and run.ended is None:
            _Runner(site, state, run, stop).run()
            run = state.run(number)
        if got and (run is None or run.ended is not None):
            site.spool.drop_lock(run_lock(number))


class _Runner:
    """Looks after one run, whose lock its caller holds."""

    def __init__(self, site: Site, state: State, run: ScheduledRun, stop: Cancel) -> None:
        self._site, self._state, self._run, self._stop = site, state, run, stop
        self._redact = Redactor()
        log.hide(self._redact)
        state.hide = self._redact
        try:
            config = site.load_config(run.app)
            self._server, self._notify = config.server, config.notify
        except GitdeployError:  # it is of what is live: a mistake of today does not concern it
            self._server, self._notify = Server(), Notify()
        self._redact.add(secrets_of_url(self._notify))

    def run(self) -> None:
        """Bring it to its end, and record that."""
        console = Console(self._site.run_log(self._run.app, self._run.id), self._server.log_size, redact=self._redact)
        try:
            self._go_on(console)
        finally:
            console.close()
            self._site.drop_old_logs(self._run.app, self._server.log_keep)

    def _go_on(self, console: Console) -> None:
        run = self._run
        try:
            live = self._release()
            app, schedule = _scheduled(live, run.name)
            self._redact.add([*secrets_of(app), *values_in_files(app)])
            engine = self._site.connect()
            target = self._site.target(lambda: engine)
            image, env = "", {}
            if run.started is None:
                require_space(self._site, self._server.min_free, engine.info())
                console.line(f"run {run.id} of {run.name} in {live.version} (deployment {live.id})")
                image, env = live_image(engine, app, live).id, self._environment(app)
            end = target.run_task(self._errand(console, live, app, schedule, (image, env)))
        except (Cancelled, UnfitError) as error:  # it goes on by itself if it has begun, and the next tick looks
            log.note(f"{run.app}: run {run.id} of {run.name} is left to the next look: {error.reason}")
            return
        except Exception as error:
            status: RunStatus = "skipped" if isinstance(error, _OutOfServiceError) else "failed"
            self._end(console, status, None, self._understood(error).reason)
        else:
            self._end(console, *_result(end))
        self._clear()

    def _release(self) -> Deployment:
        """Return the release that it is to run in: what is live when it begins. Raises StageFailed if nothing is."""
        run = self._run
        live = self._state.deployment(run.deployment) if run.deployment else self._state.live(run.app)
        if live is None:
            raise StageFailed(f"nothing of {run.app} is live")
        if run.started is None:
            self._require_in_force(live)
        if not run.deployment:
            self._state.place_run(run.id, live.id, live.version)
        return live

    def _require_in_force(self, live: Deployment) -> None:
        if not in_force(self._state, live):
            raise _OutOfServiceError(f"{self._run.app} was taken out of service before it began")

    def _environment(self, app: App) -> dict[str, str]:
        proxies = self._site.proxies()
        self._redact.add(passwords(proxies))
        return whole_env(app, proxies, self._redact.add)

    def _errand(
        self, console: Console, live: Deployment, app: App, schedule: Schedule, made_of: tuple[str, Mapping[str, str]]
    ) -> Errand:
        run, (image, env) = self._run, made_of
        return Errand(
            app=app,
            release=live.id,
            name=run.name,
            task=Task(timeout=schedule.timeout, run=schedule.run),
            output=console,
            cancel=self._stop,
            begun=run.started is not None,
            begin=lambda: self._begin(live),
            image=image,
            env=env,
            run=run.id,
        )

    def _begin(self, live: Deployment) -> None:
        """Note that it starts. Raises StageFailed if it must not: much may have come to pass since its container was wanted."""
        self._require_in_force(live)
        if not self._state.begin_run(self._run.id, self._site.now()):
            raise StageFailed("somebody has ended it before it began")

    def _understood(self, error: Exception) -> GitdeployError:
        if not isinstance(error, GitdeployError):
            log.crash(f"{self._run.app}: run {self._run.id} of {self._run.name} could not be looked after")
        return understood(error, str(self._site.home / "logs" / "gitdeploy.log"))

    def _end(self, console: Console, status: RunStatus, code: int | None, error: str) -> None:
        console.line(f"run {self._run.id} of {self._run.name} {status}{f': {error}' if error else ''}")
        if not self._state.end_run(self._run.id, status, self._site.now(), code, error):
            return  # `gitdeploy remove` has ended it
        ended = self._state.run(self._run.id)
        if ended:
            notify_run(self._notify, ended, log.note, self._redact)

    def _clear(self) -> None:
        """Remove the containers of what is over, its own and what a crash has left of others."""
        live = self._state.live(self._run.app)
        app = snapshot.load(live.config) if live else None
        try:
            if app:
                self._site.target(self._site.connect).drop_runs(app, lambda: {run.id for run in self._state.open_runs()})
        except GitdeployError as error:  # the next run does it
            log.note(f"{self._run.app}: what is left of runs stays: {error.reason}")


def _scheduled(live: Deployment, name: str) -> tuple[App, Schedule]:
    """Return the configuration of a release, and its schedule of that name. Raises StageFailed if it has none."""
    app = snapshot.load(live.config)
    if app is None or name not in app.schedule:
        raise StageFailed(f"{live.version}, which is live, has no schedule {name}")
    return app, app.schedule[name]


def _result(end: TaskEnd | None) -> tuple[RunStatus, int | None, str]:
    """Return how a run ended: status, exit code, and what is wrong. Pure."""
    if end is None:
        return "failed", None, CUT_OFF
    bad = end.code != 0 or bool(end.problem)
    return ("failed", end.code, end.words) if bad else ("succeeded", end.code, "")
