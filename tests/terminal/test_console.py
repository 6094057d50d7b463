"""What is said, to whom, and that nobody can hold it up or forge it."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest

from gitdeploy.terminal.console import Console
from gitdeploy.terminal.redact import harmless
from gitdeploy.terminal.relay import PIECE, Relay, filling, open_fifo


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "1-a.console"
    os.mkfifo(path)
    return path


def opened(fifo: Path) -> int:
    directory = os.open(fifo.parent, os.O_RDONLY)
    try:
        return open_fifo(fifo.name, directory)
    finally:
        os.close(directory)


def read_all(fifo: Path, into: list[bytes]) -> threading.Thread:
    """Reads the FIFO to its end in a thread, as the hook's `cat` does."""
    thread = threading.Thread(target=lambda: into.append(fifo.read_bytes()))
    thread.start()
    time.sleep(0.05)
    return thread


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, tab\tkept", "plain, ünïcode, tab\tkept"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;ZXZpbA==\x1b\\after", "after"),
        ("\x1bP+q544e\x1b\\x", "x"),
        ("over\rwrite\b\x7f", "overwrite"),
        ("\x9b31mc1", "31mc1"),
        ("a\u202eb\u2066c", "abc"),
        ("\x1b(Bcharset \x1bcreset", "charset reset"),
    ],
)
def test_terminal_escapes_are_taken_out(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_log_gets_all_and_pushers_get_what_is_not_detail(tmp_path: Path, fifo: Path) -> None:
    said: list[bytes] = []
    reader = read_all(fifo, said)
    console = Console(tmp_path / "logs" / "1.log", 10_000)
    relay = Relay(opened(fifo))
    console.attach(relay)
    console.line("==> Build")
    console.line("step output", detail=True)
    console.full = True
    console.line("more output\nof two lines", detail=True)
    console.progress("push", "pushed 1 MB")
    console.progress("push", "too soon to be shown")
    console.close()
    relay.close()  # not the console's to do: the pusher stays until the push has left the spool
    reader.join()
    assert said == [b"==> Build\nmore output\nof two lines\npushed 1 MB\r"]
    lines = (tmp_path / "logs" / "1.log").read_text().splitlines()
    assert [line[24:] for line in lines] == ["==> Build", "step output", "more output", "of two lines"]
    assert stat.S_IMODE((tmp_path / "logs" / "1.log").stat().st_mode) == 0o600


def test_secrets_are_hidden_everywhere(tmp_path: Path, fifo: Path) -> None:
    said: list[bytes] = []
    reader = read_all(fifo, said)
    console = Console(tmp_path / "1.log", 10_000)
    relay = Relay(opened(fifo))
    console.attach(relay)
    console.redact.add(["hunter2-secret", "line one\nline two"])
    console.line("RUN echo hunter2-secret and line two")
    console.progress("x", "hunter2-secret")
    console.close()
    relay.close()  # not the console's to do: the pusher stays until the push has left the spool
    reader.join()
    assert said == [b"RUN echo *** and ***\n***\r"]
    assert "hunter2" not in (tmp_path / "1.log").read_text()


def test_a_log_is_cut_at_its_size_and_says_so(tmp_path: Path) -> None:
    console = Console(tmp_path / "1.log", 1000)
    for i in range(1000):
        console.line(f"line {i}")
    console.close()
    text = (tmp_path / "1.log").read_text()
    assert len(text) < 1200
    assert text.endswith("it reached server.log_size\n")


def test_two_consoles_do_not_mix(tmp_path: Path) -> None:
    one, two = Console(tmp_path / "1.log", 1000), Console(tmp_path / "2.log", 1000)
    one.line("for one")
    two.line("for two")
    one.close()
    two.close()
    assert "two" not in (tmp_path / "1.log").read_text()
    assert "one" not in (tmp_path / "2.log").read_text()


def test_a_pusher_who_never_came_is_no_trouble(tmp_path: Path, fifo: Path) -> None:
    for path in (fifo, tmp_path / "missing"):
        relay = Relay(opened(path))
        assert not relay.connected
        relay.send("x")
        relay.close()


def test_only_a_fifo_is_written_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link.console").symlink_to(victim)
    for path in (victim, tmp_path / "link.console"):
        relay = Relay(opened(path))
        relay.send("overwritten")
        relay.close()
    assert victim.read_text() == "precious"


def test_a_pusher_who_stops_reading_holds_nothing_up(fifo: Path) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    relay = Relay(opened(fifo))
    started = time.monotonic()
    for _ in range(50_000):
        relay.send("x" * 99 + "\n")
    assert time.monotonic() - started < 2
    os.close(reader)
    relay.close()
    assert not relay.connected


def test_a_slow_pusher_is_told_what_was_skipped(fifo: Path) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    relay = Relay(opened(fifo))
    for _ in range(30_000):
        relay.send("x" * 99 + "\n")
    got = b""
    deadline = time.monotonic() + 5
    while len(got) < 800_000 and time.monotonic() < deadline:
        try:
            got += os.read(reader, 65536)
        except BlockingIOError:
            time.sleep(0.01)
    relay.send("the end\n")
    closer = threading.Thread(target=relay.close)
    closer.start()
    os.set_blocking(reader, True)
    while data := os.read(reader, 65536):
        got += data
    closer.join()
    os.close(reader)
    assert b"lines skipped here" in got
    assert got.endswith(b"the end\n")


def test_a_pusher_who_goes_away_is_forgotten(fifo: Path) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    relay = Relay(opened(fifo))
    os.close(reader)
    for _ in range(100):
        relay.send("x\n")
    relay.close()
    assert not relay.connected


@pytest.mark.parametrize("size", [1, 127, 128, 129, 5000])
def test_filling_ends_at_a_whole_piece_and_is_more_than_go_buffers(size: int) -> None:
    filled = size + len(filling(size))
    assert filled % PIECE == 0
    assert filled - size >= 2048 + 4096 - 230  # of which the packets' own headers are the rest


def test_a_relay_to_a_server_that_holds_back_fills_each_burst(fifo: Path) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    relay = Relay(opened(fifo), held_back=True)
    relay.send("one\n")
    relay.close()
    assert os.read(reader, 100_000) == b"\none\n" + filling(4)
    os.close(reader)
