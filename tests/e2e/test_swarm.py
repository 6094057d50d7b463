"""An app on a Swarm from the person's side: what a push says and does, the verbs, and moves between Swarm and engine."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import docker
import pytest

from tests.e2e.conftest import BUSYBOX_DOCKERFILE
from tests.support import gogs
from tests.support.apps import SampleApp
from tests.support.cluster import SwarmNodes
from tests.support.installed import Installed, install
from tests.support.net import free_port, get, wait_until
from tests.support.params import sample
from tests.support.prober import Prober

TABLE = """\
strategy = "rolling"
replicas = 2
run.no_new_privileges = false
health = {{ path = "/", interval = "100ms" }}
router.image = "{haproxy}"
"""
SLOW = BUSYBOX_DOCKERFILE + 'CMD ["sh", "-c", "sleep 120; exec httpd -f -p 80 -h /www"]\n'
BROKEN = BUSYBOX_DOCKERFILE + 'CMD ["no-such-program"]\n'


@dataclass(frozen=True)
class Clustered:
    """An enrolled app of a gitdeploy that runs on a Swarm's only machine.

    Attributes:
        base: what config.toml says of it, but for its target.
    """

    name: str
    container: str
    url: str
    remote: gogs.Remote
    clone: SampleApp
    site: Installed
    client: docker.DockerClient
    base: str

    def configure(self, target: str, *lines: str) -> None:
        """Sets the app's table."""
        (self.site.home / "config.toml").write_text("\n".join([self.base, f'target = "{target}"', *lines, ""]))

    def release(self, version: str, dockerfile: str = BUSYBOX_DOCKERFILE) -> None:
        self.clone.release(version, {"Dockerfile": dockerfile})

    def push(self, version: str, dockerfile: str = BUSYBOX_DOCKERFILE) -> str:
        self.release(version, dockerfile)
        return self.clone.push(self.remote).text

    def killed_when(self, version: str, words: str) -> None:
        """Pushes, and kills the worker when it has said these words."""
        self.release(version)
        with self.clone.start_push(self.remote) as push:
            assert push.stdout
            assert any(words in line for line in push.stdout), f"nobody said {words!r}"
            while self.site.workers():
                self.site.kill_workers()
            push.kill()

    def get(self) -> str:
        return get(self.url).strip()

    def services(self) -> list[str]:
        found = self.client.services.list(filters={"label": f"gitdeploy.app={self.name}"})
        return sorted(service.name.removeprefix(self.container) for service in found)

    def containers(self) -> list[str]:
        """Of the app, but for those of services; without what all their names begin with."""
        found = self.client.containers.list(all=True, filters={"label": f"gitdeploy.app={self.name}"}, ignore_removed=True)
        names = [str(c.name) for c in found if "com.docker.swarm.service.id" not in c.labels]
        return sorted(name.removeprefix(self.container) for name in names)

    def networks(self) -> list[str]:
        return [network.name for network in self.client.networks.list(filters={"label": f"gitdeploy.app={self.name}"})]


@pytest.fixture
def app(
    gogs_dir: gogs.Gogs, sample_app: SampleApp, lone_node: SwarmNodes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Clustered]:
    """An app that nobody has pushed yet."""
    node = lone_node.manager
    lone_node.image("busybox")
    monkeypatch.setenv("DOCKER_HOST", node.url)
    site = install(gogs_dir, {"DOCKER_HOST": node.url}, within=("nsenter", f"--net=/proc/{node.first()}/ns/net", "--"))
    name, port = f"devops/app-{uuid.uuid4().hex[:8]}", free_port()
    gogs_dir.create_repository(name)
    words = ("--image", f"{lone_node.registry.host}/{name}", "--publish", f"{port}:80", "--container", name.partition("/")[2])
    assert site.within("enrol", name, *words)[0] == 0
    base = (site.home / "config.toml").read_text() + TABLE.format(haproxy=lone_node.image("haproxy"))
    with lone_node.client() as client:
        url = f"http://{node.address}:{port}"
        app = Clustered(name, words[-1], url, gogs_dir.local(name), sample_app, site, client, base)
        app.configure("swarm")
        yield app
        site.kill_workers()
        mine = {"label": f"gitdeploy.app={name}"}
        for service in client.services.list(filters=mine):
            service.remove()
        for container in client.containers.list(all=True, filters=mine, ignore_removed=True):
            container.remove(force=True, v=True)


