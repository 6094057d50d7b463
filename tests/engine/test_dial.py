"""Raw connections to the engine, over all that it can listen on."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.engine import buildkit as module
from gitdeploy.engine.client import connect
from gitdeploy.engine.dial import Endpoint, dial, endpoint, upgrade
from gitdeploy.errors import Cancelled, EngineError, UnfitError
from tests.support import ssh_engine, tcp_engine
from tests.support.builder import Builder, running, set_when
from tests.support.played_engine import answering, served

HEAD_END = b"\r\n\r\n"
SSH = Endpoint("ssh://host", "1.41", "ssh", "host")


def test_an_upgrade_reads_no_byte_too_many(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 101 UPGRADED\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0"
    headers = {"X-Method": ("a", "b")}
    with (
        served(tmp_path, answering(answer, after=HEAD_END)) as server,
        upgrade(server.where, "/session", headers) as connection,
    ):
        assert connection.recv(100, socket.MSG_WAITALL) == b"PRI * HTTP/2.0"
    assert b"\r\nX-Method: a\r\nX-Method: b\r\n" in server.received


@pytest.mark.parametrize(("answer", "status"), [(b"HTTP/1.1 404 Not Found\r\n\r\n", 404), (b"HTTP/1.1 200 OK\r\n\r\n", 200)])
def test_a_refused_upgrade_is_an_error_with_its_status(tmp_path: Path, answer: bytes, status: int) -> None:
    refused = pytest.raises(EngineError, match="refused POST /session")
    with (
        served(tmp_path, answering(answer, after=HEAD_END)) as server,
        refused as caught,
        upgrade(server.where, "/session", {}),
    ):
        pass
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"", "ended without an answer"), (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"), (b"HTTP/1.1 101", "ended")],
)
def test_no_answer_is_not_a_refusal(tmp_path: Path, answer: bytes, reason: str) -> None:
    broken = pytest.raises(UnfitError, match=reason)
    with served(tmp_path, answering(answer, after=HEAD_END)) as server, broken, upgrade(server.where, "/session", {}):
        pass


@contextlib.contextmanager
def over(kind: str, engine_url: str, directory: Path, patch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """The engine's endpoint over one kind of transport."""
    if kind == "unix":
        yield endpoint(connect({"DOCKER_HOST": engine_url})._api)
    elif kind == "ssh":
        with ssh_engine.serve(engine_url, directory, patch) as where:
            yield where
    else:
        if kind == "tls":
            tcp_engine.certificates(directory)
        with tcp_engine.serve(engine_url, directory if kind == "tls" else None) as port:
            tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(directory)} if kind == "tls" else {}
            engine = connect({"DOCKER_HOST": f"tcp://127.0.0.1:{port}", **tls})
            yield endpoint(engine._api)
            engine.close()


@pytest.fixture(params=["unix", "tcp", "tls", "ssh"])
def where(
    request: pytest.FixtureRequest, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Endpoint]:
    with over(request.param, engine_url, tmp_path, monkeypatch) as where:
        assert where.kind == request.param
        yield where


def test_a_build_with_a_large_context_and_secret(buildkit: Builder, where: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "endpoint", lambda api: where)
    dockerfile = "FROM BASE\nCOPY data /\nRUN --mount=type=secret,id=s wc -c < /run/secrets/s > /size; seq 1 1000\n"
    built = buildkit.good(dockerfile, {"data": bytes(range(256)) * 40_000}, secrets={"s": b"x" * 300_000}, no_cache=True)
    assert buildkit.sh(built, "cat /size; wc -c < /data") == "300000\n10240000\n"
    assert [line.strip() for line in built.output.lines if line.strip().isdigit()] == [str(n) for n in range(1, 1001)]
    assert {thread.name for thread in threading.enumerate()} & {"session", "sender", "watch", "tls"} == set()


def test_cancelling(buildkit: Builder, where: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "endpoint", lambda api: where)
    mark = f"{id(where)}"
    cancel = threading.Event()
    set_when(cancel, lambda: running(mark))
    assert isinstance(buildkit.run(f"FROM BASE\nRUN sleep {mark}\n", cancel=cancel).failure, Cancelled)
    assert not running(mark)


def test_an_ssh_that_fails_is_an_unfit_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(UnfitError, match="the Docker Engine at ssh://host"), upgrade(SSH, "/session", {}):
        pass


def test_without_an_ssh_program_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnfitError, match="no ssh program to reach ssh://host"), dial(SSH):
        pass


def test_an_untrusted_certificate_is_refused(engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    tcp_engine.certificates(tmp_path / "other")
    with over("tls", engine_url, tmp_path, monkeypatch) as where:
        distrusting = replace(where, tls=ssl.create_default_context(cafile=str(tmp_path / "other" / "ca.pem")))
        with pytest.raises(UnfitError, match="no TLS connection"), dial(distrusting):
            pass


def test_a_client_without_a_certificate_is_refused(engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with over("tls", engine_url, tmp_path, monkeypatch) as where:
        nobody = replace(where, tls=ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
        with pytest.raises(UnfitError, match="the Docker Engine at tcp"), upgrade(nobody, "/session", {}):
            pass
