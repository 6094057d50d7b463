"""Long requests, against servers that do what no good engine does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.engine.dial import Endpoint
from gitdeploy.engine.exchange import ExchangeLimits, converse
from gitdeploy.errors import BuildFailed, Cancelled, EngineError, StageFailed, UnfitError
from tests.support.played_engine import END, OK, Server, answering, chunk, served


def run(
    server: Server, body: Iterable[bytes] = (), limits: ExchangeLimits | None = None, sent: Callable[[int], object] = id
) -> list[dict[str, Any]]:
    limits = limits or ExchangeLimits(threading.Event(), 60)
    return list(converse(server.where, "/build?x=1", {"X-A": "b"}, iter(body), limits=limits, sent=sent))


def test_the_request_and_its_body_arrive_whole(tmp_path: Path) -> None:
    with served(tmp_path, answering(OK, END)) as server:
        assert run(server, iter([b"a" * 512, b"", b"b" * 70_000, b"c"])) == []
    head, _, body = bytes(server.received).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1.41/build?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-A: b" in head
    assert b"\r\nTransfer-Encoding: chunked" in head
    assert body == chunk(b"a" * 512 + b"b" * 70_000) + chunk(b"c") + END


@pytest.mark.parametrize(
    "pieces",
    [
        (chunk(b'{"a":1}\r\n{"b":2}\r\n'), END),
        (chunk(b'{"a"'), chunk(b":1}\n"), chunk(b'{"b":2}'), END),
        (chunk(b'\n\n{"a":1}\n\r\n'), chunk(b'{"b":2}\n'), END),
    ],
)
def test_messages_are_lines_wherever_they_are_cut(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with served(tmp_path, answering(OK, *pieces)) as server:
        assert run(server) == [{"a": 1}, {"b": 2}]


def test_messages_come_while_the_body_is_still_sent(tmp_path: Path) -> None:
    heard = threading.Event()

    def play(server: Server, connection: socket.socket) -> None:
        server.read(connection, b"first")
        connection.sendall(OK + chunk(b'{"heard":"first"}\n'))
        server.read(connection, END)
        connection.sendall(END)

    def body() -> Iterator[bytes]:
        yield b"first" + b"." * 65536
        assert heard.wait(10)
        yield b"second"

    with served(tmp_path, play) as server:
        for message in converse(server.where, "/build", {}, body(), limits=ExchangeLimits(threading.Event(), 60), sent=id):
            assert message == {"heard": "first"}
            heard.set()
    assert b"second" in server.received


def test_it_says_how_much_is_sent(tmp_path: Path) -> None:
    counts: list[int] = []
    with served(tmp_path, answering(OK, END)) as server:
        run(server, (b"x" * 500_000 for _ in range(5)), sent=counts.append)
    assert counts == [1_000_000, 2_000_000]


def test_an_engine_that_answers_and_hangs_up_before_it_has_read_all_is_heard(tmp_path: Path) -> None:
    def play(server: Server, connection: socket.socket) -> None:
        server.read(connection, b"\r\n\r\n")
        connection.sendall(OK + chunk(b'{"error":"no space"}\n') + END)

    with served(tmp_path, play) as server:
        assert run(server, (b"x" * 65536 for _ in range(1000))) == [{"error": "no space"}]


@pytest.mark.parametrize(
    ("pieces", "kind", "reason"),
    [
        ((b"HTTP/1.1 400 Bad Request\r\nContent-Length: 21\r\n\r\n", b'{"message":"bad tag"}'), EngineError, "bad tag"),
        ((b"HTTP/1.1 502 Bad Gateway\r\n\r\n", b"<html>proxy</html>"), EngineError, "<html>proxy</html>"),
        ((OK, chunk(b"<html>"), END), EngineError, "something else than JSON: b'<html>'"),
        ((OK, chunk(b"[1]\n"), END), EngineError, r"something else than JSON: b'\[1\]'"),
        ((OK, chunk(b'{"a":1}\n')), UnfitError, "the connection to the Docker Engine at unix:///engine broke"),
        ((OK, b"5\r\n{"), UnfitError, "the connection to the Docker Engine at unix:///engine broke"),
        ((OK, b"zz\r\n"), UnfitError, "the connection to the Docker Engine at unix:///engine broke"),
        ((b"SSH-2.0-OpenSSH\r\n",), UnfitError, "the connection to the Docker Engine at unix:///engine broke"),
        ((), UnfitError, "the connection to the Docker Engine at unix:///engine broke"),
    ],
)
def test_bad_answers_are_clear_errors(tmp_path: Path, pieces: tuple[bytes, ...], kind: type[Exception], reason: str) -> None:
    with served(tmp_path, answering(*pieces)) as server, pytest.raises(kind, match=reason):
        run(server)


def test_what_the_body_raises_comes_out_and_the_engine_gets_no_end(tmp_path: Path) -> None:
    def body() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise StageFailed("object 1234 is missing")

    with served(tmp_path, answering(OK, END)) as server, pytest.raises(StageFailed, match="object 1234 is missing"):
        run(server, body())
    assert not server.received.endswith(END)


def silent(server: Server, connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def test_cancelling_ends_it_although_the_engine_is_silent(tmp_path: Path) -> None:
    cancel, stopped = threading.Event(), threading.Event()
    threading.Timer(0.1, cancel.set).start()
    with served(tmp_path, silent) as server, pytest.raises(Cancelled):
        run(server, limits=ExchangeLimits(cancel, 60, stopped.set))
    assert stopped.is_set()


def test_cancelling_ends_an_upload_that_the_engine_does_not_read(tmp_path: Path) -> None:
    cancel, over = threading.Event(), threading.Event()
    threading.Timer(0.1, cancel.set).start()
    began = time.monotonic()
    with served(tmp_path, lambda server, connection: bool(over.wait(10)) and None) as server:
        with pytest.raises(Cancelled):
            run(server, (b"x" * 65536 for _ in iter(int, 1)), limits=ExchangeLimits(cancel, 60))
        over.set()
    assert time.monotonic() - began < 5


def test_an_engine_that_hangs_on_being_asked_to_stop_does_not_hold_up_the_end(tmp_path: Path) -> None:
    cancel, over = threading.Event(), threading.Event()
    cancel.set()
    with served(tmp_path, silent) as server, pytest.raises(Cancelled):
        run(server, limits=ExchangeLimits(cancel, 60, lambda: over.wait(30)))
    over.set()


def test_an_engine_that_ends_a_cancelled_request_itself_is_heard_to_the_end(tmp_path: Path) -> None:
    cancel, asked = threading.Event(), threading.Event()

    def play(server: Server, connection: socket.socket) -> None:
        server.read(connection, END)
        assert asked.wait(10)
        connection.sendall(OK + chunk(b'{"error":"context canceled"}\n') + END)

    cancel.set()
    messages = []
    with served(tmp_path, play) as server, pytest.raises(Cancelled):
        limits = ExchangeLimits(cancel, 60, asked.set)
        for message in converse(server.where, "/build", {}, iter(()), limits=limits, sent=id):
            messages.append(message)
    assert messages == [{"error": "context canceled"}]


def test_the_time_limit_ends_it(tmp_path: Path) -> None:
    with served(tmp_path, silent) as server, pytest.raises(BuildFailed, match=r"not done within 0\.2 s") as caught:
        run(server, limits=ExchangeLimits(threading.Event(), 0.2))
    assert caught.value.hint == "raise build.timeout if it needs longer"


def test_leaving_the_answers_hangs_up(tmp_path: Path) -> None:
    def play(server: Server, connection: socket.socket) -> None:
        connection.sendall(OK + chunk(b'{"a":1}\n'))
        silent(server, connection)

    with served(tmp_path, play) as server:
        answers = converse(server.where, "/build", {}, iter(()), limits=ExchangeLimits(threading.Event(), 60), sent=id)
        assert next(answers) == {"a": 1}
        answers.close()  # type: ignore[attr-defined]


def test_no_engine_is_an_unfit_environment(tmp_path: Path) -> None:
    server = Server(Endpoint("unix:///nowhere", "1.41", "unix", str(tmp_path / "none.sock")))
    with pytest.raises(UnfitError, match="no Docker Engine at unix:///nowhere"):
        run(server)
