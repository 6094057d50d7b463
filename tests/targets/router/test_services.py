"""The router before Swarm services: real ones on a swarm of one machine, whose tasks HAProxy finds by DNS."""

from __future__ import annotations

import contextlib
import http.client
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import docker
import pytest
from docker.errors import APIError
from docker.models.services import Service
from docker.types import EndpointSpec, RestartPolicy

from gitdeploy.config.attachments import Publish
from gitdeploy.config.model import App
from gitdeploy.config.sections import Router
from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from gitdeploy.targets.check import Check
from gitdeploy.targets.router import container
from gitdeploy.targets.router.haproxy import Haproxy
from gitdeploy.targets.router.haproxycfg import Backend, Settings, settings
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages
from tests.support.net import wait_until
from tests.targets.docker.rollout import clients

SERVER = Path(clients.__file__).with_name("server.py").read_text()

Start = Callable[[str, int], Service]


@pytest.fixture(scope="module")
def engine(private_engine: PrivateEngine, docker_client: docker.DockerClient) -> Iterator[Engine]:
    """gitdeploy's own client of an engine that is a swarm's manager."""
    docker_client.api.init_swarm("127.0.0.1", "127.0.0.1:2377")
    engine = connect({"DOCKER_HOST": private_engine.url})
    yield engine
    engine.close()
    docker_client.swarm.leave(force=True)


@pytest.fixture
def network(docker_client: docker.DockerClient, engine: Engine) -> str:
    """A new network of services and containers: one that just lost its last is not to be had for a moment."""
    return str(docker_client.networks.create(f"gitdeploy-test-{uuid.uuid4().hex[:8]}", "overlay", attachable=True).name)


@pytest.fixture
def start(docker_client: docker.DockerClient, network: str, base_images: BaseImages) -> Iterator[Start]:
    """Starts a service, by its name, which it answers, and its number of tasks."""

    def run(name: str, tasks: int) -> Service:
        return docker_client.services.create(
            base_images.python,
            ["python3", "-u", "-c", SERVER],
            name=name,
            env=[f"VERSION={name}"],
            networks=[network],
            mode=docker.types.ServiceMode("replicated", tasks),
            endpoint_spec=EndpointSpec("dnsrr"),
            restart_policy=RestartPolicy("any", delay=0),
            stop_grace_period=1_000_000_000,
        )

    yield run
    for service in docker_client.services.list():
        service.remove()
    wait_until(partial(no_tasks, docker_client), 30, "the end of all tasks")


def no_tasks(client: docker.DockerClient) -> bool:
    """Whether no task's container is left; those that were killed stay in the list for a while by themselves."""
    left = client.containers.list(all=True, filters={"label": "com.docker.swarm.task"}, ignore_removed=True)
    for task in left:
        with contextlib.suppress(APIError):
            task.remove(force=True)
    return not left


@pytest.fixture
def app(app_name: str, base_images: BaseImages, free_port: int) -> App:
    """What the router is for."""
    router = Router(image=base_images.haproxy, drain_timeout=3.0)
    return App(app_name, "x", app_name.replace("/", "-"), publish=(Publish("", free_port, 80),), replicas=2, router=router)


@pytest.fixture
def router(engine: Engine, network: str, app: App) -> Haproxy:
    """The router, started, without servers."""
    made = container.create(engine, app, wanted(app), app.router.image, network)
    made.start()
    return made


def wanted(app: App) -> Settings:
    """The router's settings."""
    return settings(app, Check("tcp", 80), 8, services=True)


def await_reached(router: Haproxy, alias: str, tasks: int) -> None:
    """Waits until HAProxy reaches so many of a service's tasks."""
    wait_until(lambda: sum(c.reached for c in router.slots()[alias]) == tasks, 30, f"{tasks} tasks of {alias}")


def introduce(router: Haproxy, alias: str, slots: int, tasks: int, weight: int = 100) -> None:
    """Gives a service slots, and a share of the requests when its tasks are reached."""
    router.apply([*router.servers, *[Backend(alias)] * slots])
    await_reached(router, alias, tasks)
    router.apply([replace(s, weight=weight) if s.alias == alias else s for s in router.servers])


def answers(app: App, number: int = 40) -> Counter[str]:
    """Who answers so many requests."""
    found: Counter[str] = Counter()
    for _ in range(number):
        connection = http.client.HTTPConnection("127.0.0.1", app.publish[0].host_port, timeout=10)
        connection.request("GET", "/")
        answer = connection.getresponse()
        found[answer.read().decode() if answer.status == 200 else str(answer.status)] += 1
        connection.close()
    return found


def test_services_share_the_requests_by_weight(start: Start, router: Haproxy, app: App, engine: Engine) -> None:
    """Before a check has passed there is none; a restart forgets nothing; an emptied slot answers nothing."""
    start("one", 2)
    start("two", 2)
    introduce(router, "tasks.one", 3, 2, weight=30)
    assert answers(app) == {"one": 40}
    introduce(router, "tasks.two", 3, 2, weight=10)
    assert answers(app) == {"one": 30, "two": 10}
    counts = router.counts()
    assert [counts[alias].answers for alias in ("tasks.one", "tasks.two")] == [70, 10]
    assert counts["tasks.one"].reached

    router.restart()
    await_reached(router, "tasks.two", 2)
    await_reached(router, "tasks.one", 2)
    assert Counter(s.weight for s in router.servers) == {30: 3, 10: 3}

    router.apply([s for s in router.servers if s.alias == "tasks.two"])
    assert answers(app) == {"two": 40}
    router.apply([])
    assert answers(app, 3) == {"503": 3}


def test_tasks_that_come_and_go_are_followed(start: Start, router: Haproxy, app: App) -> None:
    service = start("one", 2)
    introduce(router, "tasks.one", 5, 2)
    with clients.Load(app.publish[0].host_port) as load:
        for tasks in (4, 1):
            service.reload()
            service.scale(tasks)
            await_reached(router, "tasks.one", tasks)
        router.look()
        router.apply(router.servers[:1])  # the slots of nobody go first
        assert answers(app) == {"one": 40}
    assert load.lost == {}


def test_neither_a_killed_task_nor_a_reload_loses_a_request(
    start: Start, router: Haproxy, app: App, engine: Engine, docker_client: docker.DockerClient
) -> None:
    service = start("one", 3)
    introduce(router, "tasks.one", 4, 3)
    with clients.Load(app.publish[0].host_port) as load:
        task = next(t for t in service.tasks() if t["Status"]["State"] == "running")
        victim = task["Status"]["ContainerStatus"]["ContainerID"]
        with contextlib.suppress(APIError):
            docker_client.api.kill(victim)
        wait_until(lambda: sum(c.reached for c in router.slots()["tasks.one"]) < 3, 10, "the end of a task")
        await_reached(router, "tasks.one", 3)

        longer = replace(app, router=replace(app.router, drain_timeout=4.0))
        again = Haproxy(engine, router.container, wanted(longer))
        again.look()
        again.reload(again.servers, again.file())
        assert all(s.address for s in again.servers[:3])
        await_reached(again, "tasks.one", 3)
    assert load.lost == {}
    assert b"init-addr 10." not in again.file()  # who will have which address at its next start is not known
