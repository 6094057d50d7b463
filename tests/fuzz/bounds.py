"""What a parser of other people's bytes may take, and how bytes are spoilt."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import strategies as st

SECONDS = 3.0
"""Of processor time, for inputs of some kilobytes: thousands of times what they need, little for what is quadratic."""

MEMORY = 300 << 10
"""KiB by which the process may grow in all."""

Change = tuple[float, bytes, int]
CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.binary(max_size=8), st.sampled_from([b"\xff" * 8, bytes(8), b"\x80" * 64, b"\n", b" ", b"9" * 5000])),
        st.integers(0, 8),
    ),
    min_size=1,
    max_size=6,
)
"""Places in a file, what is written there, and how many bytes go for it."""


@contextmanager
def bounded() -> Iterator[None]:
    """Fails if the block takes more than a parser may."""
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


def spoilt(data: bytes, changes: list[Change]) -> bytes:
    """The bytes with these changes."""
    for place, new, gone in changes:
        at = int(place * len(data))
        data = data[:at] + new + data[at + gone :]
    return data
