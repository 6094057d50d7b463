"""The images that a pushed Dockerfile builds on: all of them are looked at before anything is built."""

from __future__ import annotations

from collections.abc import Collection

from gitdeploy.config.model import App
from gitdeploy.engine.dockerfile import base_images
from gitdeploy.engine.growth import require_modest
from gitdeploy.engine.protocol import Builder
from gitdeploy.engine.types import Image
from gitdeploy.errors import EngineError
from gitdeploy.pipeline.buildguard import check_base, check_frontends, check_sources


class Bases:
    """The base images of one build.

    What an image brings along counts like the Dockerfile itself: its variables and its ONBUILD. That is known of images that
    the engine has.

    Attributes:
        found: those that the Dockerfile names plainly, each with its id on the engine, "" where the engine lists none.
    """

    def __init__(self, builder: Builder, dockerfile: str, app: App, apps: Collection[App]) -> None:
        """Look at the Dockerfile and what it names. Takes all apps of this server. Raises StageFailed, BuildFailed."""
        self._builder = builder
        self._dockerfile = dockerfile
        self._app = app
        self._apps = apps
        self._known: dict[str, Image] = {}
        check_frontends(dockerfile, app)
        check_sources(dockerfile, app, apps)
        self.found = [(base, self._look_up(base)) for base in base_images(dockerfile, app.build.args)]
        self._require_modest()

    def ask(self, base: str) -> None:
        """Look at an image that the builder asks for. Raises StageFailed, BuildFailed."""
        if base not in self._known and self._look_up(base):  # the Dockerfile did not name it plainly
            self._require_modest()

    def _look_up(self, base: str) -> str:
        image = _image(self._builder, base)
        others = [other for other in self._apps if other.name != self._app.name]
        check_base(base, image.labels if image else {}, self._app, others)
        if image is None:
            return ""
        self._known[base] = image
        check_sources("\n".join(image.onbuild), self._app, self._apps, f"ONBUILD of {base}")
        return image.id

    def _require_modest(self) -> None:
        require_modest(self._dockerfile, self._app.build.args, self._known.values())


def _image(builder: Builder, base: str) -> Image | None:
    """Return a base image, None where the engine lists none."""
    try:
        return builder.image(base)
    except EngineError as error:
        if error.status != 400:
            raise
        return None  # no name of an image: for the builder to say, which may read the Dockerfile in another way
