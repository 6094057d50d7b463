"""The spool: records appear whole, stay until they are done, and locks end with their process."""

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.errors import UnfitError
from gitdeploy.intake.bell import open_bell, ring
from gitdeploy.intake.push import PushRecord, RefUpdate, render_record
from gitdeploy.intake.spool import STALE_AFTER, Spool, new_name


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "spool").mkdir()
    return Spool(tmp_path)


def record(name: str) -> PushRecord:
    return PushRecord(name, "o/r", "/r.git", (RefUpdate("a" * 40, "b" * 40, "refs/heads/main"),))


def test_records_come_back_in_order_and_go_when_done(spool: Spool) -> None:
    for name in ("300-a", "100-b", "200-c"):
        spool.add(record(name))
    assert [r.name for r in spool.pending()[0]] == ["100-b", "200-c", "300-a"]
    spool.done("200-c")
    spool.done("200-c")
    assert spool.names() == {"100-b", "300-a"}


def test_a_record_is_private_whatever_the_umask(spool: Spool) -> None:
    before = os.umask(0)
    try:
        path = spool.add(record("100-a"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_that_are_no_records_are_named_and_harm_nothing(spool: Spool, tmp_path: Path) -> None:
    spool.add(record("100-a"))
    (spool.directory / "101-b.push").write_text("garbage")
    (spool.directory / "102-c.push").symlink_to("/etc/passwd")
    os.mkfifo(spool.directory / "103-d.push")
    (spool.directory / "104-e.push").mkdir()
    (spool.directory / ".104-e.tmp").write_text("gitdeploy-push 1\n")
    records, bad = spool.pending()
    assert [r.name for r in records] == ["100-a"]
    assert sorted(bad) == ["101-b.push", "102-c.push", "103-d.push", "104-e.push"]
    spool.persist()
    spool.set_aside("101-b.push")
    assert (spool.directory / ".101-b.push.bad").read_text() == "garbage"


def test_an_unreadable_spool_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match=r"spool.*cannot be read: No such file"):
        Spool(tmp_path / "nowhere").pending()


def test_a_lock_is_held_once_and_freed_by_death(spool: Spool) -> None:
    with spool.lock("o/r") as first, spool.lock("o/r") as second, spool.lock("o/other") as other:
        assert (first, second, other) == (True, False, True)
        assert spool.locked("o/r")
    assert not spool.locked("o/r")

    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with spool.lock("o/r"):
            os.write(write, b"x")
            signal.pause()
    os.read(read, 1)
    assert spool.locked("o/r")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not spool.locked("o/r")


def test_a_cancel_request_is_for_one_deployment_until_that_has_ended(spool: Spool) -> None:
    spool.cancels.ask("o/r", 7)
    spool.cancels.ask("o/r.s", 7)
    assert spool.cancels.asked("o/r", 7), "and again, after a crash"
    assert not spool.cancels.asked("o/r", 8)
    assert not spool.cancels.asked("o/other", 7)
    spool.cancels.forget("o/r", unfinished=[7])
    assert spool.cancels.asked("o/r", 7)
    spool.cancels.forget("o/r")
    assert not spool.cancels.asked("o/r", 7)
    assert spool.cancels.asked("o/r.s", 7)
    spool.cancels.forget("nobody/asked")


def test_what_is_odd_in_the_spool_is_left_or_set_aside(spool: Spool) -> None:
    for name in ("1-a.tmp", "2-b.tmp", ".3-c.push.bad"):
        (spool.directory / name).mkdir()
    (spool.directory / "2-b.tmp" / "precious").touch()
    (spool.directory / "4-d.tmp").symlink_to(spool.directory / "2-b.tmp")
    (spool.directory / "3-c.push").write_text("garbage")
    long = f"5-{'x' * 246}.push"
    (spool.directory / long).write_text("garbage")
    (spool.directory / ".3-c.push.bad" / "full").touch()
    for name in ("1-a.tmp", "2-b.tmp", "4-d.tmp"):
        os.utime(spool.directory / name, (1.0, 1.0), follow_symlinks=False)
    assert spool.sweep() == ["2-b.tmp"]
    for name in spool.pending()[1]:
        spool.set_aside(name)
    left = sorted(path.name for path in spool.directory.iterdir())
    assert left[0].startswith(".")
    assert left[-1] == "2-b.tmp"
    assert (spool.directory / "2-b.tmp" / "precious").exists()
    assert spool.pending() == ([], {})


def test_names_that_no_text_holds_harm_nothing(spool: Spool) -> None:
    spool.add(record("100-a"))
    for name in (b"1-\xff.push", b"2-a\n.push", b"3-\x1b[31m.push"):
        (Path(os.fsdecode(os.fsencode(spool.directory) + b"/" + name))).touch()
    records, bad = spool.pending()
    assert [r.name for r in records] == ["100-a"]
    assert len(bad) == 3
    for name in bad:
        spool.set_aside(name)
    assert spool.pending()[1] == {}


def test_a_look_reads_a_bounded_number_of_files_and_starves_none(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitdeploy.intake.spool.MAX_NEW", 10)
    monkeypatch.setattr("gitdeploy.intake.spool.MAX_KEPT", 40)
    for number in range(100):
        (spool.directory / f"{number}-x.push").write_text("garbage")
    spool.add(record("999-z"))
    looks = 0
    while True:
        records, bad = spool.pending()
        looks += 1
        assert len(records) + len(bad) <= 11
        for name in bad:
            spool.set_aside(name)
        if not spool.more:
            break
    assert looks <= 11
    assert [r.name for r in spool.pending()[0]] == ["999-z"]


def test_a_file_is_read_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.add(record("100-a"))
    assert spool.pending()[0]
    monkeypatch.setattr(spool, "_read", lambda name: pytest.fail(f"{name} is read again"))
    assert [r.name for r in spool.pending()[0]] == ["100-a"]


def test_what_cannot_be_opened_for_a_moment_is_no_bad_record(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.add(record("100-a"))

    def exhausted(directory: int, name: str) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(spool, "_read", exhausted)
        assert spool.pending() == ([], {})
    assert [r.name for r in spool.pending()[0]] == ["100-a"]


def test_what_dead_hooks_left_is_swept(spool: Spool) -> None:
    old, young = spool.directory / ".1-a.tmp", spool.directory / ".2-b.tmp"
    old.touch()
    young.touch()
    fifo = spool.directory / "1-a.console"
    os.mkfifo(fifo)
    for path in (old, fifo):
        os.utime(path, (path.stat().st_mtime - 2 * STALE_AFTER,) * 2)
    spool.sweep()
    assert sorted(p.name for p in spool.directory.iterdir()) == [".2-b.tmp"]


def test_names_are_unique_and_well_formed(spool: Spool) -> None:
    names = {new_name(1234.5) for _ in range(100)}
    assert len(names) == 100
    spool.add(record(names.pop()))
    assert len(spool.pending()[0]) == 1


@pytest.mark.parametrize("linked", ["spool", "gitdeploy"])
def test_nothing_is_done_behind_another_users_link(tmp_path: Path, linked: str) -> None:
    """Who owns the data directory may put a link to the agent's home in the place of the spool, or above it."""
    home, data = tmp_path / "home", tmp_path / "data"
    spool = Spool(home, data / "gitdeploy" / "spool", data)
    waiting = replace(record("100-a"), console="100-a.console")
    for directory in (home, home / "spool"):  # at both places that the links lead to
        directory.mkdir()
        (directory / "1-a.push").write_text("garbage")
        (directory / "100-a.push").write_bytes(render_record(waiting))
        os.mkfifo(directory / "100-a.console")
        (directory / "2-b.tmp").touch()
        os.utime(directory / "2-b.tmp", (1.0, 1.0))
    before = sorted(home.rglob("*"))
    readers = [os.open(path, os.O_RDONLY | os.O_NONBLOCK) for path in home.rglob("*.console")]
    spool.directory.mkdir(parents=True)
    real = data / "real"
    place = spool.directory if linked == "spool" else spool.directory.parent
    place.rename(real)
    place.symlink_to(home)
    os.lchown(place, 4711, 4711)
    attempts: list[Callable[[], object]] = [
        *(spool.pending, spool.names, spool.persist, spool.sweep, lambda: open_bell(spool.shared)),
        *(lambda: spool.add(record("200-b")), lambda: spool.done("100-a"), lambda: spool.set_aside("1-a.push")),
    ]
    for attempt in attempts:
        with pytest.raises(UnfitError, match="is a symbolic link made by user 4711") as caught:
            attempt()
        assert "replace the link by a directory" in caught.value.hint
    assert spool.consoles.take(waiting) == -1
    assert not spool.shared.has("100-a.console")
    assert not ring(spool.shared)
    assert sorted(home.rglob("*")) == before
    for reader in readers:
        os.close(reader)
    place.unlink()
    real.rename(place)
    assert spool.add(record("200-b")).exists()
    assert spool.names() == {"200-b"}
    os.close(open_bell(spool.shared))
    place.rename(real)
    place.symlink_to(real)  # root's own link is as good as a directory
    assert spool.names() == {"200-b"}
