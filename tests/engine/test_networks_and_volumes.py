"""Names of networks and volumes are what they say: asked of the real engine and of the fake."""

from __future__ import annotations

import pytest

from gitdeploy.config.attachments import Volume
from gitdeploy.errors import NotFound
from tests.engine.test_contract import OWN, Subject, subject

__all__ = ["subject"]  # the fixture


def test_a_network_is_known_by_its_whole_name_alone(subject: Subject) -> None:
    """Not by its id or the beginning of that, which the engine itself takes: names say whose a network is."""
    name = subject.name()
    id = subject.engine.ensure_network(name, {OWN: subject.run})
    assert subject.engine.network(name) == {OWN: subject.run}
    image = subject.image()
    container = subject.engine.create(subject.spec(image))
    for other in (id, id[:12], id[:4], name[:-1], name.upper()):
        assert subject.engine.network(other) is None
        with pytest.raises(NotFound):
            subject.engine.create(subject.spec(image, networks=(other,)))
        with pytest.raises(NotFound):
            subject.engine.connect(other, container)


def test_a_volume_keeps_the_labels_it_was_made_with(subject: Subject) -> None:
    name = f"{subject.run}-volume"
    assert subject.engine.volume(name) is None
    subject.engine.create_volume(name, {OWN: subject.run})
    subject.engine.create_volume(name, {OWN: "another"})
    assert subject.engine.volume(name) == {OWN: subject.run}
    other = f"{subject.run}-plain"
    subject.engine.create(subject.spec(subject.image(), volumes=(Volume(other, "/x"),)))
    assert subject.engine.volume(other) == {}
