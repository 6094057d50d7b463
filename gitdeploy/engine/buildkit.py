"""Builds with BuildKit over the Engine API, as `docker build` does it, without a docker CLI.

POST /build?version=2&remote=client-session takes the context from the session, file by file; without `remote` from its body, a
tar stream. It answers with JSON lines: {"id": "moby.buildkit.trace", "aux": base64 of a StatusResponse}, {"error": …},
{"id": "moby.image.id", "aux": {"ID": …}}. Source: moby's api/server/router/build and builder/builder-next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from gitdeploy.engine.answering import Service
from gitdeploy.engine.contexts import BuildContext
from gitdeploy.engine.dial import endpoint
from gitdeploy.engine.directives import syntax_image
from gitdeploy.engine.dockerfile import base_images
from gitdeploy.engine.exchange import ExchangeLimits, converse
from gitdeploy.engine.filesync import Sources, shown_name
from gitdeploy.engine.packets import OddName
from gitdeploy.engine.progress import sending
from gitdeploy.engine.query import Query, common
from gitdeploy.engine.session import Session
from gitdeploy.engine.sessionopening import open_session
from gitdeploy.engine.solveanswer import SolveAnswer
from gitdeploy.engine.transport import Api
from gitdeploy.engine.types import NEVER, BuildRequest, Cancel, Credentials, Output
from gitdeploy.errors import BuildFailed, EngineError, GitdeployError

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

    An engine that refuses sessions gets a tar stream; `fetch` brings an image to it. So does every engine where a name is no
    UTF-8: from 29 on they refuse such names in a session. The stream's first entry must be the Dockerfile, with a plain header:
    BuildKit looks at the first bytes to tell such a stream from a Dockerfile.
    Raises BuildFailed with the last lines of the failing step, RegistryError for a base image that cannot be had, Cancelled
    within a second of `cancel` with nothing left running, EngineError, UnfitError, and what `context` raises.
    """
    one = _Build(api, request, context, credentials, output, cancel, fetch)
    try:
        return one.run(Sources(context, shown_name(request.dockerfile)))
    except OddName as odd:
        output.line(f"{odd.reason}: sending the build context as a whole", detail=True)
        return one.run(None)


@dataclasses.dataclass(frozen=True)
class _Build:
    api: Api
    request: BuildRequest
    context: BuildContext
    credentials: Credentials
    output: Output
    cancel: Cancel
    fetch: Callable[[str], object]

    def run(self, sources: Sources | None) -> str:
        """Build once: from files that the engine asks for, or with None from a stream."""
        where, build_id, answer = endpoint(self.api), secrets.token_hex(16), SolveAnswer(self.output)
        request, output = self.request, self.output
        with contextlib.ExitStack() as stack:
            service = Service(self.credentials, request.secrets, answer.miss, sources)
            session: Session | None = None
            try:
                session = stack.enter_context(open_session(where, service, request.shared_key, sending(output)))
            except EngineError as refusal:
                sources = None
                _fetch_first(refusal, request, self.context.content, output, self.fetch)
                request = dataclasses.replace(request, pull=False)
            if sources:
                request = dataclasses.replace(request, dockerfile=sources.dockerfile)
            asked = query(request, build_id, session.id if session else "", files=sources is not None)
            body = None if sources else self.context.tar()
            limits = ExchangeLimits(self.cancel, request.timeout, lambda: _stop(self.api, build_id), request.guard)
            said = converse(where, f"/build?{urlencode(asked)}", {}, body, limits=limits, sent=sending(output))
            try:
                for message in stack.enter_context(contextlib.closing(said)):
                    answer.take(message)
                    for image in answer.new_bases():
                        _check_base(image, request, lambda: _stop(self.api, build_id))
                if session and not answer.image:
                    session.check()
            except BuildFailed as error:
                raise answer.placed(error) from error
            finally:
                answer.finish()
                if answer.ended:
                    request.ended()
        return answer.result(self.credentials)


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


def query(request: BuildRequest, build_id: str, session_id: str, *, files: bool) -> Query:
    """Return the parameters of POST /build; `files` for a context that the session gives out. Pure.

    BuildKit has one cache for all: what a step made is taken again for an equal step, though its secrets and proxies, which are
    no part of what it compares, were another app's. An extra host is such a part, and nothing in the image.
    """
    args = {**request.args, **({"BUILDKIT_INLINE_CACHE": "1"} if request.inline_cache else {})}
    session = [("session", session_id)] if session_id else []
    session += [("remote", "client-session")] if files else []
    own: Query = []
    if request.cache:
        args = {CACHE_MOUNTS: request.cache, **args}
        own = [("extrahosts", f"{request.cache}{CACHE_HOST}:127.0.0.1")]
    return [("version", "2"), ("buildid", build_id), *session, *own, *common(request, args)]


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
