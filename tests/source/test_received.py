"""A context's stream passes as it is, and none that could make a builder build another Dockerfile does."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import StageFailed
from gitdeploy.source import tar
from gitdeploy.source.received import LONGEST_NAME, MOST_LINKS, checked

DOCKERFILE = b"FROM a\nCOPY . /\n"
EVIL = b"FROM b\nADD http://x /\n"


def file(name: bytes, content: bytes = b"x", *, executable: bool = False) -> bytes:
    return tar.file(name, len(content), executable=executable) + content + tar.padding(len(content))


FIRST = file(b"docker/Dockerfile", DOCKERFILE)


def passes(stream: bytes, piece: int = 1000, dockerfile: str = "docker/Dockerfile", content: bytes = DOCKERFILE) -> bytes:
    """What comes out of a stream that comes in such pieces."""
    pieces = (stream[start : start + piece] for start in range(0, len(stream), piece))
    return b"".join(checked(pieces, dockerfile, content))


GOOD = {
    "nothing else": b"",
    "files and directories": tar.directory(b"docker") + file(b"docker/other") + file(b"a", b"y" * 5000, executable=True),
    "symlinks": tar.symlink(b"link", b"docker") + tar.symlink(b"a/b", b"/etc/passwd"),
    "long names": file(b"n" * 300) + tar.symlink(b"l" * 300, b"t" * 300) + tar.directory(b"d" * 300) + file(b"short"),
    "odd names": file(b"a\xff\\ b") + file(b"...") + file(b".dockerignore") + file(b"Docker/Dockerfile"),
}


@pytest.mark.parametrize("more", GOOD.values(), ids=GOOD)
@pytest.mark.parametrize("piece", [1, 511, 513, 100_000])
def test_a_context_passes(more: bytes, piece: int) -> None:
    stream = FIRST + more + tar.END
    assert passes(stream, piece) == stream


def test_an_empty_dockerfile() -> None:
    stream = file(b"Dockerfile", b"") + file(b"a") + tar.END
    assert passes(stream, dockerfile="Dockerfile", content=b"") == stream


def pax(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as made:
        entry = tarfile.TarInfo("harmless")
        entry.size, entry.pax_headers = len(content), {"path": name}
        made.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def long(name: bytes, kind: bytes = b"L") -> bytes:
    return tar.header(tar.LONG_NAME, kind, 0o644, len(name), b"") + name + tar.padding(len(name))


AGAIN = file(b"docker/Dockerfile", EVIL)
BAD: Mapping[str, bytes] = {
    "another Dockerfile": file(b"docker/Dockerfile", EVIL[: len(DOCKERFILE)]) + tar.END,
    "a longer Dockerfile": file(b"docker/Dockerfile", DOCKERFILE + b"\n") + tar.END,
    "another file first": file(b"docker/dockerfile", DOCKERFILE) + tar.END,
    "a directory first": tar.directory(b"docker/Dockerfile") + tar.END,
    "a symlink first": tar.symlink(b"docker/Dockerfile", b"x") + tar.END,
    "no Dockerfile": tar.END,
    "nothing": b"",
    "the Dockerfile again": FIRST + AGAIN + tar.END,
    "the same Dockerfile again": FIRST + FIRST + tar.END,
    "a symlink in its place": FIRST + tar.symlink(b"docker/Dockerfile", b"evil") + tar.END,
    "a directory in its place": FIRST + tar.directory(b"docker/Dockerfile") + tar.END,
    "a symlink in place of its directory": FIRST + tar.symlink(b"docker", b"evil") + tar.END,
    "a file in place of its directory": FIRST + file(b"docker") + tar.END,
    "from above": FIRST + file(b"docker/../docker/Dockerfile", EVIL) + tar.END,
    "from here": FIRST + file(b"./docker/Dockerfile", EVIL) + tar.END,
    "from the root": FIRST + file(b"/docker/Dockerfile", EVIL) + tar.END,
    "two slashes": FIRST + file(b"docker//Dockerfile", EVIL) + tar.END,
    "a slash at its end": FIRST + file(b"docker/Dockerfile/", EVIL) + tar.END,
    "behind a symlink": FIRST + tar.symlink(b"link", b"docker") + file(b"link/Dockerfile", EVIL) + tar.END,
    "behind a symlink further up": FIRST + tar.symlink(b"a/b", b"..") + file(b"a/b/docker/Dockerfile", EVIL) + tar.END,
    "in place of a symlink": FIRST + tar.symlink(b"link", b"docker") + tar.directory(b"link") + tar.END,
    "by a long name": FIRST + long(b"docker/Dockerfile\0") + file(b"docker/Dockerfile", EVIL) + tar.END,
    "by a long name of another entry": FIRST + long(b"docker/Dockerfile\0") + file(b"harmless", EVIL) + tar.END,
    "a long name with two ends": FIRST + long(b"n" * 200 + b"\0docker/Dockerfile\0") + file(b"n" * 100, EVIL) + tar.END,
    "a long name without an end": FIRST + long(b"n" * 512) + file(b"n" * 100, EVIL) + tar.END,
    "a name longer than any": FIRST + file(b"a/" * LONGEST_NAME) + tar.END,
    "two long names": FIRST + long(b"n" * 200 + b"\0") * 2 + file(b"n" * 100, EVIL) + tar.END,
    "a zero byte in a name": FIRST + file(b"docker/Dockerfile\0x", EVIL) + tar.END,
    "a PAX header": FIRST + pax("docker/Dockerfile", EVIL),
    "a hard link": FIRST + tar.header(b"docker/Dockerfile", b"1", 0o644, 0, b"evil") + tar.END,
    "a sparse file": FIRST + tar.header(b"x", b"S", 0o644, 0, b"") + tar.END,
    "an odd mode": FIRST + tar.header(b"x", b"0", 0o4755, 0, b"") + tar.END,
    "a link with content": FIRST + tar.header(b"x", b"2", 0o777, 512, b"y") + AGAIN + tar.END,
    "a prefix": FIRST + AGAIN[:345] + b"docker" + AGAIN[351:] + tar.END,
    "something behind its end": FIRST + tar.END + AGAIN,
    "something in its end": FIRST + tar.END[:512] + AGAIN,
    "zeros behind its end": FIRST + tar.END + tar.END,
    "a cut end": FIRST + tar.END[:512],
    "cut in a header": FIRST + AGAIN[:100],
    "cut in a file": FIRST + file(b"x", b"y" * 1000)[:700],
    "a size below zero": FIRST + tar.header(b"x", b"0", 0o644, 0, b"")[:124] + b"-0000000001\0" + bytes(376),
}


@pytest.mark.parametrize("stream", BAD.values(), ids=BAD)
@pytest.mark.parametrize("piece", [1, 512, 100_000])
def test_a_stream_that_was_tampered_with_is_refused_before_it_is_sent_on(stream: bytes, piece: int) -> None:
    with pytest.raises(StageFailed, match="changed while it was read") as caught:
        passes(stream, piece)
    assert caught.value.hint == "the repository is being tampered with"


def test_a_context_has_so_many_symlinks_at_most() -> None:
    def stream(links: int) -> Iterator[bytes]:
        yield FIRST
        yield from (tar.symlink(b"%d" % number, b"t") for number in range(links))
        yield tar.END

    assert sum(map(len, checked(stream(MOST_LINKS), "docker/Dockerfile", DOCKERFILE)))
    with pytest.raises(StageFailed, match="more than 200,000 symlinks"):
        list(checked(stream(MOST_LINKS + 1), "docker/Dockerfile", DOCKERFILE))


PARTS = st.binary(min_size=1, max_size=120).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b".."))
NAMES = st.lists(PARTS, min_size=1, max_size=4)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=2000), st.booleans()), max_size=5), st.integers(1, 3000))
def test_what_tar_writes_passes_whatever_the_names(files: list[tuple[list[bytes], bytes, bool]], piece: int) -> None:
    stream = FIRST
    for number, (names, content, executable) in enumerate(files):
        stream += file(b"/".join([b"%d" % number, *names]), content, executable=executable)
    stream += tar.END
    assert passes(stream, piece) == stream


@given(st.binary(max_size=3000), st.integers(1, 600))
def test_no_bytes_are_too_strange(more: bytes, piece: int) -> None:
    with pytest.raises(StageFailed):
        passes(FIRST + more, piece)
