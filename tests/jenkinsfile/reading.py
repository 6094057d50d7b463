"""A Jenkinsfile's text as what becomes of it."""

from __future__ import annotations

import tomllib
from typing import Any

from gitdeploy.jenkinsfile.convert import Converter


def convert(text: str, app: str | None = "devops/dev-app") -> tuple[dict[str, Any], dict[int, str]]:
    """The app's table, and the notes by line; those of one line joined."""
    converted = Converter(text).convert(app)
    notes: dict[int, str] = {}
    for note in converted.notes:
        notes[note.line] = notes.get(note.line, "") + note.text + "\n"
    (table,) = tomllib.loads(converted.toml)["apps"].values()
    return table, notes


def run_only(options: str, before: str = "") -> tuple[dict[str, Any], str]:
    """What becomes of `docker run OPTIONS a/b:$VERSION` after these Groovy lines; all notes as one text."""
    text = f"{before}\nsh '''docker run {options} a/b:$VERSION'''\n"
    table, notes = convert(text)
    return {key: value for key, value in table.items() if key not in ("image", "push")}, "".join(notes.values())
