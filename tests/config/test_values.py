"""Durations, sizes, shares, arrays and tables of names."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config.problems import BadName, BadValue
from gitdeploy.config.values import FLAG, MAX_ITEMS, SETTING, SHARE, choice, duration, many, matching, named, size, whole

ANY_DURATION = duration("0s", "365d")
ANY_SIZE = size(0, 2**60)
WORD = matching("[a-z]+", "a word")


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("10s", 10),
        ("250ms", 0.25),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("1d", 86400),
        ("1d2h3m4s5ms", 93784.005),
        (3, 3),
        (0.5, 0.5),
        (0, 0),
    ],
)
def test_durations(written: object, seconds: float) -> None:
    assert seconds == ANY_DURATION.parse(written)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "10",
        "s",
        "10 s",
        "-1s",
        "1e3s",
        "1.5.5s",
        "10S",
        "١s",
        "9" * 60_000 + "s",
        "400d",
        -1,
        True,
        math.nan,
        math.inf,
        10**400,
        [1],
    ],
)
def test_what_is_no_duration(written: object) -> None:
    with pytest.raises(BadValue, match="a duration from 0s to 365d"):
        ANY_DURATION.parse(written)


@given(st.integers(0, 365 * 86_400_000).map(lambda ms: ms / 1000) | st.floats(0, 365 * 86_400))
def test_durations_are_written_as_they_are_read(seconds: float) -> None:
    assert seconds == ANY_DURATION.parse(ANY_DURATION.format(seconds))


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.0, "0s"), (0.25, "250ms"), (90.0, "1m30s"), (86400.0, "1d"), (0.0001, 0.0001)]
)
def test_durations_are_written_short(seconds: float, written: object) -> None:
    assert written == ANY_DURATION.format(seconds)


@pytest.mark.parametrize(
    ("written", "count"),
    [("10MB", 10**7), ("10 mb", 10**7), ("1GiB", 2**30), ("1.5kB", 1500), ("0B", 0), ("2TiB", 2**41), (5, 5)],
)
def test_sizes(written: object, count: int) -> None:
    assert count == ANY_SIZE.parse(written)


@pytest.mark.parametrize(
    "written", ["", "10", "MB", "10M", "10XB", "-1MB", -1, 1.5, True, 2**70, 10**400, "9" * 60_000 + "B", {}]
)
def test_what_is_no_size(written: object) -> None:
    with pytest.raises(BadValue, match="a size from 0 to "):
        ANY_SIZE.parse(written)


@given(st.integers(0, 2**53))
def test_sizes_are_written_as_they_are_read(count: int) -> None:
    assert count == ANY_SIZE.parse(ANY_SIZE.format(count))


@pytest.mark.parametrize(("written", "share"), [(0, 0), (0.01, 0.01), ("1%", 0.01), ("0.5%", 0.005), ("100%", 1), (1, 1)])
def test_shares(written: object, share: float) -> None:
    assert share == SHARE.parse(written)


@pytest.mark.parametrize("written", [1.01, -0.1, "101%", "1", "%", "-1%", math.nan, True, 10**400])
def test_what_is_no_share(written: object) -> None:
    with pytest.raises(BadValue):
        SHARE.parse(written)


def test_a_number_is_no_flag_and_a_flag_no_number() -> None:
    with pytest.raises(BadValue, match="true or false"):
        FLAG.parse(1)
    with pytest.raises(BadValue, match="an integer from 1 to 5"):
        whole(1, 5).parse(True)
    with pytest.raises(BadValue, match="an integer from 1 to 5"):
        whole(1, 5).parse(2.0)


def test_a_choice_names_what_there_is() -> None:
    assert choice("a", "b", "c").parse("b") == "b"
    with pytest.raises(BadValue, match=r'^"a", "b" or "c"$'):
        choice("a", "b", "c").parse("B")


def test_a_single_value_stands_for_an_array() -> None:
    assert many(WORD).parse("main") == ("main",)
    assert many(WORD).parse(["main", "next"]) == ("main", "next")
    assert many(WORD).parse([]) == ()


@pytest.mark.parametrize(
    ("written", "expected", "at"),
    [
        (["a", 1], "a word", "[1]"),
        (["a", "b", "a"], "each item once", "[2]"),
        ([], "an array of 1 to 100, each a word", ""),
        ([f"{'a' * n}" for n in range(1, MAX_ITEMS + 2)], "an array of 1 to 100, each a word", ""),
        ({}, "a word", ""),
    ],
)
def test_arrays_say_which_item_is_wrong(written: object, expected: str, at: str) -> None:
    with pytest.raises(BadValue) as caught:
        many(WORD, at_least=1).parse(written)
    assert (expected, at) == (caught.value.expected, caught.value.at)


def test_tables_say_which_name_is_wrong() -> None:
    kind = named(WORD, whole(1, 5))
    assert dict(kind.parse({"a": 1})) == {"a": 1}
    with pytest.raises(BadName) as name:
        kind.parse({"A b": 1})
    assert (name.value.expected, name.value.value) == ("a word", "A b")
    with pytest.raises(BadValue) as value:
        kind.parse({"a": 9})
    assert value.value.at == ".a"
    with pytest.raises(BadValue, match="a table"):
        kind.parse(["a"])
    with pytest.raises(BadValue, match="at most 100 names"):
        kind.parse({"a" * n: 1 for n in range(1, MAX_ITEMS + 2)})


@pytest.mark.parametrize(
    ("written", "text"), [("hi", "hi"), (8080, "8080"), ("two\nlines\t", "two\nlines\t"), ("", ""), ("ünï", "ünï")]
)
def test_settings(written: object, text: str) -> None:
    assert text == SETTING.parse(written)


@pytest.mark.parametrize("written", [True, 1.5, 10**30, "nul\0", "bell\a", "escape\x1b[0m", "next line\x85", ["a"], {}])
def test_what_is_no_setting(written: object) -> None:
    with pytest.raises(BadValue, match="a string"):
        SETTING.parse(written)
