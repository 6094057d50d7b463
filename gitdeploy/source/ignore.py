"""The .dockerignore filter, exact: what BuildKit's client leaves out of a build context, this leaves out of the stream.

The rules are those of github.com/moby/patternmatcher (patterns, and how those of a directory hold for what is in it) and of the
walk in github.com/tonistiigi/fsutil (which ignored directories are looked into for exceptions). Both are followed in their
corners too, because images must not differ from those that `docker build` makes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gitdeploy.errors import StageFailed
from gitdeploy.source.automaton import ANY_DIRECTORIES, BadPattern, Budget, Program, Reached

MAX_FILE = 64 << 10
"""Bytes of a .dockerignore file."""

_SPACES = (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
_SPACE = "".join(map(chr, _SPACES))  # what Go's strings.TrimSpace takes off
_BAD_BYTE = re.compile("[\udc80-\udcff]")
_ESCAPED = frozenset(".+()$")  # and not {|}, which Docker means to escape but does not
_MAGIC = frozenset("*[]?^\\")

# What Docker lets pass, with the help of Go's filepath.Match: up to the first `*` behind something else, classes are closed and
# neither empty nor open-ended, and a backslash has something behind it. The rest is for the regular expression to refuse.
_IN_CLASS = r"(?:\\[^\udc80-\udcff]|[^\\\]\-\udc80-\udcff])"
_VALID = re.compile(rf"\**+(?:[^\\\[*]|\\.|\[\^?(?:{_IN_CLASS}(?:-{_IN_CLASS})?)+\])*(?:\*.*)?", re.DOTALL)


def read_patterns(data: bytes) -> list[str]:
    """Return the patterns of a .dockerignore file, cleaned; exceptions begin with "!". As moby's `ignorefile.ReadAll`."""
    patterns = []
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for line in text.split("\n"):
        if line.startswith("#"):
            continue
        pattern = line.strip(_SPACE)
        exception = pattern.startswith("!")
        pattern = pattern[exception:].strip(_SPACE)
        if pattern:
            pattern = _clean(pattern)
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
        if pattern or exception:
            patterns.append("!" * exception + pattern)
    return patterns


def _clean(path: str) -> str:
    """Go's `filepath.Clean`: like Python's, but two leading slashes mean no more than one."""
    return posixpath.normpath(re.sub("^/+", "/", path))


class Pattern:
    """One pattern, ready to match.

    Attributes:
        exception: whether it began with "!".
        program: None where Docker compares strings and uses no regular expression.
    """

    def __init__(self, text: str, budget: Budget) -> None:
        """Take a pattern as `read_patterns` returns it. Raises BadPattern."""
        text = _clean(text.strip(_SPACE))
        self.exception = text.startswith("!")
        text = text.removeprefix("!")
        if not text:
            raise BadPattern("an exclamation mark with nothing behind it")
        if not _VALID.fullmatch(text):
            raise BadPattern("a [ without its ], an empty [], or a backslash at the end")
        self._prefix = text.removesuffix("/**").removesuffix("/*")
        self._kind, expression = _expression(_BAD_BYTE.sub("\ufffd", text))
        self._bytes = text.encode("utf-8", "surrogateescape")
        self.program = Program(expression, budget) if self._kind == "regexp" else None

    def matches(self, path: bytes) -> bool:
        """Return whether it matches the whole path, by comparing strings."""
        if self._kind == "exact":
            return path == self._bytes
        if self._kind == "prefix":
            return path.startswith(self._bytes[:-2])
        suffix = self._bytes[2:]
        return path.endswith(suffix) or (suffix.startswith(b"/") and path == suffix[1:])

    def may_match_below(self, directory: bytes) -> bool:
        """Return whether the walk looks for this exception in an ignored directory."""
        if _MAGIC.intersection(self._prefix):
            return True
        return (self._prefix + "/").encode("utf-8", "surrogateescape").startswith(directory + b"/")


