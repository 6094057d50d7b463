"""Changes of routes, apps and settings: no request is lost and no connection is cut, whatever else changes."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable
from dataclasses import replace

import pytest

from gitdeploy.edge import edgecfg
from gitdeploy.edge.backends import found_in
from gitdeploy.edge.route import Route, Traffic
from gitdeploy.edge.runtimeapi import RuntimeApi
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import GitdeployError, StageFailed
from tests.bench.rollout import wrk, wrk_failures
from tests.edge.stage import Stage, route
from tests.support.net import wait_until
from tests.support.prober import Prober
from tests.targets.docker.rollout.clients import Load
from tests.targets.docker.rollout.interposed import Interposed, Killed


def answer_of(stage: Stage, host: str) -> tuple[int, str]:
    """Status and text of the answer to a GET for a host."""
    connection = http.client.HTTPConnection("127.0.0.1", stage.settings.http_port, timeout=20)
    connection.request("GET", "/", headers={"Host": host})
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def test_routes_change_while_others_are_used(stage: Stage, new_name: Callable[[], str]) -> None:
    kept, moving, third = (stage.start(new_name()) for _ in range(3))
    base = (route("127.0.0.1", kept), route("b.example", moving))
    stage.edge.apply(Traffic(base))
    slow = http.client.HTTPConnection("127.0.0.1", stage.settings.http_port, timeout=60)
    slow.request("GET", "/slow/4", headers={"Host": "127.0.0.1"})
    with Prober(stage.url()) as prober:
        for number in range(6):
            more = tuple(route(f"n{n}.example", moving) for n in range(number))
            stage.edge.apply(Traffic((*base, *more)))
        stage.edge.apply(Traffic((base[0], route("b.example", moving, third))))
        stage.edge.apply(Traffic((base[0], route("b.example", third))))
        assert answer_of(stage, "b.example") == (200, third.host)
        stage.edge.apply(Traffic((base[0],)))
        assert answer_of(stage, "b.example")[0] == 404
    assert not prober.findings.failed
    assert slow.getresponse().read().decode() == kept.host


def test_what_only_a_reload_can_change(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    first = Traffic((route("127.0.0.1", app),))
    stage.edge.apply(first)
    slow = http.client.HTTPConnection("127.0.0.1", stage.settings.http_port, timeout=60)
    slow.request("GET", "/slow/3", headers={"Host": "127.0.0.1"})
    with Prober(stage.url(), pause=0.005) as prober:
        names = [f"ghost-{n}" for n in range(edgecfg.STEP)]
        stage.edge.apply(Traffic((*first.routes, *(route(f"{n}.example", replace(app, host=n)) for n in names))))
        stage.settings = replace(stage.settings, trusted_proxies=("192.0.2.0/24",))
        stage.edge.apply(first)
    assert sum("reads its new configuration" in line for line in stage.said.lines) == 2
    assert not prober.findings.failed
    assert slow.getresponse().read().decode() == app.host


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
def test_200_changes_under_load(stage: Stage, new_name: Callable[[], str]) -> None:
    """At least 100,000 requests, of which none fails, while routes, certificates and apps come and go."""
    kept, moving, third = (stage.start(new_name()) for _ in range(3))
    first = route("127.0.0.1", kept)
    stage.edge.apply(Traffic((first,)))
    changes, sent = 0, 0
    while changes < 200 or sent < 100_000:
        with wrk(stage.url(), 8) as report:
            for number in range(20):
                other = third if number % 3 else moving
                more = (route("b.example", other), *(route(f"n{n}.example", moving) for n in range(number)))
                stage.edge.apply(Traffic((first, *more)))
                changes += 1
        count, failed = wrk_failures(report)
        sent += count
        assert failed == 0, report


def test_a_websocket_outlives_all_that_changes_around_it(stage: Stage, new_name: Callable[[], str]) -> None:
    app, other = stage.start(new_name()), stage.start(new_name())
    first = Traffic((route("test", app), route("127.0.0.1", app)))
    stage.edge.apply(first)
    with Load(stage.settings.http_port, websocket=True) as load:
        socket = load.clients["websocket"]
        stage.edge.apply(Traffic((*first.routes, route("b.example", other))))
        stage.settings = replace(stage.settings, trusted_proxies=("192.0.2.0/24",))
        stage.edge.apply(Traffic((*first.routes, route("b.example", other))))  # a reload
        stage.edge.apply(first)  # and the other one's network is left
        seen = socket.sent
        wait_until(lambda: socket.sent > seen + 5 or socket.errors, 20, "more from the WebSocket")
    assert load.lost == {}


def test_other_ports_and_a_taken_one(stage: Stage, new_name: Callable[[], str], free_port: int) -> None:
    app = stage.start(new_name())
    traffic = Traffic((route("127.0.0.1", app),))
    stage.edge.apply(traffic)
    before = stage.settings
    stage.settings = replace(before, http_port=free_port)
    stage.edge.apply(traffic)
    assert answer_of(stage, "127.0.0.1") == (200, app.host)
    assert [c.name for c in stage.client.containers.list(all=True, filters={"label": "gitdeploy.role=edge"})] == [
        "gitdeploy.edge"
    ]
    holder = stage.client.containers.run(
        stage.image, ["sleep", "60"], ports={"80/tcp": before.http_port}, detach=True, labels={"gitdeploy.edge-test": "1"}
    )
    now, stage.settings = stage.settings, before
    with pytest.raises(GitdeployError, match=str(before.http_port)):
        stage.edge.apply(traffic)
    stage.settings = now
    wait_until(lambda: _serves(stage, "127.0.0.1", app.host), 20, "the edge as it was")
    holder.remove(force=True)


def test_an_edge_that_was_killed(stage: Stage, new_name: Callable[[], str]) -> None:
    one, two = stage.start(new_name()), stage.start(new_name())
    stage.edge.apply(Traffic((route("a.example", one), route("b.example", two))))
    container = stage.client.containers.get("gitdeploy.edge")
    container.exec_run(["sh", "-c", "kill -9 $(pidof haproxy | tr ' ' '\\n' | sort -n | tail -1)"])
    wait_until(lambda: _serves(stage, "b.example", two.host), 20, "the edge by itself, with what it was told last")
    container.kill()
    container.wait()
    stage.edge.apply(Traffic((route("b.example", one),)))
    wait_until(lambda: _serves(stage, "b.example", one.host), 20, "the edge with other routes")
    assert answer_of(stage, "a.example")[0] == 404


def _serves(stage: Stage, host: str, text: str) -> bool:
    try:
        return answer_of(stage, host) == (200, text)
    except (OSError, http.client.HTTPException):
        return False


EFFECTS = [pytest.param(n, marks=() if n in (1, 3, 5) else pytest.mark.exhaustive) for n in range(7)]


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_change_that_was_cut_off(stage: Stage, new_name: Callable[[], str], effect: int) -> None:
    """Killed at any moment of a change, what does not change goes on, and the next `apply` makes the rest true."""
    kept, old, new = (stage.start(new_name()) for _ in range(3))
    stage.edge.apply(Traffic((route("127.0.0.1", kept), route("b.example", old))))
    real, count = stage.engine, iter(range(1000))
    engine = Interposed(real)

    def before(name: str, _: object) -> None:
        if name in ("connect", "disconnect", "put_files", "exec", "signal") and next(count) == effect:
            raise Killed

    engine.before = before
    wanted = Traffic((route("127.0.0.1", kept), route("b.example", new), route("c.example", new)))
    with Prober(stage.url(), pause=0.01) as prober:
        stage.engine = engine
        with contextlib.suppress(Killed, StageFailed):
            stage.edge.apply(wanted)
        stage.engine = real
        stage.edge.apply(wanted)
        wait_until(lambda: _serves(stage, "b.example", new.host), 20, "the new route")
    assert next(count) > effect, "nothing was cut off"
    assert not prober.findings.failed
    assert answer_of(stage, "c.example") == (200, new.host)
    container = stage.client.containers.get("gitdeploy.edge")
    assert f"gitdeploy-{old.host}" not in container.attrs["NetworkSettings"]["Networks"]


def test_400_names(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())

    def many(shift: int) -> tuple[Route, ...]:
        return tuple(route(f"a-rather-long-name-of-number-{n + shift}.of-many.example", app) for n in range(400))

    stage.edge.apply(Traffic(many(0)))
    stage.edge.apply(Traffic(many(200)))
    assert answer_of(stage, "a-rather-long-name-of-number-599.of-many.example") == (200, app.host)
    assert answer_of(stage, "a-rather-long-name-of-number-0.of-many.example")[0] == 404


def test_no_other_container_reaches_the_runtime_api(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    stage.edge.apply(Traffic((route("a.example", app),)))
    container = stage.client.containers.get(app.host)
    code, output = container.exec_run(["nc", "-z", "-w", "2", "edge.gitdeploy", str(edgecfg.ADMIN_PORT)])
    assert code != 0, output
    answer = RuntimeApi(stage.engine, "gitdeploy.edge", lambda: 0.0).ask(["show servers state"])[0]
    assert found_in(answer) == {1: {1: (app.host, 80)}}


def test_a_network_that_nothing_of_its_app_is_on_goes_with_the_edge(stage: Stage, new_name: Callable[[], str]) -> None:
    app, gone, accessory = (new_name() for _ in range(3))
    kept = stage.start(app)
    for name in (gone, accessory):
        stage.engine.ensure_network(f"gitdeploy-{name}", {"gitdeploy.app": name, "gitdeploy.edge-test": "1"})
    labels = {"gitdeploy.app": accessory, "gitdeploy.edge-test": "1"}
    stage.client.containers.create(stage.image, name=accessory, network=f"gitdeploy-{accessory}", labels=labels)
    routes = [route(f"{name}.example", replace(kept, network=f"gitdeploy-{name}", host=name)) for name in (gone, accessory)]
    stage.edge.apply(Traffic((route("a.example", kept), *routes)))
    stage.edge.apply(Traffic((route("a.example", kept),)))
    assert stage.engine.network(f"gitdeploy-{gone}") is None
    assert stage.engine.network(f"gitdeploy-{accessory}") is not None


def keys_left(engine: Engine) -> bytes:
    """What is left in the container of commands."""
    return engine.exec("gitdeploy.edge", ["cat", "/etc/gitdeploy-edge.words"])[1]


def test_what_was_told_does_not_stay(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    stage.edge.apply(Traffic((route("a.example", app),)))
    stage.edge.apply(Traffic((route("b.example", app),)))
    assert keys_left(stage.engine) == b""


@pytest.mark.parametrize("cut_off_at", ["stop", "start", "remove", "rename"])
def test_a_new_edge_that_was_cut_off(stage: Stage, new_name: Callable[[], str], free_port: int, cut_off_at: str) -> None:
    """Whatever is left of two, the next `apply` makes one of them, on the ports that are wanted."""
    app = stage.start(new_name())
    traffic = Traffic((route("a.example", app),))
    stage.edge.apply(traffic)
    stage.settings = replace(stage.settings, http_port=free_port)
    real, engine = stage.engine, Interposed(stage.engine)

    def before(name: str, arguments: tuple[object, ...]) -> None:
        if name == cut_off_at and arguments[0] != "gitdeploy.edge.0":  # what had that name goes before it is made
            raise Killed

    engine.before = before
    stage.engine = engine
    with pytest.raises(Killed):
        stage.edge.apply(traffic)
    stage.engine = real
    stage.edge.apply(traffic)
    assert answer_of(stage, "a.example") == (200, app.host)
    assert [c.name for c in stage.client.containers.list(all=True, filters={"label": "gitdeploy.role=edge"})] == [
        "gitdeploy.edge"
    ]
