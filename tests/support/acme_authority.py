"""A real ACME authority on loopback, Caddy's, which looks at port 80 of names that only it knows; and who answers there."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.net import DIES_WITH_US, free_port, wait_until

CHALLENGES = "/.well-known/acme-challenge/"

CADDYFILE = """\
{{
    admin off
    auto_https disable_redirects
    skip_install_trust
    storage file_system {directory}/storage
    https_port {port}
}}
https://localhost:{port} {{
    tls internal
    log
    acme_server
}}
"""

IN_ITS_OWN_NAMES = (
    'mount --make-rprivate / && mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"'
)
"""Debian's Caddy 2.6 cannot be told whom to ask for names; so it gets files of its own for the machine's. Needs root."""


@dataclass
class Authority:
    """A running authority.

    Attributes:
        directory: the URL of its ACME directory.
        root: the file with its root certificate, which also signs its own TLS certificate.
        home: its files; without them it has forgotten all accounts.
    """

    directory: str
    root: Path
    home: Path
    hosts: Path

    def know(self, *names: str) -> None:
        """Let names lead to this machine; all others lead nowhere."""
        with self.hosts.open("a") as file:
            file.write("".join(f"127.0.0.1 {name}\n" for name in names))

    def asked(self, path: str) -> int:
        """How many requests there were for a resource: "new-account", "new-order", ...; counted in its log."""
        lines = (self.home / "log").read_text().splitlines()
        uris = [json.loads(line).get("request", {}).get("uri", "") for line in lines if line.startswith("{")]
        return sum(uri.endswith(f"/{path}") for uri in uris)


@contextlib.contextmanager
def serve(home: Path, names: tuple[str, ...] = ()) -> Iterator[Authority]:
    """An authority that issues certificates for these names, which last 12 hours."""
    home.mkdir(exist_ok=True)
    port = free_port()
    authority = Authority(f"https://localhost:{port}/acme/local/directory", home / "root.crt", home, home / "hosts")
    authority.hosts.write_text("127.0.0.1 localhost\n")
    authority.know(*names)
    (home / "resolv.conf").write_text("nameserver 127.0.0.1\n")  # where nobody answers
    (home / "Caddyfile").write_text(CADDYFILE.format(directory=home, port=port))
    inside = ["unshare", "--mount", "--", "sh", "-c", IN_ITS_OWN_NAMES, "sh", str(authority.hosts), str(home / "resolv.conf")]
    command = [*DIES_WITH_US, *inside, "caddy", "run", "--config", str(home / "Caddyfile"), "--adapter", "caddyfile"]
    environment = {**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    root = home / "storage/pki/authorities/local/root.crt"
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as caddy:
        try:
            wait_until(lambda: _answers(authority, root), 60, "Caddy")
            yield authority
        finally:
            caddy.kill()


def _answers(authority: Authority, root: Path) -> bool:
    """Whether its directory can be read; it listens before it has a certificate of its own."""
    try:
        authority.root.write_bytes(root.read_bytes())
        context = ssl.create_default_context(cafile=authority.root)
        with urllib.request.urlopen(authority.directory, timeout=20, context=context):
            return True
    except OSError:
        return False


@dataclass
class Answerer:
    """Who answers challenges on port 80, for whatever token, as the edge does.

    Attributes:
        thumbprint: what it answers with; "" answers 404.
        looked: the host names under which it was asked, in order.
    """

    thumbprint: str = ""
    looked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def answering(thumbprint: str) -> Iterator[Answerer]:
    """Answer challenges on port 80 of 127.0.0.1, in the network that the tests have for themselves."""
    answerer = Answerer(thumbprint)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answerer.looked.append(self.headers["Host"].partition(":")[0])
            token = self.path.removeprefix(CHALLENGES)
            body = f"{token}.{answerer.thumbprint}".encode()
            right = self.path.startswith(CHALLENGES) and answerer.thumbprint
            self.send_response(200 if right else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 80), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield answerer
        finally:
            server.shutdown()
            thread.join()
