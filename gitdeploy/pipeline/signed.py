"""Signed commits and tags of Git, split into what was signed and the signature. Pure; the bytes are hostile.

What git signs: gitformat-signature(5), and parse_buffer_signed_by_header() and parse_signature() of git's source. Whatever
could be read in two ways is refused, so that what a signature covers is what the rest of gitdeploy reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Format = Literal["ssh", "openpgp"]

_ARMOR: dict[Format, re.Pattern[bytes]] = {
    "ssh": re.compile(rb"-----BEGIN SSH SIGNATURE-----\n(?:[A-Za-z0-9+/=]{1,80}\n)+-----END SSH SIGNATURE-----\n+"),
    "openpgp": re.compile(
        rb"-----BEGIN PGP SIGNATURE-----\n(?:[A-Za-z]{1,40}: [ -~]{0,200}\n)*\n"
        rb"(?:[A-Za-z0-9+/=]{1,80}\n)+-----END PGP SIGNATURE-----\n+"
    ),
}
_BEGIN = re.compile(rb"^-----BEGIN (?:PGP SIGNATURE|PGP MESSAGE|SSH SIGNATURE|SIGNED MESSAGE)-----", re.MULTILINE)
_COMMIT = re.compile(rb"tree ([0-9a-f]{40})\n(?:parent [0-9a-f]{40}\n)*author [^\n]*\ncommitter [^\n]*\n")
_TAG = re.compile(rb"object ([0-9a-f]{40})\ntype ([a-z]+)\ntag ([^\n]+)\ntagger [^\n]*")
_LATER = re.compile(rb"(?:tree|parent|author|committer|gpgsig[^ ]*)(?= |$)")


class NotSigned(Exception):
    """There is no signature that can be looked at; the message says why, in words of ours."""


@dataclass(frozen=True)
class Signed:
    """A signed object.

    Attributes:
        target: what the payload names: a commit's tree, or what a tag is of; 40 hexadecimal digits.
        kind: of the target.
        name: a tag's own, b"" for a commit.
    """

    payload: bytes
    signature: bytes
    format: Format
    target: str
    kind: str
    name: bytes = b""


def tree_of(data: bytes) -> str:
    """Return the tree that a commit names, in the only place where it can stand. Raises NotSigned."""
    match = _COMMIT.match(data)
    if not match or b"\0" in data:
        raise NotSigned("its header is not in the form in which git writes it")
    return match[1].decode()


def split_commit(data: bytes) -> Signed:
    """Take the bytes of a commit. Raises NotSigned."""
    tree = tree_of(data)
    head, blank, message = data.partition(b"\n\n")
    match = _COMMIT.match(head + b"\n")
    if not blank or not match:
        raise NotSigned("its header is not in the form in which git writes it")
    before, rest = data[: match.end()], head[match.end() :]
    kept: list[bytes] = []
    signature: list[bytes] = []
    inside = False
    for line in rest.split(b"\n") if rest else ():
        if line.startswith(b" "):
            (signature if inside else kept).append(line[1:] if inside else line)
            continue
        inside = line.startswith(b"gpgsig ")
        if inside and not signature:
            signature.append(line.removeprefix(b"gpgsig "))
        elif _LATER.match(line):
            raise NotSigned("a header of its stands twice, or is one that git does not sign")
        else:
            kept.append(line)
    if not signature:
        raise NotSigned("it is not signed")
    payload = before + b"".join(line + b"\n" for line in kept) + b"\n" + message
    armored, kind = _signature(b"".join(line + b"\n" for line in signature))
    return Signed(payload, armored, kind, tree, "tree")


def split_tag(data: bytes) -> Signed:
    """Take the bytes of an annotated tag. Raises NotSigned."""
    head, blank, body = data.partition(b"\n\n")
    match = _TAG.fullmatch(head)
    if not blank or not match or b"\0" in data:
        raise NotSigned("its header is not in the form in which git writes it")
    starts = [found.start() for found in _BEGIN.finditer(body)]
    if not starts:
        raise NotSigned("it is not signed")
    position = len(head) + 2 + starts[-1]
    armored, kind = _signature(data[position:])
    return Signed(data[:position], armored, kind, match[1].decode(), match[2].decode(), match[3])


def _signature(text: bytes) -> tuple[bytes, Format]:
    for kind, form in _ARMOR.items():
        if form.fullmatch(text):
            return text.rstrip(b"\n") + b"\n", kind
    raise NotSigned("its signature is neither an SSH nor an OpenPGP one, or something stands behind it")
