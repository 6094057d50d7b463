"""A build context as it arrives from the process that reads the repository: checked, for that process may be taken over.

The Dockerfile that was judged must be the one that is built. So the stream begins with it, nothing that follows takes its
place, and every header is one that `tar` writes: no builder can read it in another way.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitdeploy.errors import StageFailed
from gitdeploy.source import tar
from gitdeploy.source.bounds import MAX_LINK, MAX_PATH

FILE, DIRECTORY, SYMLINK, LONG_NAME, LONG_LINK = b"0", b"5", b"2", b"L", b"K"
MODES = {FILE: (0o644, 0o755), DIRECTORY: (0o755,), SYMLINK: (0o777,), LONG_NAME: (0o644,), LONG_LINK: (0o644,)}

LONGEST_NAME = max(MAX_PATH, MAX_LINK) + 2
"""Bytes of a name or a link's target, with the slash and the zero byte at its end."""

MOST_LINKS = 200_000
"""Symlinks in a context: their names are kept."""


def checked(stream: Iterator[bytes], dockerfile: str, content: bytes) -> Iterator[bytes]:
    """Yield a context's stream as it is, each piece when it has been looked at.

    Args:
        dockerfile: path of the Dockerfile in the stream.
        content: of the Dockerfile, as it was judged.

    Raises:
        StageFailed: the stream is not that of a context with this Dockerfile.
    """
    check = _Check(dockerfile.encode("utf-8", "surrogateescape"), content)
    for chunk in stream:
        check.feed(chunk)
        yield chunk
    if not check.complete:
        raise _tampered("it ended early")


class _Check:
    """Reads a tar stream in pieces cut anywhere."""

    def __init__(self, dockerfile: bytes, content: bytes) -> None:
        self._end = b""  # what came of the end of the archive
        self._dockerfile = dockerfile
        self._expected = memoryview(content)  # what is still to come of the Dockerfile
        self._first = True
        self._head = b""  # the beginning of a block that was cut
        self._skip = 0  # bytes of content that nobody looks at
        self._long = b""  # the entry with a long name that is being read, its kind first
        self._wanted = 0  # bytes of that still to come, padding included
        self._names = {LONG_NAME: b"", LONG_LINK: b""}
        self._links: set[bytes] = set()

    @property
    def complete(self) -> bool:
        """Whether the whole archive has come."""
        return self._end == tar.END and not self._head

    def feed(self, chunk: bytes) -> None:
        """Take the next piece. Raises StageFailed."""
        data, position = self._head + chunk, 0
        self._head = b""
        while position < len(data):
            if self._expected and not self._first:
                position = self._compare(data, position)
            elif self._skip:
                taken = min(self._skip, len(data) - position)
                self._skip -= taken
                position += taken
            elif self._wanted:
                position = self._take_name(data, position)
            elif len(data) - position < tar.BLOCK:
                self._head = data[position:]
                return
            else:
                self._block(data[position : position + tar.BLOCK])
                position += tar.BLOCK

    def _compare(self, data: bytes, position: int) -> int:
        piece = data[position : position + len(self._expected)]
        if piece != self._expected[: len(piece)]:
            raise _tampered("the Dockerfile is another one")
        self._expected = self._expected[len(piece) :]
        return position + len(piece)

    def _take_name(self, data: bytes, position: int) -> int:
        piece = data[position : position + self._wanted]
        self._long += piece
        self._wanted -= len(piece)
        if not self._wanted:
            name, end, rest = self._long[1:].partition(b"\0")
            if not end or rest.strip(b"\0"):
                raise _tampered("a long name goes on behind its end")
            self._names[self._long[:1]] = name
        return position + len(piece)

    def _block(self, block: bytes) -> None:
        if self._end or block == tar.END[: tar.BLOCK]:
            self._end += block
            if self._first or not tar.END.startswith(self._end):
                raise _tampered("it goes on behind its end, or has no Dockerfile")
            return
        name, kind, size, link = _fields(block)
        if kind in (LONG_NAME, LONG_LINK):
            if self._first or size > LONGEST_NAME or self._names[kind]:
                raise _tampered("a name is too long")
            self._long, self._wanted = kind, size + len(tar.padding(size))
            return
        path, target = self._names[LONG_NAME] or name, self._names[LONG_LINK] or link
        if path[: tar.MAX_PLAIN] != name or target[: tar.MAX_PLAIN] != link:
            raise _tampered("a long name is not that of its entry")
        self._names = {LONG_NAME: b"", LONG_LINK: b""}
        self._entry(path, kind, size)

    def _entry(self, path: bytes, kind: bytes, size: int) -> None:
        """Judge an entry by its path."""
        parts = (path.removesuffix(b"/") if kind == DIRECTORY else path).split(b"/")
        if {b"", b".", b".."} & set(parts) or (kind == DIRECTORY) != path.endswith(b"/"):
            raise _tampered("a path is none of a tree")
        plain = b"/".join(parts)
        self._skip = size + len(tar.padding(size))
        if self._first:
            if (plain, kind, size) != (self._dockerfile, FILE, len(self._expected)):
                raise _tampered("it does not begin with the Dockerfile")
            self._first, self._skip = False, len(tar.padding(size))
            return
        if plain == self._dockerfile or (kind != DIRECTORY and self._dockerfile.startswith(plain + b"/")):
            raise _tampered("something takes the place of the Dockerfile")
        above = (b"/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        if self._links and any(directory in self._links for directory in above):
            raise _tampered("something lies behind a symlink")
        if kind == SYMLINK:
            self._links.add(plain)
            if len(self._links) > MOST_LINKS:
                reason = f"the build context has more than {MOST_LINKS:,} symlinks"
                raise StageFailed(reason, "leave some of them out with .dockerignore")


def _fields(block: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Return name, kind, size and link target of a header. Raises StageFailed for one that `tar` does not write."""
    name, kind, link = block[:100].rstrip(b"\0"), block[156:157], block[157:257].rstrip(b"\0")
    digits = block[124:136]
    try:
        size = int.from_bytes(digits[1:]) if digits[:1] == b"\x80" else int(digits[:11], 8)
        mode, time = int(block[100:107], 8), int(block[136:147], 8)
    except ValueError:
        raise _tampered("a header has no numbers") from None
    odd = mode not in MODES.get(kind, ()) or b"\0" in name + link or not name or time < 0
    odd = odd or (size > 0 and kind in (DIRECTORY, SYMLINK))
    if odd or tar.header(name, kind, mode, size, link, time=time) != block:
        raise _tampered("a header is none of a build context's")
    return name, kind, size, link


def _tampered(what: str) -> StageFailed:
    return StageFailed(f"the build context changed while it was read: {what}", "the repository is being tampered with")
