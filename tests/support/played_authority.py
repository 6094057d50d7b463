"""An ACME authority that says what a test wants: as RFC 8555 has it, but for what is laid in its way."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PROBLEM = "urn:ietf:params:acme:error:"


@dataclass
class Answer:
    """What is said instead.

    Attributes:
        body: text as it is, anything else as JSON.
        how: "whole"; "nothing" ends the connection, "never" holds it, "trickle" sends a byte now and then.
    """

    body: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    how: str = "whole"


@dataclass
class Played:
    """The authority of `serve`.

    Attributes:
        says: resource ("directory", "nonce", "account", "order", "authorization", "challenge", "finalize", "polled",
            "certificate") → what it says, one after the other; the last None goes on as RFC 8555 has it.
        certify: makes the chain for a request; may be replaced.
        heard: (resource, payload) of what it was asked, in order.
    """

    url: str = ""
    says: dict[str, list[Answer | None]] = field(default_factory=dict)
    certify: Callable[[x509.CertificateSigningRequest], str] = lambda request: signed(request)  # noqa: PLW0108 - it stands below
    heard: list[tuple[str, Any]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _names: list[str] = field(default_factory=list)
    _chain: str = ""

    def directory(self) -> str:
        """The URL of its directory."""
        return f"{self.url}/directory"

    def answer(self, resource: str, payload: Any) -> Answer:
        """What it says to a request."""
        self.heard.append((resource, payload))
        planned = self.says.get(resource, [])
        said = planned.pop(0) if len(planned) > 1 else planned[0] if planned else None
        usual = self.usual(resource, payload)
        return usual if said is None else said

    def usual(self, resource: str, payload: Any) -> Answer:
        """What RFC 8555 has it say, if nothing is laid in its way."""
        url = self.url
        if resource == "directory":
            places = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
            return Answer({name: f"{url}/{place}" for name, place in places.items()})
        if resource == "account":
            return Answer({"status": "valid"}, 201, {"Location": f"{url}/account/1"})
        if resource == "order":
            self._names = [one["value"] for one in payload["identifiers"]] if payload else self._names
            return Answer(self.order("pending"), 201, {"Location": f"{url}/polled"})
        if resource == "authorization":
            return Answer(self.authorization("valid" if ("challenge", {}) in self.heard else "pending"))
        if resource == "challenge":
            return Answer(self.challenge("processing"), 200, {"Link": f'<{url}/authorization>;rel="up"'})
        if resource == "finalize":
            raw = base64.urlsafe_b64decode(payload["csr"] + "==")
            self._chain = self.certify(x509.load_der_x509_csr(raw))
        return Answer(self._chain) if resource == "certificate" else Answer(self.order("valid"))

    def order(self, status: str, **more: Any) -> dict[str, Any]:
        """An order in this state."""
        identifiers = [{"type": "dns", "value": name} for name in self._names]
        links = {"authorizations": [f"{self.url}/authorization"], "finalize": f"{self.url}/finalize"}
        issued = {"certificate": f"{self.url}/certificate"} if status == "valid" else {}
        return {"status": status, "identifiers": identifiers, **links, **issued, **more}

    def authorization(self, status: str, **challenge: Any) -> dict[str, Any]:
        """An authorization of the first name in this state, with its challenge."""
        identifier = {"type": "dns", "value": (self._names or ["shop.example.test"])[0]}
        return {"status": status, "identifier": identifier, "challenges": [self.challenge(status, **challenge)]}

    def challenge(self, status: str, **more: Any) -> dict[str, Any]:
        """A challenge in this state."""
        return {"type": "http-01", "status": status, "token": "dG9rZW4tdG9rZW4tdG9rZW4", "url": f"{self.url}/challenge", **more}


def problem(code: str, status: int = 400, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    """A problem document of this type."""
    return Answer({"type": PROBLEM + code, **more}, status, {**(headers or {}), "Content-Type": "application/problem+json"})


def signed(request: x509.CertificateSigningRequest, names: tuple[str, ...] = (), begin: int = -1, end: int = 90) -> str:
    """A certificate for a request, or for other names, from one day until another, counted from today."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternative = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    now = datetime.now(UTC)
    issuer = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "a played authority")])
    builder = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(issuer).public_key(request.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(alternative, critical=True)
    builder = builder.not_valid_before(now + timedelta(days=begin)).not_valid_after(now + timedelta(days=end))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    played: Played


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._reply(None)

    def do_HEAD(self) -> None:
        self._reply(None)

    def do_POST(self) -> None:
        jws = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        payload = base64.urlsafe_b64decode(jws["payload"] + "==")
        self._reply(json.loads(payload) if payload else None)

    def _reply(self, payload: Any) -> None:
        played = self.server.played
        answer = played.answer(self.path.split("/")[1], payload)
        if answer.how == "never":
            played.over.wait()
        if answer.how not in ("never", "nothing"):
            self._say(answer, played.over)

    def _say(self, answer: Answer, over: threading.Event) -> None:
        body = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json", "Replay-Nonce": "bm9uY2U", **answer.headers}
        headers |= {"Content-Length": str(len(body))} if answer.how == "whole" else {}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        while answer.how == "trickle" and not over.wait(0.1):
            with contextlib.suppress(OSError):
                self.wfile.write(b" ")
        self.wfile.write(body if self.command != "HEAD" else b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def serve() -> Iterator[Played]:
    """Play an authority on a port of 127.0.0.1, without TLS."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.played = Played(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.played
        finally:
            server.played.over.set()
            server.shutdown()
            thread.join()
