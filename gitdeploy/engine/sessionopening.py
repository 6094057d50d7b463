"""How a build's session with the engine is opened: by POST /session, or in BuildKit's own way where that is gone."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator

from gitdeploy.engine.answering import METHODS, Service
from gitdeploy.engine.apiversion import NATIVE_GRPC, at_least
from gitdeploy.engine.dial import Endpoint, Headers, one_by_one, upgrade
from gitdeploy.engine.filesync import DIFF_COPY
from gitdeploy.engine.session import Session
from gitdeploy.engine.tunnel import SESSION, tunnel
from gitdeploy.errors import EngineError


@contextlib.contextmanager
def open_session(
    where: Endpoint, service: Service, key: str, sent: Callable[[int], object] = lambda count: None
) -> Iterator[Session]:
    """Yield a session with the engine, for the time of a build.

    Args:
        key: by which the engine finds the files again that it got in an earlier session; "" for one that nobody else has.
        sent: told how many bytes of files are sent.

    Raises EngineError if the engine refuses it, and UnfitError if the engine cannot be reached.
    """
    session_id = secrets.token_hex(16)
    headers: Headers = {
        "X-Docker-Expose-Session-Uuid": session_id,
        "X-Docker-Expose-Session-Name": "gitdeploy",
        "X-Docker-Expose-Session-Sharedkey": key or session_id,
        "X-Docker-Expose-Session-Grpc-Method": (*METHODS, *([DIFF_COPY] if service.sources else [])),
    }
    with (
        _connected(where, headers) as connection,
        contextlib.closing(Session(connection, service, session_id, sent)) as session,
    ):
        yield session


@contextlib.contextmanager
def _connected(where: Endpoint, headers: Headers) -> Iterator[socket.socket]:
    """Yield a connection for a session, by POST /session; where that is gone, in BuildKit's own way, if the engine has it."""
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(upgrade(where, "/session", headers))
        except EngineError as refusal:
            if not at_least(where.api_version, NATIVE_GRPC):
                raise
            try:
                connection = stack.enter_context(tunnel(where, SESSION, one_by_one(headers)))
            except EngineError:
                raise refusal from None
        yield connection
