"""`gitdeploy import-jenkinsfile FILE [--app APP]`: prints a Jenkins pipeline as an app's table for config.toml."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from gitdeploy.config.formats import APP_NAME
from gitdeploy.config.problems import BadValue
from gitdeploy.errors import UsageError
from gitdeploy.jenkinsfile.convert import MAX_SIZE, Converter
from gitdeploy.terminal.redact import harmless


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("file", metavar="FILE", help="the Jenkinsfile, - for standard input")
    parser.add_argument("--app", metavar="APP", help="owner/repo; else the one whose repository the file names")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the table to standard output, and what is not in it to standard error; return 0."""
    app = arguments.app.lower() if arguments.app else None
    try:
        APP_NAME.parse(app or "owner/repo")
    except BadValue as bad:
        raise UsageError(f"--app: expected {bad.expected}, found {arguments.app!r}") from bad
    converted = Converter(_read(arguments.file)).convert(app)
    print(converted.toml, end="")
    for note in converted.notes:
        place = f"line {note.line}: " if note.line else ""
        print(harmless(f"{arguments.file}: {place}{note.text}"), file=sys.stderr)
    return 0


def _read(file: str) -> str:
    """Return the text of a file; bytes that are no UTF-8 are replaced."""
    try:
        if file == "-":
            data = sys.stdin.buffer.read(4 * MAX_SIZE)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(4 * MAX_SIZE)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}", "name a Jenkinsfile, or - for standard input") from error
    return data.decode("utf-8-sig", "replace").replace("\r\n", "\n")
