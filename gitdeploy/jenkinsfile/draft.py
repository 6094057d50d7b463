"""An app's table while it is being put together: checked values, and notes on those that are not carried over."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.problems import BadValue, quoted, shown
from gitdeploy.jenkinsfile.steps import StepNote

_REFERENCE = re.compile(r"\$\{?(?:env\.|params\.)?([A-Za-z_]\w*)")


class Draft:
    """What is known so far.

    Attributes:
        values: key path → TOML value, as `config.edit.set_app` takes them.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """`secrets`: variables with Jenkins' credentials in them, and the credentials' ids."""
        self.values: dict[str, object] = {}
        self._notes: dict[StepNote, None] = {}
        self._secrets = secrets

    def beside(self) -> Draft:
        """Return an empty draft, for another container, whose notes are this one's."""
        draft = Draft(self._secrets)
        draft._notes = self._notes
        return draft

    @property
    def notes(self) -> list[StepNote]:
        """All notes, each once, by line."""
        return sorted(self._notes, key=lambda note: note.line)

    def note(self, line: int, text: str) -> None:
        """Add a note for a line of the Jenkinsfile."""
        self._notes[StepNote(line, text)] = None

    def set(self, line: int, key: str, value: object, written: str = "") -> None:
        """Set a key to a value that its kind takes; `written`: the option that says so, for the note otherwise."""
        if self._fits(line, key, value, written):
            self.values[key] = value

    def add(self, line: int, key: str, item: str, written: str) -> None:
        """Add an item to the array of a key."""
        items = self.values.setdefault(key, [])
        assert isinstance(items, list)
        if item not in items and self._fits(line, key, [*items, item], written, item):
            items.append(item)

    def put(self, line: int, key: str, name: str, value: str, written: str) -> None:
        """Set a name in the table of a key."""
        if self._fits(line, key, {name: value}, written, value):
            table = self.values.setdefault(key, {})
            assert isinstance(table, dict)
            table[name] = value

    def _fits(self, line: int, key: str, value: object, written: str, part: object = None) -> bool:
        text = value if part is None else part
        if isinstance(text, str) and not self.known(line, written or f"{key} = {quoted(text)}", text):
            return False
        try:
            APP_KEYS[key].kind.parse(value)
        except BadValue as bad:
            found = bad.value if part is None else part
            self.note(line, f"{written or key}: not carried over: expected {bad.expected}, found {shown(found)}")
            return False
        return True

    def known(self, line: int, written: str, text: str) -> bool:
        """Return whether the value stands in the Jenkinsfile; a note if it does not. Secrets never do."""
        secret = next((name for name in _REFERENCE.findall(text) if name in self._secrets), None)
        if secret:
            self.note(
                line,
                f"{written}: {secret} comes from Jenkins' credentials {quoted(self._secrets[secret])}: "
                "write NAME=VALUE into a file with mode 0600 on the server, and name it in env_file",
            )
        elif "$" in text:
            self.note(line, f"{written}: not carried over, for the value does not stand in the Jenkinsfile: set it by hand")
        return "$" not in text
