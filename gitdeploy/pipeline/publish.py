"""Pushes an image's tags to its registry, again after what may pass, not again after what will not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel, Credentials, Output
from gitdeploy.errors import Cancelled, RegistryError
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.publictags import tagged
from gitdeploy.releases.release import Release

PAUSES = (1.0, 5.0)
"""Seconds between tries. The engine itself tries a registry that does not answer for most of a minute each time."""


def publish_release(
    release: Release, references: tuple[str, ...], tools: Tools, halt: CancelFlag, *, begun: threading.Event
) -> str:
    """Set the release's public tags and push them; one that the registry refuses is as it was before.

    Record the digest and return it, "" where nothing is to be pushed.
    """
    engine = tools.engine()
    set_tag = partial(tagged, engine, release.app, release.image)
    if not release.app.push.enabled:
        begun.set()
        for reference in references:
            with set_tag(reference):
                pass
        return ""
    limit = release.app.push.timeout
    timer = threading.Timer(limit, halt.set, ["timeout"])
    timer.daemon = True
    with tools.journal.stage("Push") as stage:
        begun.set()
        timer.start()
        try:
            digest = publish(engine, references, tools.credentials(release.app), tools.console, halt, tagged=set_tag)
        except Cancelled as error:
            if halt.reason != "timeout":
                raise
            reason = f"the push took longer than {limit:.0f} s (push.timeout)"
            raise RegistryError(reason, transient=False, hint="is the registry slow? raise push.timeout") from error
        finally:
            timer.cancel()
        tools.state.update(release.id, digest=digest)
        stage.note = digest[:19]
        return digest


def publish(
    engine: Engine,
    references: Sequence[str],
    credentials: Credentials,
    output: Output,
    cancel: Cancel,
    *,
    tagged: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> str:
    """Pushes each "repository:tag"; returns the digest of the first, "sha256:…".

    Args:
        tagged: sets a tag on the engine while it is pushed, and takes it back if that fails; see `publictags.tagged`.

    Raises:
        RegistryError: a tag could not be pushed; those before it are in the registry.
        Cancelled: `cancel` was set.
    """
    digests = []
    for reference in references:
        with tagged(reference):
            digests.append(_push(engine, reference, credentials, output, cancel))
    return digests[0] if digests else ""


def _push(engine: Engine, reference: str, credentials: Credentials, output: Output, cancel: Cancel) -> str:
    for pause in (*PAUSES, None):
        try:
            digest = engine.push(reference, credentials, output, cancel)
        except RegistryError as error:
            if not error.transient or pause is None:
                raise
            output.line(f"    {error.reason}; trying again in {pause:.0f} s")
            if cancel.wait(pause):
                raise Cancelled("cancelled while waiting for the registry") from error
        else:
            output.line(f"    pushed {reference}")
            return digest
    raise AssertionError  # the last try returns or raises
