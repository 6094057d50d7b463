"""Dockerfiles as text: their instructions, the images they start from, and what the classic builder cannot do. Pure.

This looks, it does not judge: what is wrong with a Dockerfile is for the engine to say. The text is a pusher's: everything here
takes time and memory in proportion to its length.
Source: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gitdeploy.engine.directives import BOM, OLD_DIRECTIVES, directives
from gitdeploy.engine.dockervariables import Variables
from gitdeploy.engine.growth import require_modest
from gitdeploy.engine.words import words_of
from gitdeploy.errors import BuildFailed

HEREDOC = re.compile(r"""\d*<<-?["']?([^<"']+)["']?""")

MOST_IMAGES = 200
"""That one Dockerfile may take from elsewhere: the engine is asked about each."""

CLASSIC_FLAGS: Mapping[str, frozenset[str]] = {
    "FROM": frozenset({"platform"}),
    "ADD": frozenset({"chown"}),
    "COPY": frozenset({"chown", "from"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
}
"""The flags that the classic builder has; moby's builder/dockerfile/dispatchers.go."""

PLATFORM_ARGS = frozenset(f"{side}{what}" for side in ("BUILD", "TARGET") for what in ("PLATFORM", "OS", "ARCH", "VARIANT"))
"""Build arguments that BuildKit fills in by itself; with the classic builder they are empty, and nobody is told."""

QUOTES = re.compile(r"[\"'\\`]")
"""What builders take out of a word."""

HEREDOCS = ("RUN", "COPY", "ADD")

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


def parse(text: str) -> Iterator[Instruction]:
    """Yield all instructions of a Dockerfile, with continuation lines joined and without the bodies of here-documents."""
    lines = _lines(text)
    return _instructions(iter(enumerate(lines, 1)), "`" if directives(lines).get("escape") == "`" else "\\")


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.removeprefix(BOM).split("\n")]


def base_images(text: str, args: Mapping[str, str]) -> tuple[str, ...]:
    """Return references of all images that a Dockerfile takes from elsewhere: FROM, COPY --from, RUN --mount=from; none twice.

    Takes the build arguments; what depends on others is left out. Raises BuildFailed for more than MOST_IMAGES.
    """
    require_modest(text, args)
    lines = _lines(text)
    # BuildKit 0.8 (engine 20.10) ends the directives at the first that it does not know.
    escapes = {"`" if directives(lines, known).get("escape") == "`" else "\\" for known in ((), OLD_DIRECTIVES)}
    found = (image for escape in escapes for image in _base_images(_instructions(iter(enumerate(lines, 1)), escape), args)[0])
    return tuple(image for image in dict.fromkeys(found) if image and image != "scratch")


def _base_images(instructions: Iterable[Instruction], args: Mapping[str, str]) -> tuple[Iterable[str], list[tuple[int, str]]]:
    """Return the images, and line and name of those whose names cannot be told."""
    unknown: list[tuple[int, str]] = []
    variables = Variables()
    for name in PLATFORM_ARGS:
        variables.set(name, None)
    stages: set[str] = set()
    images: dict[str, None] = {}
    for instruction in instructions:
        if instruction.keyword == "ARG" and not stages:
            for word in instruction.words:
                name, given, default = word.partition("=")
                if name in args or given:
                    variables.set(name, args[name] if name in args else variables.expand(default))
        elif instruction.keyword == "FROM" and instruction.words:
            word = instruction.words[0]
            image = (variables.expand(word) if "$" in word else QUOTES.sub("", word)) or ""
            unknown += [] if image else [(instruction.line, f"FROM {word}")]
            if image.lower() not in stages:
                images[image] = None
            stages.add(instruction.words[2].lower() if len(instruction.words) == 3 else f"stage {len(stages)}")
        else:
            sources = (source for source in _sources(instruction) if "$" not in source and not source.isdigit())
            images.update((source, None) for source in sources if source.lower() not in stages)
        if len(images) > MOST_IMAGES:
            raise BuildFailed(
                f"line {instruction.line} of the Dockerfile: expected at most {MOST_IMAGES} images from elsewhere, found more",
                hint="build what they have in common as an image of its own",
            )
    return images, unknown


def beyond_classic(text: str, args: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield lines, from 1, with what they have that only BuildKit can do; takes the build arguments.

    Names of images are among it that nobody can tell beforehand: BuildKit asks gitdeploy about each image.
    """
    instructions = [*parse(text)]
    yield from _base_images(instructions, args)[1]
    for instruction in instructions:
        if instruction.keyword == "ARG":
            yield from ((instruction.line, f"ARG {word}") for word in instruction.words if word in PLATFORM_ARGS - args.keys())
        if instruction.keyword == "ADD":
            yield from ((instruction.line, f"ADD {word}") for word in instruction.words[:-1] if GIT_SOURCE.match(word))
        if instruction.heredocs:
            yield instruction.line, f"{instruction.keyword} <<{instruction.heredocs[0]}"
        for flag in instruction.flags:
            if flag not in CLASSIC_FLAGS.get(instruction.keyword, ()):
                yield instruction.line, f"{instruction.keyword} --{flag}"


def _instructions(numbered: Iterator[tuple[int, str]], escape: str) -> Iterator[Instruction]:
    for start, first in numbered:
        if not first.strip() or first.lstrip().startswith("#"):
            continue
        parts, line = [], first
        while (shown := line.rstrip(" \t")).endswith(escape) and not shown.endswith(escape * 2):
            parts.append(shown.removesuffix(escape))
            line = next((more for _, more in numbered if more.strip() and not more.lstrip().startswith("#")), "")
        instruction = _instruction(start, "".join([*parts, line]))
        for delimiter in instruction.heredocs:
            for _, body in numbered:
                if body.lstrip("\t") == delimiter:
                    break
        yield instruction


def _instruction(line: int, text: str) -> Instruction:
    words = words_of(text) or [""]
    first = 1 if words[0].upper() == "ONBUILD" and len(words) > 1 else 0
    keyword = words[first].upper()
    given: dict[str, list[str]] = {}
    rest = first + 1
    while rest < len(words) and words[rest].startswith("--") and len(words[rest]) > 2:
        if not words[rest].isascii():  # one builder looks for spaces in it byte by byte
            hint = "write its value in ASCII, a number for a user's name"
            raise BuildFailed(f"line {line} of the Dockerfile: expected ASCII in the flags of {keyword}", hint=hint)
        name, _, value = words[rest][2:].partition("=")
        given.setdefault(name.lower(), []).append(value)
        rest += 1
    flags = {name: ",".join(values) for name, values in given.items()}
    heredocs = [found[1] for word in words[rest:] if (found := HEREDOC.fullmatch(word))]
    return Instruction(line, keyword, flags, tuple(words[rest:]), tuple(heredocs if keyword in HEREDOCS else ()))


def _sources(instruction: Instruction) -> Iterator[str]:
    if instruction.keyword == "COPY" and "from" in instruction.flags:
        yield QUOTES.sub("", instruction.flags["from"])
    if instruction.keyword == "RUN":
        mounts = instruction.flags.get("mount", "").split(",")
        yield from (QUOTES.sub("", part.removeprefix("from=")) for part in mounts if part.startswith("from="))
