"""A registry that answers to tokens alone, which the engine fetches with a password or with a refresh token."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from gitdeploy.config.imagereference import split
from gitdeploy.config.model import App
from gitdeploy.doctor.logins import examine_registries
from gitdeploy.engine.credentials import TOKEN
from gitdeploy.engine.types import Credentials
from gitdeploy.errors import RegistryError
from tests.support.builder import Builder
from tests.support.recorder import Recorder
from tests.support.registry import Registry, serve
from tests.support.tokens import TokenServer, serve_tokens


@dataclass(frozen=True)
class Place:
    """A registry and who gives out its tokens."""

    registry: Registry
    tokens: TokenServer

    def login(self, kind: str) -> Credentials:
        """What config.json has after a `docker login`: a name and a password, or an identity token."""
        known = {"password": (self.tokens.user, self.tokens.password), "refresh": (TOKEN, self.tokens.refresh)}
        return lambda host: known.get(kind, (TOKEN, "wrong") if kind == "stale" else None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with (
        serve_tokens(tmp_path_factory.mktemp("tokens"), "pusher", "correct horse") as tokens,
        serve(tmp_path_factory.mktemp("registry-tokens"), tokens=tokens) as registry,
    ):
        yield Place(registry, tokens)


@pytest.fixture
def ref(buildkit: Builder, place: Place) -> Iterator[str]:
    """An image that the registry has not."""
    name = f"{place.registry.host}/team/{uuid.uuid4().hex[:8]}:1.0"
    built = buildkit.good(f"FROM BASE\nRUN echo {name} >/name\n")
    buildkit.engine.tag(built.image, name)
    yield name
    buildkit.engine.remove_image(name)


@pytest.mark.parametrize("kind", ["password", "refresh"])
def test_push_login_and_pull_by_digest(buildkit: Builder, place: Place, ref: str, kind: str) -> None:
    engine, login = buildkit.engine, place.login(kind)
    place.tokens.given.clear()
    engine.login(ref, login)
    digest = engine.push(ref, login, Recorder())
    by_digest = f"{split(ref)[0]}@{digest}"
    pushed = engine.image(ref)
    engine.remove_image(ref)
    assert engine.pull(by_digest, login, Recorder())
    engine.remove_image(by_digest)
    assert pushed
    assert engine.pull(ref, login, Recorder()) == pushed.id
    assert place.tokens.given[kind] >= 3
    assert place.tokens.given["nobody"] == 0


@pytest.mark.parametrize("kind", ["password", "refresh"])
def test_a_base_image_of_it(buildkit: Builder, place: Place, ref: str, kind: str) -> None:
    login = place.login(kind)
    buildkit.engine.push(ref, login, Recorder())
    buildkit.engine.remove_image(ref)
    built = buildkit.good(f"FROM {ref}\nRUN echo {kind} >/kind\n", credentials=login)
    assert buildkit.sh(built, "cat /name /kind") == f"{ref}\n{kind}\n"
    buildkit.engine.pull(ref, login, Recorder())  # for the end of the fixture


@pytest.mark.parametrize("kind", ["", "stale"])
def test_whoever_has_no_token_may_do_nothing(buildkit: Builder, place: Place, ref: str, kind: str) -> None:
    with pytest.raises(RegistryError) as raised:
        buildkit.engine.push(ref, place.login(kind), Recorder())
    assert raised.value.transient is False
    assert raised.value.hint


def test_doctor_tells_a_good_login_from_a_bad_one(buildkit: Builder, place: Place) -> None:
    app = App("o/r", f"{place.registry.host}/o/r", "r")
    found = {
        kind: [f.level for f in examine_registries([app], lambda app: place.login(kind), buildkit.engine.login)]  # noqa: B023
        for kind in ("password", "refresh", "stale")
    }
    assert found == {"password": ["ok"], "refresh": ["ok"], "stale": ["error"]}
    off = replace(app, push=replace(app.push, enabled=False))
    assert list(examine_registries([off], lambda app: place.login("stale"), buildkit.engine.login)) == []
