"""What a container says, as engines send it without a terminal. Pure."""

from __future__ import annotations

import struct


class Demultiplexer:
    """Takes a multiplexed stream, cut anywhere, apart into what went to stdout (1) and stderr (2).

    Each piece has a header of 8 bytes, the first the stream and the last 4 the length:
    https://docs.docker.com/reference/api/engine/ (ContainerAttach).
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = 1
        self._left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the pieces that came, each with its stream; a long one comes in parts."""
        pieces = []
        while data:
            if self._left:
                pieces.append((self._stream, data[: self._left]))
                taken = len(pieces[-1][1])
                self._left -= taken
            else:
                taken = 8 - len(self._header)
                self._header += data[:taken]
                if len(self._header) == 8:
                    kind, self._left = struct.unpack(">B3xI", self._header)
                    self._stream = 1 if kind in (0, 1) else 2  # 0 is stdin's echo, 3 the engine's own errors
                    self._header = b""
            data = data[taken:]
        return pieces
