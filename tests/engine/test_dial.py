"""Raw connections to the engine, over all that it can listen on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gitdeploy.engine.dial import upgrade
from gitdeploy.errors import EngineError
from tests.support.played_engine import answering, served

HEAD_END = b"\r\n\r\n"


def test_an_upgrade_reads_no_byte_too_many(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0"
    headers = {"X-Method": ("a", "b")}
    with (
        served(tmp_path, answering(answer, after=HEAD_END)) as server,
        upgrade(server.where, "/session", headers) as connection,
    ):
        assert connection.recv(100, socket.MSG_WAITALL) == b"PRI * HTTP/2.0"
    assert b"\r\nX-Method: a\r\nX-Method: b\r\n" in server.received


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"HTTP/1.1 404 Not Found\r\n\r\n", 404), (b"HTTP/1.1 200 OK\r\n\r\n", 200), (b"nonsense\r\n\r\n", 0), (b"", 0)],
)
def test_a_refused_upgrade_is_an_error_with_its_status(tmp_path: Path, answer: bytes, status: int) -> None:
    refused = pytest.raises(EngineError, match="refused POST /session")
    with (
        served(tmp_path, answering(answer, after=HEAD_END)) as server,
        refused as caught,
        upgrade(server.where, "/session", {}),
    ):
        pass
    assert caught.value.status == status
