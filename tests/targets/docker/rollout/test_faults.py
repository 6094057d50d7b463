"""New releases that fail, and an environment that does: the old release serves on, the error says why, the next one works."""

from __future__ import annotations

import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import docker
import pytest

from gitdeploy.config.attachments import Publish
from gitdeploy.config.sections import Canary, Health
from gitdeploy.errors import Cancelled, GitdeployError, RegistryError, StageFailed
from gitdeploy.releases.release import APP
from tests.support.images import BaseImages
from tests.support.net import get, wait_until
from tests.support.params import sample
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.conftest import build
from tests.targets.docker.rollout.interposed import Interposed
from tests.targets.docker.rollout.site import Site, answers

CRASHED = "3"
"""What the test's server exits with when it crashes."""

OVERLAPPING = ("blue-green", "rolling", "canary")


@contextmanager
def fails(site: Site, *reasons: str) -> Iterator[pytest.ExceptionInfo[GitdeployError]]:
    """What is done inside fails for these reasons, is undone without a trace, and the next deployment works."""
    names, version, app = site.names(), get(site.url), site.app
    with Load(site.port) as load, pytest.raises(GitdeployError) as failed:
        yield failed
    told = "\n".join([failed.value.reason, *failed.value.tail])
    assert [reason for reason in reasons if reason not in told] == []
    assert set(load.findings.bodies) <= {version, "2"}
    assert load.findings.errors.keys() <= {"HTTP 500"}
    assert get(site.url) == version
    assert site.names() == names
    site.app = replace(site.first, strategy=app.strategy, canary=Canary(duration=0.3))
    site.deploy("3")
    assert get(site.url) == "3"
    assert site.names() == names


@pytest.fixture(params=OVERLAPPING)
def overlapping(live: Site, request: pytest.FixtureRequest) -> Site:
    """An app with a release live, for each overlapping strategy."""
    live.configure(strategy=request.param)
    return live


def test_a_release_that_exits_at_once(overlapping: Site) -> None:
    overlapping.configure(health=Health(start_period=60.0))  # it must not be waited for
    with fails(overlapping, "the new container exited", "by its restart policy", "log: cannot find my database"):
        overlapping.deploy("2", EXIT="4")


def test_a_release_that_never_gets_healthy(live: Site) -> None:
    live.configure(health=Health(path="/missing", start_period=3.0, retries=2, interval=0.1))
    with fails(live, "not healthy after", "HTTP on port 80", "GET /missing: answered 404", "log: version 2"):
        live.deploy("2")


def test_a_release_that_listens_nowhere(live: Site) -> None:
    live.configure(health=replace(live.app.health, start_period=0.5, retries=2))
    with fails(live, "not healthy after", "TCP connect to port 80", "connection refused"):
        live.deploy("2", PORTS="")


def crashes_since(client: docker.DockerClient, app: str, began: float) -> int:
    """How often a container of the app ended by itself, by the engine's own count: a busy one can lose lines of a log."""
    filters = {"type": "container", "event": "die", "label": f"{APP}={app}"}
    died = client.events(since=began, until=time.time(), filters=filters, decode=True)
    return sum(event["Actor"]["Attributes"]["exitCode"] == CRASHED for event in died)


def test_a_release_that_crashes_under_traffic(overlapping: Site, docker_client: docker.DockerClient) -> None:
    """Requests that were in it when it crashed are lost; its restart policy may let it crash again.

    Once three of HAProxy's checks have failed it answers 503 itself, until requests are led back: how many of those there are
    is a matter of how slow the machine is, so they are counted apart. A quick one is back before.
    """
    names, version = overlapping.names(), get(overlapping.url)
    began = time.time()
    with Load(overlapping.port) as load, pytest.raises(StageFailed) as failed:
        overlapping.deploy("2", CRASH_AFTER="5")
    crashes = crashes_since(docker_client, overlapping.app.name, began)
    assert "the new container exited" in failed.value.reason or "HAProxy lost the new container" in failed.value.reason
    lost = Counter[str]()
    for errors in load.lost.values():
        lost.update(errors)
    waited = lost.pop("HTTP 503", 0)
    assert lost.total() <= 4 * crashes, (lost, waited)
    assert not waited or load.findings.longest_gap >= 0.5, waited
    assert get(overlapping.url) == version
    assert overlapping.names() == names
    overlapping.deploy("3")
    assert get(overlapping.url) == "3"


