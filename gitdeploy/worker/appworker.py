"""One app's worker: takes the newest waiting push, deploys it, records how it ended, and goes on until none waits.

It holds the app's kernel lock, so there is never a second one. A crash anywhere leaves the record in the spool; the next run
puts right what was left on the engine and deploys again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from pathlib import Path

from gitdeploy.config.load import apply_options
from gitdeploy.config.model import App, Config
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Credentials
from gitdeploy.errors import Cancelled, EngineGone, GitdeployError, understood
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.intake.choice import Choice
from gitdeploy.intake.push import PushRecord
from gitdeploy.intake.pushers import Pushers
from gitdeploy.intake.spool import Spool
from gitdeploy.pipeline.lefttasks import LeftTasks
from gitdeploy.pipeline.tools import Job
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State, StateUnfit
from gitdeploy.terminal import console as log
from gitdeploy.terminal.console import Console
from gitdeploy.terminal.redact import Redactor
from gitdeploy.worker.attempt import MAX_ATTEMPTS, Attempt, attempt
from gitdeploy.worker.binding import bound_repository, configured
from gitdeploy.worker.choosing import as_asked, choose_among
from gitdeploy.worker.edgetick import lead_to_what_is_live
from gitdeploy.worker.ledger import Ledger
from gitdeploy.worker.leftovers import Note, end_tasks, hold, holding, put_right
from gitdeploy.worker.site import Site


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
        self.redact = Redactor()
        log.hide(self.redact)
        state.hide = self.redact
        self.pushers = Pushers(self.spool, app)
        self.ledger = Ledger(app, site, state, self.pushers, self.redact)
        self._left_undone = False
        self._engine: Engine | None = None
        self.target = site.target(self.engine, self._credentials)
        self._connecting = threading.Lock()

    def run(self) -> frozenset[str]:
        """Put right what a crash left, then deploy until no record of this app waits.

        Returns:
            names of the records it has dealt with; one that is still in the spool is for the next run.

        Raises:
            UnfitError: the spool or state.db cannot be used, or the engine is needed for recovery and does not answer.
        """
        unfinished = self.state.unfinished(self.name)
        self.spool.cancels.forget(self.name, {row.id for row in unfinished})
        if interrupted := [row for row in unfinished if row.status == "running"]:
            self._put_right(interrupted)
        self.ledger.go_on_counting(self.target)
        tried: set[str] = set()
        while not self.stop.is_set():
            waiting = self._waiting(tried)
            if not waiting:
                if self._hold(tried):
                    continue
                break
            tried |= {record.name for record in waiting}
            try:
                self._round(waiting, frozenset(tried))
            except StateUnfit:
                raise
            except Exception as error:  # whatever one push brings up is the end of that push, not of those after it
                self.ledger.refuse(waiting, self._understood(error))
            if self._left_undone:
                raise EngineGone(f"a deployment of {self.name} was cancelled while the engine was away, and is to be put right")
        return frozenset(tried)

    def _put_right(self, interrupted: Sequence[Deployment]) -> None:
        """Bring what a crash left into order; people who push meanwhile are told what they wait for."""
        telling = f"gitdeploy: deployment {interrupted[0].id} of {self.name} was interrupted and is being put right"
        with self.pushers.watching(telling, frozenset(), on_push=lambda _: None, look=lambda: None):
            ended = put_right(self.site, self.state, self.name, interrupted, self.target)
            left = LeftTasks(self.state, self.target, Note(self.name), self.site.now, self.stop)
            end_tasks(left, self.site, self.name, interrupted)
            lead_to_what_is_live(self.site, self.state, self.engine, self.stop)
        for row in ended:
            self.ledger.audited(row)
            self.spool.cancels.forget(self.name, {other.id for other in self.state.unfinished(self.name)})

    def _understood(self, error: Exception) -> GitdeployError:
        if not isinstance(error, GitdeployError):
            log.crash(f"{self.name}: a push could not be dealt with")
        return understood(error, str(self.site.home / "logs" / "gitdeploy.log"))

    def _waiting(self, tried: Container[str] = ()) -> list[PushRecord]:
        return [record for record in self.spool.pending()[0] if record.app == self.name and record.name not in tried]

    def engine(self) -> Engine:
        """Return the engine, connected at the first call."""
        with self._connecting:
            if self._engine is None:
                self._engine = self.site.connect()
            return self._engine

    def _credentials(self, app: App) -> Credentials:
        return self.redact.credentials(self.site.credentials(app))

    def _hold(self, tried: Container[str]) -> bool:
        """Stay while blue-green keeps the old release for `hold`, and remove that after it; return whether a push came."""
        app = holding(self.state.live(self.name))
        return app is not None and hold(self.site, app, self.target, lambda: bool(self._waiting(tried)), self.stop)

    def _round(self, waiting: Sequence[PushRecord], known: frozenset[str]) -> None:
        """Choose among the waiting records, end all but the chosen one, and deploy that."""
        self.ledger.see_config()
        try:
            config = self.site.load_config(self.name)
            if self.name not in config.apps and config.server.new_repositories and self.admit(self.name):
                config = self.site.load_config(self.name)
                self.ledger.enrolled(waiting[-1])
            app = configured(config, self.name)
            path = bound_repository(self.site, self.state, app, config, waiting[-1].repo)
            choice = self._choose_good(app, path, waiting)
        except Cancelled:  # stopped while the repository was read: the pushes wait for the next run
            return
        except GitdeployError as error:
            self.ledger.refuse(waiting, error)
            return
        self.state.see(self.name, choice.unconcerned)
        for record in (r for r in waiting if r.name in choice.dropped):
            self.ledger.drop(record, choice.dropped[record.name])
        if choice.record is None:
            return
        earlier = self.ledger.told_twice(choice.record, choice)
        row = earlier or self.ledger.enqueue(choice.record, choice.ref, choice.commit)
        for record in choice.superseded:
            by = f"deployment {row.id} of {self.name} ({choice.commit[:12] or row.trigger})"
            self.ledger.supersede(record, by)
        if row.ended:
            self.ledger.told_again(choice.record, row)
        elif choice.record.follows_ref and self.ledger.is_live(choice.commit):
            self.ledger.end(choice.record, row, "unchanged", f"{self.name} already runs {choice.commit[:12]}")
        elif row.attempts >= MAX_ATTEMPTS:
            given_up = f"given up: the worker died {row.attempts} times while deploying this"
            self.ledger.end(choice.record, row, "failed", given_up, exit_code=1)
        else:
            app = as_asked(app, choice.record)
            job = Job(row.id, app, path, choice.ref, choice.commit, choice.record.options, choice.record.release)
            self._attempt(choice.record, row, config, job, known)

    def _choose(self, app: App, path: Path, waiting: Sequence[PushRecord], running: str = "") -> Choice:
        with self.site.readers.open(path, self.stop.is_set) as repository:
            return choose_among(waiting, app, repository, self.state, running)

    def _choose_good(self, app: App, path: Path, waiting: Sequence[PushRecord]) -> Choice:
        """Choose among all; where that fails, each is looked at alone, and what fails alone is refused."""
        try:
            return self._choose(app, path, waiting)
        except Cancelled:
            raise
        except Exception as error:
            if len(waiting) == 1:
                raise self._understood(error) from error
        good: list[PushRecord] = []
        for record in waiting:
            try:
                self._choose(app, path, [record])
                good.append(record)
            except Cancelled:
                raise
            except Exception as error:
                self.ledger.refuse([record], self._understood(error))
        return self._choose(app, path, good)

    def _overtakes(self, newer: PushRecord, job: Job) -> bool:
        """Return whether a push that came during a deployment asks for another one.

        It may tell of the same commit once more, or late, or of a ref that is gone, or ask to be skipped.
        """
        try:
            _, skip = apply_options(job.app, newer.options)
            choice = self._choose(job.app, job.repository, [newer], job.commit)
        except Exception as error:
            self._understood(error)
            return False  # its own turn tells
        return not skip and choice.record is not None and (not newer.follows_ref or choice.commit != job.commit)

    def _attempt(self, record: PushRecord, row: Deployment, config: Config, job: Job, known: frozenset[str]) -> None:
        """Deploy, with an eye on who pushes meanwhile; the record goes when the end is recorded."""
        cancel = CancelFlag(self.stop)
        queue: list[PushRecord] = []
        stopped = threading.Lock()

        def on_push(newer: PushRecord) -> None:
            queue.append(newer)
            if len(queue) > job.app.queue:
                self.ledger.supersede(queue.pop(0), f"{job.app.queue} newer pushes of {self.name} wait (queue)")
            if job.app.on_new_push == "cancel" and self._overtakes(newer, job):
                cancel.set("newer push")

        def look() -> None:
            if self.spool.cancels.asked(self.name, row.id):
                cancel.set("request")
            if self.stop.is_set() and stopped.acquire(blocking=False):
                self.state.update(row.id, attempts=row.attempts)  # no attempt, even if a kill follows before all is undone

        log_path = self.site.log_path(self.name, row.id)
        console = Console(log_path, config.server.log_size, self.site.clock, self.redact)
        console.attach(self.pushers.relay(record))
        work = Attempt(
            job=job,
            config=config,
            state=self.state,
            console=console,
            cancel=cancel,
            target=self.target,
            edge=self.site.edge(config, self.state, self.engine),
            site=self.site,
            record=record,
            row=row,
            stop=self.stop,
            engine=self.engine,
            redact=self.redact,
            audited=lambda ended: self.ledger.audited(ended, record),
        )
        running = f"gitdeploy: deployment {row.id} of {self.name} is running"
        with self.pushers.watching(running, known, on_push, look):
            ended = attempt(work)
        if ended:
            self.spool.done(record.name)
            self.spool.cancels.forget(self.name)
        self._left_undone = not ended and not self.stop.is_set()
        self.pushers.relay(record).close()
