"""What `gitdeploy run` and `gitdeploy exec` take from a command line."""

from __future__ import annotations

import argparse

import pytest

from gitdeploy.cli import attended
from gitdeploy.cli.attended import Wanted
from gitdeploy.errors import UsageError


def parsed(*words: str) -> Wanted:
    parser = argparse.ArgumentParser(prog="gitdeploy exec")
    attended.add_arguments(parser)
    return attended.parse(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["a/b", "ls"], Wanted("a/b", "web", ("ls",))),
        (["a/b", "-it", "sh"], Wanted("a/b", "web", ("sh",), terminal=True, interactive=True)),
        (["-it", "a/b", "sh"], Wanted("a/b", "web", ("sh",), terminal=True, interactive=True)),
        (["-i", "a/b", "-t", "sh"], Wanted("a/b", "web", ("sh",), terminal=True, interactive=True)),
        (["a/b", "-i", "-t", "sh"], Wanted("a/b", "web", ("sh",), terminal=True, interactive=True)),
        (["a/b", "--interactive", "cat"], Wanted("a/b", "web", ("cat",), interactive=True)),
        (["a/b", "--tty", "cat"], Wanted("a/b", "web", ("cat",), terminal=True)),
        (["a/b", "sh", "-c", "echo -i", "-t", "--", "x"], Wanted("a/b", "web", ("sh", "-c", "echo -i", "-t", "--", "x"))),
        (["a/b", "--", "-odd", "-i"], Wanted("a/b", "web", ("-odd", "-i"))),
        (["a/b", "-i", "--", "cat"], Wanted("a/b", "web", ("cat",), interactive=True)),
        (["--", "a/b", "ls"], Wanted("a/b", "web", ("ls",))),
        (["a/b/worker", "ls"], Wanted("a/b", "worker", ("ls",))),
        (["a/b/", "ls"], Wanted("a/b", "web", ("ls",))),
        (["A/b/c/d", "ls"], Wanted("A/b", "c/d", ("ls",))),
        (["ab", "ls"], Wanted("ab/", "web", ("ls",))),  # which is the name of no app
    ],
)
def test_command_lines(words: list[str], wanted: Wanted) -> None:
    assert parsed(*words) == wanted


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["a/b"], "expected a command, found none"),
        (["a/b", "-it"], "expected a command, found none"),
        (["a/b", "--"], "expected a command, found none"),
        (["a/b", ""], "expected a command, found none"),
        (["a/b", "-ix", "sh"], "there is no option '-ix' (x)"),
        (["a/b", "--rm", "sh"], "there is no option '--rm' (--rm)"),
        (["a/b", "-", "sh"], "there is no option '-' (-)"),
    ],
)
def test_command_lines_that_ask_for_nothing_clear(words: list[str], reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(*words)
    assert caught.value.reason == reason
    assert caught.value.hint
