"""BuildKit's session, spoken to by an HTTP/2 client as the engine is one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from h2.errors import ErrorCodes

from gitdeploy.engine import protobuf
from gitdeploy.engine.answering import CREDENTIALS, HEALTH, SECRET, Service
from gitdeploy.engine.protobuf import Message
from gitdeploy.engine.session import Session
from gitdeploy.errors import BuildFailed, UnfitError
from tests.support.session_engine import Engine, framed

LOGINS = {"docker.io": ("hub", "s3cret"), "127.0.0.1:5000": ("pusher", "pässword"), "token.example": ("<token>", "t0ken")}
LARGE = bytes(range(256)) * 4000  # 1 MB, sixteen times what HTTP/2 lets pass at once


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def logins(host: str) -> tuple[str, str] | None:
    if host == "broken.example":
        raise UnfitError("docker-credential-broken: not found", "install it")
    return LOGINS.get(host)


def named(name: str) -> bytes:
    return protobuf.field(1, name.encode())


@pytest.fixture
def engine() -> Iterator[Engine]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    missing: list[str] = []
    secrets = {"token": b"s3cret\n", "large": LARGE, "empty": b""}
    session = Session(ours, Service(logins, secrets, missing.append), "id")
    engine = Engine(theirs, session, missing)
    engine.http.initiate_connection()
    engine.flush()
    with ours, theirs:
        yield engine
        session.close()


def test_it_is_healthy(engine: Engine) -> None:
    status, _, body = engine.call(HEALTH, b"")
    assert (status, Message(body).number(1)) == (0, 1)


@pytest.mark.parametrize(
    ("host", "user", "password"),
    [
        ("registry-1.docker.io", "hub", "s3cret"),
        ("127.0.0.1:5000", "pusher", "pässword"),
        ("token.example", "", "t0ken"),
        ("unknown.example", "", ""),
    ],
)
def test_it_gives_logins(engine: Engine, host: str, user: str, password: str) -> None:
    status, _, body = engine.call(CREDENTIALS, named(host))
    assert (status, Message(body).text(1), Message(body).text(2)) == (0, user, password)


def test_a_broken_credential_helper_is_remembered(engine: Engine) -> None:
    assert engine.call(CREDENTIALS, named("broken.example"))[:2] == (2, "docker-credential-broken: not found")
    assert engine.call(HEALTH, b"")[0] == 0
    with pytest.raises(UnfitError, match="docker-credential-broken") as caught:
        engine.session.check()
    assert caught.value.hint == "install it"


@pytest.mark.parametrize(("name", "value"), [("token", b"s3cret\n"), ("empty", b""), ("large", LARGE)])
def test_it_gives_secrets_of_any_size(engine: Engine, name: str, value: bytes) -> None:
    status, _, body = engine.call(SECRET, named(name))
    assert (status, Message(body).data(1)) == (0, value)


def test_unknown_secrets_are_not_found_and_told(engine: Engine) -> None:
    assert engine.call(SECRET, named("other"))[:2] == (5, "secret other: not found")
    assert engine.missing == ["other"]


def test_secrets_that_buildkit_looks_for_on_its_own_are_not_told(engine: Engine) -> None:
    assert engine.call(SECRET, named("HTTP_AUTH_HEADER_build-context-x"))[0] == 5
    assert engine.call(SECRET, named("GIT_AUTH_TOKEN"))[0] == 5
    assert engine.missing == []


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("/moby.filesync.v1.FileSync/DiffCopy", framed(b""), 12),
        (SECRET, b"", 12),
        (SECRET, b"\0\0", 12),
        (SECRET, framed(named("token"))[:-1], 12),
        (SECRET, b"\1" + framed(named("token"))[1:], 12),  # compressed
        (SECRET, framed(b"\x0a\xff"), 2),  # not a message
        (SECRET, framed(named("x" * 20_000)), 8),
    ],
)
def test_what_it_cannot_answer_has_a_status_and_the_session_goes_on(
    engine: Engine, method: str, body: bytes, status: int
) -> None:
    assert engine.finish(engine.start(method, body))[0] == status
    assert engine.call(HEALTH, b"")[0] == 0


def test_reasons_pass_in_a_header_whatever_is_in_them(engine: Engine) -> None:
    assert engine.call(SECRET, named("a\r\nb: ü"))[1] == "secret a%0D%0Ab: %C3%BC: not found"


def test_questions_are_answered_while_a_large_answer_waits_for_room(engine: Engine) -> None:
    large = engine.start(SECRET, framed(named("large")))
    small = engine.start(HEALTH, framed(b""))
    assert engine.finish(small)[0] == 0
    assert large not in engine.ended
    status, _, body = engine.finish(large)
    assert (status, Message(body).data(1)) == (0, LARGE)


@pytest.mark.parametrize("end", [True, False])
def test_a_question_taken_back_is_forgotten(engine: Engine, end: bool) -> None:
    stream = engine.start(SECRET, framed(named("large")), end=end)
    engine.http.reset_stream(stream, ErrorCodes.CANCEL)
    engine.flush()
    assert engine.call(HEALTH, b"")[0] == 0


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, PREFACE + b"\0\0\4\1\4\0\0\0\1\xff\xff\xff\xff"]
)
def test_garbage_ends_it_quietly(garbage: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        session = Session(ours, Service(logins, {}, print), "id")
        theirs.settimeout(10)
        theirs.sendall(garbage)
        while theirs.recv(1000):
            pass
        session.close()


def test_an_engine_that_ends_it_is_told_from_one_that_is_left(engine: Engine) -> None:
    assert engine.call(HEALTH, b"")[0] == 0
    engine.session.check()
    engine.session.close()
    engine.session.check()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        session = Session(ours, Service(logins, {}, print), "id")
        theirs.close()
        session._thread.join()
        with pytest.raises(BuildFailed, match="ended its session"):
            session.check()


def test_a_service_does_not_show_its_secrets() -> None:
    assert "s3cret" not in repr(Service(logins, {"token": b"s3cret"}, print))
