"""What is on the disk when the power goes: a file is made durable before it takes its name, and the name before it counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.gitserver.enrolment import enrol, remove
from gitdeploy.gitserver.ownedfiles import write_file
from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.intake.spool import Spool
from gitdeploy.releases.state import State
from tests.support.enrolling import CONF
from tests.support.gogs import Gogs
from tests.support.hooks import HookSite, create

RECORD = PushRecord("1-a", "o/r", "/r.git", (RefUpdate("0" * 40, "1" * 40, "refs/heads/main"),))


class Disk:
    """Notes what is written, synced, renamed and removed, in order, by path."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.events: list[tuple[str, str]] = []
        self._patch = patch
        self._wrap("fsync", lambda fd: [("sync", _path(fd))])
        self._wrap("rename", self._renamed)
        self._wrap("unlink", lambda path, **at: [("change", str(_whole(path, at.get("dir_fd")).parent))])

    def _wrap(self, name: str, events: Callable[..., list[tuple[str, str]]]) -> None:
        original = getattr(os, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            noted = events(*arguments, **options)
            result = original(*arguments, **options)
            self.events += noted
            return result

        self._patch.setattr(os, name, wrapped)

    def _renamed(self, source: Any, target: Any, **at: int) -> list[tuple[str, str]]:
        before = str(_whole(source, at.get("src_dir_fd")))
        return [("name", before), ("change", str(_whole(target, at.get("dst_dir_fd")).parent))]

    def lost(self) -> list[str]:
        """What a power loss right now, or in the middle, could lose or leave half."""
        wrong = []
        for number, (what, path) in enumerate(self.events):
            if what == "name" and path.endswith(".tmp"):  # others were there long before
                wrong += [] if ("sync", path) in self.events[:number] else [f"{path} was renamed before it was durable"]
            if what == "change" and ("sync", path) not in self.events[number:]:
                wrong.append(f"{path} was changed and not synced")
        return wrong


def _path(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


def _whole(path: Any, directory: int | None) -> Path:
    return Path(_path(directory), path) if directory is not None else Path(path)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Notes what this process does from now on."""
    return Disk(monkeypatch)


def test_a_push_record(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "spool").mkdir()
    spool = Spool(tmp_path)
    spool.add(RECORD)
    assert disk.lost() == []
    spool.done(RECORD.name)
    assert len(disk.events) > 3
    assert disk.lost() == []


def test_a_push_record_that_a_hook_wrote(tmp_path: Path, disk: Disk) -> None:
    (tmp_path / "spool").mkdir()
    spool = Spool(tmp_path)
    path = spool.add(RECORD)
    disk.events.clear()
    spool.persist()
    assert disk.events == [("sync", str(path)), ("sync", str(spool.directory))]


def test_a_hook_syncs_its_record_before_it_renames_it(open_path: Path) -> None:
    site: HookSite = create(open_path, ["/bin/sh"])
    site.configure("refs/heads/main")
    tools = open_path / "tools"
    tools.mkdir()
    for tool in ("dd", "mv"):
        (tools / tool).write_text(f'#!/bin/sh\necho {tool} "$@" >>"{open_path}/order"\nexec /usr/bin/{tool} "$@"\n')
        (tools / tool).chmod(0o755)
    assert site.push(environ={"PATH": f"{tools}:{os.environ['PATH']}"}).lines[-1] == "live"
    first, second = (open_path / "order").read_text().splitlines()
    assert first.startswith(f"dd of={site.spool}/.")
    assert first.endswith(".tmp conv=fsync")
    assert second.startswith("mv ")


def test_an_owned_file(tmp_path: Path, disk: Disk) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    for data in (b"first", b"second"):
        write_file(directory, "config.toml", data, mode=0o600, owner=os.fstat(directory))
    os.close(directory)
    assert [what for what, _ in disk.events].count("name") == 2
    assert disk.lost() == []


def test_an_enrolment_and_its_end(gogs_dir: Gogs, disk: Disk) -> None:
    repository = gogs_dir.create_repository("Devops/Dev-App")
    hook = repository / "custom_hooks" / "post-receive"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\n")
    disk.events.clear()
    enrol(gogs_dir.data, repository, CONF)
    assert [what for what, _ in disk.events].count("name") >= 3
    assert disk.lost() == []
    remove(gogs_dir.data, repository)
    assert disk.lost() == []


@pytest.fixture
def statements(tmp_path: Path) -> Iterator[tuple[State, list[str]]]:
    """A state.db, and all that is sent to it."""
    sent: list[str] = []
    with State(tmp_path / "state.db") as state:
        state._db.set_trace_callback(sent.append)
        yield state, sent


def test_the_end_of_a_deployment(statements: tuple[State, list[str]]) -> None:
    """SQLite syncs a commit in WAL mode if `synchronous` is FULL (https://www.sqlite.org/pragma.html#pragma_synchronous)."""
    state, sent = statements
    number = state.enqueue("o/r", "1-a", trigger="push", created=1.0)
    sent.clear()
    state.end(number, "succeeded", finished=2.0)
    order = [text for text in sent if text.startswith(("PRAGMA synchronous", "COMMIT"))]
    assert order == ["PRAGMA synchronous=FULL", "COMMIT", "PRAGMA synchronous=NORMAL"]
    assert state._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
