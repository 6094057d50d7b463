"""What BuildKit may ask its client in the session of a build: whether it is there, logins, secrets, and files.

Sources, in moby/buildkit: session/auth/auth.proto, session/secrets/secrets.proto and session/filesync/filesync.proto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitdeploy.config.imagereference import HUB
from gitdeploy.engine import protobuf
from gitdeploy.engine.credentials import TOKEN
from gitdeploy.engine.filesync import Sources
from gitdeploy.engine.packets import FRAME
from gitdeploy.engine.protobuf import Message
from gitdeploy.engine.types import Credentials
from gitdeploy.errors import GitdeployError

HEALTH = "/grpc.health.v1.Health/Check"
CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
METHODS = (HEALTH, CREDENTIALS, SECRET)

OK, UNKNOWN, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED = 0, 2, 5, 8, 12  # https://grpc.io/docs/guides/status-codes/

HUB_HOST = "registry-1.docker.io"
"""What BuildKit calls Docker Hub."""

BUILDKITS_OWN = ("HTTP_AUTH_", "GIT_AUTH_")
"""Beginnings of the names of secrets that BuildKit asks for whether a Dockerfile names them or not."""


LARGEST_REQUEST = 16 * 1024
"""Bytes of a request; real ones hold a host or a name."""


@dataclass(frozen=True)
class SessionAnswer:
    """What a method returns.

    Attributes:
        status: of gRPC.
        body: a Protocol Buffers message, for status OK.
        reason: for other statuses.
        error: what the build is to fail with, because of that.
    """

    status: int
    body: bytes = b""
    reason: str = ""
    error: GitdeployError | None = None


@dataclass(frozen=True)
class Service:
    """What the session gives out.

    Attributes:
        secrets: by the id that a Dockerfile names them with.
        missing: told the ids of secrets that a Dockerfile wants and nobody configured.
        sources: the build context and its Dockerfile, None if they are not given out here.
    """

    credentials: Credentials
    secrets: Mapping[str, bytes] = field(repr=False)
    missing: Callable[[str], object]
    sources: Sources | None = None

    def answer_framed(self, method: str, framed: bytearray) -> SessionAnswer:
        """Return the answer to one unary call, whose request is in a frame of gRPC."""
        if len(framed) > LARGEST_REQUEST:
            return SessionAnswer(EXHAUSTED, reason="the request is too large")
        if len(framed) < FRAME.size or framed[0] or len(framed) != FRAME.size + FRAME.unpack_from(framed)[1]:
            return SessionAnswer(UNIMPLEMENTED, reason="not one whole uncompressed message")
        try:
            return self.answer(method, bytes(framed[FRAME.size :]))
        except GitdeployError as error:
            return SessionAnswer(UNKNOWN, reason=error.reason, error=error)

    def answer(self, method: str, request: bytes) -> SessionAnswer:
        """Return the answer to one unary call."""
        if method == HEALTH:
            return SessionAnswer(OK, b"\x08\x01")  # status: SERVING
        try:
            name = Message(request).text(1)
        except protobuf.Malformed as error:
            return SessionAnswer(UNKNOWN, reason=f"not a message: {error}")
        if method == CREDENTIALS:
            login = self.credentials(HUB if name == HUB_HOST else name)
            return SessionAnswer(OK, _login(*login) if login else b"")
        if method == SECRET:
            if name in self.secrets:
                return SessionAnswer(OK, protobuf.field(1, self.secrets[name]))
            if not name.startswith(BUILDKITS_OWN):
                self.missing(name)
            return SessionAnswer(NOT_FOUND, reason=f"secret {name}: not found")
        return SessionAnswer(UNIMPLEMENTED, reason=f"unknown method {method}")


def _login(user: str, password: str) -> bytes:
    """CredentialsResponse; an identity token goes as the password of nobody."""
    return protobuf.field(1, b"" if user == TOKEN else user.encode()) + protobuf.field(2, password.encode())
