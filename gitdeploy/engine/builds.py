"""Which builder builds, and that it does."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from gitdeploy.engine.contexts import BuildContext
from gitdeploy.engine.transport import Api
from gitdeploy.engine.types import NEVER, BuildRequest, Cancel, Credentials, Image, Output


class Builds:
    """The part of `types.Engine` about builds; every method is documented there."""

    _api: Api
    _buildkit: bool

    @abstractmethod
    def image(self, ref: str) -> Image | None: ...

    @abstractmethod
    def pull(self, ref: str, credentials: Credentials, output: Output, cancel: Cancel = NEVER) -> str: ...

    def warm(self) -> None:
        from gitdeploy.engine import buildkit, classic  # noqa: F401, PLC0415 - see `build`

    def build(
        self,
        request: BuildRequest,
        context: BuildContext,
        credentials: Credentials,
        output: Output,
        cancel: Cancel = NEVER,
    ) -> str:
        # Most runs of gitdeploy build nothing, and HTTP/2 takes its time to import.
        from gitdeploy.engine import buildkit, classic  # noqa: PLC0415

        if choose(request.engine, self._buildkit) == "classic":
            if request.engine == "auto":
                output.line("this engine does not build with BuildKit: building with its classic builder")
            return classic.build(self._api, request, context, credentials, output, cancel=cancel)

        def fetch(ref: str) -> None:
            if request.pull or self.image(ref) is None:
                self.pull(ref, credentials, output, cancel)

        return buildkit.build(self._api, request, context, credentials, output, cancel=cancel, fetch=fetch)


def choose(wanted: Literal["auto", "buildkit", "classic"], has_buildkit: bool) -> Literal["buildkit", "classic"]:
    """Return the builder for build.engine = `wanted`. Pure.

    An engine whose daemon.json switches BuildKit off says so, and still builds with it for who asks by name.
    """
    if wanted == "auto":
        return "buildkit" if has_buildkit else "classic"
    return wanted
