"""The relay of TLS: who has no more to send still gets the rest, as a command that reads its input to the end needs."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitdeploy.engine import tls
from gitdeploy.engine.dial import hang_up
from tests.support.tcp_engine import certificates

DATA = bytes(range(256)) * 12_000
Serve = Callable[[ssl.SSLSocket], None]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    certificates(directory)
    return directory


@contextlib.contextmanager
def connected(keys: Path, serve: Serve) -> Iterator[socket.socket]:
    """A client's end of TLS to a server that is played."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(keys / "server.pem", keys / "server-key.pem")
    client = ssl.create_default_context(cafile=str(keys / "ca.pem"))

    def play() -> None:
        with contextlib.suppress(OSError), context.wrap_socket(theirs, server_side=True) as connection:
            serve(connection)

    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    with ours, tls.wrap(ours, client, "127.0.0.1") as connection:
        yield connection
    thread.join(10)
    assert not thread.is_alive()


def received(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_is_answered_after_the_end_of_the_question_arrives(keys: Path) -> None:
    def serve(connection: ssl.SSLSocket) -> None:
        asked = b"".join(iter(lambda: connection.recv(65536), b""))
        connection.sendall(hashlib.sha256(asked).digest() + asked)

    with connected(keys, serve) as connection:
        connection.sendall(DATA)
        connection.shutdown(socket.SHUT_WR)
        answer = received(connection)
    assert answer == hashlib.sha256(DATA).digest() + DATA


def test_both_ways_at_once(keys: Path) -> None:
    def serve(connection: ssl.SSLSocket) -> None:
        while data := connection.recv(65536):
            connection.sendall(data)

    with connected(keys, serve) as connection:
        sender = threading.Thread(target=lambda: (connection.sendall(DATA), connection.shutdown(socket.SHUT_WR)), daemon=True)
        sender.start()
        assert received(connection) == DATA
        sender.join()


def test_an_end_without_a_word_is_an_end(keys: Path) -> None:
    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall(b"last words")
        connection.shutdown(socket.SHUT_RDWR)

    with connected(keys, serve) as connection:
        assert received(connection) == b"last words"


def test_hanging_up_ends_the_relay_whatever_is_on_its_way(keys: Path) -> None:
    def serve(connection: ssl.SSLSocket) -> None:
        connection.sendall(DATA * 10)  # which nobody takes

    with connected(keys, serve) as connection:
        assert connection.recv(10) == DATA[:10]
        hang_up(connection)
    assert "tls" not in {thread.name for thread in threading.enumerate()}


def test_a_failed_handshake_is_an_error(keys: Path) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    client = ssl.create_default_context(cafile=str(keys / "ca.pem"))
    with ours, theirs, pytest.raises(OSError, match=r"(?i)wrong.version"), tls.wrap(ours, client, "127.0.0.1"):
        pass
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(OSError), tls.wrap(ours, client, "127.0.0.1"):
        pass
