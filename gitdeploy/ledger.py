"""What becomes of the pushes that are not deployed: recorded, removed from the spool, and their pushers told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gitdeploy.console import harmless, harmless_lines
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import GitdeployError
from gitdeploy.push import PushRecord
from gitdeploy.pushers import Pushers
from gitdeploy.records import Deployment, Status
from gitdeploy.release import APP, RELEASE, label_number
from gitdeploy.spool import Spool
from gitdeploy.state import State


class Ledger:
    """The books of one app: each record of the spool has a row in state.db, and leaves the spool when that row has ended."""

    def __init__(self, app: str, spool: Spool, state: State, pushers: Pushers, now: Callable[[], float]) -> None:
        self._app = app
        self._spool = spool
        self._state = state
        self._pushers = pushers
        self._now = now

    def go_on_counting(self, engine: Callable[[], Engine]) -> None:
        """Where the history of this app is lost, its containers still say which deployments there were."""
        if self._state.history(self._app, 1):
            return
        try:
            found = [label_number(container.labels, RELEASE) for container in engine().containers({APP: self._app})]
        except GitdeployError:
            return  # the deployment will tell
        self._state.count_above(max(found, default=0))

    def enqueue(self, record: PushRecord, ref: str, commit: str) -> Deployment:
        """The deployment that stands for a record, made if there is none yet."""
        created = float(record.order[0])
        number = self._state.enqueue(
            self._app,
            record.name,
            trigger=record.trigger,
            created=created,
            ref=ref,
            commit_id=commit,
            pusher=harmless(record.user),
        )
        row = self._state.deployment(number)
        assert row is not None
        if not row.ended and (row.ref, row.commit_id) != (ref, commit):
            self._state.update(number, ref=ref, commit_id=commit)  # the tip moved on since a crash
            row = self._state.deployment(number)
            assert row is not None
        return row

    def supersede(self, record: PushRecord, by: str) -> None:
        """Ends a push in whose place another one is deployed."""
        last = record.refs[-1] if record.refs else None
        row = self.enqueue(record, last.name if last else "", last.new if last else "")
        text = f"superseded by {by}"
        if row.ended:
            self.let_go(record, f"gitdeploy: {text}")
        else:
            self.end(record, row, "superseded", text)

    def refuse(self, waiting: Sequence[PushRecord], error: GitdeployError) -> None:
        """Records every waiting push as failed: nothing can be chosen with a config or repository in error."""
        for record in waiting:
            last = record.refs[-1] if record.refs else None
            row = self.enqueue(record, last.name if last else "", last.new if last else "")
            if not row.ended:
                self._state.update(row.id, exit_code=error.exit_code)
                self.end(record, row, "failed", error.reason, error.hint)

    def end(self, record: PushRecord, row: Deployment, status: Status, reason: str, hint: str = "") -> None:
        """Records the end of a deployment that never began, and lets its pusher go."""
        error = "" if status == "unchanged" else reason
        self._state.end(row.id, status, error=error, hint=hint, finished=self._now())
        self.let_go(record, f"gitdeploy: {reason}" + (f"\n    what to do: {hint}" if hint else ""))

    def let_go(self, record: PushRecord, text: str) -> None:
        """Removes a record and says a last word to its pusher."""
        self._pushers.relay(record)  # while there is something to hold the console by
        self._spool.done(record.name)
        self._pushers.tell(record, harmless_lines(text))
