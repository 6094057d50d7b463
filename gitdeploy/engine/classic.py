"""Builds with the classic builder, which every engine has and Docker has deprecated: on request, never as a way out.

POST /build?version=1 answers with JSON lines of text as it would stand on a terminal:
https://docs.docker.com/reference/api/engine/ (ImageBuild). Closing the connection cancels the build and removes its containers.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from gitdeploy.config.imagereference import HUB, registry
from gitdeploy.engine.containers import inspect
from gitdeploy.engine.contexts import BuildContext
from gitdeploy.engine.credentials import HUB_SERVER, TOKEN
from gitdeploy.engine.diagnosis import registry_failure
from gitdeploy.engine.dial import endpoint
from gitdeploy.engine.dockerfile import base_images, beyond_classic
from gitdeploy.engine.exchange import ExchangeLimits, converse
from gitdeploy.engine.lines import Lines
from gitdeploy.engine.mapping import is_build_step
from gitdeploy.engine.messages import failure
from gitdeploy.engine.progress import TAIL, Said, VertexState, heading, report, sending
from gitdeploy.engine.query import common
from gitdeploy.engine.registries import Transfer
from gitdeploy.engine.transport import Api
from gitdeploy.engine.types import NEVER, BuildRequest, Cancel, Credentials, Output
from gitdeploy.errors import BuildFailed, Cancelled, EngineError, GitdeployError, RegistryError

STEP = re.compile(r"(?:Step|STEP) (\d+/\d+) ?: (.*)", re.S)  # the second is Podman's
CACHED = " ---> Using cache"
RUNNING = re.compile(r" ---> Running in ([0-9a-f]{12})")
CHATTER = re.compile(r" ---> |Removing intermediate container |Successfully (?:built|tagged) ")
COLOR = re.compile(r"\x1b\[(?:91|0)m")
"""The builder shows stderr in red."""

EXIT_CODE = re.compile(r"returned a non-zero code: (\d+)$")

REMOVE_TIMEOUT = 10.0
"""Seconds."""


def build(
    api: Api,
    request: BuildRequest,
    context: BuildContext,
    credentials: Credentials,
    output: Output,
    *,
    cancel: Cancel = NEVER,
) -> str:
    """Build from a tar stream and return the image's id, "sha256:…".

    This builder takes the Dockerfile from the stream, and then removes it where the stream's .dockerignore names it (moby's
    builder/remotecontext/detect.go, removeDockerfile).
    Raises BuildFailed, before anything runs where the Dockerfile or the request needs BuildKit; RegistryError, Cancelled,
    EngineError, UnfitError, and what `context` raises.
    """
    text = context.content.decode("utf-8", "replace")
    if beyond := unable(request, text):
        reason = f"the classic builder cannot do this: {'; '.join(beyond)}"
        raise BuildFailed(reason, hint='set build.engine = "buildkit", or leave it out of the Dockerfile')
    headers = {"X-Registry-Config": registry_config(base_images(text, request.args), credentials)}
    limits = ExchangeLimits(cancel, request.timeout, guard=request.guard)
    answer = ClassicAnswer(output, credentials)
    path = f"/build?{urlencode([('version', '1'), ('rm', '1'), ('forcerm', '1'), *common(request, request.args)])}"
    try:
        for message in converse(endpoint(api), path, headers, context.tar(hide=True), limits=limits, sent=sending(output)):
            answer.take(message)
    except Cancelled:
        _remove(api, answer.container)
        raise
    except BuildFailed as error:
        _remove(api, answer.container)
        raise answer.placed(error) from error
    except EngineError as error:
        raise BuildFailed(error.reason, error.status, error.hint) if error.status == 400 else error from None
    return answer.result()


def unable(request: BuildRequest, text: str) -> list[str]:
    """Return what this builder cannot do, with the Dockerfile's lines. Pure."""
    found = [f"{request.dockerfile} line {line}: {what}" for line, what in beyond_classic(text, request.args)]
    settings = {"build.secrets": bool(request.secrets), "build.inline_cache": request.inline_cache}
    return [*found, *(name for name, wanted in settings.items() if wanted)]


def registry_config(images: Iterable[str], credentials: Credentials) -> str:
    """Return the X-Registry-Config header: base64url of a login for each registry that these images come from."""
    logins: dict[str, dict[str, str]] = {}
    for host in {registry(image) for image in images}:
        if login := credentials(host):
            user, secret = login
            content = {"identitytoken": secret} if user == TOKEN else {"username": user, "password": secret}
            logins[HUB_SERVER if host == HUB else host] = content
    return base64.urlsafe_b64encode(json.dumps(logins).encode()).decode()


