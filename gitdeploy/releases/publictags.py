"""Public tags on the engine: :VERSION, :latest and what else an app's image is called in its repository.

The Engine API pushes only what is tagged, so a tag moves first, is pushed, and moves back if the registry refuses it. Two names
of gitdeploy's own stand beside it meanwhile and say after a crash how to put it right: "pending" on the image that is pushed,
and "was" on the one that the tag named before, which an engine with containerd's image store would else collect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Builder
from gitdeploy.engine.types import Image
from gitdeploy.errors import GitdeployError, StageFailed
from gitdeploy.releases.imagenames import beside, claim_problem, own_repository
from gitdeploy.releases.release import APP

PENDING, WAS = "pending", "was"


UsedByOthers = Callable[[App, str], bool]
"""Says of an image, by its id, whether something runs it that is not the app's; see `Target.used_by_others`."""


def require_claims(builder: Builder, app: App, references: Sequence[str], used_by_others: UsedByOthers) -> None:
    """Raise StageFailed if one of these tags is somebody else's on this engine: better before a build than after it."""
    for reference in references:
        _require_claim(app, reference, builder.image(reference), used_by_others)


def _require_claim(app: App, reference: str, holder: Image | None, used_by_others: UsedByOthers) -> None:
    used = holder is not None and not holder.labels.get(APP) and used_by_others(app, holder.id)
    if problem := claim_problem(app, reference, holder, used_elsewhere=used):
        fix = f"set another `image` for {app.name} in config.toml, or free that tag: docker image rm {reference}"
        raise StageFailed(f"{problem}: the tag is not taken from it", fix)


@contextmanager
def tagged(builder: Builder, used_by_others: UsedByOthers, app: App, image: str, reference: str) -> Iterator[None]:
    """Give the image a public tag, which stays if the block succeeds. If it raises, the tag names what it named before.

    Args:
        image: id of an image that has a name of gitdeploy's own.

    Raises:
        StageFailed: the tag is somebody else's on this engine.
    """
    settle(builder, app, reference)
    holder = builder.image(reference)
    if holder is not None and holder.id == image:
        yield
        return
    _require_claim(app, reference, holder, used_by_others)
    if holder is not None:
        if len(holder.tags) == 1:  # nameless, an engine with containerd's image store would drop it
            builder.tag(holder.id, f"{own_repository(app.name)}:kept-{holder.id.removeprefix('sha256:')[:12]}")
        builder.tag(holder.id, beside(app.name, WAS, reference))
    builder.tag(image, beside(app.name, PENDING, reference))
    builder.tag(image, reference)
    try:
        yield
    except BaseException:
        with suppress(GitdeployError):  # an engine that is gone: the next run settles it
            settle(builder, app, reference)
        raise
    _forget(builder, app, reference)


def settle(builder: Builder, app: App, reference: str) -> None:
    """Undo a tag whose push did not come to its end; do nothing where none was cut off."""
    pending = builder.image(beside(app.name, PENDING, reference))
    if pending is None:
        return
    holder = builder.image(reference)
    if holder is not None and holder.id == pending.id:  # else it had not moved yet, or somebody has moved it since
        before = builder.image(beside(app.name, WAS, reference))
        if before is None:
            builder.remove_image(reference)
        else:
            builder.tag(before.id, reference)
    _forget(builder, app, reference)


def settle_all(builder: Builder, app: App, images: Iterable[Image]) -> None:
    """Do the same for all tags of these images, which are the app's."""
    for image in images:
        moved = {beside(app.name, PENDING, reference): reference for reference in image.tags}
        for name in [name for name in image.tags if name.startswith(f"{own_repository(app.name)}:{PENDING}-")]:
            if name in moved:
                settle(builder, app, moved[name])
            else:  # cut off before the tag moved
                builder.remove_image(name)


def _forget(builder: Builder, app: App, reference: str) -> None:
    """Take the two names away; "pending" first, for without it nothing is undone."""
    for kind in (PENDING, WAS):
        builder.remove_image(beside(app.name, kind, reference))
