"""Further `docker run`s as parts of the app: processes and tasks of its own image, accessories of other ones. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from gitdeploy.config.partkeys import PART
from gitdeploy.config.problems import BadValue, quoted
from gitdeploy.config.writer import dump_key, dump_value
from gitdeploy.jenkinsfile.dockercli import Parsed
from gitdeploy.jenkinsfile.dockerrun import take_options
from gitdeploy.jenkinsfile.draft import Draft

_OF_THE_APP = ("env", "env_file", "volumes", "networks")
"""Keys that all containers of an app share."""


@dataclass(frozen=True)
class ImageRun:
    """A `docker run` in a line of the Jenkinsfile.

    Attributes:
        stage: the name of the stage that it stands in, "" for none.
        published: whether an image has been pushed before it.
    """

    line: int
    parsed: Parsed
    stage: str = ""
    published: bool = False

    @property
    def image(self) -> str:
        return self.parsed.rest[0] if self.parsed.rest else ""

    @property
    def once(self) -> bool:
        """Whether it is waited for, as for tests."""
        return bool(self.parsed.all("rm")) and not self.parsed.all("detach")

    @property
    def words(self) -> tuple[str, ...]:
        """The command after the image."""
        return self.parsed.rest[1:]


class Parts:
    """The tables below an app's own."""

    def __init__(self, app: Draft) -> None:
        """Take what was made of the `docker run` that is the app."""
        self._app = app
        self._tables: dict[tuple[str, str], dict[str, object]] = {}

    def add_process(self, run: ImageRun) -> None:
        """Add what goes on running beside the app."""
        container = str(self._app.values.get("container", ""))
        name = run.parsed.last("name").removeprefix(f"{container}-")
        self._add("processes", name or "worker", run, {})

    def add_task(self, run: ImageRun, *, served: bool) -> None:
        """Add what is waited for.

        Args:
            run: of the Jenkinsfile.
            served: whether the app is started before it.
        """
        when = "after-switch" if served else "before-switch" if run.published else "after-build"
        self._add("tasks", run.stage or "task", run, {"when": when})

    def add_accessory(self, run: ImageRun) -> None:
        """Add what goes on running of an image that is not built here."""
        name = run.parsed.last("name").removeprefix(f"{self._app.values.get('container', '')}-")
        if not self._app.known(run.line, "the image", run.image):
            return
        draft = self._app.beside()
        take_options(draft, run.line, run.parsed)
        values = {key: value for key, value in draft.values.items() if key not in ("container", "restart", "networks")}
        image = run.image if ":" in run.image.rpartition("/")[2] else f"{run.image}:latest"
        values = {"image": image, **values, **({"command": shlex.join(run.words)} if run.words else {})}
        plain = re.split("[:@]", run.image.rpartition("/")[2])[0]
        self._tables["accessories", self._name("accessories", plain if "$" in name else name or plain)] = values
        what = "an accessory, which gets a container of its own; remove this one first, for both must not run on one volume"
        self._app.note(run.line, f"docker run of {quoted(run.image)}: {what}: see gitdeploy help jenkins")

    def text(self, app: str) -> str:
        """Return the tables as TOML, each with an empty line before it; `app` is "owner/repo"."""
        lines: list[str] = []
        for (group, name), values in self._tables.items():
            lines += ["", f"[{dump_key(['apps', app, group, name])}]"]
            lines += [f"{key} = {dump_value(value)}" for key, value in values.items()]
        return "".join(f"{line}\n" for line in lines)

    def _add(self, group: str, wanted: str, run: ImageRun, values: dict[str, object]) -> None:
        if not run.words:
            what = "is the app itself; for more of it set replicas"
            self._app.note(
                run.line, f"another docker run of {quoted(run.image)} without a command: not carried over: it {what}"
            )
            return
        if not all(self._app.known(run.line, "the command after the image", word) for word in run.words):
            return
        draft = self._app.beside()
        take_options(draft, run.line, run.parsed)
        for key, value in draft.values.items():
            if key in _OF_THE_APP:
                self._compare(run.line, key, value)
            elif value != self._app.values.get(key) and (key.startswith("run.") or group == "processes"):
                values[key] = value
        for key in ("container", "restart"):
            values.pop(key, None)
        self._tables[group, self._name(group, wanted)] = {**values, "command": shlex.join(run.words)}

    def _compare(self, line: int, key: str, value: object) -> None:
        """Note what this container has and the app has not."""
        own = self._app.values.get(key)
        if isinstance(value, list):
            more = [item for item in value if not (isinstance(own, list) and item in own)]
        elif isinstance(value, Mapping):
            more = [name for name in value if not (isinstance(own, Mapping) and own.get(name) == value[name])]
        else:
            more = [value] if value != own else []
        if more:
            what = ", ".join(str(item) for item in more)
            self._app.note(line, f"{key}: not carried over: {what}: all containers of an app have the same; set it for the app")

    def _name(self, group: str, wanted: str) -> str:
        """Return a name for a part that no other one of its kind has."""
        name = re.sub("[^a-z0-9]+", "-", wanted.lower()).strip("-")[:26].strip("-")
        try:
            PART.parse(name)
        except BadValue:
            name = {"processes": "worker", "tasks": "task"}.get(group, "accessory")
        taken = {known for kind, known in self._tables if kind == group}
        return next(each for each in (name, *(f"{name}-{number}" for number in range(2, 1000))) if each not in taken)