def test_pushes_verbs_and_what_is_said(app: Clustered) -> None:
    text = app.push("1")
    assert f"{app.name} 1 is live at http://" in text
    assert (app.get(), app.services()) == ("1", ["-r1"])
    text = app.push("2")
    assert "2 is live at" in text
    assert "no outage" in text
    assert "container" not in text
    assert (app.get(), app.services(), app.containers()) == ("2", ["-r2"], [".swarm.router"])

    def said(*words: str) -> str:
        return app.site.run(*words).stdout

    assert f"{app.name}: web 2 of 2 (node1 ×2)" in said("status")
    assert "1 is live" in said("rollback", app.name)
    assert app.get() == "1"
    assert [(d["version"], d["trigger"]) for d in app.site.history(app.name)] == [
        ("1", "rollback"),
        ("2", "push"),
        ("1", "push"),
    ]
    assert "web      3 of 3  scale" in said("scale", app.name, "web=3")
    (fact,) = json.loads(said("status", app.name, "--json"))
    assert fact["runs"] is True
    assert "is stopped" in said("stop", app.name)
    with pytest.raises(OSError):
        app.get()
    assert "1 runs" in said("start", app.name)
    assert app.get() == "1"
    assert said("exec", app.name, "cat", "VERSION") == "1\n"
    assert said("run", app.name, "cat", "VERSION") == "1\n"
    assert "nothing to free" in said("prune", app.name)
    assert "cluster      machines: node1, this one (manager)" in said("doctor")
    assert "what runs of it runs on" in said("remove", app.name)
    assert app.get() == "1"


def test_task_accessory_and_cancel(app: Clustered, lone_node: SwarmNodes) -> None:
    ask = "wget -qO- http://db:5432/told"
    serve = 'run.command = ["sh", "-c", "echo kept >/data/told; exec httpd -f -p 5432 -h /data"]'
    db = [
        f'[apps."{app.name}".accessories.db]',
        f'image = "{lone_node.image("busybox")}"',
        f'volumes = ["{app.container}-data:/data"]',
        'run.stop_signal = "SIGKILL"',
        "health.port = 5432",
    ]
    app.configure("swarm", f'tasks.migrate.command = "{ask}"', *db, serve)
    text = app.push("1")
    assert "1 is live" in text
    assert text.index("==> Accessories") < text.index("==> Task migrate") < text.index("kept")
    assert app.site.run("exec", app.name, *ask.split()).stdout == "kept\n"
    app.release("2", SLOW)
    push = app.clone.start_push(app.remote)
    wait_until(lambda: app.services() == ["-r1", "-r2"], 60, "the new service")
    assert "cancelled" in app.site.run("cancel", app.name).stdout
    text = push.communicate(timeout=60)[0]
    assert "was cancelled at Deploy" in text
    assert "1 still serves" in text
    assert (app.get(), app.services()) == ("1", ["-r1"])


def test_an_accessory_is_there_throughout_a_move(app: Clustered, lone_node: SwarmNodes) -> None:
    """Old and new reach it, whatever becomes of the move; in the end it is on the network of one of them, and starts there."""
    ask = ("wget", "-qO-", "http://db:5432/told")
    db = (
        f'tasks.migrate.command = "{" ".join(ask)}"',
        f'[apps."{app.name}".accessories.db]',
        f'image = "{lone_node.image("busybox")}"',
        'run.command = ["sh", "-c", "mkdir /www; echo kept >/www/told; exec httpd -f -p 5432 -h /www"]',
        'run.stop_signal = "SIGKILL"',
        "health.port = 5432",
    )

    def reached() -> tuple[str, str]:
        return str(app.client.containers.get(f"{app.container}-db").id), app.site.run("exec", app.name, *ask).stdout

    app.configure("docker", *db)
    text = app.push("1")
    assert "1 is live" in text, text
    first = reached()
    assert first[1] == "kept\n"
    for number, target in enumerate(("swarm", "docker")):
        app.configure(target, *db)
        text = app.push(f"1.{number}.1", BROKEN)
        assert text.index("db: it joins") < text.index("FAILED at Deploy")
        assert "still serves" in text
        assert reached() == first
        assert f"moved from {'docker' if target == 'swarm' else 'swarm'}" in app.push(f"1.{number}.2")
        assert reached() == first
        (network,) = app.client.containers.get(first[0]).attrs["NetworkSettings"]["Networks"]
        assert network.endswith("-own") is (target == "swarm")
        assert len({"gitdeploy-" + app.container, network, f"{network}-own"}.intersection(app.networks())) == 1
        app.site.run("accessory", app.name, "db", "restart")
        assert reached() == first


