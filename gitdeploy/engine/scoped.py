"""An engine as one installation sees it: what another one made is that one's, and what bears an app's old name is the app's.

Labels cannot be changed, so both are a matter of what is shown. What has no installation's label is of an older gitdeploy, and
everybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from gitdeploy.engine.cluster import Cluster
from gitdeploy.engine.contexts import BuildContext
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.images import age
from gitdeploy.engine.scope import Scope
from gitdeploy.engine.transport import Api
from gitdeploy.engine.types import (
    NEVER,
    BuildRequest,
    Cancel,
    Container,
    ContainerSpec,
    Credentials,
    Image,
    Output,
)

Labelled = TypeVar("Labelled", Image, Container)
Labels = Mapping[str, str]


class ScopedEngine(DockerEngine):
    """The same engine; what is made bears the installation's label, and lists of an app's things have its own alone."""

    def __init__(self, api: Api, buildkit: bool, scope: Scope) -> None:
        super().__init__(api, buildkit)
        self._scope = scope

    def images(self, labels: Labels) -> list[Image]:
        listed = super().images
        found = [
            image for old in self._scope.asked(labels) for image in listed(old) if self._scope.wanted(labels, image.labels)
        ]
        return sorted(map(self._shown, found), key=age, reverse=True)

    def image(self, ref: str) -> Image | None:
        found = super().image(ref)
        return self._shown(found) if found else None

    def containers(self, labels: Labels, *, all: bool = True) -> list[Container]:
        # In the order of the names, the newest first: what bears the new one is newer.
        listed = super().containers
        found = (container for old in self._scope.asked(labels) for container in listed(old, all=all))
        return [self._shown(container) for container in found if self._scope.wanted(labels, container.labels)]

    def container(self, ref: str) -> Container | None:
        found = super().container(ref)
        return self._shown(found) if found else None

    def networks(self, labels: Labels) -> list[str]:
        listed, labels_of = super().networks, super().network
        found = (name for old in self._scope.asked(labels) for name in listed(old))
        return [name for name in found if self._scope.wanted(labels, labels_of(name) or {})]

    def network(self, name: str) -> Labels | None:
        found = super().network(name)
        return None if found is None else self._scope.seen(found)

    def volume(self, name: str) -> Labels | None:
        found = super().volume(name)
        return None if found is None else self._scope.seen(found)

    def create(self, spec: ContainerSpec) -> str:
        return super().create(replace(spec, labels=self._scope.marked(spec.labels)))

    def ensure_network(self, name: str, labels: Labels) -> str:
        return super().ensure_network(name, self._scope.marked(labels))

    def create_volume(self, name: str, labels: Labels) -> None:
        super().create_volume(name, self._scope.marked(labels))

    def build(
        self,
        request: BuildRequest,
        context: BuildContext,
        credentials: Credentials,
        output: Output,
        cancel: Cancel = NEVER,
    ) -> str:
        return super().build(replace(request, labels=self._scope.marked(request.labels)), context, credentials, output, cancel)

    def cluster(self, patience: float = 0.0) -> Cluster:
        from gitdeploy.engine.scopedcluster import ScopedCluster  # noqa: PLC0415

        return ScopedCluster(self._api, self._scope, patience)

    def _shown(self, found: Labelled) -> Labelled:
        return replace(found, labels=self._scope.seen(found.labels))
