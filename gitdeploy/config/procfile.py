"""A Procfile in the tree: commands of processes that the configuration names and says no command of. Pure.

It makes no process of its own, and says nothing of "web": a file that lies there for another platform must not change what a
Dockerfile's CMD has run so far.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from types import MappingProxyType

from gitdeploy.config.model import App
from gitdeploy.config.problems import Problems, join_key

FILE = "Procfile"
MAX_PROCFILE = 64_000
"""Bytes."""

_LINE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*:\s*(\S.*)")
_PLAIN = re.compile(r"""[A-Za-z0-9_./:,@%+='" -]+""")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
"""At the beginning of a command a shell sets a variable by it."""


def lacking(app: App) -> tuple[str, ...]:
    """Return the names of processes that have no command yet."""
    return tuple(name for name, process in app.processes.items() if not process.run.command)


def complete(app: App, procfile: bytes | None, source: str) -> App:
    """Return the app with the commands that its processes lack.

    Args:
        procfile: the file's bytes, hostile; None if there is none.
        source: what it is called in messages.

    Raises:
        ConfigError: a process has no command there either.
    """
    found = commands((procfile or b"").decode("utf-8", "replace"))
    problems = Problems(source if procfile is not None else "gitdeploy.toml")
    done = dict(app.processes)
    for name in lacking(app):
        if command := found.get(name):
            done[name] = replace(done[name], run=replace(done[name].run, command=command))
        else:
            problems.add(
                join_key(["processes", name]),
                f'expected a command, such as command = "celery worker", or a line "{name}: celery worker" in a {FILE}: '
                "the image's own is what web runs",
            )
    problems.require_none("correct the file and push again; the running release is untouched")
    return replace(app, processes=MappingProxyType(done))


def commands(text: str) -> dict[str, tuple[str, ...]]:
    """Return the command of each process that a Procfile names; lines of another form count for nothing."""
    lines = filter(None, map(_LINE.fullmatch, text.splitlines()))
    return {line[1]: _words(line[2].strip()) for line in lines}


def _words(command: str) -> tuple[str, ...]:
    """Return a line of a Procfile as an engine takes it: its words where a shell would do nothing else, else for a shell.

    A program that is started without one gets the stop signal itself.
    """
    if _PLAIN.fullmatch(command) and not _ASSIGNMENT.match(command):
        try:
            return tuple(shlex.split(command))
        except ValueError:
            pass  # a quotation that does not end: the shell tells
    return ("/bin/sh", "-c", command)
