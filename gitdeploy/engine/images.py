"""Images of the Docker Engine, and its build cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gitdeploy.config.imagereference import split
from gitdeploy.engine import mapping
from gitdeploy.engine.apiversion import RESERVED_SPACE, at_least
from gitdeploy.engine.transport import SLOW, Api, part
from gitdeploy.engine.types import Image
from gitdeploy.errors import EngineError, NotFound


class Images:
    """The part of `types.Engine` about images; every method is documented there."""

    _api: Api

    def image(self, ref: str) -> Image | None:
        try:
            return mapping.image(self._api.call("GET", f"/images/{part(ref)}/json").json())
        except NotFound:
            return None

    def images(self, labels: Mapping[str, str]) -> list[Image]:
        listed = self._api.images(filters={"label": mapping.label_filter(labels)})
        found = {entry["Id"]: (self.image(entry["Id"]), entry.get("Size") or 0) for entry in listed}
        # With containerd's image store, 28.5 says in ImageInspect how much was downloaded, and in the list what the disk holds.
        images = [replace(image, size=max(image.size, size)) for image, size in found.values() if image]
        return sorted(images, key=age, reverse=True)

    def tag(self, image: str, ref: str) -> None:
        repository, tag = split(ref)
        self._api.call("POST", f"/images/{part(image)}/tag", params={"repo": repository, "tag": tag})

    def remove_image(self, ref: str) -> bool:
        image = self.image(ref)
        if image is None:
            return False
        if ref not in (image.id, image.id.removeprefix("sha256:")):
            return self._remove_image(ref)
        # By id, an engine removes only what has one tag; and it unties tag after tag before it says that an image is in use.
        if users := [entry["Names"][0] for entry in self._api.containers(all=True) if entry["ImageID"] == image.id]:
            raise EngineError(f"image {image.id[:19]} is used by container {users[0].removeprefix('/')}", 409)
        for name in image.tags:
            self._remove_image(name)
        self._remove_image(image.id)
        return True

    def prune_build_cache(self, keep: int) -> int:
        name = "reserved-space" if at_least(self._api.api_version, RESERVED_SPACE) else "keep-storage"
        answer = self._api.call("POST", "/build/prune", params={name: keep}, timeout=SLOW).json()
        freed: int = answer.get("SpaceReclaimed") or 0
        return freed

    def _remove_image(self, ref: str) -> bool:
        try:
            self._api.call("DELETE", f"/images/{part(ref)}", timeout=SLOW)
        except NotFound:
            return False
        return True


def age(image: Image) -> float:
    """Return when it was made, in seconds since 1970; 0 for an image that does not say."""
    return mapping.moment(image.created)