def _remove(api: Api, container: str) -> None:
    """Remove the container of a step at once; the engine does it too, some time after it noticed that nobody listens.

    A step can print what the builder prints: the id may be made up, so no other kind of container is ever removed.
    """
    if not container:
        return
    with contextlib.suppress(GitdeployError):
        facts = inspect(api, container)
        if facts is None or not facts["Id"].startswith(container) or not is_build_step(facts):
            return
    path = f"/containers/{container}"
    with contextlib.suppress(GitdeployError):
        api.call("DELETE", path, params={"force": "1", "v": "1"}, timeout=REMOVE_TIMEOUT)
    with contextlib.suppress(GitdeployError):  # the engine may have been about to remove it, and then only says so
        api.call("POST", f"{path}/wait", params={"condition": "removed"}, timeout=REMOVE_TIMEOUT)


class ClassicAnswer:
    """What the engine says about one build."""

    def __init__(self, output: Output, credentials: Credentials, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._credentials = credentials
        self._steps = Steps(clock)
        self._pulled = Transfer("base image", "pulled", output)
        self._image = ""
        self._error = ""

    def take(self, message: Mapping[str, Any]) -> None:
        """Take the next message and pass on what is to be said about it."""
        if reason := failure(message):
            self._error = reason
        elif isinstance(message.get("stream"), str):
            report(self._steps.feed(message["stream"]), self._output)
        elif isinstance(message.get("aux"), dict):
            self._image = str(message["aux"].get("ID", ""))
        else:
            self._pulled.take(message)

    @property
    def container(self) -> str:
        """The id of the container that runs the last step, "" if it needs none."""
        return self._steps.container

    def placed(self, error: BuildFailed) -> BuildFailed:
        """Return the same error with the step that was running."""
        step = self._steps
        if not step.heading:
            return error
        return BuildFailed(f"{error.reason}; it was at {step.heading}", hint=error.hint, tail=tuple(step.tail))

    def result(self) -> str:
        """Return the image's id; raise BuildFailed or RegistryError if there is none."""
        report(self._steps.finish(failed=bool(self._error)), self._output)
        if self._error:
            raise self._failed()
        if not self._image:
            raise EngineError("the Docker Engine ended the build without an image and without an error", hint="restart it")
        return self._image

    def _failed(self) -> BuildFailed | RegistryError:
        step, tail = self._steps.heading, tuple(self._steps.tail)
        if image := re.search(r"\] FROM (?:--\S+ )?(\S+)", step):
            login = self._credentials(registry(image[1]))
            return registry_failure(self._error, image[1], login[0] if login else "")
        if code := EXIT_CODE.search(self._error):
            return BuildFailed(f"{step} failed with exit code {code[1]}", tail=tail)
        return BuildFailed(f"{step} failed: {self._error}" if step else self._error, tail=tail)


class Steps:
    """The builder's text as steps, like `progress.Progress` tells BuildKit's: a state machine.

    Attributes:
        heading: of the step that runs, "[2/5] RUN make"; "" before the first.
        tail: the last lines that it printed.
        container: the id of the container that it runs in, "" if it needs none.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives seconds: this builder does not say when a step began."""
        self.heading = ""
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.container = ""
        self._clock = clock
        self._lines = Lines()
        self._began = 0.0
        self._cached = False

    def feed(self, text: str) -> list[Said | VertexState]:
        """Take the next piece of text; return what is to be said about it."""
        before = self._lines.rest() if STEP.match(text) or CHATTER.match(text) else []  # the builder's own words stand alone
        lines = [*before, *self._lines.feed(COLOR.sub("", text).encode())]
        return [event for line in lines for event in self._line(line)]

    def finish(self, *, failed: bool) -> list[Said | VertexState]:
        """Say what is left when no more comes."""
        rest = [event for line in self._lines.rest() for event in self._line(line)]
        return [*rest, *self._end("failed after " if failed else "")]

    def _line(self, line: str) -> list[Said | VertexState]:
        if step := STEP.fullmatch(line):
            ended = self._end()
            self.heading, self._began, self._cached = heading(f"[{step[1]}] {step[2]}"), self._clock(), False
            self.tail.clear()
            self.container = ""
            return [*ended, Said(self.heading, detail=True), VertexState("step", self.heading)]
        if line == CACHED:
            self._cached = True
        if running := RUNNING.match(line):
            self.container = running[1]
        if CHATTER.match(line):
            return []
        self.tail.append(line)
        return [Said(f"    {line}", detail=True)]

    def _end(self, how: str = "") -> list[Said | VertexState]:
        if not self.heading:
            return []
        result = "CACHED" if self._cached else f"{how}{self._clock() - self._began:.1f} s"
        return [Said(f"{self.heading} · {result}")]
