"""Dockerfiles as text: their instructions, the images they start from, and what the classic builder cannot do. Pure.

This looks, it does not judge: what is wrong with a Dockerfile is for the engine to say.
Source: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import itertools
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gitdeploy.errors import BuildFailed

WORD = re.compile(r"""(?:[^\s"'\\]|\\.?|"(?:[^"\\]|\\.)*"|'[^']*'|["'])+""")
HEREDOC = re.compile(r"""\d*<<-?["']?([^<"']+)["']?""")
DIRECTIVE = re.compile(r"#\s*([A-Za-z]+)\s*=\s*(\S.*?)\s*")
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?([-+])([^}]*))?\})")

CLASSIC_FLAGS: Mapping[str, frozenset[str]] = {
    "FROM": frozenset({"platform"}),
    "ADD": frozenset({"chown"}),
    "COPY": frozenset({"chown", "from"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
}
"""The flags that the classic builder has; moby's builder/dockerfile/dispatchers.go."""

PLATFORM_ARGS = frozenset(f"{side}{what}" for side in ("BUILD", "TARGET") for what in ("PLATFORM", "OS", "ARCH", "VARIANT"))
"""Build arguments that BuildKit fills in by itself; with the classic builder they are empty, and nobody is told."""

GIT_SOURCE = re.compile(r"git@|git://|https?://[^\s#]+\.git(?:#|$)")
"""What ADD clones with BuildKit; the classic builder takes it for a file, or downloads a web page."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        line: where it begins, from 1.
        keyword: in capitals; for ONBUILD that of the instruction behind it.
        flags: name → value of "--name=value", "" without a value.
        words: what follows the flags.
        heredocs: its here-documents' delimiters.
    """

    line: int
    keyword: str
    flags: Mapping[str, str]
    words: tuple[str, ...]
    heredocs: tuple[str, ...] = ()


def peek(context: Iterator[bytes], name: str) -> tuple[str, Iterator[bytes]]:
    """The text of the Dockerfile that a tar stream begins with, and the whole stream again.

    Raises BuildFailed if the stream begins with another file.
    """
    head = b""
    size = tarfile.BLOCKSIZE
    for chunk in context:
        head += chunk
        if len(head) >= tarfile.BLOCKSIZE:
            entry = tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
            if entry.name != name:
                raise BuildFailed(f"the build context begins with {entry.name}, not with {name}")
            size = tarfile.BLOCKSIZE + entry.size
        if len(head) > size:
            break
    return head[tarfile.BLOCKSIZE : size].decode("utf-8", "replace"), itertools.chain([head], context)


def parse(text: str) -> tuple[Instruction, ...]:
    """All instructions of a Dockerfile, with continuation lines joined and without the bodies of here-documents."""
    lines = text.removeprefix("\ufeff").splitlines()
    escape = _directives(lines).get("escape", "\\")
    numbered = iter(enumerate(lines, 1))
    return tuple(_instructions(numbered, re.compile(re.escape(escape) + r"[ \t]*$")))


def syntax_image(text: str) -> str:
    """The image of the frontend that `# syntax=` names, "" if it names none."""
    return _directives(text.removeprefix("\ufeff").splitlines()).get("syntax", "").partition(" ")[0]


def base_images(text: str, args: Mapping[str, str]) -> tuple[str, ...]:
    """References of all images that a Dockerfile takes from elsewhere: FROM, COPY --from, RUN --mount=from; none twice.

    Takes the build arguments; what depends on others is left out.
    """
    values: dict[str, str] = {}
    stages: set[str] = set()
    images: dict[str, None] = {}
    for instruction in parse(text):
        if instruction.keyword == "ARG" and not stages and instruction.words:
            name, _, default = instruction.words[0].partition("=")
            values[name] = args.get(name, _expand(default.strip("\"'"), values))
        elif instruction.keyword == "FROM" and instruction.words:
            image = _expand(instruction.words[0], values)
            if image.lower() not in stages:
                images[image] = None
            stages.add(instruction.words[2].lower() if len(instruction.words) == 3 else f"stage {len(stages)}")
        else:
            images.update(
                (image, None) for image in _sources(instruction) if image.lower() not in stages and not image.isdigit()
            )
    return tuple(image for image in images if image and image != "scratch" and "$" not in image)


def beyond_classic(text: str, args: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Lines, from 1, with what they have that only BuildKit can do; takes the build arguments."""
    for instruction in parse(text):
        if instruction.keyword == "ARG":
            yield from ((instruction.line, f"ARG {word}") for word in instruction.words if word in PLATFORM_ARGS - args.keys())
        if instruction.keyword == "ADD":
            yield from ((instruction.line, f"ADD {word}") for word in instruction.words[:-1] if GIT_SOURCE.match(word))
        if instruction.heredocs:
            yield instruction.line, f"{instruction.keyword} <<{instruction.heredocs[0]}"
        for flag in instruction.flags:
            if flag not in CLASSIC_FLAGS.get(instruction.keyword, ()):
                yield instruction.line, f"{instruction.keyword} --{flag}"


def _directives(lines: list[str]) -> dict[str, str]:
    """The comments `# name=value` before everything else; the first of a name counts."""
    found: dict[str, str] = {}
    for line in lines:
        directive = DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        found.setdefault(directive[1].lower(), directive[2])
    return found


def _instructions(numbered: Iterator[tuple[int, str]], continued: re.Pattern[str]) -> Iterator[Instruction]:
    for start, first in numbered:
        if not first.strip() or first.lstrip().startswith("#"):
            continue
        text, line = "", first
        while continued.search(line):
            text += continued.sub("", line)
            line = next((more for _, more in numbered if more.strip() and not more.lstrip().startswith("#")), "")
        instruction = _instruction(start, text + line)
        for delimiter in instruction.heredocs:
            for _, body in numbered:
                if body.lstrip("\t") == delimiter:
                    break
        yield instruction


def _instruction(line: int, text: str) -> Instruction:
    keyword, *words = WORD.findall(text) or [""]
    if keyword.upper() == "ONBUILD" and words:
        keyword, *words = words
    flags: dict[str, str] = {}
    while words and words[0].startswith("--") and len(words[0]) > 2:
        name, _, value = words.pop(0)[2:].partition("=")
        flags[name.lower()] = value if name not in flags else f"{flags[name]},{value}"
    keyword = keyword.upper()
    heredocs = [found[1] for word in words if (found := HEREDOC.fullmatch(word))] if keyword in ("RUN", "COPY", "ADD") else []
    return Instruction(line, keyword, flags, tuple(words), tuple(heredocs))


def _sources(instruction: Instruction) -> Iterator[str]:
    if instruction.keyword == "COPY" and "from" in instruction.flags:
        yield instruction.flags["from"].strip("\"'")
    if instruction.keyword == "RUN":
        yield from (found.strip("\"'") for found in re.findall(r"(?:^|,)from=([^,]+)", instruction.flags.get("mount", "")))


def _expand(text: str, values: Mapping[str, str]) -> str:
    """Fills variables in as the Dockerfile's ${name:-default} and ${name:+other} have it; unknown ones stay as they are."""

    def value(found: re.Match[str]) -> str:
        name, operator, other = found[1] or found[2], found[3], found[4]
        if operator == "+":
            return str(other) if values.get(name) else ""
        if operator == "-":
            return values.get(name) or str(other)
        return values.get(name, found[0])

    return VARIABLE.sub(value, text)
