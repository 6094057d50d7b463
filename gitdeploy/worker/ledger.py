"""What becomes of the pushes that are not deployed: recorded, removed from the spool, and their pushers told."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from gitdeploy.errors import GitdeployError
from gitdeploy.intake.choice import Choice
from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.intake.pushers import Pushers
from gitdeploy.releases.audit import FILE, AuditEntry, AuditLog, digest
from gitdeploy.releases.records import Deployment, Status
from gitdeploy.releases.state import State, StateUnfit
from gitdeploy.targets.target import Target
from gitdeploy.terminal import console as log
from gitdeploy.terminal.redact import Redactor, harmless
from gitdeploy.worker.site import Site

RACE = 60.0
"""Seconds by which a hook may be slower than whoever watches the refs."""


class Ledger:
    """The books of one app: each record of the spool has a row in state.db, and leaves the spool when that row has ended."""

    def __init__(self, app: str, site: Site, state: State, pushers: Pushers, redact: Redactor) -> None:
        self._app = app
        self._site = site
        self._spool = site.spool
        self._state = state
        self._pushers = pushers
        self._redact = redact
        self._audit = AuditLog(site.home / FILE, site.now, log.note, redact)
        self._config_toml = ""

    def go_on_counting(self, target: Target) -> None:
        """Count on from what runs where the history of this app is lost."""
        if self._state.history(self._app, 1):
            return
        try:
            newest = target.newest(self._app)
        except GitdeployError:
            return  # the deployment reports it
        self._state.count_above(newest)

    def enqueue(self, record: PushRecord, ref: str, commit: str) -> Deployment:
        """Return the deployment that stands for a record, made if there is none yet."""
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

    def told_twice(self, record: PushRecord, choice: Choice) -> Deployment | None:
        """Return the deployment that this record tells of once more: the hook and the watcher may both tell of a push."""
        newest = self._state.newest(self._app, choice.ref)
        if newest is None or not newest.ended or newest.record == record.name or newest.commit_id != choice.commit:
            return None
        overtaken = record.trigger == "push" and newest.trigger == "move" and record.order[0] - newest.created < RACE
        return newest if record.trigger == "move" or overtaken else None

    def is_live(self, commit: str) -> bool:
        """Return whether this commit is what was deployed last."""
        live = self._state.live(self._app)
        return live is not None and live.commit_id == commit

    def see_config(self) -> None:
        """Note for the audit which config.toml is about to be read."""
        with contextlib.suppress(OSError):
            self._config_toml = digest((self._site.home / "config.toml").read_bytes())
        self._audit.see_config(self._config_toml)

    def enrolled(self, record: PushRecord) -> None:
        """Note for the audit that this push has enrolled its repository, which changed config.toml."""
        with contextlib.suppress(OSError):
            self._config_toml = digest((self._site.home / "config.toml").read_bytes())
        self._audit.write(
            AuditEntry("enrol", "done", record.user, app=self._app, config_toml=self._config_toml, reason="by its first push")
        )

    def audited(self, row: Deployment, record: PushRecord | None = None) -> None:
        """Write a deployment's end into the audit log; `record` is the push that it stands for, if that is at hand."""
        refs = record.refs if record else ()
        self._audit.write(
            AuditEntry(
                how=row.trigger,
                verdict=row.status,
                who=row.pusher,
                app=row.app,
                ref=row.ref,
                old=next((ref.old for ref in refs if ref.name == row.ref), ""),
                new=row.commit_id,
                version=row.version,
                image=row.image,
                digest=row.digest,
                config=digest(row.config),
                config_toml=self._config_toml,
                deployment=row.id,
                record=row.record,
                stage=row.stage,
                reason=row.error,
            )
        )

    def drop(self, record: PushRecord, why: str) -> None:
        """Let a push go that asks for no deployment."""
        log.note(f"{self._app}: push {record.name}: {why}")
        ref = record.refs[-1] if record.refs else RefUpdate("", "", "")
        self._audit.write(
            AuditEntry(
                how=record.trigger,
                verdict="dropped",
                who=record.user,
                app=self._app,
                ref=ref.name,
                old=ref.old,
                new=ref.new,
                config_toml=self._config_toml,
                record=record.name,
                reason=why,
            )
        )
        self.let_go(record, f"gitdeploy: nothing to deploy: {why}")

    def supersede(self, record: PushRecord, by: str) -> None:
        """End a push in whose place another one is deployed."""
        row = self._last(record)
        text = f"superseded by {by}"
        if row.ended:
            self.let_go(record, f"gitdeploy: {text}")
        else:
            self.end(record, row, "superseded", text)

    def refuse(self, waiting: Sequence[PushRecord], error: GitdeployError) -> None:
        """Record waiting pushes as failed; one that cannot even be recorded is set aside. Raises StateUnfit."""
        there = self._spool.names()
        for record in (record for record in waiting if record.name in there):
            try:
                row = self._last(record)
                if row.ended:  # a crash came between its end and the record's removal
                    self.told_again(record, row)
                else:
                    self.end(record, row, "failed", error.reason, error.hint, exit_code=error.exit_code)
            except StateUnfit:
                raise
            except Exception:
                log.crash(f"{self._app}: push {record.name} cannot be refused and is set aside")
                self._spool.set_aside(f"{record.name}.push")

    def _last(self, record: PushRecord) -> Deployment:
        last = record.refs[-1] if record.refs else None
        return self.enqueue(record, last.name if last else "", last.new if last else "")

    def told_again(self, record: PushRecord, row: Deployment) -> None:
        """Let a push go whose deployment ended before its record could be removed."""
        self.audited(row, record)  # twice rather than never
        self.let_go(record, f"gitdeploy: deployment {row.id} {row.status}")

    def end(
        self, record: PushRecord, row: Deployment, status: Status, reason: str, hint: str = "", *, exit_code: int = 0
    ) -> None:
        """Record the end of a deployment that never began, and let its pusher go."""
        error = "" if status == "unchanged" else reason
        self._state.end(row.id, status, error=error, hint=hint, finished=self._site.now(), exit_code=exit_code)
        self.audited(self._state.deployment(row.id) or row, record)
        self.let_go(record, f"gitdeploy: {reason}" + (f"\n    what to do: {hint}" if hint else ""))

    def let_go(self, record: PushRecord, text: str) -> None:
        """Remove a record and say a last word to its pusher."""
        self._pushers.relay(record)  # while there is something to hold the console by
        self._spool.done(record.name)
        self._pushers.tell(record, self._redact(text))
