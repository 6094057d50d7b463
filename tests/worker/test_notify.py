"""notify.url gets the result, and nothing that it does reaches the deployment."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitdeploy.config.sections import Notify
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.state import State
from gitdeploy.worker import notify as module
from gitdeploy.worker.notify import notify, notify_run


@pytest.fixture
def ended(tmp_path: Path) -> Deployment:
    with State(tmp_path / "state.db") as state:
        number = state.enqueue("o/r", "1-a", trigger="push", created=1.0, pusher="al")
        state.end(number, "failed", error="s3cret did not work")
        row = state.deployment(number)
        assert row
        return row


@contextlib.contextmanager
def server(*answer: bytes, pause: float = 0.0) -> Iterator[tuple[int, list[bytes]]]:
    """Answers each connection with these bytes; yields its port and the requests."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    requests.append(connection.recv(65536))
                    requests[-1] += b"" if requests[-1].rstrip().endswith(b"}") else connection.recv(65536)
                    for part in answer:
                        connection.sendall(part)
                        time.sleep(pause)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1], requests
        listening.shutdown(socket.SHUT_RDWR)


def noted(url: str, deployment: Deployment, **options: object) -> list[str]:
    notes: list[str] = []
    notify(Notify(url), deployment, notes.append, **options)  # type: ignore[arg-type]
    return notes


def test_the_result_is_posted_without_secrets(ended: Deployment) -> None:
    with server(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, requests):
        assert noted(f"http://127.0.0.1:{port}/hook", ended, hide=lambda text: text.replace("s3cret", "***")) == []
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook HTTP/1.1\r\n")
    assert json.loads(body)["error"] == "*** did not work"


def test_a_run_of_a_schedule_that_failed_is_posted(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state, server(b"HTTP/1.1 204 No Content\r\n\r\n") as (port, requests):
        for code in (0, 3):
            number = state.add_run("o/r", "nightly", float(code), "schedule")
            state.end_run(number, "failed" if code else "succeeded", 9.0, code, f"exit code {code}" if code else "")
            run = state.run(number)
            assert run
            assert notify_run(Notify(f"http://127.0.0.1:{port}/"), run, pytest.fail, str) is None
    (request,) = requests
    told = json.loads(request.partition(b"\r\n\r\n")[2])
    assert (told["app"], told["schedule"], told["status"], told["error"]) == ("o/r", "nightly", "failed", "exit code 3")


def test_a_redirect_is_not_followed(ended: Deployment) -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as (other, elsewhere):
        for status in (301, 302, 303, 307, 308):
            answer = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{other}/\r\nContent-Length: 0\r\n\r\n"
            with server(answer.encode()) as (port, _):
                (note,) = noted(f"http://127.0.0.1:{port}/", ended)
            assert f"HTTP {status}, a redirect" in note
        assert elsewhere == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"220 mail.example ESMTP\r\n", "BadStatusLine"),
        (b"HTTP/1.1 500 secret words of a server\r\n\r\n", "HTTP 500"),
        (b"", "Remote"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "HTTPException"),
    ],
)
def test_a_server_that_does_something_else_is_noted(answer: bytes, expected: str, ended: Deployment) -> None:
    with server(answer) as (port, _):
        (note,) = noted(f"http://127.0.0.1:{port}/?token=s3cret", ended)
    assert expected in note
    assert "s3cret" not in note
    assert "secret words" not in note


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/", "http://127.0.0.1:99999999/", "http://[::1/", "http://x y/"])
def test_an_address_that_is_none_is_noted(url: str, ended: Deployment) -> None:
    assert len(noted(url, ended)) == 1


def test_a_server_that_sends_a_byte_now_and_then_has_a_deadline(ended: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    began = time.monotonic()
    with server(*[b"H", b"T", b"T", b"P", b"/", b"1"] * 5, pause=0.2) as (port, _):
        (note,) = noted(f"http://127.0.0.1:{port}/", ended)
    assert time.monotonic() - began < 3
    assert "no answer within" in note


def test_an_endless_answer_is_not_read(ended: Deployment) -> None:
    began = time.monotonic()
    with server(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 1000] * 20, pause=0.1) as (port, _):
        assert noted(f"http://127.0.0.1:{port}/", ended) == []
    assert time.monotonic() - began < 1.5


def test_what_is_not_asked_for_is_not_told(ended: Deployment) -> None:
    notes: list[str] = []
    notify(Notify("http://127.0.0.1:9/", ("succeeded",)), ended, notes.append)
    notify(Notify(), ended, notes.append)
    assert notes == []
