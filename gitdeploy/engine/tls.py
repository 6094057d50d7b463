"""TLS for a connection that two threads use at once, which an ssl.SSLSocket does not allow."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

TIMEOUT = 30.0
"""Seconds for the handshake."""

CHUNK = 64 * 1024


@contextlib.contextmanager
def wrap(outside: socket.socket, context: ssl.SSLContext, host: str) -> Iterator[socket.socket]:
    """Yield a plain socket for TLS on a connected one, which this takes over. Raises OSError if the handshake fails."""
    ours, inside = socket.socketpair()
    ready: concurrent.futures.Future[None] = concurrent.futures.Future()
    relay = threading.Thread(target=lambda: asyncio.run(_relay(outside, inside, context, host, ready)), name="tls", daemon=True)
    relay.start()
    with ours:
        try:
            ready.result()
            yield ours
        finally:
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            relay.join()


async def _relay(
    outside: socket.socket, inside: socket.socket, context: ssl.SSLContext, host: str, ready: concurrent.futures.Future[None]
) -> None:
    """Copy both ways between the two until either ends."""
    try:
        handshake = asyncio.open_connection(sock=outside, ssl=context, server_hostname=host)
        from_engine, to_engine = await asyncio.wait_for(handshake, TIMEOUT)
        from_client, to_client = await asyncio.open_connection(sock=inside)
    except Exception as error:
        inside.close()
        ready.set_exception(error)
        return
    ready.set_result(None)
    copies = [asyncio.ensure_future(_copy(from_engine, to_client)), asyncio.ensure_future(_copy(from_client, to_engine))]
    await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
    for copy in copies:
        copy.cancel()
    to_engine.transport.abort()
    to_client.close()
    with contextlib.suppress(OSError):
        await to_client.wait_closed()  # the engine's last words are still on their way


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
