"""The steps of a pipeline that matter: shell scripts, and those of Jenkins' own plugins, told as commands of a shell. Pure.

Steps: https://www.jenkins.io/doc/pipeline/steps/, and https://plugins.jenkins.io/docker-workflow/ for `docker.…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitdeploy.jenkinsfile.groovy import Token, arguments, template
from gitdeploy.jenkinsfile.parameters import Parameters


@dataclass(frozen=True)
class Script:
    """A shell script; `line` is the one of the Jenkinsfile in which it begins."""

    text: str
    line: int


@dataclass(frozen=True)
class StepNote:
    """Something that a person should know, for `line` of the Jenkinsfile."""

    line: int
    text: str


@dataclass(frozen=True)
class StageBegin:
    """The beginning of a stage."""

    name: str


@dataclass(frozen=True)
class GitSource:
    """Where the code comes from: a branch or an address, "" if the step names none."""

    branch: str = ""
    url: str = ""


@dataclass(frozen=True)
class RegistryStep:
    """A registry that images are pushed to, and the id of Jenkins' credentials for it."""

    url: str
    credentials: str
    line: int


Step = Script | StageBegin | StepNote | GitSource | RegistryStep

BUILT = ":"
"""Stands for the image that was built last, before a tag; nothing after it: with the tag that it was built with."""

TOLD: Mapping[str, str] = {
    "agent": "gitdeploy builds on the engine of this machine, whatever the agent was",
    "archiveArtifacts": "files of a build are not kept: what should last belongs into the image",
    "bat": "a Windows script, not read",
    "build": "starts another job of Jenkins: let that job's repository be deployed by its own push",
    "cron": "deploys are started by pushes; for others, run `gitdeploy deploy APP` from cron",
    "dir": "changes the directory: set build.context and build.dockerfile if the Dockerfile is not at the tree's root",
    "emailext": "[notify] in config.toml sends the result of each deployment",
    "input": "nobody is asked before a deployment: push to another branch what is not to go live yet",
    "junit": "reports are not kept: tests that must pass are a task after the build",
    "Library": "a shared library, not read",
    "library": "a shared library, not read",
    "load": "another Groovy file, not read",
    "mail": "[notify] in config.toml sends the result of each deployment",
    "matrix": "one repository is deployed as one app; each `docker run` here was taken for the same",
    "parallel": "one repository is deployed as one app; each `docker run` here was taken for the same",
    "parameters": "their defaults were taken; push options stand in for some: git push -o gitdeploy.strategy=canary",
    "pollSCM": "not needed: the push itself deploys",
    "powershell": "a Windows script, not read",
    "publishHTML": "reports are not kept: tests that must pass are a task after the build",
    "slackSend": "[notify] in config.toml sends the result of each deployment",
    "sshPublisher": "deploys to another machine: name its engine in DOCKER_HOST",
    "sshagent": "deploys to another machine: name its engine in DOCKER_HOST",
    "waitForQualityGate": "nothing is waited for: tests that must pass are a task after the build",
}
"""Steps that are not carried over, and what takes their place."""

_HARMLESS_AGENTS = ("any", "none")
_TAG = re.compile(r":[^/:]*\Z")
_PUSH = re.compile(r"\w+\.push")


def steps(found: Sequence[Token], variables: Parameters) -> Iterator[Step]:
    """Yield the steps of a pipeline, in order."""
    for position, token in enumerate(found):
        if token.kind == "name":
            yield from _step(found, position, variables)


def _step(found: Sequence[Token], position: int, variables: Parameters) -> Iterator[Step]:
    name = found[position].text
    if name == "sh":
        yield from _shell(found, position)
    elif name in ("docker.build", "docker.image", "docker.withRegistry") or _PUSH.fullmatch(name):
        yield from _docker(found, position)
    elif name == "stage":
        given, _ = arguments(found, position + 1)
        yield StageBegin(_text(given.get("name"), variables))
    elif name == "git":
        given, _ = arguments(found, position + 1)
        yield GitSource(_text(given.named.get("branch"), variables), _text(given.get("url"), variables))
    elif name == "branch":
        given, _ = arguments(found, position + 1)
        yield GitSource(branch=_text(given.get("pattern"), variables))
    elif name in ("name", "url"):
        yield from _checkout(found[position : position + 3], variables)
    elif name in TOLD:
        yield from _told(found, position)


def _shell(found: Sequence[Token], position: int) -> Iterator[Step]:
    given, _ = arguments(found, position + 1)
    script = given.get("script")
    text = template(script)
    if text is not None:
        yield Script(text, script[0].line)
    elif script:
        yield StepNote(found[position].line, "sh: its script is put together in a way that is not read")


def _told(found: Sequence[Token], position: int) -> Iterator[Step]:
    token = found[position]
    given, _ = arguments(found, position + 1)
    first = given.positional[0][0].text if given.positional else ""
    if token.text == "agent" and first in _HARMLESS_AGENTS:
        return
    if first or given.named or [following.text for following in found[position + 1 : position + 2]] == ["{"]:
        yield StepNote(token.line, f"{token.text}: {TOLD[token.text]}")


def _checkout(found: Sequence[Token], variables: Parameters) -> Iterator[Step]:
    """Yield an entry of checkout(branches: [[name: '*/main']], userRemoteConfigs: [[url: '….git']])."""
    if len(found) < 3 or found[1].text != ":":
        return
    value = variables.resolve(found[2].text)
    if found[0].text == "name" and value.startswith(("*/", "refs/heads/")):
        yield GitSource(branch=value.removeprefix("*/").removeprefix("refs/heads/"))
    elif found[0].text == "url" and value.endswith(".git"):
        yield GitSource(url=value)


def _docker(found: Sequence[Token], position: int) -> Iterator[Step]:
    """Yield the Docker Pipeline plugin's steps, as the commands that they run."""
    name, line = found[position].text, found[position].line
    given, end = arguments(found, position + 1)
    first, second = ([*(template(argument) or "" for argument in given.positional), "", ""])[:2]
    if name == "docker.build":
        yield Script(f"docker build -t {first} {second or '.'}", line)
    elif name == "docker.withRegistry":
        yield RegistryStep(first, second, line)
    elif name != "docker.image":
        yield Script(f"docker push {BUILT}{first}", line)
    else:
        method = [following.text for following in found[end : end + 2]]
        if method in ([".", "run"], [".", "withRun"]):
            options, _ = arguments(found, end + 2)
            yield Script(f"docker run -d {template(options.get('args')) or ''} {first}", line)
        elif method == [".", "push"]:
            tags, _ = arguments(found, end + 2)
            tag = template(tags.get("tag"))
            yield Script(f"docker push {_TAG.sub('', first)}:{tag}" if tag else f"docker push {first}", line)


def _text(expression: Sequence[Token] | None, variables: Parameters) -> str:
    return variables.resolve(template(expression or []) or "")
