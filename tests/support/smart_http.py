"""An HTTP server in front of a Gogs data directory: Git's smart protocol the way internal/route/repo/http.go serves it.

Gogs copies the output of `git receive-pack` into a Go http.ResponseWriter and never flushes it, so that what a hook prints
reaches the pusher in bursts. `GoWriter` buffers by Go's rules to have the same bursts here.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO
from urllib.parse import parse_qs, urlsplit

from tests.support.gogs import Gogs, Remote
from tests.support.net import is_isolated

USER, PASSWORD = "alice", "secret"
RESPONSE_BUFFER = 2048  # bufferBeforeChunkingSize in Go's net/http/server.go
CONNECTION_BUFFER = 4096  # size of a conn's bufio.Writer there


class GoWriter:
    """Go's bufio.Writer: what exceeds the buffer is written through, the rest waits for `flush`."""

    def __init__(self, write: Callable[[bytes], object], size: int) -> None:
        self._write = write
        self._size = size
        self._held = b""

    def write(self, data: bytes) -> None:
        """Takes data as bufio.Writer.Write does."""
        while len(data) > self._size - len(self._held):
            if self._held:
                room = self._size - len(self._held)
                self._held, data = self._held + data[:room], data[room:]
                self.flush()
            else:
                self._write(data)
                data = b""
        self._held += data

    def flush(self) -> None:
        """Passes on what waits."""
        if self._held:
            self._write(self._held)
            self._held = b""


@dataclass(frozen=True)
class HttpServer:
    """A running server."""

    port: int

    def remote(self, name: str) -> Remote:
        """Where to push "Owner/Name", as typed by a user."""
        return Remote(f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}.git")


class GitHandler(BaseHTTPRequestHandler):
    """info/refs and the two services of one data directory; subclassed with `gogs` and `environment` set."""

    protocol_version = "HTTP/1.1"
    gogs: Gogs
    environment: Mapping[str, str]

    def do_GET(self) -> None:
        """The refs advertisement, for anyone who may push."""
        service = parse_qs(urlsplit(self.path).query).get("service", [""])[0]
        name = self._repository("/info/refs")
        if name is None or service not in ("git-receive-pack", "git-upload-pack"):
            self.send_error(404)
        elif self._authorized():
            command = self._command(service, name, "--advertise-refs")
            refs = subprocess.run(command, check=True, capture_output=True).stdout
            head = f"# service={service}\n"
            body = f"{len(head) + 4:04x}{head}0000".encode() + refs
            self.send_response(200)
            self.send_header("Content-Type", f"application/x-{service}-advertisement")
            self.send_header("Cache-Control", "no-cache, max-age=0, must-revalidate")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def do_POST(self) -> None:
        """One request to a service, its answer in Go's bursts."""
        service = urlsplit(self.path).path.rpartition("/")[2]
        name = self._repository(f"/{service}")
        if name is None or service not in ("git-receive-pack", "git-upload-pack"):
            self.send_error(404)
            return
        with tempfile.TemporaryFile() as body:
            self._receive(body)
            if not self._authorized():
                return
            extra = self.gogs.hook_environment(name) if service == "git-receive-pack" else {}
            process = subprocess.Popen(
                self._command(service, name),
                stdin=body,
                stdout=subprocess.PIPE,
                cwd=self.gogs.repository(name),
                env={**self.environment, **extra},
            )
            assert process.stdout is not None
            self._relay(process.stdout, f"application/x-{service}-result")
            process.wait()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing on the terminal of the tests."""

    def _repository(self, suffix: str) -> str | None:
        """The "Owner/Name" of a request path that ends in `suffix`, as typed; None if there is no such repository."""
        path = urlsplit(self.path).path
        name = path.removesuffix(suffix).strip("/").removesuffix(".git")
        known = path.endswith(suffix) and name.count("/") == 1 and self.gogs.repository(name).is_dir()
        return name if known else None

    def _authorized(self) -> bool:
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] == f"Basic {login}":
            return True
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="."')
        self.send_header("Content-Length", "0")
        self.end_headers()
        return False

    def _command(self, service: str, name: str, *options: str) -> list[str]:
        path = str(self.gogs.repository(name))
        return [*self.gogs.as_owner(), "git", service.removeprefix("git-"), "--stateless-rpc", *options, path]

    def _receive(self, body: IO[bytes]) -> None:
        """The request body into a file at its start: plain or chunked, compressed or not, as git sends it."""
        with tempfile.TemporaryFile() as raw:
            if self.headers["Transfer-Encoding"] == "chunked":
                while size := int(self.rfile.readline(), 16):
                    raw.write(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
            else:
                raw.write(self.rfile.read(int(self.headers["Content-Length"])))
            raw.seek(0)
            compressed = self.headers["Content-Encoding"] == "gzip"
            shutil.copyfileobj(gzip.GzipFile(fileobj=raw) if compressed else raw, body)
        body.seek(0)

    def _relay(self, output: IO[bytes], content_type: str) -> None:
        connection = GoWriter(self.wfile.write, CONNECTION_BUFFER)
        connection.write(f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        response = GoWriter(lambda data: connection.write(b"%x\r\n%s\r\n" % (len(data), data)), RESPONSE_BUFFER)
        while data := os.read(output.fileno(), 32768):
            response.write(data)
        response.flush()
        connection.write(b"0\r\n\r\n")
        connection.flush()


@contextlib.contextmanager
def serve(gogs: Gogs, environment: Mapping[str, str]) -> Iterator[HttpServer]:
    """Runs the server on a free port until the context ends: of 127.0.0.1, in a network of the tests' own of every address.

    `environment`: all that Git gets beside Gogs' own.
    """
    handler = type("Handler", (GitHandler,), {"gogs": gogs, "environment": environment})
    with ThreadingHTTPServer(("" if is_isolated() else "127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield HttpServer(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