def test_moves(app: Clustered) -> None:
    app.configure("docker")
    assert "1 is live at" in app.push("1")
    app.configure("swarm")
    text = app.push("2")
    assert "moves from docker to swarm: an outage until it serves there" in text
    assert "2 is live at" in text
    assert (app.get(), app.services(), app.containers()) == ("2", ["-r2"], [".swarm.router"])
    app.configure("docker")
    text = app.push("3", BROKEN)
    assert "2 still serves" in text
    assert (app.get(), app.services(), app.containers()) == ("2", ["-r2"], [".swarm.router"])
    text = app.push("4")
    assert (app.get(), app.services(), app.containers()) == ("4", [], ["", ".4.2", ".router"])
    app.configure("swarm")
    text = app.push("5", BROKEN)
    assert "4 still serves" in text
    assert (app.get(), app.services(), app.containers()) == ("4", [], ["", ".4.2", ".router"])


@pytest.mark.parametrize("there", sample(["swarm", "docker"], "swarm"))
@pytest.mark.parametrize("words", sample(["moves from", "starting", " 2 serves"], "starting"))
def test_a_worker_that_is_killed_in_a_move(app: Clustered, there: str, words: str) -> None:
    app.configure("docker" if there == "swarm" else "swarm")
    assert "1 is live" in app.push("1")
    app.configure(there)
    app.killed_when("2", words)
    app.site.run("worker", "--once")
    wait_until(lambda: app.site.history(app.name)[0]["status"] == "succeeded", 60, "the second attempt")
    assert app.get() == "2"
    if there == "swarm":
        assert (app.services(), app.containers()) == (["-r2"], [".swarm.router"])
    else:
        assert (app.services(), app.containers()) == ([], ["", ".2.2", ".router"])
    assert len(app.networks()) == 1


def test_routers_of_machines_with_a_label(app: Clustered, lone_node: SwarmNodes) -> None:
    app.configure("swarm", 'router.nodes = "entry==yes"')
    refused = app.push("1.0.0")
    assert "router.nodes: no machine that is there has the label entry==yes" in refused
    assert "docker node update --label-add entry=yes NAME" in refused
    assert "FAILED at Build" in refused  # before anything is built
    lone_node.label(lone_node.manager, entry="yes")
    try:
        assert "1.0.1 is live" in app.push("1.0.1")
        assert app.get() == "1.0.1"
        assert "-entry" in app.services()
        assert f"{app.name}: web 2 of 2 (node1 ×2)" in app.site.run("status").stdout
        app.configure("swarm")
        assert "connections are cut once" in app.push("1.0.2")
        assert (app.get(), app.services()) == ("1.0.2", ["-r3"])
    finally:
        lone_node.label(lone_node.manager)


def test_a_domain_stays_where_the_app_moves(app: Clustered) -> None:
    """From the engine to the cluster and back, behind the edge: no request for the domain is lost."""
    port = free_port()
    node = app.url.removeprefix("http://").partition(":")[0]
    image = re.search(r'router\.image = "(.*)"', app.base)
    assert image
    edge = f'[edge]\nimage = "{image[1]}"\nhttp_port = {port}\nhttps_port = {free_port()}'
    app = replace(app, base="\n".join(line for line in app.base.splitlines() if not line.startswith("publish")))
    domain = ('domains = ["app.example.test"]', 'tls = "off"', "port = 80", edge)
    try:
        app.configure("docker", *domain)
        assert "1 is live at http://app.example.test" in app.push("1")
        with Prober(f"http://{node}:{port}/", pause=0.01, timeout=20, host="app.example.test") as prober:
            for version, target in (("2", "swarm"), ("3", "swarm"), ("4", "docker")):
                app.configure(target, *domain)
                pushed = app.push(version)
                assert f"{version} is live" in pushed, pushed
                assert "warning" not in pushed
        assert prober.findings.errors == {}
        assert list(prober.findings.bodies) == ["1", "2", "3", "4"]
    finally:
        for container in app.client.containers.list(all=True, filters={"label": "gitdeploy.role=edge"}, ignore_removed=True):
            container.remove(force=True)
        for network in app.client.networks.list(filters={"label": "gitdeploy.role=edge"}):
            network.remove()
