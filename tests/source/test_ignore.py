"""The .dockerignore filter: Docker's rules one by one, then random patterns against an independent implementation."""

from __future__ import annotations

import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import StageFailed
from gitdeploy.source.ignore import IgnoreFilter, Level, read_patterns


def kept(text: str | bytes, *paths: str) -> list[str]:
    """Which of these files a .dockerignore file keeps, on a walk as for a build context."""
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
    ignore = IgnoreFilter(read_patterns(data), ".dockerignore")
    return [path for path in paths if keeps(ignore, path)]


def keeps(ignore: IgnoreFilter, path: str) -> bool:
    level: Level = ignore.root
    *above, last = path.encode("utf-8", "surrogateescape").split(b"/")
    for name in above:
        ignored, matched = ignore.check(level, name)
        if ignored and not ignore.may_except_below(level.path + name):
            return False
        level = ignore.enter(level, name, matched)
    return not ignore.check(level, last)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# a comment\n\n  a  \n", ["a"]),
        (" # none", ["# none"]),
        ("\ufeffa\r\nb\r\n", ["a", "b"]),
        ("/a/\n//b\n./c\nd//e\nf/../g", ["a", "b", "c", "d/e", "g"]),
        ("! x\n!/y/", ["!x", "!y"]),
        ("/", ["/"]),
        ("../up", ["../up"]),
        ("!", ["!"]),
        ("\x1ca\x1c", ["\x1ca\x1c"]),
    ],
)
def test_lines_are_cleaned_as_docker_does(text: str, expected: list[str]) -> None:
    assert expected == read_patterns(text.encode())


@pytest.mark.parametrize(
    ("text", "path", "is_kept"),
    [
        # whole names, and what is below them
        ("a", "a", False),
        ("a", "ab", True),
        ("a", "x/a", True),
        ("a", "a/b/c", False),
        ("a/b", "a/b/c", False),
        ("a/b", "a/c", True),
        ("/a", "a", False),
        ("a/", "a", False),
        # * and ? stop at a slash
        ("*.txt", "n.txt", False),
        ("*.txt", "d/n.txt", True),
        ("*/*.txt", "d/n.txt", False),
        ("*/*.txt", "d/e/n.txt", True),
        ("d?", "d1", False),
        ("d?", "d", True),
        ("*", "a/b", False),
        ("a*b", "aéb", False),
        ("a?b", "aéb", False),
        # ** does not
        ("**/*.txt", "n.txt", False),
        ("**/*.txt", "d/e/n.txt", False),
        ("**", "a/b", False),
        ("**/n", "x/y/n", False),
        ("**n", "x/y/man", False),
        ("d/**", "d", True),
        ("d/**", "d/e/f", False),
        ("a/**/z", "a/z", False),
        ("a/**/z", "a/b/c/z", False),
        ("a**z", "abz", True),
        ("a**z", "ab/z", False),
        ("**/x/**/y", "a/x/b/c/y", False),
        # classes and escapes
        ("[a-c]x", "bx", False),
        ("[a-c]x", "dx", True),
        ("[^a-c]x", "dx", False),
        ("[!a]x", "!x", False),
        ("[!a]x", "bx", True),
        ("x*[-_]old", "x1-old", False),
        ("[é-ü]", "ö", False),
        (r"a\*b", "a*b", False),
        (r"a\*b", "axb", True),
        (r"\!a", "!a", False),
        (r"\#a", "#a", False),
        ("a.b", "axb", True),
        ("a.*", "a.b", False),
        ("(a)$*", "(a)$b", False),
        # the corners of Docker's way over a regular expression
        ("[*]x", "[x]", True),
        ("[*]", "^[/]", False),
        ("a^*", "a^b", True),
        ("^a*", "ab", False),
        # exceptions
        ("a\n!a/b", "a/b", True),
        ("a\n!a/b", "a/c", False),
        ("a\n!a/b\na/b/c", "a/b/c", False),
        ("a\n!a/b\na/b/c", "a/b/d", True),
        ("!a\na", "a", False),
        ("*\n!*.md", "r.md", True),
        ("**\n!**/r.md", "x/y/r.md", True),
        ("a/b\n!a", "a/b", False),
        ("a\n!b/c", "a/b/c", False),
        ("*\n!a/**", "a/b", True),
        # bytes that are no UTF-8
        ("a\udcffb", "a\udcffb", False),
        ("a?b", "a\udcffb", False),
        ("a?b", "a\udce2\udc82b", True),
        ("a\ufffd*", "a\udcffb", False),
        ("a\nb", "a\nb", True),
        ("a?b", "a\nb", False),
        ("**/b", "a\nx/b", False),
        ("*x/**/b", "ax/\n/b", True),
    ],
)
def test_one_rule(text: str, path: str, is_kept: bool) -> None:
    assert ([path] if is_kept else []) == kept(text, path)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[", r"a [ without its ]"),
        ("[]", "an empty []"),
        ("a\\", "a backslash at the end"),
        ("[z-a]", "the range z-a is empty"),
        ("*[z", "a [ without its ]"),
        ("a*[z", "a [ without its ]"),
        ("!", "an exclamation mark with nothing behind it"),
        (r"a*\d", r"Docker takes \d for a regular expression's"),
        ("a*|b", "Docker takes | for a regular expression's"),
        ("a{2}*", "Docker takes { for a regular expression's"),
        ("[[:alpha:]]*", "Docker takes [: for a regular expression's"),
    ],
)
def test_wrong_pattern_is_named(pattern: str, reason: str) -> None:
    with pytest.raises(StageFailed) as caught:
        IgnoreFilter(read_patterns(b"fine\n" + pattern.encode()), "web.dockerignore")
    assert f"web.dockerignore: the pattern {pattern!r} is wrong" in caught.value.reason
    assert reason in caught.value.reason


