"""An installation with one enrolled app, whose worker runs in the process of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, field

from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.intake.push import PushRecord, RefUpdate, Trigger
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.worker.appworker import Worker
from gitdeploy.worker.site import Site
from tests.support.apps import SampleApp
from tests.support.fake_engine import FakeEngine
from tests.support.installed import Installed

APP = "devops/dev-app"
EXTRA = '\npush = { enabled = false }\nhealth = { min_uptime = "0s", interval = "10ms" }\n'
DOCKERFILE = "FROM gitdeploy-test/busybox:1\nCOPY VERSION /\n"


@dataclass
class Scene:
    """An installation with one enrolled app whose worker runs in this process."""

    installed: Installed
    site: Site
    state: State
    clone: SampleApp
    engine: FakeEngine
    stop: CancelFlag = field(default_factory=CancelFlag)
    reader: int = -1
    _names: int = 0

    def push(self, version: str, trigger: Trigger = "push", commit: str = "") -> PushRecord:
        """Moves main in the repository, without hooks, and puts a record of that into the spool."""
        new = commit or self.clone.release(version, {"Dockerfile": DOCKERFILE})
        if not commit:
            self.send()
        return self.record(RefUpdate("0" * 40, new, "refs/heads/main"), trigger)

    def send(self, ref: str = "refs/heads/main") -> None:
        """Brings the newest commit into the repository, without its hooks."""
        command = ["git", "-C", self.installed.gogs.repository(APP), "-c", "core.hooksPath=/dev/null", "fetch", "--quiet"]
        subprocess.run([*command, self.clone.path, f"+HEAD:{ref}"], check=True)

    def record(self, ref: RefUpdate, trigger: Trigger = "push", console: str = "") -> PushRecord:
        """Puts a record into the spool; `console` is a word: its FIFO is made, and opened as `reader`."""
        self._names += 1
        name = f"{int(time.time()) + self._names}-{self._names}"
        if console:
            fifo = self.site.spool.directory / f"{name}.console"
            os.mkfifo(fifo)
            self.reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # a line that nobody can read yet is not kept
        record = PushRecord(name, APP, "", (ref,), user="alice", trigger=trigger, console=f"{name}.console" if console else "")
        self.site.spool.add(record)
        return record

    def worker(self) -> Worker:
        """A worker of its own for each run, as after a crash."""
        return Worker(self.site, APP, self.state, self.stop)

    def row(self, record: PushRecord) -> Deployment:
        row = self.state.by_record(record.name)
        assert row
        return row

    def audit(self) -> list[dict[str, object]]:
        """All lines of the audit log."""
        return [json.loads(line) for line in (self.site.home / "audit.jsonl").read_text().splitlines()]

    def log(self) -> str:
        return (self.site.home / "logs" / "gitdeploy.log").read_text()


def raising(error: Exception, really: bool) -> None:
    if really:
        raise error
