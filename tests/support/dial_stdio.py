"""Does what `docker system dial-stdio` does: copies between its standard streams and an engine's socket, the only argument."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

CHUNK = 64 * 1024


def send(engine: socket.socket) -> None:
    """Copies from standard input."""
    with contextlib.suppress(OSError):
        while data := os.read(0, CHUNK):
            engine.sendall(data)
        engine.shutdown(socket.SHUT_WR)


def main() -> None:
    """Ends when the engine does."""
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect(sys.argv[1])
        threading.Thread(target=send, args=(engine,), daemon=True).start()
        while data := engine.recv(CHUNK):
            while data:
                data = data[os.write(1, data) :]


if __name__ == "__main__":
    main()
