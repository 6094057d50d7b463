"""What an app's images are called. Pure.

Each deployment's image has a name of gitdeploy's own, which nothing else moves and which is never pushed. Public tags, such as
:VERSION and :latest in the app's repository, are set when the image is published (see `publish`), and may be moved by anybody.
"""

from __future__ import annotations

import hashlib
import re

from gitdeploy.config.imagereference import COMPONENT, OWN, same_repository
from gitdeploy.config.model import App
from gitdeploy.engine.types import Image
from gitdeploy.releases.release import APP

_ORDINARY = re.compile(rf"{COMPONENT}/{COMPONENT}")


def own_repository(app: str) -> str:
    """Return where the images of an app have their own names: "gitdeploy.local/owner/repo".

    An app's name may hold what no image's does ("a__b_", "a.-b"): such a one gets a third part, a hash that tells it from all
    others.
    """
    if _ORDINARY.fullmatch(app):
        return f"{OWN}/{app}"
    readable = "/".join(re.sub(r"[^a-z0-9]+", "-", half).strip("-") or "x" for half in app.split("/"))
    return f"{OWN}/{readable}/{hashlib.sha256(app.encode()).hexdigest()[:16]}"


def own_name(app: str, deployment: int, tree: str) -> str:
    """Return the image's name that a deployment gives; with the tree in it, for numbers begin anew where state.db was lost."""
    return f"{own_repository(app)}:{deployment}-{tree[:12]}"


def beside(app: str, kind: str, reference: str) -> str:
    """Return a name of gitdeploy's own by which it knows, after a crash, how a public tag is to be put right; see `publish`."""
    return f"{own_repository(app)}:{kind}-{hashlib.sha256(reference.encode()).hexdigest()[:32]}"


def public_references(app: App, version: str, commit: str, ref: str) -> tuple[str, ...]:
    """ "repository:tag" for each of the app's tag templates, :VERSION always first, none twice."""
    branch = re.sub(r"[^A-Za-z0-9_.-]", "-", ref.removeprefix("refs/heads/").removeprefix("refs/tags/")).lstrip(".-")
    filled = [t.format(version=version, commit=commit[:12], branch=branch or "none") for t in app.push.tags]
    return tuple(f"{app.image}:{tag[:128]}" for tag in dict.fromkeys([version, *filled]))


def is_own_name(app: App, name: str) -> bool:
    """Return whether a name of an image is one that gitdeploy gave it for this app, and that nobody else uses."""
    return same_repository(name, own_repository(app.name))


def is_own_tag(app: App, name: str) -> bool:
    """Return whether a name of an image is this app's: its own, or in its repository, however the engine spells that."""
    return is_own_name(app, name) or same_repository(name, app.image)


def is_own(image: Image, app: App) -> bool:
    """Return whether the image is this app's: by label and name, for a label alone may be another app's lie.

    What that app's classic build left of a stage, or pulled for its FROM, has the labels that it was given there.
    """
    return image.labels.get(APP) == app.name and any(is_own_tag(app, tag) for tag in image.tags)


def claim_problem(app: App, reference: str, holder: Image | None, *, used_elsewhere: bool) -> str:
    """Return why a public tag may not be given to the app's image, "" if it may.

    Args:
        holder: the image that bears it now, None for none.
        used_elsewhere: whether a container that is not this app's was made of that image; only looked at where that matters.
    """
    if holder is None or holder.labels.get(APP) == app.name:
        return ""
    named = f"{reference} names an image on this engine"
    if owner := holder.labels.get(APP):
        return f"{named} that is {owner}'s"
    foreign = next((tag for tag in holder.tags if not is_own_tag(app, tag)), "")
    if foreign or used_elsewhere or app.adopt is False:
        rest = f", and {foreign} names it, too" if foreign else ", and another container runs it" if used_elsewhere else ""
        return f"{named} that gitdeploy did not build{rest}"
    return ""
