"""Builds with BuildKit over the Engine API, as `docker build` does it, without a docker CLI.

POST /build?version=2&remote=client-session takes the context from the session, file by file; without `remote` from its body, a
tar stream. It answers with JSON lines: {"id": "moby.buildkit.trace", "aux": base64 of a StatusResponse}, {"error": …},
{"id": "moby.image.id", "aux": {"ID": …}}. Source: moby's api/server/router/build and builder/builder-next.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from gitdeploy.config.imagereference import registry
from gitdeploy.engine import trace
from gitdeploy.engine.answering import Service
from gitdeploy.engine.contexts import BuildContext
from gitdeploy.engine.diagnosis import FREE_SPACE, NO_SPACE, registry_failure
from gitdeploy.engine.dial import endpoint
from gitdeploy.engine.directives import syntax_image
from gitdeploy.engine.dockerfile import base_images
from gitdeploy.engine.exchange import ExchangeLimits, converse
from gitdeploy.engine.filesync import Sources, shown_name
from gitdeploy.engine.imagefaults import image_fault
from gitdeploy.engine.messages import failure
from gitdeploy.engine.progress import Failure, Progress, report, sending
from gitdeploy.engine.query import Query, common
from gitdeploy.engine.session import open_session
from gitdeploy.engine.transport import Api
from gitdeploy.engine.types import NEVER, BuildRequest, Cancel, Credentials, Output
from gitdeploy.errors import BuildFailed, EngineError, GitdeployError, RegistryError

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

CACHE_MOUNTS = "BUILDKIT_CACHE_MOUNT_NS"
"""The build argument that BuildKit puts before the ids of cache mounts."""

CACHE_HOST = ".cache.invalid"
"""RFC 6761 keeps .invalid free of real hosts."""

STOP_TIMEOUT = 5.0
"""Seconds for the engine to take the wish to cancel; the connection is closed sooner."""


def build(
    api: Api,
    request: BuildRequest,
    context: BuildContext,
    credentials: Credentials,
    output: Output,
    *,
    cancel: Cancel = NEVER,
    fetch: Callable[[str], object],
) -> str:
    """Build and return the image's id, "sha256:…".

    An engine that refuses sessions gets a tar stream; `fetch` brings an image to it. The stream's first entry must be the
    Dockerfile, with a plain header: BuildKit looks at the first bytes to tell such a stream from a Dockerfile.
    Raises BuildFailed with the last lines of the failing step, RegistryError for a base image that cannot be had, Cancelled
    within a second of `cancel` with nothing left running, EngineError, UnfitError, and what `context` raises.
    """
    where, build_id, answer = endpoint(api), secrets.token_hex(16), SolveAnswer(output)
    with contextlib.ExitStack() as stack:
        sources = Sources(context, shown_name(request.dockerfile))
        service = Service(credentials, request.secrets, answer.miss, sources)
        body: Iterator[bytes] = iter(())
        try:
            session = stack.enter_context(open_session(where, service, request.shared_key, sending(output)))
            request = dataclasses.replace(request, dockerfile=sources.dockerfile)
        except EngineError as refusal:
            session, body = None, context.tar()
            _fetch_first(refusal, request, context.content, output, fetch)
            request = dataclasses.replace(request, pull=False)
        path = f"/build?{urlencode(query(request, build_id, session.id if session else ''))}"
        limits = ExchangeLimits(cancel, request.timeout, lambda: _stop(api, build_id), request.guard)
        messages = stack.enter_context(contextlib.closing(converse(where, path, {}, body, limits=limits, sent=sending(output))))
        try:
            for message in messages:
                answer.take(message)
                for image in answer.new_bases():
                    _check_base(image, request, lambda: _stop(api, build_id))
            if session and not answer.image:
                session.check()
        except BuildFailed as error:
            raise answer.placed(error) from error
        finally:
            answer.finish()
            if answer.ended:
                request.ended()
    return answer.result(credentials)


def _check_base(image: str, request: BuildRequest, stop: Callable[[], object]) -> None:
    try:
        request.check_base(image)
    except GitdeployError:
        stop()
        raise


def _stop(api: Api, build_id: str) -> None:
    with contextlib.suppress(GitdeployError):
        headers = {"Connection": "close"}
        api.call("POST", "/build/cancel", params={"id": build_id}, headers=headers, timeout=STOP_TIMEOUT)


def query(request: BuildRequest, build_id: str, session_id: str) -> Query:
    """Return the parameters of POST /build. Pure.

    BuildKit has one cache for all: what a step made is taken again for an equal step, though its secrets and proxies, which are
    no part of what it compares, were another app's. An extra host is such a part, and nothing in the image.
    """
    args = {**request.args, **({"BUILDKIT_INLINE_CACHE": "1"} if request.inline_cache else {})}
    session = [("session", session_id), ("remote", "client-session")] if session_id else []
    own: Query = []
    if request.cache:
        args = {CACHE_MOUNTS: request.cache, **args}
        own = [("extrahosts", f"{request.cache}{CACHE_HOST}:127.0.0.1")]
    return [("version", "2"), ("buildid", build_id), *session, *own, *common(request, args)]


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


def _fetch_first(
    refusal: EngineError, request: BuildRequest, dockerfile: bytes, output: Output, fetch: Callable[[str], object]
) -> None:
    """Without a session BuildKit has neither logins nor secrets: brings what it would have to ask a registry for."""
    if request.secrets:
        raise BuildFailed(f"{refusal.reason}, and without a session there are no build.secrets", hint=refusal.hint) from refusal
    output.line(f"{refusal.reason}: building without one, with base images pulled beforehand")
    text = dockerfile.decode("utf-8", "replace")
    for image in filter(None, (syntax_image(text), *base_images(text, request.args))):
        fetch(image)