@pytest.mark.parametrize("pattern", ["*a" * 12 + "b", "**a" * 12 + "b", "**/a*" * 12 + "/b", "[ab]*" * 12 + "c"])
def test_no_pattern_takes_exponential_time(pattern: str) -> None:
    path = "/".join(["a" * 250] * 16)
    started = time.process_time()
    assert [path] == kept(pattern, path)
    assert time.process_time() - started < 5


def test_patterns_that_need_too_much_time_are_refused() -> None:
    text = "\n".join(f"*a{'?' * n}z" for n in range(20, 80))
    names = ["".join(random.Random(n).choices("ab", k=200)) for n in range(50)]
    with pytest.raises(StageFailed, match="too much time"):
        kept(text, *names)


# An independent implementation: each pattern as a Python expression, and all prefixes of a path tried. It is right for patterns
# without Docker's corners: literals, *, ?, ** and / around it, classes. And for exceptions that name no parent of a pattern.
segments = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "?", "[ab]", "**", "a?b", "é"])
patterns = st.lists(segments, min_size=1, max_size=4).map("/".join)
files = st.lists(st.sampled_from(["a", "b", "ab", "abb", "aab", "é"]), min_size=1, max_size=5).map("/".join)


@given(st.lists(patterns, min_size=1, max_size=4), files)
def test_like_a_plain_reading_of_the_rules(texts: list[str], path: str) -> None:
    prefixes = ["/".join(path.split("/")[: n + 1]) for n in range(path.count("/") + 1)]
    ignored = any(re.fullmatch(translated(text), prefix) for text in texts for prefix in prefixes)
    assert ([] if ignored else [path]) == kept("\n".join(texts), path)


@given(st.lists(patterns, max_size=3), files, files)
def test_a_literal_exception_keeps_what_it_names(texts: list[str], exception: str, path: str) -> None:
    text = "\n".join([*texts, "**", "!" + exception])
    expected = path == exception or path.startswith(exception + "/")
    assert ([path] if expected else []) == kept(text, path)


def translated(pattern: str) -> str:
    pattern = re.sub(r"\*\*(/\*\*)+", "**", pattern)
    parts = []
    for piece in re.findall(r"\*\*/?|.", pattern):
        parts.append({"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece, piece))
    return "".join(parts)


names = st.binary(min_size=1, max_size=5).filter(lambda name: b"/" not in name)


@given(st.binary(max_size=60), st.lists(names, min_size=1, max_size=3))
def test_any_bytes_filter_or_fail_clearly(text: bytes, names: list[bytes]) -> None:
    try:
        kept(text, b"/".join(names).decode("utf-8", "surrogateescape"))
    except StageFailed as error:
        assert error.reason.startswith(".dockerignore: the pattern ")
