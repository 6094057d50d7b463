"""Streams of the engine that break, lie or stall: a few bytes on a real socket stand for the engine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.engine.transport import Api, TimedOut, part
from gitdeploy.engine.types import NEVER
from gitdeploy.errors import Cancelled, EngineError, GitdeployError, NotFound, UnfitError

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

Serve = Callable[..., Api]


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answers the next request with these bytes, then hangs up or (`stall`) waits for the client to do so."""
    listener = socket.socket(socket.AF_UNIX)
    path = tmp_path / "engine.sock"
    listener.bind(str(path))
    listener.listen()
    threads: list[threading.Thread] = []
    hung_up = threading.Event()

    def start(answer: bytes, *, stall: bool = False, **options: Any) -> Api:
        def answer_one() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                if stall and not connection.recv(1):
                    hung_up.set()

        threads.append(threading.Thread(target=answer_one))
        threads[0].start()
        api = Api(host=f"unix://{path}", base_url=f"unix://{path}", version="1.41", **options)
        api.hung_up = hung_up  # type: ignore[attr-defined]
        return api

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()


def read(api: Api, cancel: Any = NEVER) -> list[dict[str, Any]]:
    return list(api.messages(api.call("POST", "/images/x/push", stream=True), cancel))


def test_messages_come_as_they_are_cut(serve: Serve) -> None:
    api = serve(STREAM + chunk(b'{"a": 1}\r') + chunk(b'\n{"b"') + chunk(b': "\xc3') + chunk(b'\xa9"}\r\n{"c": 3}\r\n') + END)
    assert read(api) == [{"a": 1}, {"b": "é"}, {"c": 3}]


def test_an_answer_of_known_length(serve: Serve) -> None:
    assert read(serve(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"a": 1}\r\n')) == [{"a": 1}]


def test_an_error_within_a_success(serve: Serve) -> None:
    api = serve(STREAM + chunk(b'{"a": 1}\r\n{"errorDetail": {"message": "denied: no"}, "error": "denied"}\r\n') + END)
    with pytest.raises(EngineError, match="denied: no") as raised:
        read(api)
    assert raised.value.status == 0


@pytest.mark.parametrize("line", [b"<html>", b"[1]", b'"text"', b"\xff\xfe"])
def test_what_is_no_message(serve: Serve, line: bytes) -> None:
    with pytest.raises(EngineError, match="sent something else than JSON"):
        read(serve(STREAM + chunk(line + b"\n") + END))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        STREAM,
        STREAM + b"5\r\n{",
        STREAM + chunk(b'{"a": 1}\n'),
        STREAM + b"xyz\r\n",
        b"garbage\r\n\r\n",
    ],
)
def test_an_engine_that_goes_away(serve: Serve, answer: bytes) -> None:
    api = serve(answer)
    with pytest.raises(UnfitError, match=r"the connection to the Docker Engine at unix://.* broke"):
        read(api)


def test_cancel_ends_a_silent_stream_at_once(serve: Serve) -> None:
    api = serve(STREAM + chunk(b'{"a": 1}\n'), stall=True)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        read(api, cancel)
    assert time.monotonic() - began < 5
    assert api.hung_up.wait(5)  # type: ignore[attr-defined]


def test_a_consumer_that_stops_closes_the_stream(serve: Serve) -> None:
    api = serve(STREAM + chunk(b'{"a": 1}\n'), stall=True)
    messages = api.messages(api.call("POST", "/images/x/push", stream=True), NEVER)
    assert next(messages) == {"a": 1}
    messages.close()  # type: ignore[attr-defined]
    assert api.hung_up.wait(5)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        ("404 Not Found", b'{"message":"No such container"}', NotFound, "No such container"),
        ("409 Conflict", b'{"message":"in use"}', EngineError, "in use"),
        ("502 Bad Gateway", b"no engine here", EngineError, "no engine here"),
        ("503 Service Unavailable", b"", EngineError, "HTTP 503 Service Unavailable"),
        ("500 Oops", b"[42]", EngineError, r"\[42\]"),
    ],
)
def test_refusals(serve: Serve, status: str, body: bytes, kind: type[EngineError], reason: str) -> None:
    api = serve(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    with pytest.raises(kind, match=reason) as raised:
        api.version()
    assert raised.value.status == int(status[:3])


def test_an_engine_that_does_not_answer(serve: Serve) -> None:
    api = serve(b"", stall=True, timeout=0.2)
    with pytest.raises(TimedOut, match="does not answer"):
        api.version()
    api.close()


@pytest.mark.parametrize(
    "ref", ["", "..", "../info", "a/../../info", "a/./b", "-v", "a?b=c", "a#b", "a b", "a\n", "ä", "/a", "%2e%2e/info"]
)
def test_what_cannot_be_a_name_reaches_no_engine(ref: str) -> None:
    with pytest.raises(GitdeployError, match="is not a valid name or reference"):
        part(ref)


@pytest.mark.parametrize("ref", ["dev-app", "127.0.0.1:5000/a/b:1.0..2", "a@sha256:0123", "sha256:0123", "A_b.c"])
def test_names_go_as_they_are(ref: str) -> None:
    assert part(ref) == ref
