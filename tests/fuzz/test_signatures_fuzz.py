"""Signed objects of any bytes: what is accepted is read as git reads it, and as the rest of gitdeploy does.

A few examples at each run, thousands with --exhaustive.
"""

from __future__ import annotations

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from gitdeploy.pipeline.signed import NotSigned, split_commit, split_tag, tree_of
from gitdeploy.source.commit import headers as _headers

ID = "0123456789abcdef0123456789abcdef01234567"
SSH = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"
PGP = b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYIAB0=\n=+b/K\n-----END PGP SIGNATURE-----\n"

LINES = st.sampled_from(
    [
        b"tree " + ID.encode(),
        b"tree " + b"1" * 40,
        b"parent " + b"2" * 40,
        b"author A <a@x> 1 +0000",
        b"committer A <a@x> 1 +0000",
        b"encoding latin-1",
        b"mergetag object " + b"3" * 40,
        b" type commit",
        b" gpgsig -----BEGIN SSH SIGNATURE-----",
        b"gpgsig " + SSH.rstrip(b"\n").replace(b"\n", b"\n "),
        b"gpgsig " + PGP.rstrip(b"\n").replace(b"\n", b"\n "),
        b"gpgsig-sha256 " + SSH.rstrip(b"\n").replace(b"\n", b"\n "),
        b"gpgsig",
        b"gpgsig ",
        b"gpgsigx y",
        b"object " + b"2" * 40,
        b"type commit",
        b"tag v1",
        b"tagger A <a@x> 1 +0000",
        b"",
        b" ",
        b"\r",
        b"\0",
        b"a message",
        SSH.rstrip(b"\n"),
        PGP.rstrip(b"\n"),
    ]
)
COMMIT = [b"tree " + ID.encode(), b"parent " + b"2" * 40, b"author A <a@x> 1 +0000", b"committer A <a@x> 1 +0000"]
TAG = [b"object " + b"2" * 40, b"type commit", b"tag v1", b"tagger A <a@x> 1 +0000", b"", b"message", SSH.rstrip(b"\n"), b""]


@st.composite
def mangled(draw: st.DrawFn, start: list[bytes]) -> bytes:
    """Lines of an object with lines put in, left out or changed, and then perhaps some bytes."""
    lines = list(start)
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(lines)))
        match draw(st.sampled_from(["add", "drop", "swap"])):
            case "add":
                lines.insert(place, draw(LINES))
            case "drop":
                del lines[place : place + 1]
            case _:
                lines[place : place + 2] = lines[place : place + 2][::-1]
    data = bytearray(b"\n".join(lines))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


SIGNED = [*COMMIT, b"gpgsig " + SSH.rstrip(b"\n").replace(b"\n", b"\n "), b"", b"message", b""]


def as_git_reads_it(data: bytes) -> tuple[bytes, bytes]:
    """Payload and signature: parse_buffer_signed_by_header() of git's commit.c, line by line."""
    payload, signature = b"", b""
    in_signature = other_signature = False
    while data:
        line, _, _ = data.partition(b"\n")
        line = data[: len(line) + 1]
        part = None
        if in_signature and line.startswith(b" "):
            part = line[1:]
        elif line.startswith(b"gpgsig "):
            part, other_signature = line[7:], False
        elif line.startswith(b"gpgsig"):
            other_signature = True
        elif other_signature and not line.startswith(b" "):
            other_signature = False
        if part is not None:
            signature += part
        else:
            if line.startswith(b"\n"):
                line = data
            payload += b"" if other_signature else line
        in_signature = part is not None
        data = data[len(line) :]
    return payload, signature


@given(mangled(SIGNED))
def test_a_commit_is_split_as_git_splits_it(data: bytes) -> None:
    try:
        signed = split_commit(data)
    except NotSigned:
        return
    payload, signature = as_git_reads_it(data)
    assert (signed.payload, signed.signature) == (payload, signature.rstrip(b"\n") + b"\n")
    headers, _ = _headers(data)
    assert signed.target == headers[b"tree"].decode() == tree_of(data) == tree_of(signed.payload)
    assert signed.payload.startswith(b"tree " + signed.target.encode() + b"\n")
    assert not re.search(rb"^gpgsig", signed.payload.partition(b"\n\n")[0], re.MULTILINE)


@given(mangled(TAG))
def test_a_tag_is_split_where_git_splits_it(data: bytes) -> None:
    try:
        signed = split_tag(data)
    except NotSigned:
        return
    assert data == signed.payload + data[len(signed.payload) :]
    assert data[len(signed.payload) :].rstrip(b"\n") == signed.signature.rstrip(b"\n")
    begins = [m.start() for m in re.finditer(rb"^-----BEGIN (PGP|SSH) (SIGNATURE|MESSAGE)-----", data, re.MULTILINE)]
    assert begins[-1] == len(signed.payload)
    headers, _ = _headers(data)
    assert (signed.target, signed.kind, signed.name) == (
        headers[b"object"].decode(),
        headers[b"type"].decode(),
        headers[b"tag"],
    )


@given(st.lists(LINES, max_size=3), st.binary(max_size=40), st.sampled_from([SSH, PGP]))
def test_what_git_writes_is_accepted(extra: list[bytes], message: bytes, signature: bytes) -> None:
    others = [line for line in extra if line in (b"encoding latin-1", b"mergetag object " + b"3" * 40)]
    assume(b"\0" not in message)
    header = b"gpgsig " + signature.rstrip(b"\n").replace(b"\n", b"\n ")
    bare = b"\n".join([*COMMIT, *others]) + b"\n\n" + message
    data = b"\n".join([*COMMIT, *others, header]) + b"\n\n" + message
    signed = split_commit(data)
    assert (signed.payload, signed.signature, signed.target) == (bare, signature, ID)
    tag = b"\n".join(TAG[:6]) + b"\n" + message + b"\n" + signature
    assert split_tag(tag).payload == tag.removesuffix(signature)


@given(st.binary(max_size=300) | st.lists(LINES).map(b"\n".join))
def test_any_bytes_are_refused_in_our_own_words(data: bytes) -> None:
    for split in (split_commit, split_tag, tree_of):
        try:
            split(data)
        except NotSigned as reason:
            assert str(reason).isascii()
            assert len(str(reason)) < 100
