"""What deltas were applied to, for the next ones."""

from __future__ import annotations

from collections import OrderedDict


class BaseCache:
    """Whole objects that deltas were applied to, because their neighbors need them next: the latest `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._objects: OrderedDict[tuple[int, int], tuple[int, bytes]] = OrderedDict()

    def get(self, key: tuple[int, int]) -> tuple[int, bytes] | None:
        """Return the kind and content of (file descriptor, offset), None if it is not here."""
        if key not in self._objects:
            return None
        self._objects.move_to_end(key)
        return self._objects[key]

    def put(self, key: tuple[int, int], kind: int, data: bytes) -> None:
        """Keep an object, and forgets the ones that were not asked for the longest."""
        if key in self._objects:
            return
        self._objects[key] = kind, data
        self._used += len(data)
        while self._used > self._limit:
            _, (_, old) = self._objects.popitem(last=False)
            self._used -= len(old)
