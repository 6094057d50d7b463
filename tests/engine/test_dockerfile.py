"""Dockerfiles, as far as gitdeploy looks into them."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.engine.dockerfile import base_images, beyond_classic, parse, peek, syntax_image
from gitdeploy.errors import BuildFailed

PARSED: list[tuple[str, list[tuple[int, str, dict[str, str], tuple[str, ...]]]]] = [
    ("", []),
    ("FROM base:1", [(1, "FROM", {}, ("base:1",))]),
    ("\ufeff# comment\n\n  from base:1 \r\n", [(3, "FROM", {}, ("base:1",))]),
    ("RUN a && \\\n  b \\ \n  c\nRUN d", [(1, "RUN", {}, ("a", "&&", "b", "c")), (4, "RUN", {}, ("d",))]),
    ("RUN a \\\n# a comment within\n\n  b", [(1, "RUN", {}, ("a", "b"))]),
    ("RUN a \\", [(1, "RUN", {}, ("a",))]),
    ("# escape=`\nRUN a `\n b\\", [(2, "RUN", {}, ("a", "b\\"))]),
    ("COPY --from=one --chmod=755 a b", [(1, "COPY", {"from": "one", "chmod": "755"}, ("a", "b"))]),
    ("RUN --mount=type=cache --mount=type=bind x", [(1, "RUN", {"mount": "type=cache,type=bind"}, ("x",))]),
    ("ONBUILD RUN --network=none x", [(1, "RUN", {"network": "none"}, ("x",))]),
    ("""RUN echo "a b" 'c d'e""", [(1, "RUN", {}, ("echo", '"a b"', "'c d'e"))]),
    ("RUN <<EOF sh\nFROM nothing\nEOF\nRUN x", [(1, "RUN", {}, ("<<EOF", "sh")), (4, "RUN", {}, ("x",))]),
    ("COPY <<a <<-'b' /\n1\na\n\tb\nRUN x", [(1, "COPY", {}, ("<<a", "<<-'b'", "/")), (5, "RUN", {}, ("x",))]),
    ("RUN <<EOF\nnever ends", [(1, "RUN", {}, ("<<EOF",))]),
]


@pytest.mark.parametrize(("text", "expected"), PARSED)
def test_instructions(text: str, expected: list[tuple[int, str, dict[str, str], tuple[str, ...]]]) -> None:
    assert [(i.line, i.keyword, dict(i.flags), i.words) for i in parse(text)] == expected


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        ("FROM base:1", {}, ("base:1",)),
        ("FROM --platform=linux/amd64 base:1 AS one\nFROM one\nFROM scratch", {}, ("base:1",)),
        ("FROM a AS One\nFROM ONE", {}, ("a",)),
        ("FROM a\nFROM a", {}, ("a",)),
        ("ARG V=3\nFROM python:${V}-slim", {}, ("python:3-slim",)),
        ("ARG V=3\nFROM python:$V", {"V": "4"}, ("python:4",)),
        ('ARG V="3"\nARG IMAGE=python:$V\nFROM $IMAGE', {}, ("python:3",)),
        ("FROM ${NONE:-busybox}\nFROM a${NONE:+-b}", {}, ("busybox", "a")),
        ("ARG V\nFROM a${V:+-$V}", {"V": "b"}, ()),  # nested variables are not filled in
        ("ARG IMAGE\nFROM ${IMAGE}", {}, ()),
        ("FROM $UNKNOWN", {}, ()),
        ("FROM a\nARG V=1\nCOPY --from=b:$V / /", {}, ("a",)),
        ("FROM a AS x\nCOPY --from=x / /\nCOPY --from=0 / /\nCOPY --from=reg:5000/b:1 / /", {}, ("a", "reg:5000/b:1")),
        ("FROM a\nRUN --mount=type=bind,from=b,target=/b --mount=from=c,target=/c x", {}, ("a", "b", "c")),
        ("FROM a\nRUN <<EOF\nFROM nothing\nEOF", {}, ("a",)),
        ("FROM a\nCOPY --from='b:1' / /\nCOPY --from=\"c\" / /", {}, ("a", "b:1", "c")),
        ('ARG BASE="alpine:3"\nFROM ${BASE}\nFROM $BASE', {"BASE": "debian:12"}, ("debian:12",)),
        ("not a dockerfile \0", {}, ()),
        ("FROM", {}, ()),
    ],
)
def test_base_images(text: str, args: dict[str, str], expected: tuple[str, ...]) -> None:
    assert base_images(text, args) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# syntax=docker/dockerfile:1\nFROM a", "docker/dockerfile:1"),
        ("#syntax = docker/dockerfile:1 \nFROM a", "docker/dockerfile:1"),
        ("# escape=`\n# Syntax=a/b\nFROM a", "a/b"),
        ("# a comment ends the directives\n# syntax=a/b\nFROM a", ""),
        ("\n# syntax=a/b\nFROM a", ""),
        ("FROM a\n# syntax=a/b", ""),
    ],
)
def test_syntax_image(text: str, expected: str) -> None:
    assert syntax_image(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM --platform=linux/amd64 a\nCOPY --chown=1 --from=x a b\nADD --chown=1 a b", []),
        ("FROM a\nHEALTHCHECK --interval=1s --timeout=1s --retries=3 --start-period=1s CMD x", []),
        ('FROM a\nRUN echo "<<EOF" $((1<<2)) <<<here\nENV A=<<EOF', []),
        ("FROM a\n\nRUN --mount=type=cache,target=/c x", [(3, "RUN --mount")]),
        ("FROM a\nRUN --network=none --security=insecure x", [(2, "RUN --network"), (2, "RUN --security")]),
        ("FROM a\nCOPY --link --chmod=1 a b", [(2, "COPY --link"), (2, "COPY --chmod")]),
        ("FROM a\nADD --checksum=sha256:1 https://x y", [(2, "ADD --checksum")]),
        ("FROM a\nRUN true \\\n && true\nRUN <<EOF\necho\nEOF\nCOPY <<-'X Y' /x\nX Y\n", [(4, "RUN <<EOF"), (7, "COPY <<X Y")]),
        ("FROM a\nRUN cat <<'EOF' > /x\nEOF", [(2, "RUN <<EOF")]),
        ("FROM a\nONBUILD COPY --link a b", [(2, "COPY --link")]),
        ("ARG TARGETOS\nFROM a\nARG TARGETARCH BUILDPLATFORM=x\nARG ARCH", [(1, "ARG TARGETOS"), (3, "ARG TARGETARCH")]),
        ("ARG BUILDOS\nFROM a", []),  # given as a build argument
        ("FROM a\nADD https://x/y.git#v1 /y\nADD git@x:y.git z /", [(2, "ADD https://x/y.git#v1"), (3, "ADD git@x:y.git")]),
        ("FROM a\nADD https://x/y.tar.gz x.git /y.git", []),
    ],
)
def test_what_the_classic_builder_cannot_do(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(beyond_classic(text, {"BUILDOS": "linux"})) == expected


@given(st.text(alphabet=st.sampled_from("FROMrun \t\\\"'#=<>-$a{}:\n\r`"), max_size=80), st.dictionaries(st.text(), st.text()))
def test_no_text_is_too_strange(text: str, args: dict[str, str]) -> None:
    assert all(0 < instruction.line <= len(text.splitlines()) for instruction in parse(text))
    base_images(text, args)
    list(beyond_classic(text, args))
    syntax_image(text)


def archive(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry, data in ((name, content), ("other", b"x" * 2000)):
            info = tarfile.TarInfo(entry)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@pytest.mark.parametrize("piece", [1, 511, 512, 513, 100_000])
def test_the_dockerfile_is_read_as_the_stream_goes_by(piece: int) -> None:
    content = "FROM base:1\n# Käse\n" * 40
    stream = archive("docker/Dockerfile", content.encode())
    text, rest = peek((stream[i : i + piece] for i in range(0, len(stream), piece)), "docker/Dockerfile")
    assert text == content
    assert b"".join(rest) == stream


def test_another_first_file_is_refused() -> None:
    with pytest.raises(BuildFailed, match=r"begins with other\.txt, not with Dockerfile"):
        peek(iter([archive("other.txt", b"FROM base:1")]), "Dockerfile")


def test_a_stream_that_ends_early_is_what_there_is() -> None:
    text, rest = peek(iter([archive("Dockerfile", b"FROM base:1")[:516]]), "Dockerfile")
    assert (text, len(b"".join(rest))) == ("FROM", 516)