def _expression(pattern: str) -> tuple[str, str]:
    """Return how Docker matches a pattern: "exact", "prefix", "suffix" or "regexp"; and the Go expression, unanchored."""
    kind, expression = "exact", ""
    pattern = pattern.removeprefix("\ufeff")
    i = 0
    while i < len(pattern):
        begin, character = i, pattern[i]
        i += 1
        if pattern.startswith("**", begin):
            i += 1
            i += pattern.startswith("/", i)
            at_end = i == len(pattern)
            expression += ".*" if at_end else ANY_DIRECTORIES
            kind = "prefix" if at_end and kind == "exact" else "regexp"
            if begin == 0:
                kind = "suffix"
        elif character in "*?":
            kind, expression = "regexp", expression + ("[^/]*" if character == "*" else "[^/]")
        elif character == "\\":
            kind, expression = "regexp", expression + pattern[begin : i + 1]
            i += 1
        else:
            kind = "regexp" if character in "[]" else kind
            expression += "\\" + character if character in _ESCAPED else character
    return kind, expression


@dataclass(frozen=True)
class Level:
    """What is known in a directory.

    Attributes:
        path: of the directory with a slash at its end, b"" for the root of the context.
        matched: for each pattern, whether it matched the directory or one above it.
        states: for each pattern with an automaton, its state behind `path`.
    """

    path: bytes
    matched: tuple[bool, ...]
    states: tuple[Reached | None, ...]


class IgnoreFilter:
    """The patterns of one file, asked on a walk from the root of the context downwards."""

    def __init__(self, patterns: Sequence[str], source: str) -> None:
        """Take what `read_patterns` returned, and the file's name for messages. Raises StageFailed."""
        self._source = source
        budget = Budget()
        self._patterns = []
        for text in patterns:
            try:
                self._patterns.append(Pattern(text, budget))
            except BadPattern as error:
                raise self._failed(f"the pattern {text!r} is wrong: {error}") from None
        starts = tuple(pattern.program.start if pattern.program else None for pattern in self._patterns)
        self.root = Level(b"", (False,) * len(starts), starts)

    def check(self, level: Level, name: bytes) -> tuple[bool, tuple[bool, ...]]:
        """Return whether a name in a directory is ignored, and which patterns matched it, for `enter`. Raises StageFailed."""
        if not self._patterns:
            return False, ()
        path, text = level.path + name, _runes(name)
        ignored = False
        matched = []
        for pattern, above, state in zip(self._patterns, level.matched, level.states, strict=True):
            match = above
            if not above and pattern.exception == ignored:
                match = pattern.matches(path) if state is None else self._run(state, text).accepts
            if match:
                ignored = not pattern.exception
            matched.append(match)
        return ignored, tuple(matched)

    def enter(self, level: Level, name: bytes, matched: tuple[bool, ...]) -> Level:
        """Return the level of a directory in `level`, from what `check` said of it."""
        text = _runes(name) + "/"
        states = tuple(None if state is None else self._run(state, text) for state in level.states)
        return Level(level.path + name + b"/", matched, states)

    def may_except_below(self, directory: bytes, matched: tuple[bool, ...] = ()) -> bool:
        """Return whether an ignored directory is looked into, because an exception may hold for something in it.

        Takes its path, and what `check` said of it, which makes no difference here.
        """
        exceptions = [pattern for pattern in self._patterns if pattern.exception]
        return any(pattern.may_match_below(directory) for pattern in exceptions)

    def may_match_below(self, directory: bytes) -> bool:
        """Return whether a pattern that is no exception may match something in a directory."""
        return any(pattern.may_match_below(directory) for pattern in self._patterns if not pattern.exception)

    def _run(self, state: Reached, text: str) -> Reached:
        try:
            return state.after(text)
        except BadPattern as error:
            raise self._failed(str(error)) from None

    def _failed(self, reason: str) -> StageFailed:
        return StageFailed(f"{self._source}: {reason}", "the rules are at https://docs.docker.com/build/concepts/context/")


def _runes(name: bytes) -> str:
    """Return a name as Go's regexp sees it: each byte that is no UTF-8 counts as U+FFFD."""
    return _BAD_BYTE.sub("\ufffd", name.decode("utf-8", "surrogateescape"))