def test_a_canary_that_answers_every_tenth_request_with_500(live: Site) -> None:
    live.configure(strategy="canary", canary=Canary(weight=(30,), duration=20.0, min_requests=30))
    with fails(live, "canary at 30 %", "answers were 5xx", "old release: 0.0%"):
        live.deploy("2", FAIL_EVERY="10")


def test_a_canary_like_the_old_release_is_promoted(live: Site) -> None:
    """Both fail equally often."""
    live.deploy("1", FAIL_EVERY="10")
    live.configure(strategy="canary", canary=Canary(weight=(50,), duration=1.5, min_requests=20, max_5xx_rate=0.1))
    with Load(live.port) as load:
        live.deploy("2", FAIL_EVERY="10")
    assert load.findings.errors.keys() == {"HTTP 500"}
    wait_until(lambda: answers(live.url, "2"), 20, "an answer that is not the tenth")


def test_an_old_release_that_ignores_its_stop_signal(live: Site) -> None:
    live.deploy("1", DEAF="1")
    with Load(live.port) as load:
        live.deploy("2")
    assert load.lost == {}
    assert get(live.url) == "2"
    assert "did not end within 1 s of its stop signal and was killed (stop_timeout)" in live.output.text


def test_cancelled_while_it_gets_healthy(live: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    cancel = Event()
    original = live.output.line

    def line(text: str, *, detail: bool = False) -> None:
        original(text)
        if text.startswith("starting"):
            cancel.set()

    monkeypatch.setattr(live.output, "line", line)
    with fails(live, "cancelled") as failed:
        live.deploy("2", cancel=cancel, START_DELAY="5")
    assert isinstance(failed.value, Cancelled)


def test_an_image_that_cannot_be_pushed(live: Site) -> None:
    def denied() -> None:
        raise RegistryError("denied", transient=False)

    with fails(live, "denied"):
        live.deploy("2", published=denied)


def test_an_image_without_a_shell(live: Site, docker_client: docker.DockerClient, base_images: BaseImages) -> None:
    """Nothing is run in the app's containers."""
    dockerfile = f"FROM {base_images.busybox} AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /httpd\n"
    dockerfile += 'COPY page /www/page\nEXPOSE 80\nCMD ["/httpd", "-f", "-p", "80", "-h", "/www"]\n'
    image, live.image = live.image, build(docker_client, dockerfile, {"page": Path(__file__)}, "gitdeploy-test/bare:1")
    live.deploy("2")
    assert get(f"{live.url}page") == Path(__file__).read_text()
    for container in live.containers():
        live.engine.remove(container.id, force=True)
    docker_client.images.remove("gitdeploy-test/bare:1")
    live.image = image


@contextmanager
def firewall() -> Iterator[None]:
    """Rules as an engine leaves behind that was switched from one firewall to another: containers do not reach one another."""
    setting = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    before = setting.read_text() if setting.exists() else ""
    if before:
        setting.write_text("1")
    rule = ["DOCKER-USER", "--protocol", "tcp", "--dport", "80", "--jump", "DROP"]
    subprocess.run(["iptables", "--insert", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "--delete", *rule], check=True)
        if before:
            setting.write_text(before)


@pytest.mark.parametrize("router", sample(["new", "running", "with other settings"], "new", "with other settings"))
def test_the_router_does_not_reach_what_this_machine_reaches(site: Site, router: str) -> None:
    """It is told before any request is sent there."""
    site.configure(health=Health(start_period=2.0, interval=0.2, retries=2, timeout=1.0))
    if router != "new":
        site.deploy("1")
    before = site.names()
    if router == "with other settings":
        site.configure(router=replace(site.app.router, drain_timeout=4.0))
    with firewall(), pytest.raises(StageFailed) as failed:
        site.deploy("2")
    assert failed.value.reason.startswith("HAProxy does not reach")
    assert "2 serves" not in site.output.text
    assert site.names() == before
    assert f"containers on the network gitdeploy.{site.app.container} do not reach one another" in failed.value.hint
    assert "nft list ruleset" in failed.value.hint
    site.deploy("3")
    assert get(site.url) == "3"


def test_a_port_held_by_another_program(site: Site) -> None:
    with socket.create_server(("0.0.0.0", site.port)), pytest.raises(StageFailed) as failed:
        site.deploy("1")
    assert f"host port {site.port} is already in use by a program outside this engine" in failed.value.reason
    assert site.names() == {}
    site.deploy("1")
    assert get(site.url) == "1"


def test_a_port_that_another_app_has(live: Site) -> None:
    other = Site(live.engine, live.image, f"{live.app.name}-2", live.port, live.app.router.image)
    with pytest.raises(StageFailed) as failed:
        other.deploy("1")
    assert failed.value.reason.startswith(f"host port {live.port} is taken by container {live.app.container}.router")
    assert other.names() == {}


def test_the_routers_image_cannot_be_had(site: Site) -> None:
    site.configure(router=replace(site.app.router, image="127.0.0.1:9/haproxy:none"))
    with pytest.raises(StageFailed) as failed:
        site.deploy("1")
    assert "127.0.0.1:9/haproxy:none is missing and cannot be pulled" in failed.value.reason
    assert site.names() == {}


def test_an_image_that_is_no_router(site: Site, base_images: BaseImages) -> None:
    site.configure(router=replace(site.app.router, image=base_images.busybox))
    with pytest.raises(StageFailed) as failed:
        site.deploy("1")
    assert f"HAProxy of {base_images.busybox} refused the generated configuration (exit code 127)" in failed.value.reason
    assert any("haproxy: not found" in line for line in failed.value.tail)
    assert site.names() == {}


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_the_router_is_gone_in_the_middle_of_a_switch(live: Site, docker_client: docker.DockerClient, how: str) -> None:
    version = get(live.url)
    router = docker_client.containers.get(f"{live.app.container}.router")
    engine = Interposed(live.engine)

    def strike(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "exec" and "weight 100" in str(arguments[1]):
            engine.before = lambda name, arguments: None
            router.kill() if how == "kill" else router.remove(force=True)

    engine.before = strike
    live.engine, real = engine, live.engine
    with pytest.raises(StageFailed) as failed:
        live.deploy("2")
    live.engine = real
    assert "router" in failed.value.reason
    if how == "kill":
        assert get(live.url) == version
    live.deploy("3")
    assert get(live.url) == "3"
    assert live.names() == {live.app.container: "running", f"{live.app.container}.router": "running"}


@pytest.mark.parametrize("state", sample(["killed", "removed", "stopped", "without a worker"], "removed", "without a worker"))
def test_a_router_found_broken_is_put_right(live: Site, docker_client: docker.DockerClient, state: str) -> None:
    router = docker_client.containers.get(f"{live.app.container}.router")
    if state == "killed":
        router.kill()
    elif state == "removed":
        router.remove(force=True)
    elif state == "stopped":
        router.stop(timeout=0)
    else:
        router.kill("STOP")
        router.kill("CONT")
        router.exec_run(["sh", "-c", "rm -f /etc/gitdeploy-haproxy.cfg"], user="root")
    live.deploy("2")
    assert get(live.url) == "2"
    assert live.names() == {live.app.container: "running", f"{live.app.container}.router": "running"}


def test_two_ports_of_which_the_new_release_lacks_one(live: Site, free_port: int) -> None:
    """Only the port that is asked decides; the other one answers when it listens."""
    second = free_port + 1
    live.configure(publish=(*live.app.publish, Publish("127.0.0.1", second, 81)))
    live.deploy("2", PORTS="80")
    assert get(live.url) == "2"
    with pytest.raises(OSError, match="503"):
        get(f"http://127.0.0.1:{second}/")
    live.deploy("3", PORTS="80,81")
    assert get(f"http://127.0.0.1:{second}/") == "3"
