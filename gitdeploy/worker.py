"""One app's worker: takes the newest waiting push, deploys it, records how it ended, and goes on until none waits.

It holds the app's kernel lock, so there is never a second one. A crash anywhere leaves the record in the spool; the next run
puts right what was left on the engine and deploys again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from gitdeploy import console as log
from gitdeploy.attempt import MAX_ATTEMPTS, Attempt, attempt
from gitdeploy.cancel import CancelFlag
from gitdeploy.config import snapshot
from gitdeploy.config.load import apply_options
from gitdeploy.config.model import App, Config
from gitdeploy.deploy import Job
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import ConfigError, GitdeployError, StageFailed
from gitdeploy.ledger import Ledger
from gitdeploy.push import Choice, PushRecord, choose, full_patterns
from gitdeploy.pushers import INTERVAL, Pushers
from gitdeploy.records import Deployment
from gitdeploy.rollout.recovery import recover, release_held
from gitdeploy.site import Site
from gitdeploy.source.reader import Repository
from gitdeploy.spool import Spool
from gitdeploy.state import State

RACE = 60.0
"""Seconds by which a hook may be slower than whoever watches the refs."""


def apps_that_hold(state: State) -> frozenset[str]:
    """Apps that blue-green may keep an old release for: one that was to go while no worker ran is still there."""
    return frozenset(app for app in state.apps() if _holding(state.live(app)))


def _holding(live: Deployment | None) -> App | None:
    """The configuration of what is live, if that says to hold the release before it."""
    app = snapshot.load(live.config) if live else None
    return app if app and app.strategy == "blue-green" and app.hold else None


def _holds(repository: Repository, commit: str) -> bool:
    """Whether the repository has this commit."""
    try:
        repository.resolve(commit)
    except StageFailed:
        return False
    return True


class _Note:
    """An `Output` that goes to gitdeploy's own log: recovery has no pusher."""

    def __init__(self, app: str) -> None:
        self._app = app

    def line(self, text: str, *, detail: bool = False) -> None:
        log.note(f"{self._app}: {text}")

    def progress(self, key: str, text: str) -> None:
        pass


