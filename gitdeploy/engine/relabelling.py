"""An engine that shows a new value in place of an old one of a label, for labels cannot be changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.images import age
from gitdeploy.engine.transport import Api
from gitdeploy.engine.types import Container, Image, Relabel

Labelled = TypeVar("Labelled", Image, Container)


class RelabellingEngine(DockerEngine):
    """The same engine; what it lists, inspects and filters by goes by the new values."""

    def __init__(self, api: Api, buildkit: bool, relabel: Relabel) -> None:
        super().__init__(api, buildkit)
        self._relabel = relabel

    def images(self, labels: Mapping[str, str]) -> list[Image]:
        listed = super().images
        found = [self._shown(image) for old in self._asked(labels) for image in listed(old)]
        return sorted(found, key=age, reverse=True)

    def image(self, ref: str) -> Image | None:
        found = super().image(ref)
        return self._shown(found) if found else None

    def containers(self, labels: Mapping[str, str], *, all: bool = True) -> list[Container]:
        # In the order of the names, the newest first: what bears the new one is newer.
        listed = super().containers
        return [self._shown(container) for old in self._asked(labels) for container in listed(old, all=all)]

    def container(self, ref: str) -> Container | None:
        found = super().container(ref)
        return self._shown(found) if found else None

    def networks(self, labels: Mapping[str, str]) -> list[str]:
        listed = super().networks
        return [name for old in self._asked(labels) for name in listed(old)]

    def network(self, name: str) -> Mapping[str, str] | None:
        found = super().network(name)
        return None if found is None else self._renamed(found)

    def volume(self, name: str) -> Mapping[str, str] | None:
        found = super().volume(name)
        return None if found is None else self._renamed(found)

    def _shown(self, found: Labelled) -> Labelled:
        return replace(found, labels=self._renamed(found.labels))

    def _renamed(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        label = self._relabel.label
        new = self._relabel.values.get(labels.get(label, ""))
        return {**labels, label: new} if new else labels

    def _asked(self, labels: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
        """Yield the filters that find the same: with the value that is asked for first, then with each old one."""
        yield labels
        wanted = labels.get(self._relabel.label)
        if wanted:
            former = reversed([old for old, new in self._relabel.values.items() if new == wanted])  # what was last is newer
            yield from ({**labels, self._relabel.label: old} for old in former)
