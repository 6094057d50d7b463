"""The audit log: one line for each thing that was asked for, whole or not at all, whatever is in it."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from gitdeploy.doctor.auditlog import examine_audit
from gitdeploy.releases.audit import LONGEST, AuditEntry, AuditLog, digest, last_config, render


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def log(path: Path, failed: list[str] | None = None) -> AuditLog:
    return AuditLog(path, lambda: 1.5, (failed if failed is not None else []).append)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_has_what_is_known_and_nothing_else() -> None:
    entry = AuditEntry("push", "failed", "al", app="o/r", deployment=3, reason="no VERSION", stage="Read VERSION")
    assert json.loads(render(entry, 1.25)) == {
        "time": "1970-01-01T00:00:01.250Z",
        "how": "push",
        "verdict": "failed",
        "who": "al",
        "app": "o/r",
        "deployment": 3,
        "stage": "Read VERSION",
        "reason": "no VERSION",
    }
    assert json.loads(render(AuditEntry("cancel", "asked", uid=0), 1.25))["uid"] == 0


def test_a_line_is_one_short_line_without_secrets_whatever_was_pushed() -> None:
    entry = AuditEntry("push", "dropped", "al\n{}\x1b[0m\udcff", ref="refs/heads/" + "x" * 10_000, reason="hunter2 says hello")
    line = render(entry, 1.0, lambda text: text.replace("hunter2", "***"))
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert len(line) < 3 * LONGEST
    assert json.loads(line)["reason"] == "*** says hello"


def test_lines_are_added_and_the_file_is_private(path: Path) -> None:
    before = os.umask(0)
    try:
        log(path).write(AuditEntry("push", "succeeded"))
        log(path).write(AuditEntry("push", "failed"))
    finally:
        os.umask(before)
    assert [line["verdict"] for line in lines(path)] == ["succeeded", "failed"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_that_a_crash_has_torn_spoils_no_other(path: Path) -> None:
    path.write_bytes(b'{"verdict": "succeeded"}\n{"verdict": "fai')
    log(path).write(AuditEntry("push", "failed"))
    first, torn, last = path.read_text().splitlines()
    assert json.loads(first)
    assert json.loads(last)["verdict"] == "failed"
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(torn)


def test_writers_at_the_same_time_keep_their_lines_whole(path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(50):
            log(path).write(AuditEntry("push", "succeeded", deployment=number))

    threads = [threading.Thread(target=write, args=[number]) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(path)) == 200


def test_an_edited_config_is_told_once(path: Path) -> None:
    audit = log(path)
    audit.see_config(digest(b"one"))
    audit.write(AuditEntry("push", "succeeded", config_toml=digest(b"one")))
    audit.see_config(digest(b"one"))
    audit.write(AuditEntry("push", "failed"))
    audit.see_config(digest(b"one"))
    audit.see_config(digest(b"two"))
    audit.see_config("")
    assert [(line["how"], line["verdict"]) for line in lines(path)] == [
        ("config", "first seen"),
        ("push", "succeeded"),
        ("push", "failed"),
        ("config", "first seen"),
    ]


@pytest.mark.parametrize("tail", [b"", b"garbage", b"[1]\n\xff\n", b'{"how": "push"}\n', b'{"config_toml": ""}'])
def test_no_config_was_seen(tail: bytes) -> None:
    assert last_config(tail) == ""


def test_the_newest_config_counts() -> None:
    assert last_config(b'{"config_toml": "a"}\n{"config_toml": "b"}\n{"how": "push"}\n{"torn') == "b"


@pytest.mark.parametrize("kind", ["directory", "fifo", "link"])
def test_what_is_no_file_is_told_and_stops_nothing(kind: str, path: Path, tmp_path: Path) -> None:
    {"directory": path.mkdir, "fifo": lambda: os.mkfifo(path), "link": lambda: path.symlink_to(tmp_path / "other")}[kind]()
    failed: list[str] = []
    log(path, failed).write(AuditEntry("push", "succeeded"))
    log(path, failed).see_config("x")
    assert len(failed) == 2
    assert "cannot be written" in failed[0]
    assert not (tmp_path / "other").exists()


def test_doctor_says_when_nothing_can_be_recorded(path: Path) -> None:
    levels = []
    for prepare in (lambda: None, path.touch, lambda: (path.unlink(), path.mkdir())):
        prepare()
        levels += [finding.level for finding in examine_audit(path.parent)]
    assert levels == ["ok", "ok", "error"]
