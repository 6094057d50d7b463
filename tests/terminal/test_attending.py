"""Staying with a command, on a real terminal and on pipes; the command is played."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.terminals import CHECKOUT, Terminal, on_a_terminal


def command(play: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.played_command", play, *options]


@pytest.fixture
def shell() -> Iterator[Terminal]:
    """A command with a terminal, which shows the keys that it gets."""
    with on_a_terminal(command("keys", "-i", "-t")) as terminal:
        terminal.expect(b"ready")
        yield terminal


def test_each_key_goes_to_the_command_at_once_also_those_that_mean_something(shell: Terminal) -> None:
    for key in (b"a", b"\x03", b"\x04", b"\x1a", b"\x10"):
        shell.type(key)
        shell.expect(repr(key).encode())
    shell.type(b"q")
    assert shell.wait() == 0
    assert b"signal" not in shell.shown


def test_the_terminal_is_as_it_was_afterwards(shell: Terminal) -> None:
    assert not shell.cooked
    shell.type(b"q")
    assert shell.wait() == 0
    assert shell.cooked


def test_the_command_is_told_the_size_of_the_terminal(shell: Terminal) -> None:
    shell.type(b"a")
    shell.resize(40, 120)
    shell.expect(b"size 40x120")
    shell.type(b"q")
    assert shell.wait() == 0


def test_the_command_is_told_the_size_at_first() -> None:
    with on_a_terminal(command("keys", "-i", "-t")) as terminal:
        terminal.expect(b"size 30x100")


def test_a_stop_puts_the_terminal_right(shell: Terminal) -> None:
    shell.program.send_signal(signal.SIGTERM)
    shell.expect(b"signal TERM")
    shell.type(b"q")
    assert shell.wait() == 0
    assert shell.cooked


def test_input_and_output_of_any_length_do_not_wait_for_one_another() -> None:
    data = os.urandom(3_000_000)
    done = subprocess.run(command("echo", "-i"), input=data, capture_output=True, check=False, timeout=30, cwd=CHECKOUT)
    assert (done.returncode, done.stdout == data) == (3, True)


def begun(play: str, *options: str) -> subprocess.Popen[bytes]:
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = subprocess.Popen(command(play, *options), cwd=CHECKOUT, **streams)  # type: ignore[call-overload]
    assert program.stdout.read(6) == b"ready\n"
    return program  # type: ignore[no-any-return]


@pytest.mark.parametrize("play", ["polite", "silent"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_passed_on_and_the_command_ends_as_it_likes(play: str, number: signal.Signals) -> None:
    program = begun(play)
    program.send_signal(number)
    output, errors = program.communicate(timeout=20)
    assert (program.returncode, output) == (5, b"bye\n" if play == "polite" else b"")
    assert f"signal {number.name[3:]}\n" in errors.decode()


def test_what_nohup_ignores_stays_ignored() -> None:
    ignoring = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("polite")]
    program = subprocess.Popen(ignoring, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout
    assert program.stdout.read(6) == b"ready\n"
    program.send_signal(signal.SIGHUP)
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=20)
    assert (program.returncode, b"signal HUP" in errors, b"signal TERM" in errors) == (5, False, True)


def test_a_command_that_does_not_end_is_killed() -> None:
    program = begun("stubborn")
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=20)
    assert (program.returncode, "signal TERM" in errors.decode(), "signal KILL" in errors.decode()) == (137, True, True)


def test_a_second_signal_kills_at_once() -> None:
    program = begun("stubborn")
    program.send_signal(signal.SIGINT)
    assert program.stderr is not None
    assert program.stderr.readline() == b"signal INT\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=20)
    assert (program.returncode, b"signal KILL" in errors) == (137, True)


def test_one_that_cannot_be_told_is_left() -> None:
    program = begun("stubborn", "--deaf")
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=20)
    assert (program.returncode, b"may run on" in errors) == (130, True)


def test_signals_come_through_while_nobody_reads() -> None:
    program = subprocess.Popen(command("flood"), cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert program.stdout
    assert program.stdout.read(1) == b"x"
    time.sleep(0.2)  # until the pipe is full, else this shows less
    program.send_signal(signal.SIGTERM)
    assert program.stderr
    assert program.stderr.readline() == b"signal TERM\n"
    program.communicate(timeout=20)
    assert program.returncode == 6


def test_an_end_of_the_terminal_is_an_end_of_the_input() -> None:
    with on_a_terminal(command("echo", "-i")) as terminal:
        terminal.type(b"line\n\x04")
        terminal.expect(b"line\r\nline")
        assert terminal.wait() == 3
