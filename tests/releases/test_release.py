"""Names, tags, labels and the recipe of an image."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App, AppProcess
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import Build, Push, Router
from gitdeploy.releases.imagenames import public_references
from gitdeploy.releases.release import (
    Release,
    address,
    container_labels,
    container_name,
    label_problem,
    process_of,
    recipe,
)

APP = App(name="devops/dev-app", image="6ain/dev-app", container="dev-app", publish=(Publish("", 8080, 80),))
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_references_begin_with_the_version_and_hold_none_twice() -> None:
    assert public_references(APP, "0.0.2", COMMIT, "refs/heads/main") == ("6ain/dev-app:0.0.2", "6ain/dev-app:latest")
    app = App(name="o/r", image="r", container="r", push=Push(tags=("{branch}-{commit}", "{version}", "latest")))
    assert public_references(app, "1", COMMIT, "refs/heads/feature/ä b") == ("r:1", "r:feature---b-0123456789ab", "r:latest")


@pytest.mark.parametrize("ref", ["refs/heads/-x", "refs/heads/" + "x" * 300, "refs/tags/v1", "", "refs/heads/...."])
def test_every_reference_is_a_valid_tag(ref: str) -> None:
    app = App(name="o/r", image="r", container="r", push=Push(tags=("{branch}",)))
    for reference in public_references(app, "1.0", COMMIT, ref):
        assert re.fullmatch(r"r:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", reference)


def test_containers_tell_what_they_are() -> None:
    release = Release(12, APP, "0.0.2", COMMIT, "sha256:1")
    assert container_labels(release) == {
        "gitdeploy.app": "devops/dev-app",
        "gitdeploy.release": "12",
        "gitdeploy.version": "0.0.2",
        "gitdeploy.commit": COMMIT,
        "gitdeploy.role": "app",
    }
    assert container_name(release, 2) == "dev-app.12.2"
    worker = replace(release, app=replace(APP, processes={"worker": AppProcess()}).of_process("worker"))
    assert container_labels(worker) == {**container_labels(release), "gitdeploy.process": "worker"}
    assert container_name(worker, 2) == "dev-app-worker.12.2"
    assert [process_of(container_labels(one)) for one in (release, worker)] == ["web", "worker"]


@pytest.mark.parametrize(
    ("labels", "told_by_the_server", "problem"),
    [
        (("gitdeploy.app", "gitdeploy.tree", "gitdeploy.recipe", "org.opencontainers.image.version", "gitdeploy"), (), ""),
        (("gitdeploy.replica",), (), "'gitdeploy.replica': labels that begin with gitdeploy. are gitdeploy's own"),
        (("traefik.http.x",), (), ""),
        (("traefik.enable", "caddy"), ("traefik.enable",), ""),
        (("traefik.http.x",), ("traefik.enable",), "'traefik.http.x': those of traefik are set by router.labels"),
        (("Traefik.http.x",), ("traefik.enable",), "'Traefik.http.x': those of traefik are set by router.labels"),
        (("Gitdeploy.replica",), (), "'Gitdeploy.replica': labels that begin with gitdeploy. are gitdeploy's own"),
        (("caddy",), ("caddy.reverse_proxy",), "'caddy': those of caddy are set"),
        (("caddy_9.reverse_proxy",), ("caddy",), "'caddy_9.reverse_proxy': those of caddy are set"),
        (("caddy",), ("caddy_1.reverse_proxy",), "'caddy': those of caddy are set"),
        (("com.example.about", "org.opencontainers.image.version"), ("com.proxy.keep", "org.opencontainers.x"), ""),
        (("com.proxy.other",), ("com.proxy.keep",), "'com.proxy.other': those of com.proxy are set"),
    ],
)
def test_an_image_does_not_speak_for_gitdeploy_or_to_the_proxy(
    labels: tuple[str, ...], told_by_the_server: tuple[str, ...], problem: str
) -> None:
    app = App("o/r", "r", "r", router=Router(labels=dict.fromkeys(told_by_the_server, "x")))
    found = label_problem(app, labels)
    assert problem in found
    assert bool(problem) == bool(found)


def test_an_image_does_not_speak_for_a_process_either() -> None:
    told = AppProcess(run=Run(labels={"traefik.enable": "true"}))
    assert "those of traefik are set" in label_problem(replace(APP, processes={"worker": told}), ("traefik.http.x",))
    assert "gitdeploy's own" in label_problem(APP, ("gitdeploy.process",))


def test_the_recipe_changes_with_what_decides_the_image_and_nothing_else() -> None:
    same = recipe("t", Build(args={"A": "1"}), [("python:3", "sha256:1")])
    assert same == recipe("t", Build(args={"A": "1"}, output="full", no_cache=True, timeout=5), [("python:3", "sha256:1")])
    others = [
        recipe("u", Build(args={"A": "1"}), [("python:3", "sha256:1")]),
        recipe("t", Build(args={"A": "2"}), [("python:3", "sha256:1")]),
        recipe("t", Build(args={"A": "1"}, target="x"), [("python:3", "sha256:1")]),
        recipe("t", Build(args={"A": "1"}, dockerfile="x"), [("python:3", "sha256:1")]),
        recipe("t", Build(args={"A": "1"}), [("python:3", "sha256:2")]),
    ]
    assert len({same, *others}) == 6


@pytest.mark.parametrize(
    ("publish", "shown"),
    [
        ((), "container dev-app"),
        ((Publish("", 8080, 80),), "http://box:8080"),
        ((Publish("127.0.0.1", 8080, 80),), "http://127.0.0.1:8080"),
        ((Publish("", 53, 53, "udp"), Publish("0.0.0.0", 8443, 443)), "https://box:8443"),
        ((Publish("::1", 8080, 80),), "http://[::1]:8080"),
    ],
)
def test_where_an_app_answers(publish: tuple[Publish, ...], shown: str) -> None:
    assert address(App(name="o/r", image="r", container="dev-app", publish=publish), "box") == shown
