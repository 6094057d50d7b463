"""The wire format of Protocol Buffers, as far as BuildKit's few messages need it. Pure.

Source: https://protobuf.dev/programming-guides/encoding/. A field of another type than asked for counts as absent, as it would
to a generated parser that doesn't know it; bytes that are not the format at all raise Malformed.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5


class Malformed(ValueError):
    """These bytes are no Protocol Buffers message."""


class Message:
    """One message, its fields by number; the last one wins where a field that is not repeated comes twice."""

    def __init__(self, data: bytes) -> None:
        """Raise Malformed; messages within are looked at only when asked for."""
        self._fields: dict[int, list[int | bytes]] = {}
        for number, value in _fields(data):
            self._fields.setdefault(number, []).append(value)

    def data(self, number: int) -> bytes:
        """Return a field of type bytes, b"" if absent."""
        found = self.repeated(number)
        return found[-1] if found else b""

    def repeated(self, number: int) -> list[bytes]:
        """Return all values of a repeated field of type bytes, string or message."""
        return [value for value in self._fields.get(number, ()) if isinstance(value, bytes)]

    def text(self, number: int) -> str:
        """Return a field of type string, "" if absent; bytes that are not UTF-8 become escapes."""
        return self.data(number).decode("utf-8", "backslashreplace")

    def number(self, number: int) -> int:
        """Return a field of type int64, int32 or bool, 0 if absent."""
        found = [value for value in self._fields.get(number, ()) if isinstance(value, int)]
        value = found[-1] if found else 0
        return value - (1 << 64) if value >> 63 else value

    def time(self, number: int) -> float | None:
        """Return a google.protobuf.Timestamp as seconds since 1970, None if absent."""
        found = self.repeated(number)
        if not found:
            return None
        stamp = Message(found[-1])
        return stamp.number(1) + stamp.number(2) / 1e9


def field(number: int, value: bytes) -> bytes:
    """Return one field of type bytes, string or message, on the wire."""
    return varint(number << 3 | LENGTH) + varint(len(value)) + value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise Malformed(f"field number {number}")
        if wire_type == VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire_type == LENGTH:
            size, position = _varint(data, position)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise Malformed(f"wire type {wire_type}")
        if size > len(data) - position:
            raise Malformed(f"field {number} is cut off")
        if wire_type == LENGTH:
            yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at this position and the position behind it."""
    result = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise Malformed("a number is cut off")
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & (1 << 64) - 1, position
    raise Malformed("a number of more than 10 bytes")


def varint(value: int) -> bytes:
    """Return a number from 0 on, as it is on the wire."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)
