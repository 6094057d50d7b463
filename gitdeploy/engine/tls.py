"""TLS for a connection that two threads use at once, and one way of which may end alone: an ssl.SSLSocket allows neither."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator

TIMEOUT = 30.0
"""Seconds for each answer of the handshake."""

CHUNK = 64 * 1024


@contextlib.contextmanager
def wrap(outside: socket.socket, context: ssl.SSLContext, host: str) -> Iterator[socket.socket]:
    """Yield a plain socket for TLS on a connected one. Raises OSError if the handshake fails."""
    ours, inside = socket.socketpair()
    with ours, inside:
        relay = _TlsRelay(outside, inside, context, host)
        relay.shake_hands()
        thread = threading.Thread(target=relay.copy, name="tls", daemon=True)
        thread.start()
        try:
            yield ours
        finally:
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            thread.join()


class _TlsRelay:
    """Copies both ways between the two: TLS outside, plain bytes inside."""

    def __init__(self, outside: socket.socket, inside: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._outside, self._inside = outside, inside
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        self._sending = b""  # bytes of TLS that the engine has not taken yet
        self._arriving = b""  # bytes that the client has not taken yet
        self._client_sends = self._engine_sends = True

    def shake_hands(self) -> None:
        """Agree on keys. Raises OSError."""
        self._outside.settimeout(TIMEOUT)
        done = False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                self._outside.sendall(self._to_send.read())
                self._received.write(self._outside.recv(CHUNK) or _ended())
        self._outside.sendall(self._to_send.read())

    def copy(self) -> None:
        """Copy until the engine ends, or the client hangs up; a client that only has no more to send still gets the rest."""
        self._outside.setblocking(False)
        self._inside.setblocking(False)
        with contextlib.suppress(OSError):
            self._decrypt()  # what came with the handshake
            while self._engine_sends or self._arriving:
                self._step()
        with contextlib.suppress(OSError):
            self._inside.shutdown(socket.SHUT_RDWR)

    def _step(self) -> None:
        """Wait for what can be done next and do it. Raises OSError at the end."""
        poll = select.poll()
        from_client = self._client_sends and not self._sending
        poll.register(self._inside, select.POLLIN * from_client | select.POLLOUT * bool(self._arriving))
        from_engine = self._engine_sends and not self._arriving
        if from_engine or self._sending:
            poll.register(self._outside, select.POLLIN * from_engine | select.POLLOUT * bool(self._sending))
        ready = dict(poll.poll())
        inside, outside = ready.get(self._inside.fileno(), 0), ready.get(self._outside.fileno(), 0)
        if self._sending and outside & select.POLLOUT:
            self._sending = self._sending[self._outside.send(self._sending) :]
        if self._arriving and inside & select.POLLOUT:
            self._arriving = self._arriving[self._inside.send(self._arriving) :]
        if from_client and inside & select.POLLIN:
            self._encrypt(self._inside.recv(CHUNK))
        elif inside & (select.POLLHUP | select.POLLERR):
            raise ConnectionResetError
        if from_engine and outside & (select.POLLIN | select.POLLHUP | select.POLLERR):
            data = self._outside.recv(CHUNK)
            self._received.write(data) if data else self._received.write_eof()
            self._decrypt()

    def _encrypt(self, data: bytes) -> None:
        """Take what the client sends; b"" for its end, which the engine is told while it goes on sending."""
        if not data:
            self._client_sends = False
            with contextlib.suppress(ssl.SSLWantReadError):  # for the engine's own end, which is not waited for
                self._tls.unwrap()
        while data:
            data = data[self._tls.write(data) :]
        self._sending += self._to_send.read()

    def _decrypt(self) -> None:
        try:
            while self._engine_sends:
                data = self._tls.read(CHUNK)
                self._engine_sends = bool(data)
                self._arriving += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # it has ended, with a word or without
            self._engine_sends = False
        self._sending += self._to_send.read()


def _ended() -> bytes:
    raise ConnectionResetError("it hung up in the TLS handshake")
