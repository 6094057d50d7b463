"""A server that gives out tokens for a registry, for a password or for a refresh token, and counts which.

The token: https://distribution.github.io/distribution/spec/auth/jwt/; asking for it: …/auth/token/ and …/auth/oauth/.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

ISSUER, SERVICE = "tests", "tests-registry"
LIFETIME = 300
"""Seconds."""


@dataclass
class TokenServer:
    """Knows one user, and one refresh token of theirs.

    Attributes:
        url: the realm.
        refresh: the refresh token; it is the identity token of a `docker login`.
        given: for "password", "refresh" and "nobody", how many tokens were given out or refused.
    """

    directory: Path
    user: str
    password: str
    url: str = ""
    refresh: str = field(default_factory=lambda: secrets.token_hex(16))
    given: Counter[str] = field(default_factory=Counter)

    def make_key(self) -> None:
        """Makes the key and the certificate that the registry is to trust."""
        how = ["-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tokens", "-days", "2"]
        files = ["-keyout", str(self.directory / "key.pem"), "-out", str(self.directory / "token.pem")]
        subprocess.run(["openssl", "req", "-x509", *how, *files], check=True, capture_output=True)

    def token(self, user: str, scopes: list[str]) -> str:
        """A signed token for what is asked for; whoever is known may do everything."""
        access = []
        for scope in scopes if user else ():
            kind, name, actions = scope.split(":", 1)[0], scope.split(":", 1)[1].rpartition(":")[0], scope.rpartition(":")[2]
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        pem = (self.directory / "token.pem").read_text()
        certificate = "".join(line for line in pem.splitlines() if "-----" not in line)
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": user, "aud": SERVICE, "exp": now + LIFETIME, "nbf": now - 10, "iat": now}
        head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (head, {**claims, "jti": "1", "access": access}))
        command = ["openssl", "dgst", "-sha256", "-sign", str(self.directory / "key.pem")]
        signature = subprocess.run(command, check=True, capture_output=True, input=text.encode()).stdout
        return f"{text}.{encoded(signature)}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextlib.contextmanager
def serve_tokens(directory: Path, user: str, password: str) -> Iterator[TokenServer]:
    """Serves tokens on a port of 127.0.0.1 until the context ends."""
    tokens = TokenServer(directory, user, password)
    tokens.make_key()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The older way: name and password, or nothing."""
            query = parse_qs(urlsplit(self.path).query)
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            known = base64.b64decode(given).decode() == f"{tokens.user}:{tokens.password}"
            if given and not known:
                self.answer(401, {"details": "incorrect username or password"})
                return
            tokens.given["password" if known else "nobody"] += 1
            self.answer(200, {"token": tokens.token(tokens.user if known else "", scopes(query))})

        def do_POST(self) -> None:
            """OAuth 2: a refresh token, or name and password."""
            query = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            kind = query["grant_type"][0]
            good = query.get("refresh_token") == [tokens.refresh] or query.get("password") == [tokens.password]
            if not good:
                self.answer(401, {"details": "unknown refresh token"})
                return
            tokens.given["refresh" if kind == "refresh_token" else "password"] += 1
            token = tokens.token(tokens.user, scopes(query))
            self.answer(200, {"access_token": token, "expires_in": LIFETIME, "refresh_token": tokens.refresh})

        def answer(self, status: int, body: dict[str, object]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Logs no requests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tokens.url = f"http://127.0.0.1:{server.server_port}/token"
        yield tokens
        server.shutdown()


def scopes(query: dict[str, list[str]]) -> list[str]:
    """What is asked for; several may stand in one parameter."""
    return [one for text in query.get("scope", ()) for one in text.split()]
