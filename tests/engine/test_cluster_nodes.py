"""What only shows where a Swarm has several machines; and that the machines of the tests die as machines do."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gitdeploy.engine.client import connect
from gitdeploy.errors import EngineError, NotFound
from tests.engine.swarm import OWN, PATIENCE, Place, nobody
from tests.support.net import wait_until

CHECKOUT = Path(__file__).parent.parent.parent


def test_a_worker_is_asked_for_nothing(three: Place) -> None:
    worker = connect({"DOCKER_HOST": three.swarm.nodes[1].url})
    member = worker.cluster().membership()
    assert (member.active, member.manager, member.error) == (True, False, "")
    with pytest.raises(EngineError) as refused:
        worker.cluster().services({})
    assert refused.value.status == 503
    worker.close()


def test_a_service_of_each_machine_is_made_another_and_what_it_was(three: Place) -> None:
    service = three.service(everywhere=True, replicas=0, constraints=("node.hostname!=node1",))
    names = {node.id: node.name for node in three.cluster.nodes()}

    def await_on(*machines: str) -> None:
        def there() -> bool:
            return tuple(sorted(names[task.node] for task in three.running(service))) == machines

        wait_until(there, PATIENCE, f"tasks on {machines} alone")

    await_on("node2", "node3")
    spec, kept = three.cluster.service(service), three.cluster.kept_service(service)
    assert spec is not None
    other = three.spec(everywhere=True, labels={OWN: three.run, "other": "1"}, constraints=("node.hostname==node2",))
    three.cluster.replace_service(service, other, nobody)
    now = three.cluster.service(service)
    assert now is not None
    assert (now.name, now.labels.get("other")) == (spec.name, "1")
    await_on("node2")
    three.cluster.restore_service(service, kept)
    await_on("node2", "node3")
    assert three.cluster.service(service) == spec
    with pytest.raises(NotFound):
        three.cluster.kept_service(f"{spec.name}-other")


@pytest.mark.exhaustive
def test_a_machine_dies(three: Place) -> None:
    network = three.name()
    three.cluster.ensure_overlay(network, {OWN: three.run})
    service = three.service(replicas=3, networks=(network,))
    before = three.running(service)
    names = {node.id: node.name for node in three.cluster.nodes()}
    assert sorted(names[task.node] for task in before) == ["node1", "node2", "node3"]
    local = next(task for task in before if names[task.node] == "node1")
    for other in before:  # across machines
        three.exec(local, "ping", "-c", "1", "-W", "5", other.addresses[network])

    three.swarm.kill(three.swarm.nodes[2])
    wait_until(lambda: three.swarm.states()["node3"] == "down", PATIENCE, "the death of node3")
    wait_until(lambda: {names[task.node] for task in three.running(service)} == {"node1", "node2"}, PATIENCE, "a replacement")
    after = three.await_running(service, 3)
    assert {task.id for task in before if names[task.node] != "node3"} <= {task.id for task in after}

    three.swarm.power_on(three.swarm.nodes[2])
    wait_until(lambda: three.swarm.states()["node3"] == "ready", PATIENCE, "node3 again")


@pytest.mark.exhaustive
def test_the_managers_engine_dies_and_a_node_is_drained(three: Place) -> None:
    service = three.service(replicas=2)
    three.swarm.manager.kill()
    three.swarm.manager.start()
    wait_until(lambda: not three.cluster.membership().error, PATIENCE, "a leader")
    three.swarm.heal()
    three.swarm.set_availability(three.swarm.nodes[1], "drain")
    drained = next(node for node in three.cluster.nodes() if node.name == "node2")
    assert (drained.availability, drained.ready) == ("drain", True)
    wait_until(lambda: drained.id not in {task.node for task in three.running(service)}, PATIENCE, "an empty node2")
    three.await_running(service, 2)


LEAVES = """
import sys
from tests.support.net import isolate_network
from tests.support.cluster import SwarmNodes
assert isolate_network()
with SwarmNodes(1) as swarm:
    print(swarm.manager.directory, flush=True)
    sys.stdin.read()
"""


def test_nothing_survives_the_tests(lone_node: object) -> None:
    """Even where they are killed; `lone_node` is asked for so that this counts as a test that needs an engine."""
    command = [sys.executable, "-c", LEAVES]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        directory = tests.stdout.readline().rstrip()
        assert Path(directory, "docker.sock").is_socket()
        assert processes_about(directory)
        tests.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(directory).exists(), 20, "the end of its files")
    wait_until(lambda: not processes_about(directory), 10, "the end of its processes")
    assert not [*Path("/sys/fs/cgroup").glob(f"**/{Path(directory).name}")]


def processes_about(directory: str) -> list[str]:
    """The command lines that name something there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text())
    return [line for line in found if directory in line]
