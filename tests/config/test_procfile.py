"""A Procfile: which processes take their command from it, and how its lines are run."""

from __future__ import annotations

import pytest

from gitdeploy.config.model import App
from gitdeploy.config.procfile import commands, complete, lacking
from gitdeploy.errors import ConfigError
from tests.config.loading import config

SHELL = "/bin/sh", "-c"


def app(text: str) -> App:
    return config(f'[apps."o/shop"]\n{text}\n').apps["o/shop"]


def test_it_names_commands_of_processes_that_lack_one_and_of_no_other() -> None:
    found = app('command = "mine"\nprocesses.worker.replicas = 2\nprocesses.mail.command = "own"')
    assert lacking(found) == ("worker",)
    done = complete(found, b"web: other\nworker: work --fast\nmail: other\nclock: tick\n", "Procfile")
    assert {name: process.run.command for name, process in done.processes.items()} == {
        "worker": ("work", "--fast"),
        "mail": ("own",),
    }
    assert done.run.command == ("mine",)
    assert done.processes["worker"].replicas == 2


@pytest.mark.parametrize("procfile", [None, b"", b"wroker: x\n", b"worker:\n", b"\xff\xfe\0", b"worker x\n"])
def test_a_process_without_a_command_is_said(procfile: bytes | None) -> None:
    with pytest.raises(ConfigError, match=r"processes\.worker: expected a command, .* in a Procfile"):
        complete(app("processes.worker.replicas = 2"), procfile, "Procfile")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("work", ("work",)),
        ("  celery -A shop worker -l 'more info'  ", ("celery", "-A", "shop", "worker", "-l", "more info")),
        ('python -c "x"', ("python", "-c", "x")),
        ("work --port $PORT", (*SHELL, "work --port $PORT")),
        ("a && b", (*SHELL, "a && b")),
        ("A=1 work", (*SHELL, "A=1 work")),
        ("work --a=1", ("work", "--a=1")),
        ("work > /dev/null", (*SHELL, "work > /dev/null")),
        ("work *.py", (*SHELL, "work *.py")),
        ("work 'open", (*SHELL, "work 'open")),
        ("work\t# why", (*SHELL, "work\t# why")),
    ],
)
def test_a_shell_runs_what_only_a_shell_understands(line: str, command: tuple[str, ...]) -> None:
    assert commands(f"worker:{line}\r\n") == {"worker": command}


def test_a_hostile_one_takes_no_time() -> None:
    assert commands("worker: " + "a " * 30_000 + "\0") != {}
    assert commands("a" * 60_000) == {}
