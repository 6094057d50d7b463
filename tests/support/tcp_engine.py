"""The engine under test on a TCP port, with or without TLS: what `dockerd -H tcp://…` with --tlsverify offers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gitdeploy.engine.client import connect
from gitdeploy.engine.docker_engine import DockerEngine

CHUNK = 64 * 1024


def certificates(directory: Path) -> None:
    """Writes ca.pem, cert.pem and key.pem for the client, as DOCKER_CERT_PATH wants them, and server.pem and server-key.pem."""
    key = ["-newkey", "rsa:2048", "-nodes"]
    run(directory, "req", "-x509", *key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test authority")
    for name, key_file, subject in (("server.pem", "server-key.pem", "/CN=engine"), ("cert.pem", "key.pem", "/CN=client")):
        run(directory, "req", *key, "-keyout", key_file, "-out", "request.pem", "-subj", subject)
        (directory / "names").write_text("subjectAltName=IP:127.0.0.1")
        signed_by = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial"]
        run(directory, "x509", "-req", "-in", "request.pem", "-out", name, *signed_by, "-extfile", "names")


@contextlib.contextmanager
def serve(engine_url: str, directory: Path | None = None) -> Iterator[int]:
    """Yields a port of 127.0.0.1 that leads to the engine's socket; over TLS with the `certificates` in `directory`."""
    if directory:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(directory / "ca.pem"))
        context.load_cert_chain(directory / "server.pem", directory / "server-key.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        with _tls_forward(engine_url.removeprefix("unix://"), context) as port:
            yield port
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    forward = Forward(engine_url.removeprefix("unix://"))
    start = asyncio.start_server(forward, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(start, loop).result()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(forward.close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextlib.contextmanager
def connected(transport: str, engine_url: str, directory: Path) -> Iterator[DockerEngine]:
    """A client of the engine over "unix", "tcp" or "tls"; the latter puts its certificates into `directory`."""
    with contextlib.ExitStack() as stack:
        environ = {"DOCKER_HOST": engine_url}
        if transport != "unix":
            tls = transport == "tls"
            if tls:
                certificates(directory)
                environ |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(directory)}
            port = stack.enter_context(serve(engine_url, directory if tls else None))
            environ["DOCKER_HOST"] = f"tcp://127.0.0.1:{port}"
        yield stack.enter_context(contextlib.closing(connect(environ)))


@contextlib.contextmanager
def _tls_forward(path: str, context: ssl.SSLContext) -> Iterator[int]:
    """The same over TLS, with threads: asyncio's TLS cannot end one way alone, as Go's can."""

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(path)
            Tls(client, engine, context).copy()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class Tls:
    """TLS to a client, plain bytes to the engine."""

    def __init__(self, client: socket.socket, engine: socket.socket, context: ssl.SSLContext) -> None:
        self._client, self._engine = client, engine
        self._received, self._sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._sent, server_side=True)
        self._lock = threading.Lock()

    def copy(self) -> None:
        """Copies until the engine has said all."""
        self._do(self._tls.do_handshake)
        threading.Thread(target=self._from_client, daemon=True).start()
        while data := self._engine.recv(CHUNK):
            while data:
                with self._lock:
                    data = data[self._tls.write(data) :]
                    self._client.sendall(self._sent.read())
        with contextlib.suppress(ssl.SSLError), self._lock:
            self._tls.unwrap()
        self._client.sendall(self._sent.read())
        self._client.shutdown(socket.SHUT_RDWR)

    def _from_client(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._do(lambda: self._tls.read(CHUNK)):
                self._engine.sendall(data)
        with contextlib.suppress(OSError):
            self._engine.shutdown(socket.SHUT_WR)

    def _do(self, step: Callable[[], Any]) -> Any:
        """Takes a step of TLS, with all that has to come in for it; b"" at the end."""
        while True:
            try:
                with self._lock:
                    result = step()
                    self._client.sendall(self._sent.read())
                    return result
            except ssl.SSLWantReadError:
                with self._lock:
                    self._client.sendall(self._sent.read())
                if not (data := self._client.recv(CHUNK)):
                    return b""
                self._received.write(data)
            except ssl.SSLZeroReturnError:
                return b""


class Forward:
    """Copies each connection to and from a Unix socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        engine_reader, engine_writer = await asyncio.open_unix_connection(self._path)
        try:
            await asyncio.gather(copy(reader, engine_writer), copy(engine_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            engine_writer.transport.abort()
            self._tasks.discard(task)

    async def close(self, server: asyncio.Server) -> None:
        """Ends the server and its connections."""
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies until the end, and passes the end on where the connection can."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def run(directory: Path, *command: str) -> None:
    """Runs openssl."""
    subprocess.run(["openssl", *command], cwd=directory, check=True, capture_output=True)
