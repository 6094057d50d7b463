"""BuildKit's trace messages, encoded as an engine sends them."""

from __future__ import annotations

from gitdeploy.engine.protobuf import field


def varint(number: int, value: int) -> bytes:
    """A field of type int64, int32 or bool."""
    return encoded(number << 3) + encoded(value % (1 << 64))


def encoded(value: int) -> bytes:
    """A number in base 128."""
    result = b""
    while value > 127:
        result, value = result + bytes([value & 127 | 128]), value >> 7
    return result + bytes([value])


def timestamp(number: int, seconds: float) -> bytes:
    """A field of type google.protobuf.Timestamp."""
    whole = int(seconds // 1)
    return field(number, varint(1, whole) + varint(2, round((seconds - whole) * 1e9)))


def vertex(
    digest: str,
    name: str,
    *,
    started: float | None = None,
    completed: float | None = None,
    cached: bool = False,
    error: str = "",
) -> bytes:
    """A StatusResponse with one Vertex."""
    body = field(1, digest.encode()) + field(3, name.encode()) + varint(4, cached)
    body += timestamp(5, started) if started is not None else b""
    body += timestamp(6, completed) if completed is not None else b""
    return field(1, body + field(7, error.encode()))


def status(vertex: str, id: str, current: int, total: int) -> bytes:
    """A StatusResponse with one VertexStatus."""
    return field(2, field(1, id.encode()) + field(2, vertex.encode()) + varint(4, current) + varint(5, total))


def log(vertex: str, data: bytes, stream: int = 1) -> bytes:
    """A StatusResponse with one VertexLog."""
    return field(3, field(1, vertex.encode()) + timestamp(2, 1.5) + varint(3, stream) + field(4, data))


def warning(vertex: str, text: str) -> bytes:
    """A StatusResponse with one VertexWarning."""
    return field(4, field(1, vertex.encode()) + varint(2, 1) + field(3, text.encode()))