class Worker:
    """Works for one app, under its lock."""

    def __init__(
        self, site: Site, app: str, state: State, stop: CancelFlag, admit: Callable[[str], bool] = lambda _: False
    ) -> None:
        """`admit`: enrols a repository that config.toml has no table for, if that is to be; returns whether it did."""
        self.admit = admit
        self.site = site
        self.name = app
        self.spool: Spool = site.spool
        self.state = state
        self.stop = stop
        self.pushers = Pushers(self.spool, app)
        self.ledger = Ledger(app, self.spool, state, self.pushers, site.now)
        self._engine: Engine | None = None
        self._connecting = threading.Lock()

    def run(self) -> frozenset[str]:
        """Puts right what a crash left, then deploys until no record of this app waits.

        Returns:
            names of the records it has dealt with; one that is still in the spool is for the next run.

        Raises:
            UnfitError: the spool or state.db cannot be used, or the engine is needed for recovery and does not answer.
        """
        self._put_right()
        self.ledger.go_on_counting(self.engine)
        tried: set[str] = set()
        while not self.stop.is_set():
            waiting = self._waiting(tried)
            if not waiting:
                if self._hold(tried):
                    continue
                break
            tried |= {record.name for record in waiting}
            self._round(waiting)
        return frozenset(tried)

    def _waiting(self, tried: Container[str] = ()) -> list[PushRecord]:
        return [record for record in self.spool.pending()[0] if record.app == self.name and record.name not in tried]

    def engine(self) -> Engine:
        """The engine, connected at the first call."""
        with self._connecting:
            if self._engine is None:
                self._engine = self.site.connect()
            return self._engine

    def _hold(self, tried: Container[str]) -> bool:
        """Stays while blue-green keeps the old release for `hold`, and removes that after it; returns whether a push came."""
        app = _holding(self.state.live(self.name))
        if app is None:
            return False
        try:
            while left := release_held(self.engine(), app, _Note(self.name), self.site.now()):
                until = self.site.clock() + left
                while self.site.clock() < until:
                    if self._waiting(tried):
                        return True
                    if self.stop.wait(INTERVAL):
                        return False
        except GitdeployError as error:
            log.note(f"{self.name}: what was held is left to the next deployment: {error.reason}")
        return False

    def _put_right(self) -> None:
        """After a crash: brings the engine into order and tells the history what became of the deployment."""
        interrupted = [row for row in self.state.unfinished(self.name) if row.status == "running"]
        if not interrupted:
            return
        app = snapshot.load(interrupted[0].config) or self.site.load_config().apps.get(self.name)
        serves = 0
        if app:
            credentials = self.site.credentials(app)
            serves = recover(self.engine(), app, _Note(self.name), self.site.clock, credentials=credentials)
        waiting = {record.name for record in self._waiting()}
        for row in interrupted:
            now = self.site.now()
            self.state.end_stages(row.id)
            if row.id == serves:
                self.state.end(row.id, "succeeded", finished=now, retained=1)
            elif row.record not in waiting:
                self.state.end(row.id, "failed", finished=now, exit_code=1, error="interrupted, and undone")

    def _round(self, waiting: Sequence[PushRecord]) -> None:
        """Chooses among the waiting records, ends all but the chosen one, and deploys that."""
        try:
            config = self.site.load_config()
            if self.name not in config.apps and config.server.new_repositories and self.admit(self.name):
                config = self.site.load_config()
            app = self._enrolled(config)
            path = self.site.repository(app, waiting[-1].repo)
            self.site.refresh_hook(app, config, path)
            choice = self._choose(app, path, waiting)
        except GitdeployError as error:
            self.ledger.refuse(waiting, error)
            return
        for record in (r for r in waiting if r.name in choice.dropped):
            log.note(f"{self.name}: push {record.name}: {choice.dropped[record.name]}")
            self.ledger.let_go(record, f"gitdeploy: nothing to deploy: {choice.dropped[record.name]}")
        if choice.record is None:
            return
        earlier = self._told_twice(choice.record, choice)
        row = earlier or self.ledger.enqueue(choice.record, choice.ref, choice.commit)
        for record in choice.superseded:
            by = f"deployment {row.id} of {self.name} ({choice.commit[:12] or row.trigger})"
            self.ledger.supersede(record, by)
        if row.ended:  # a crash came between its end and the record's removal
            self.ledger.let_go(choice.record, f"gitdeploy: deployment {row.id} {row.status}")
        elif choice.record.follows_ref and self._is_live(choice.commit):
            self.ledger.end(choice.record, row, "unchanged", f"{self.name} already runs {choice.commit[:12]}")
        elif row.attempts >= MAX_ATTEMPTS:
            self.state.update(row.id, exit_code=1)
            self.ledger.end(
                choice.record, row, "failed", f"given up: the worker died {row.attempts} times while deploying this"
            )
        else:
            self._attempt(choice.record, row, config, Job(row.id, app, path, choice.ref, choice.commit, choice.record.options))

    def _enrolled(self, config: Config) -> App:
        app = config.apps.get(self.name)
        if app is None:
            problem = f'{config.source}: expected a table [apps."{self.name}"], found none: this repository is not enrolled'
            raise ConfigError([problem], f"run install.sh --repo {self.name} --image IMAGE, or add the table by hand")
        return app

    def _choose(self, app: App, path: Path, waiting: Sequence[PushRecord]) -> Choice:
        with self.site.readers.open(path, self.stop.is_set) as repository:
            return choose(waiting, full_patterns(app.branch), repository.tip, lambda commit: _holds(repository, commit))

    def _overtakes(self, newer: PushRecord, job: Job) -> bool:
        """Whether a push that came during a deployment asks for another one: it may tell of the same commit once more, or late,
        or of a ref that is gone, or ask to be skipped."""
        try:
            _, skip = apply_options(job.app, newer.options)
            choice = self._choose(job.app, job.repository, [newer])
        except GitdeployError:
            return False
        return not skip and choice.record is not None and (not newer.follows_ref or choice.commit != job.commit)

    def _told_twice(self, record: PushRecord, choice: Choice) -> Deployment | None:
        """The deployment that this record tells of once more: the hook and whoever watches the refs may both tell of a push."""
        newest = self.state.newest(self.name, choice.ref)
        if newest is None or not newest.ended or newest.record == record.name or newest.commit_id != choice.commit:
            return None
        overtaken = record.trigger == "push" and newest.trigger == "move" and record.order[0] - newest.created < RACE
        return newest if record.trigger == "move" or overtaken else None

    def _is_live(self, commit: str) -> bool:
        live = self.state.live(self.name)
        return live is not None and live.commit_id == commit

    def _attempt(self, record: PushRecord, row: Deployment, config: Config, job: Job) -> None:
        """Deploys, with an eye on who pushes meanwhile; the record goes when the end is recorded."""
        cancel = CancelFlag(self.stop)
        queue: list[PushRecord] = []

        def on_push(newer: PushRecord) -> None:
            queue.append(newer)
            if len(queue) > job.app.queue:
                self.ledger.supersede(queue.pop(0), f"{job.app.queue} newer pushes of {self.name} wait (queue)")
            if job.app.on_new_push == "cancel" and self._overtakes(newer, job):
                cancel.set("newer push")

        work = Attempt(
            self.site, self.state, record, row, config, job, cancel, self.stop, self.engine, self.pushers.relay(record)
        )
        watch = self.pushers.watch(
            f"gitdeploy: deployment {row.id} of {self.name} is running",
            on_push=on_push,
            on_cancel=lambda: cancel.set("request"),
            known=self.spool.names(),
        )
        try:
            ended = attempt(work)
        finally:
            self.pushers.unwatch(watch)
        if ended:
            self.spool.done(record.name)
        self.pushers.relay(record).close()
