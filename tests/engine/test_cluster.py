"""What every `Cluster` does, asked of a Swarm of one engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.imagereference import split
from gitdeploy.config.runoptions import Run
from gitdeploy.engine.client import connect
from gitdeploy.engine.cluster import SecretFile
from gitdeploy.engine.scope import Scope
from gitdeploy.errors import EngineError
from tests.engine.swarm import OWN, Place, nobody
from tests.support.net import get, wait_until
from tests.support.registry import serve


def sh(script: str, **options: Any) -> Run:
    return Run(command=("sh", "-c", script), stop_signal="SIGKILL", **options)


def test_an_engine_of_its_own_is_in_no_cluster(engine_url: str) -> None:
    engine = connect({"DOCKER_HOST": engine_url})
    member = engine.cluster().membership()
    assert (member.active, member.manager, member.node, member.error) == (False, False, "", "")
    with pytest.raises(EngineError) as refused:
        engine.cluster().services({})
    assert refused.value.status == 503
    assert not engine.manages_cluster()
    engine.close()


def test_where_it_stands(place: Place) -> None:
    assert place.engine.manages_cluster()
    member, (node,) = place.cluster.membership(), place.cluster.nodes()
    assert (member.active, member.manager, member.error, member.node) == (True, True, "", node.id)
    assert place.swarm.network in member.insecure
    assert (node.name, node.manager, node.leader, node.reachable, node.ready) == ("node1", True, True, True, True)
    assert (node.availability, node.address, node.platform[:6]) == ("active", place.swarm.manager.address, "linux/")


def test_names_are_whole_and_found_again(place: Place) -> None:
    name, image = place.name(), place.swarm.image("busybox")
    first = place.cluster.create_service(place.spec(name=name, replicas=0, labels={OWN: place.run, "a": "b"}), nobody)
    second = place.cluster.create_service(place.spec(replicas=0), nobody)
    found = place.cluster.service(name)
    assert found is not None
    assert (found.id, found.name, found.labels, found.image) == (first, name, {OWN: place.run, "a": "b"}, image)
    assert (found.replicas, found.secrets, place.cluster.service(first)) == (0, (), found)
    assert [service.id for service in place.cluster.services({OWN: place.run})] == [second, first]
    assert [service.id for service in place.cluster.services({OWN: "", "a": "b"})] == [first]
    for part in (first[:12], name[:-1], f"{name}-more"):
        assert place.cluster.service(part) is None
    with pytest.raises(EngineError) as taken:
        place.cluster.create_service(place.spec(name=name), nobody)
    assert taken.value.status == 409
    assert place.cluster.remove_service(first)
    assert not place.cluster.remove_service(first)
    assert place.cluster.tasks([]) == []


def test_a_change_leaves_the_tasks_alone_and_bears_another_at_the_same_moment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = place.service(replicas=1, labels={OWN: place.run, "keep": "1", "drop": "1"})
    (kept,), before = place.running(service), place.client.api.inspect_service(service)
    api, ask, changed = place.engine._api, place.engine._api.call, []

    def call(method: str, path: str, **options: Any) -> Any:
        if path.endswith("/update") and not changed:
            changed.append(path)
            place.engine.cluster().label_service(service, {"theirs": "1"})
        return ask(method, path, **options)

    monkeypatch.setattr(api, "call", call)
    place.cluster.resize_service(service, 2, lambda host: ("user", "password"))
    place.cluster.label_service(service, {"ours": "1", "drop": ""})

    tasks = place.await_running(service, 2)
    assert changed
    assert [(task.id, task.container) for task in tasks if task.slot == kept.slot] == [(kept.id, kept.container)]
    after = place.client.api.inspect_service(service)
    assert after["Spec"]["TaskTemplate"] == before["Spec"]["TaskTemplate"]
    assert after["Spec"]["Labels"] == {OWN: place.run, "keep": "1", "theirs": "1", "ours": "1"}
    assert after["Spec"]["Mode"]["Replicated"]["Replicas"] == 2


def test_names_ports_and_addresses(place: Place) -> None:
    network = place.name()
    id = place.cluster.ensure_overlay(network, {OWN: place.run})
    assert place.cluster.ensure_overlay(network, {OWN: "another"}) == id
    assert re.fullmatch(r"10\.[0-9.]+/24", place.cluster.subnet(network))
    web = sh("echo hello >/tmp/index.html; exec httpd -f -h /tmp -p 80", network_aliases=("www",))
    port = Publish("", 18080, 80)
    names = {"networks": (network,), "own_network": network, "aliases": ("shop",), "publish": (port,)}
    spec = place.spec(run=web, **names)
    (task,) = place.await_running(place.cluster.create_service(spec, nobody), 1)
    for name in (spec.name, f"tasks.{spec.name}", "shop", "www"):
        assert task.addresses[network] in place.exec(task, "nslookup", name)
    wait_until(lambda: get(f"http://{place.swarm.manager.address}:18080/") == "hello\n", 10, "the published port")


@pytest.mark.parametrize("options", [{"driver": "bridge"}, {"driver": "overlay", "attachable": False}])
def test_a_network_of_another_kind_is_refused(place: Place, options: dict[str, Any]) -> None:
    name = place.name()
    place.client.networks.create(name, labels={OWN: place.run}, **options)
    with pytest.raises(EngineError, match="expected an attachable overlay"):
        place.cluster.ensure_overlay(name, {})


def test_what_fails_and_what_waits_say_why(place: Place) -> None:
    failing = place.cluster.create_service(place.spec(run=sh("exit 3"), restart="on-failure:1"), nobody)
    homeless = place.cluster.create_service(place.spec(constraints=("node.labels.zone==moon",)), nobody)
    lost = place.spec(image=f"{place.swarm.registry.host}/none@sha256:{'0' * 64}", restart="no")
    rejected = place.await_task(place.cluster.create_service(lost, nobody), lambda task: task.state == "rejected")
    assert "none@sha256:000" in rejected.error
    waiting = place.await_task(homeless, lambda task: bool(task.error))
    assert (waiting.state, waiting.wanted, waiting.node, waiting.running) == ("pending", "running", "", False)
    assert "no suitable node" in waiting.error
    wait_until(lambda: [task.state for task in place.cluster.tasks([failing])] == ["failed"] * 2, 30, "two attempts")
    again, first = place.cluster.tasks([failing])
    assert (first.slot, first.exit_code, first.container != again.container) == (again.slot, 3, True)
    assert again.changed > first.changed
    assert "non-zero exit (3)" in first.error


def test_output(place: Place) -> None:
    service = place.service(run=sh("for i in 1 2 3; do echo line $i; done; echo oops >&2; exec sleep 600"))
    wait_until(lambda: len(place.cluster.service_logs(service, 10)) == 4, 10, "all lines")
    assert sorted(place.cluster.service_logs(service, 10)) == [
        *(f"1@node1 | line {number}" for number in (1, 2, 3)),
        "1@node1 | oops",
    ]
    assert len(place.cluster.service_logs(service, 2)) == 2


def test_secrets(place: Place) -> None:
    name, labels = place.name(), {OWN: place.run}
    secret = place.cluster.create_secret(name, b"hush\0", labels)
    assert place.cluster.create_secret(name, b"other", labels) == secret
    with pytest.raises(EngineError) as taken:
        place.cluster.create_secret(name, b"other", {OWN: "another"})
    assert taken.value.status == 409
    (found,) = place.cluster.secrets(labels)
    assert (found.id, found.name, found.labels) == (secret, name, labels)

    run = Run(command=("sleep", "600"), stop_signal="SIGKILL", user="1000")
    service = place.service(run=run, secrets=(SecretFile(secret, name, "token"),))
    (task,) = place.running(service)
    assert place.exec(task, "cat", "/run/secrets/token") == "hush\0"
    assert [found.secrets for found in place.cluster.services(labels)] == [(secret,)]
    assert not place.cluster.remove_secret(secret)
    assert place.cluster.remove_service(service)
    assert place.cluster.remove_secret(secret)
    assert not place.cluster.remove_secret(secret)
    wait_until(lambda: not place.cluster.tasks([service]), 30, "the end of its tasks")  # those of a service that is gone


def test_nodes_pull_with_the_login(place: Place, tmp_path: Path) -> None:
    with serve(tmp_path, "puller", "correct horse", address=place.swarm.address) as registry:
        ref = f"{registry.host}/private/busybox:1"
        place.engine.tag(place.swarm.image("busybox"), ref)
        login = {"username": "puller", "password": "correct horse"}
        place.client.images.push(*split(ref), auth_config=login)
        digest = registry.digest("private/busybox", "1")
        place.engine.remove_image(ref)
        spec = place.spec(image=f"{registry.host}/private/busybox@{digest}", restart="no")
        assert place.engine.image(spec.image) is None

        refused = place.cluster.create_service(spec, nobody)
        # Engines before 29 say "No such image" of whatever pull fails.
        assert digest in place.await_task(refused, lambda task: task.state == "rejected").error

        service = place.cluster.create_service(place.spec(image=spec.image), lambda host: ("puller", "correct horse"))
        place.await_running(service, 1)


def test_what_another_installation_made_is_its_own(place: Place) -> None:
    app, mark = "gitdeploy.test.app", "gitdeploy.test.installation"
    environ = {"DOCKER_HOST": place.swarm.manager.url}
    engines = [connect(environ, Scope(app, {"o/old": "o/new"}, mark, own)) for own in ("one", "two")]
    one, two = [engine.cluster() for engine in engines]
    labels = {OWN: place.run, app: "o/old"}
    for cluster in (one, two):
        cluster.create_service(place.spec(labels=labels, replicas=0), nobody)
        cluster.create_secret(place.name(), b"hush", labels)
        cluster.ensure_overlay(place.name(), labels)

    asked = {OWN: place.run, app: "o/new"}
    for own, cluster, engine in zip(("one", "two"), (one, two), engines, strict=True):
        (service,), (secret,), (network,) = cluster.services(asked), cluster.secrets(asked), engine.networks(asked)
        shown = {OWN: place.run, app: "o/new", mark: own}
        assert (service.labels, secret.labels, engine.network(network)) == (shown, shown, shown)
    (stranger,) = [service for service in place.cluster.services({mark: "two"}) if OWN in service.labels]
    found = one.service(stranger.name)
    assert found is not None
    assert found.labels[app] == "o/old of another gitdeploy (two)"
    assert len(one.services({OWN: place.run})) == 2
    for engine in engines:
        engine.close()
