"""What BuildKit says while it builds, and what its errors mean."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from gitdeploy.config.imagereference import registry
from gitdeploy.engine import trace
from gitdeploy.engine.diagnosis import FREE_SPACE, NO_SPACE, registry_failure
from gitdeploy.engine.imagefaults import image_fault
from gitdeploy.engine.messages import failure
from gitdeploy.engine.progress import Failure, Progress, report
from gitdeploy.engine.types import Credentials, Output
from gitdeploy.errors import BuildFailed, EngineError, RegistryError

WRAPPING = re.compile(
    r"(?:failed to solve(?: with frontend [\w.]+)?|failed to create LLB definition|rpc error: code = \w+ desc =|\S+: failed to"
    r" resolve source metadata for \S+|failed to compute cache key|failed to calculate checksum of ref \S+):? "
)
"""What the engine puts before what happened."""

EXIT_CODE = re.compile(r"exit code: (\d+)$")
FROM_REGISTRY = re.compile(r"(?:load metadata for|resolve image config for|\] FROM|docker-image://) ?(\S+)")
"""Names of the steps that speak to a registry, and about which image."""

BASE = re.compile(r"\[internal\] load metadata for (\S+)")
"""The step that looks an image up, for FROM, COPY --from and RUN --mount alike. Those of a Dockerfile begin with a number."""

NEWER_SYNTAX = re.compile(r"unknown (?:instruction|flag)", re.I)


class SolveAnswer:
    """What the engine says about one build.

    Attributes:
        image: its id, "" until the engine names it.
    """

    def __init__(self, output: Output) -> None:
        self.image = ""
        self._output = output
        self._progress = Progress()
        self._error = ""
        self._unreadable = False
        self._missed: set[str] = set()
        self._bases: dict[str, bool] = {}  # image → whether it was handed out

    @property
    def ended(self) -> bool:
        """Whether the engine has said how it ended."""
        return bool(self.image or self._error)

    def miss(self, secret: str) -> None:
        """Say, once, that nobody configured a secret that the Dockerfile names."""
        if secret not in self._missed:
            self._missed.add(secret)
            self._output.line(f'the Dockerfile asks for the secret "{secret}", which is not in build.secrets')

    def take(self, message: Mapping[str, Any]) -> None:
        """Take the next message and pass on what is to be said about it."""
        kind, aux = message.get("id"), message.get("aux")
        if reason := failure(message):
            self._error = reason
        elif kind == "moby.buildkit.trace" and isinstance(aux, str):
            self._trace(aux)
        elif kind == "moby.image.id" and isinstance(aux, dict):
            self.image = str(aux.get("ID", ""))

    def new_bases(self) -> list[str]:
        """Return the names of images that the build takes and that were not given out before; no step has run by then."""
        new = [image for image, given in self._bases.items() if not given]
        self._bases.update(dict.fromkeys(new, True))
        return new

    def finish(self) -> None:
        """Say what is left when no more comes."""
        report(self._progress.finish(), self._output)

    def placed(self, error: BuildFailed) -> BuildFailed:
        """Return the same error with the step that was running."""
        step = self._progress.failure()
        return BuildFailed(f"{error.reason}; it was at {step.step}", hint=error.hint, tail=step.tail) if step else error

    def result(self, credentials: Credentials) -> str:
        """Return the image's id; raise BuildFailed or RegistryError if there is none."""
        if self._error:
            raise failed(self._error, self._progress.failure(), credentials)
        if not self.image:
            raise EngineError("the Docker Engine ended the build without an image and without an error", hint="restart it")
        return self.image

    def _trace(self, aux: str) -> None:
        try:
            decoded = trace.decode(base64.b64decode(aux))
            for vertex in decoded.vertexes:
                if base := BASE.fullmatch(vertex.name):
                    self._bases.setdefault(base[1], False)
            events = self._progress.feed(decoded)
        except ValueError:  # of base64, or protobuf.Malformed; progress is for people, the build goes on without
            if not self._unreadable:
                self._output.line("the engine sends progress that gitdeploy cannot read; some of it is left out", detail=True)
            self._unreadable = True
            return
        report(events, self._output)


def failed(message: str, step: Failure | None, credentials: Credentials) -> BuildFailed | RegistryError:
    """Return the error of a build, from the engine's message and the step that failed, if one did."""
    message = WRAPPING.sub("", message).replace("not found: not found", "not found")
    if step is None:
        return BuildFailed(message, hint=_hint(message))
    if NO_SPACE not in message and (image := FROM_REGISTRY.search(step.step)):
        login = credentials(registry(image[1]))
        return registry_failure(message, image[1], login[0] if login else "")
    if code := EXIT_CODE.search(message):
        hint = _hint(message) or image_fault(line for line in step.tail if line.startswith("runc run failed"))
        return BuildFailed(f"{step.step} failed with exit code {code[1]}", hint=hint, tail=step.tail)
    return BuildFailed(f"{step.step} failed: {message}", hint=_hint(message), tail=step.tail)


def _hint(message: str) -> str:
    if NO_SPACE in message:
        return FREE_SPACE
    if message.endswith("exit code: 137"):
        return "something killed it, often for lack of memory"
    if NEWER_SYNTAX.search(message) and "did you mean" not in message:
        return "if this engine is older than that syntax (20.10 has no heredocs), begin with `# syntax=docker/dockerfile:1`"
    if message.startswith("secret "):
        return "name it in build.secrets of the server's config.toml"
    if message.endswith("not found"):
        return "is it in the repository, spelled like that, and not in .dockerignore?"
    return ""
