"""Tables and colours on a terminal, and pages that are shown again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.cli.screen import paint
from gitdeploy.cli.tables import columns, table
from tests.support import gogs
from tests.support.installed import install
from tests.support.terminals import on_a_terminal


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("배포", 4), ("ｗｉｄｅ", 8), ("é", 1), ("e\u0301", 1), ("한글 ok", 7), ("", 0)],
)
def test_columns(text: str, width: int) -> None:
    assert columns(text) == width


def test_columns_stand_one_below_the_other_whatever_the_letters() -> None:
    lines = table(["WHO", "WHAT"], [["김철수", "one"], ["ann", "two"]]).splitlines()
    assert lines == ["WHO     WHAT", "김철수  one", "ann     two"]


def test_colours_change_no_column() -> None:
    plain = table(["A", "B", "C"], [["yes", "12 failed", "x"]])
    shown = table(["A", "B", "C"], [["yes", "12 failed", "x"]], paint)
    assert shown != plain
    for colour in ("\x1b[32m", "\x1b[1;31m", "\x1b[0m"):
        shown = shown.replace(colour, "")
    assert shown == plain


def test_watch_shows_again_until_ctrl_c(tmp_path: Path) -> None:
    site = install(gogs.create(tmp_path / "data"), {})
    site.enrol("o/app", "o/app", 8080)
    with on_a_terminal([str(site.home / "bin" / "gitdeploy"), "status", "--watch"]) as terminal:
        for _ in range(2):
            terminal.expect(b"\x1b[H\x1b[2J")
            terminal.expect(b"o/app")
        terminal.type(b"\x03")
        assert terminal.wait() == 0


def test_watch_needs_a_terminal(tmp_path: Path) -> None:
    site = install(gogs.create(tmp_path / "data"), {})
    site.enrol("o/app", "o/app", 8080)
    assert "--watch: expected a terminal" in site.run("status", "--watch", check=2).stderr
    assert "\x1b" not in site.run("status").stdout
