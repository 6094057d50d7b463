"""When a new container counts as serving."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import docker
import pytest

import gitdeploy
from gitdeploy.config.attachments import Publish
from gitdeploy.config.sections import Health
from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container, ContainerSpec, Image
from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.releases.release import APP
from gitdeploy.targets.check import Check, pick
from gitdeploy.targets.docker import health, probe
from gitdeploy.targets.docker.health import Waiter, gone_wrong
from tests.support.images import BaseImages

TCP_80 = Publish("", 8080, 80)
DNS = Publish("", 53, 53, "udp")
QUICK = Health(interval=0.05, timeout=1.0, retries=2, start_period=0.3)


def image(*ports: str, healthcheck: bool = False) -> Image:
    return Image("sha256:1", (), (), {}, ports, healthcheck, 1, "")


def container(**values: Any) -> Container:
    return Container(**{"id": "1", "name": "c", "image": "i", "image_ref": "i", "labels": {}, "state": "running", **values})


@pytest.mark.parametrize(
    ("health", "of_image", "publish", "expected"),
    [
        (Health(path="/up"), image(healthcheck=True), [TCP_80], Check("http", 80)),
        (Health(path="/up", port=81), image("80/tcp"), [TCP_80], Check("http", 81)),
        (Health(path="/up"), image("8000/tcp"), [], Check("http", 8000)),
        (Health(port=81), image(healthcheck=True), [TCP_80], Check("tcp", 81)),
        (Health(), image("80/tcp", healthcheck=True), [TCP_80], Check("image")),
        (Health(), image("70/tcp"), [DNS, TCP_80], Check("tcp", 80)),
        (Health(), image("9/udp", "443/tcp", "80/tcp"), [DNS], Check("tcp", 80)),
        (Health(), image("53/udp"), [DNS], Check("uptime")),
        (Health(path="/up"), image(), [], Check("uptime")),
    ],
)
def test_the_check_that_applies(health: Health, of_image: Image, publish: list[Publish], expected: Check) -> None:
    assert pick(health, of_image, publish) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, "the new container disappeared while it was starting"),
        (container(), ""),
        (container(state="created"), ""),
        (container(state="exited", exit_code=4), "the new container exited with code 4"),
        (
            container(state="exited", exit_code=137, oom_killed=True),
            "the new container exited with code 137 (killed for using too much memory)",
        ),
        (
            container(state="restarting", exit_code=4, restarts=1),
            "the new container exited with code 4 and was started again by its restart policy",
        ),
        (container(restarts=2), "the new container exited and was started again by its restart policy"),
    ],
)
def test_what_can_never_get_healthy(found: Container | None, expected: str) -> None:
    assert gone_wrong(found) == expected


def test_patience() -> None:
    assert Health(start_period=10.0, retries=3, interval=1.0, timeout=2.0).patience == 19.0


class Containers:
    """Real containers for a Waiter."""

    def __init__(self, engine: Engine, image: str, app: str) -> None:
        self.engine = engine
        self.image = image
        self.app = app
        self.started = 0

    def run(self, script: str, image: str = "", restart: str = "no") -> str:
        """Starts a container with a shell script; returns its id."""
        self.started += 1
        name = f"{self.app.replace('/', '-')}-{self.started}"
        spec = ContainerSpec(name, image or self.image, command=("sh", "-c", script), labels={APP: self.app}, restart=restart)
        created = self.engine.create(spec)
        self.engine.start(created)
        return created

    def wait(self, container: str, check: Check, health: Health = QUICK, cancel: Event | None = None) -> None:
        Waiter(self.engine, cancel or Event(), time.monotonic).wait(container, check, health)


@pytest.fixture
def containers(engine_url: str, base_images: BaseImages, app_name: str) -> Iterator[Containers]:
    """Runs containers of busybox."""
    engine = connect({"DOCKER_HOST": engine_url})
    yield Containers(engine, base_images.busybox, app_name)
    engine.close()


HTTPD = "mkdir /www; echo ok > /www/up; exec httpd -f -p 80 -h /www"


def test_waits_until_it_answers(containers: Containers) -> None:
    slow = containers.run(f"sleep 1; {HTTPD}")
    began = time.monotonic()
    containers.wait(slow, Check("http", 80), Health(path="/up"))
    assert time.monotonic() - began > 0.7
    containers.wait(slow, Check("tcp", 80))


def test_fails_with_answers_and_log(containers: Containers) -> None:
    patient = Health("/down", start_period=3.0, retries=2, interval=0.1)  # a busy machine takes its time to start httpd
    with pytest.raises(StageFailed) as failed:
        containers.wait(containers.run(f"echo hello; {HTTPD}"), Check("http", 80), patient)
    assert "the new container was not healthy after" in failed.value.reason
    assert failed.value.tail[0] == "log: hello"
    assert failed.value.tail[-1] == "health: GET /down: answered 404 Not Found, expected 200-399"


@pytest.mark.parametrize("kind", ["http", "tcp", "image", "uptime"])
def test_an_exit_ends_the_wait_at_once(containers: Containers, kind: str) -> None:
    patient = Health(path="/", start_period=60.0, min_uptime=60.0)
    began = time.monotonic()
    with pytest.raises(StageFailed) as failed:
        containers.wait(containers.run("sleep 0.3; echo no database; exit 4"), Check(kind, 80), patient)
    assert failed.value.reason == "the new container exited with code 4"
    assert "log: no database" in failed.value.tail
    assert time.monotonic() - began < 30


def test_an_exit_is_seen_while_a_question_hangs(containers: Containers) -> None:
    """A process that accepts and never answers would keep the question for its whole timeout."""
    began = time.monotonic()
    with pytest.raises(StageFailed, match="exited with code 0"):
        containers.wait(containers.run("nc -l -p 80 & sleep 1.5"), Check("http", 80), Health(path="/", timeout=60.0))
    assert time.monotonic() - began < 30


def test_a_restart_ends_the_wait(containers: Containers) -> None:
    with pytest.raises(StageFailed, match="started again by its restart policy"):
        containers.wait(containers.run("exit 4", restart="always"), Check("tcp", 80), Health(start_period=60.0))


def test_stays_up(containers: Containers) -> None:
    began = time.monotonic()
    containers.wait(containers.run("sleep 60"), Check("uptime"), Health(min_uptime=0.5))
    assert time.monotonic() - began >= 0.5


def test_cancelled(containers: Containers) -> None:
    cancel = Event()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(Cancelled):
        containers.wait(containers.run("sleep 60"), Check("tcp", 80), Health(start_period=60.0), cancel)


def test_asks_elsewhere_where_it_is_out_of_reach(containers: Containers) -> None:
    container = containers.run("sleep 60")
    containers.engine.disconnect("bridge", container)
    answers = ["not yet", "not yet", ""]
    Waiter(containers.engine, Event(), time.monotonic, lambda: answers.pop(0)).wait(container, Check("tcp", 80), QUICK)
    assert answers == []
    with pytest.raises(StageFailed) as failed:
        containers.wait(container, Check("tcp", 80))
    assert failed.value.tail[-1] == "health: out of reach from here: it has no address"


def with_healthcheck(containers: Containers, client: docker.DockerClient, directory: Path, line: str) -> str:
    """A container of an image with this HEALTHCHECK."""
    (directory / "Dockerfile").write_text(f"FROM {containers.image}\nHEALTHCHECK {line}\n")
    built, _ = client.images.build(path=str(directory), labels={APP: containers.app}, rm=True)
    return containers.run("sleep 1; touch /ready; sleep 60", image=str(built.id))


@pytest.mark.parametrize(
    "line",
    [
        "CMD test -e /ready",
        '--interval=10m CMD ["test", "-e", "/ready"]',
        "--interval=100h --start-period=9000h --timeout=1h --retries=99 CMD test -e /ready",
    ],
)
def test_a_healthcheck_is_asked_in_the_apps_own_time(
    containers: Containers, docker_client: docker.DockerClient, tmp_path: Path, line: str
) -> None:
    """Docker asks 30 s after the start for the first time, or when the image says."""
    started = with_healthcheck(containers, docker_client, tmp_path, line)
    began = time.monotonic()
    containers.wait(started, Check("image"), Health(interval=0.1, start_period=20.0))
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("CMD echo no database; exit 1", "HEALTHCHECK: exit code 1: no database"),
        ("CMD sleep 60", "HEALTHCHECK: /bin/sh in container"),
        ('CMD ["/nothing"]', "HEALTHCHECK: exit code 12"),  # 126 or 127
    ],
)
def test_a_healthcheck_that_fails(
    containers: Containers, docker_client: docker.DockerClient, tmp_path: Path, command: str, answer: str
) -> None:
    started = with_healthcheck(containers, docker_client, tmp_path, command)
    with pytest.raises(StageFailed, match=r"not healthy after \d+ s \(the image's HEALTHCHECK\)") as failed:
        containers.wait(started, Check("image"), QUICK)
    assert failed.value.tail[-1].startswith(f"health: {answer}")


def test_who_waits_is_told_for_what(containers: Containers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TELL", 0.3)
    told: list[str] = []
    waiter = Waiter(containers.engine, Event(), time.monotonic, tell=told.append)
    waiter.wait(containers.run(f"sleep 1.5; {HTTPD}"), Check("http", 80), Health(path="/up"))
    assert 1 <= len(told) <= 8
    assert told[0].startswith("waiting for the new container: HTTP on port 80, for 0 s so far (GET /up: connection refused")


def test_a_worker_in_a_container_knows_the_engines_machine(
    containers: Containers, base_images: BaseImages, docker_client: docker.DockerClient
) -> None:
    """On the host it is loopback; in a container of its own it is the way out."""
    assert probe.engine_host() == "127.0.0.1"
    package = Path(gitdeploy.__file__).parent
    started = containers.run("sleep 60", image=base_images.python)
    modules = {f"gitdeploy/{path.relative_to(package)}": path.read_bytes() for path in package.rglob("*.py")}
    containers.engine.put_files(started, "/tmp", modules)
    script = "cd /tmp && python3 -c 'from gitdeploy.targets.docker.probe import engine_host; print(engine_host())'"
    code, output = containers.engine.exec(started, ["sh", "-c", script])
    attributes = docker_client.containers.get(started).attrs["NetworkSettings"]
    assert (code, output.decode().strip()) == (0, attributes["Networks"]["bridge"]["Gateway"])
