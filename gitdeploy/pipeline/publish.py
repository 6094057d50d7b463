"""Pushes an image's tags to its registry, again after what may pass, not again after what will not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from gitdeploy.engine.protocol import Builder
from gitdeploy.engine.types import Cancel, Credentials, Output
from gitdeploy.pipeline.again import again
from gitdeploy.pipeline.plan import Running
from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.publictags import tagged
from gitdeploy.releases.release import Release


def publish_release(release: Release, references: tuple[str, ...], tools: Tools, stage: Running) -> str:
    """Set the release's public tags and push them; one that the registry refuses is as it was before.

    Return the digest, "" where nothing is to be pushed.
    """
    builder, app = tools.builder, release.app
    set_tag = partial(tagged, builder, tools.target.used_by_others, app, release.image)
    if not app.push.enabled:
        for reference in references:
            with set_tag(reference):
                pass
        stage.note, stage.skipped = "tagged only: push.enabled is false", True
        return ""
    digest = publish(builder, references, tools.credentials(app), stage.output, stage.cancel, tagged=set_tag)
    stage.note = digest[:19]
    return digest


def publish(
    builder: Builder,
    references: Sequence[str],
    credentials: Credentials,
    output: Output,
    cancel: Cancel,
    *,
    tagged: Callable[[str], AbstractContextManager[Any]] = nullcontext,
) -> str:
    """Push each "repository:tag"; return the digest of the first, "sha256:…".

    Args:
        tagged: sets a tag on the engine while it is pushed, and takes it back if that fails; see `publictags.tagged`.

    Raises:
        RegistryError: a tag could not be pushed; those before it are in the registry.
        Cancelled: `cancel` was set.
    """
    digests = []
    for reference in references:
        with tagged(reference):
            digests.append(again(partial(builder.push, reference, credentials, output, cancel), output, cancel))
            output.line(f"pushed {reference}")
    return digests[0] if digests else ""
