"""Public tags on the engine: :VERSION, :latest and what else an app's image is called in its repository.

The Engine API pushes only what is tagged, so a tag moves first, is pushed, and moves back if the registry refuses it. Two names
of gitdeploy's own stand beside it meanwhile and say after a crash how to put it right: "pending" on the image that is pushed,
and "was" on the one that the tag named before, which an engine with containerd's image store would else collect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Image
from gitdeploy.errors import GitdeployError, StageFailed
from gitdeploy.releases.imagenames import beside, claim_problem, own_repository
from gitdeploy.releases.release import ADOPTED, APP

PENDING, WAS = "pending", "was"


def require_claims(engine: Engine, app: App, references: Sequence[str]) -> None:
    """Raises StageFailed if one of these tags is somebody else's on this engine: better before a build than after it."""
    for reference in references:
        _require_claim(engine, app, reference, engine.image(reference))


def _require_claim(engine: Engine, app: App, reference: str, holder: Image | None) -> None:
    used = holder is not None and not holder.labels.get(APP) and _used_elsewhere(engine, app, holder)
    if problem := claim_problem(app, reference, holder, used_elsewhere=used):
        fix = f"set another `image` for {app.name} in config.toml, or free that tag: docker image rm {reference}"
        raise StageFailed(f"{problem}: the tag is not taken from it", fix)


def _used_elsewhere(engine: Engine, app: App, image: Image) -> bool:
    """Whether a container runs this image that is neither the app's nor one whose place the app takes or took."""
    users = [c for c in engine.containers({}) if c.image == image.id and c.labels.get(APP) != app.name]
    return any(c.name != app.container and not c.name.startswith(app.container + ADOPTED) for c in users)


@contextmanager
def tagged(engine: Engine, app: App, image: str, reference: str) -> Iterator[None]:
    """Gives the image a public tag, which stays if the block succeeds. If it raises, the tag names what it named before.

    Args:
        image: id of an image that has a name of gitdeploy's own.

    Raises:
        StageFailed: the tag is somebody else's on this engine.
    """
    settle(engine, app, reference)
    holder = engine.image(reference)
    if holder is not None and holder.id == image:
        yield
        return
    _require_claim(engine, app, reference, holder)
    if holder is not None:
        if len(holder.tags) == 1:  # nameless, an engine with containerd's image store would drop it
            engine.tag(holder.id, f"{own_repository(app.name)}:kept-{holder.id.removeprefix('sha256:')[:12]}")
        engine.tag(holder.id, beside(app.name, WAS, reference))
    engine.tag(image, beside(app.name, PENDING, reference))
    engine.tag(image, reference)
    try:
        yield
    except BaseException:
        with suppress(GitdeployError):  # an engine that is gone: the next run settles it
            settle(engine, app, reference)
        raise
    _forget(engine, app, reference)


def settle(engine: Engine, app: App, reference: str) -> None:
    """Undoes a tag whose push did not come to its end; does nothing where none was cut off."""
    pending = engine.image(beside(app.name, PENDING, reference))
    if pending is None:
        return
    holder = engine.image(reference)
    if holder is not None and holder.id == pending.id:  # else it had not moved yet, or somebody has moved it since
        before = engine.image(beside(app.name, WAS, reference))
        if before is None:
            engine.remove_image(reference)
        else:
            engine.tag(before.id, reference)
    _forget(engine, app, reference)


def settle_all(engine: Engine, app: App, images: Iterable[Image]) -> None:
    """The same for all tags of these images, which are the app's."""
    for image in images:
        moved = {beside(app.name, PENDING, reference): reference for reference in image.tags}
        for name in [name for name in image.tags if name.startswith(f"{own_repository(app.name)}:{PENDING}-")]:
            if name in moved:
                settle(engine, app, moved[name])
            else:  # cut off before the tag moved
                engine.remove_image(name)


def _forget(engine: Engine, app: App, reference: str) -> None:
    """Takes the two names away; "pending" first, for without it nothing is undone."""
    for kind in (PENDING, WAS):
        engine.remove_image(beside(app.name, kind, reference))
