"""A Jenkinsfile as an app's table of config.toml, with notes on what could not be carried over. Pure: nothing is run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.config.edit import set_app
from gitdeploy.config.formats import APP_NAME
from gitdeploy.config.load import parse_config
from gitdeploy.config.problems import BadValue, quoted
from gitdeploy.errors import ConfigError, UsageError
from gitdeploy.jenkinsfile.dockerbuild import ImageSteps
from gitdeploy.jenkinsfile.dockercli import parse
from gitdeploy.jenkinsfile.dockerrun import take_run
from gitdeploy.jenkinsfile.draft import Draft
from gitdeploy.jenkinsfile.groovy import tokens
from gitdeploy.jenkinsfile.parameters import Parameters, collect
from gitdeploy.jenkinsfile.parts import ImageRun, Parts
from gitdeploy.jenkinsfile.shell import Command, commands
from gitdeploy.jenkinsfile.steps import GitSource, RegistryStep, Script, StageBegin, StepNote, steps

MAX_SIZE = 64_000
"""Characters of a Jenkinsfile: far more than anybody writes."""

MAX_COMMANDS = 500_000
"""Characters of all commands, with values filled in, that are read."""

PLACEHOLDER = "owner/repo"

_OWN_WORK = {
    *("stop", "rm", "kill", "wait", "start", "restart", "rename", "update"),
    *("ps", "images", "inspect", "logs", "info", "version", "top", "stats", "port"),
    *("rmi", "pull", "logout", "system", "volume", "builder"),
}
"""Commands of docker that gitdeploy does by itself where it needs them, and those that only show something."""

_IDLE = {
    *("echo", "printf", "sleep", "set", ":", "true", "false", "exit", "return", "read", "test", "[", "[["),
    *("fi", "done", "esac", "}", "for", "case"),
    *("pwd", "ls", "cat", "grep", "awk", "sed", "head", "tail", "tr", "wc", "sort", "cut", "xargs", "yes", "which"),
    *("whoami", "id", "date", "printenv", "uname", "hostname", "git"),
}
"""Commands of a shell that deploy nothing."""

_SPECIAL = {
    "docker-compose": "services that are built become processes, others accessories: gitdeploy help jenkins",
    "kubectl": "gitdeploy deploys to Docker Engines",
    "helm": "gitdeploy deploys to Docker Engines",
    "ssh": "deploys to another machine: name its engine in DOCKER_HOST",
    "scp": "deploys to another machine: name its engine in DOCKER_HOST",
    "curl": 'if it asks whether the app answers: health.path = "/PATH" does, before the old release goes',
    "wget": 'if it asks whether the app answers: health.path = "/PATH" does, before the old release goes',
    "cd": "set build.context and build.dockerfile if the Dockerfile is not at the tree's root",
}


@dataclass(frozen=True)
class Converted:
    """What became of a Jenkinsfile.

    Attributes:
        app: "owner/repo", `PLACEHOLDER` if it does not say.
        toml: the app's table for config.toml.
        notes: by line.
    """

    app: str
    toml: str
    notes: Sequence[StepNote]


class Converter:
    """Reads one Jenkinsfile."""

    def __init__(self, text: str) -> None:
        """Raise UsageError if it is too large to be one."""
        if len(text) > MAX_SIZE:
            raise UsageError(f"expected a Jenkinsfile of at most {MAX_SIZE} characters, found {len(text)}")
        self._tokens = tokens(text)
        self._variables: Parameters = collect(self._tokens)
        self._draft = Draft(self._variables.secrets)
        self._images = ImageSteps(self._draft)
        self._parts = Parts(self._draft)
        self._runs: list[ImageRun] = []
        self._stage = ""
        self._published = False
        self._sources: list[GitSource] = []
        self._left = MAX_COMMANDS

    def convert(self, app: str | None = None) -> Converted:
        """Return the table for `app`, or for the app whose repository the file names. Raises UsageError for none."""
        for step in steps(self._tokens, self._variables):
            if isinstance(step, StepNote):
                self._draft.note(step.line, step.text)
            elif isinstance(step, GitSource):
                self._sources.append(step)
            elif isinstance(step, StageBegin):
                self._stage = step.name
            elif isinstance(step, RegistryStep):
                resolve = self._variables.resolve
                self._images.take_registry(step.line, resolve(step.url), resolve(step.credentials))
            else:
                self._read(step)
        if not self._runs and not self._images.built:
            hint = "a Jenkinsfile that builds or runs in other ways is not for this; write the table by hand: gitdeploy enrol"
            raise UsageError("found neither `docker build` nor `docker run` in the Jenkinsfile", hint)
        self._finish_run()
        self._take_branches()
        name = app or self._app()
        return Converted(name, self._table(name), self._draft.notes)

    def _read(self, script: Script) -> None:
        for command in commands(script.text, self._variables):
            self._left -= len(command.text)
            if self._left < 0:
                self._draft.note(script.line, "the file is too large to be read further")
                return
            self._take(script.line + command.line, command)

    def _take(self, line: int, command: Command) -> None:
        program, *words = command.words or ("",)
        name = program.rpartition("/")[2]
        if name == "docker":
            self._take_docker(line, command.text, words)
        elif name not in _IDLE:
            what = _SPECIAL.get(name, "builds belong into the Dockerfile, tests into a task after the build")
            self._draft.note(line, f"{quoted(command.text)}: not carried over: {what}")

    def _take_docker(self, line: int, text: str, words: Sequence[str]) -> None:
        options = parse("docker", words)
        verb, *rest = [*options.rest, ""]
        if verb in ("container", "image", "buildx", "builder") and rest[0]:
            verb, *rest = rest
        rest = [word for word in rest if word]
        if options.last("host") or options.last("context"):
            self._draft.note(line, f"{quoted(text)}: another engine: name it in DOCKER_HOST")
        if verb == "run":
            self._runs.append(ImageRun(line, parse("run", rest), self._stage, self._published))
        elif verb == "build":
            self._images.take_build(line, parse("build", rest))
        elif verb == "tag" and rest:
            self._images.take_tag(line, rest[-1])
        elif verb == "push" and rest:
            self._images.take_push(line, rest[-1])
            self._published = True
        elif verb == "login":
            self._images.tell_login(line)
        elif verb == "network" and rest[:1] == ["create"]:
            self._draft.note(line, f"{quoted(text)}: not carried over: create it once, by hand, and name it in networks")
        elif verb not in _OWN_WORK and verb not in ("network", "prune", "ls"):
            self._draft.note(line, f"{quoted(text)}: not carried over: gitdeploy does no such thing")

    def _finish_run(self) -> None:
        """Take the `docker run` that starts the app: of its own image, and in the background if there is a choice."""
        own = [run for run in self._runs if self._images.owns(run.image) and not run.once]
        chosen = min(own, key=lambda run: not run.parsed.all("detach"), default=None)
        self._images.finish(chosen.image if chosen else "", chosen.line if chosen else 0)
        if chosen:
            take_run(self._draft, chosen.line, chosen.parsed)
        for run in self._runs:
            if run is not chosen:
                self._take_further(run, served=chosen is not None and run.line > chosen.line)

    def _take_further(self, run: ImageRun, *, served: bool) -> None:
        if not self._images.owns(run.image) and run.once:
            text = f"docker run --rm of {quoted(run.image)}: not carried over: only the image that is built here runs in tasks"
            self._draft.note(run.line, text)
        elif not self._images.owns(run.image):
            self._parts.add_accessory(run)
        elif run.once:
            self._parts.add_task(run, served=served)
        else:
            self._parts.add_process(run)

    def _take_branches(self) -> None:
        branches = dict.fromkeys(source.branch for source in self._sources if source.branch)
        known = [branch for branch in branches if "$" not in branch]
        if known and known != ["main"]:
            self._draft.set(0, "branch", known)

    def _app(self) -> str:
        for source in self._sources:
            name = "/".join(re.split("[:/]", source.url.removesuffix("/").removesuffix(".git"))[-2:]).lower()
            if source.url and _is_app(name):
                return name
        self._draft.note(0, f"the file does not name its repository: replace {PLACEHOLDER}, or give --app")
        return PLACEHOLDER

    def _table(self, app: str) -> str:
        order = ("image", "container", "branch", "publish")
        values = self._draft.values
        keys = [*(key for key in order if values.get(key)), *(key for key in values if key not in order and values[key] != [])]
        text = set_app("", app, {key: values[key] for key in keys}).strip() + "\n" + self._parts.text(app)
        try:
            parse_config(text.encode(), Path("config.toml"))
        except ConfigError as error:
            for problem in error.problems:
                self._draft.note(0, f"to be corrected by hand: {problem}")
        return text


def _is_app(name: str) -> bool:
    try:
        APP_NAME.parse(name)
    except BadValue:
        return False
    return True
