"""A Docker Swarm for the tests alone: real engines on machines of their own, as far as namespaces make one.

Each node has its own network, mounts, processes and host name, and a cable (a veth pair) to a switch (a bridge in one more
network namespace: the iptables of an engine that the tests have beside them do not see what passes there). The tests have a
cable, too, and at its address a registry from which the nodes pull. All of it ends with the test process, as a `PrivateEngine`
does; its files are removed even then, by a shell that waits for the end of the tests.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import docker

from tests.support.engine import PrivateEngine
from tests.support.images import archive
from tests.support.net import DIES_WITH_US, wait_until
from tests.support.registry import Registry, serve

CACHE = Path(__file__).parent.parent.parent / ".cache" / "tests" / "images"
NETWORKS = (f"198.18.{number}" for number in range(256))
"""One for each Swarm of this process, of the benchmark range: no engine gives that to a network of its own."""

HEARTBEAT = 1.0
"""Seconds between two signs of life of a node: a fifth of the default, so that tests wait less for a death to be noticed."""

SWITCH = """
ip link set lo up
ip link add name switch type bridge
ip link set switch up
echo ready
exec sleep infinity
"""

SWEEPER = """
trap '' INT TERM HUP
read -r _ || true
for directory; do
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        rm -rf "$directory" 2>/dev/null
        for controller in /sys/fs/cgroup /sys/fs/cgroup/*/; do
            find "$controller/${directory##*/}" -depth -type d -exec rmdir {} + 2>/dev/null
        done
        [ -e "$directory" ] || break
        sleep 0.5
    done
done
"""


class ClusterNode(PrivateEngine):
    """An engine on a machine of its own.

    Attributes:
        number: from 1.
        name: its host name.
        address: on the switch.
    """

    namespaces = ("mount", "pid", "net", "uts")

    def __init__(self, number: int, network: str, root: Path | None, features: tuple[str, ...]) -> None:
        super().__init__(root, features)
        self.number = number
        self.name = f"node{number}"
        self.address = f"{network}.{number}"

    @property
    def on(self) -> bool:
        """Whether the machine runs."""
        return self._namespace is not None

    @property
    def serving(self) -> bool:
        """Whether dockerd runs there."""
        return self._daemon is not None

    def boot(self, switch: int) -> None:
        """Makes the namespaces, and a cable to the switch whose process has that id; dockerd is not started."""
        self.open_namespaces()
        port = f"port{self.number}"
        plug(port, switch, "eth0", self.first())
        self.run("hostname", self.name)
        for words in (f"addr add {self.address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            self.run("ip", *words.split())

    def run(self, *command: str) -> str:
        """Runs a program of this machine as one of the node's; returns its output."""
        return subprocess.run([*self.enter(), *command], check=True, capture_output=True, text=True).stdout


class SwarmNodes:
    """A Swarm; needs `isolate_network` and root.

    Attributes:
        nodes: the first ones are managers.
        network: of the switch; nodes take any registry there for one without TLS.
        address: of the tests, there.
        registry: from which each node pulls.
    """

    registry: Registry

    def __init__(self, count: int = 3, root: Path | None = None, features: tuple[str, ...] = (), *, managers: int = 1) -> None:
        """`root` and `features` as of a `PrivateEngine`."""
        network = next(NETWORKS)
        self.network = f"{network}.0/24"
        self.address = f"{network}.254"
        self.nodes = [ClusterNode(number, network, root, features) for number in range(1, count + 1)]
        self._managers = managers
        self._directory = Path(tempfile.mkdtemp(prefix="gitdeploy-swarm-"))
        self._images: dict[str, str] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> SwarmNodes:
        with self._stack:
            self._stack.callback(self._sweep_in_the_end())
            self._switch = self._start_switch()
            cable = f"swarm{self.network.split('.')[2]}"
            plug("tests", self._switch, cable, None)
            for words in (f"addr add {self.address}/24 dev {cable}", f"link set {cable} up"):
                subprocess.run(["ip", *words.split()], check=True)
            self.registry = self._stack.enter_context(serve(self._directory, address=self.address))
            for node in self.nodes:
                self._stack.callback(node.close)
                node.configure(**{"insecure-registries": [self.network]})
                node.boot(self._switch)
                node.launch()
            for node in self.nodes:
                node.await_answer()
            self._unite()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    @property
    def manager(self) -> ClusterNode:
        """The first node."""
        return self.nodes[0]

    @contextlib.contextmanager
    def client(self, node: ClusterNode | None = None) -> Any:
        """The SDK's own client of a node's engine, of the first one if none is given."""
        client = docker.DockerClient(base_url=(node or self.manager).url, timeout=60)
        try:
            yield client
        finally:
            client.close()

    def image(self, name: str) -> str:
        """The base image of that name (tests/support/images.py) by digest, as every node can pull it; the first one has it."""
        if name not in self._images:
            repository = f"{self.registry.host}/base/{name}"
            with self.client() as client, archive(name, CACHE).open("rb") as file:
                client.images.load(file)[0].tag(repository, "1")
                output = client.images.push(repository, "1")
            assert "digest" in output, output
            self._images[name] = f"{repository}@{self.registry.digest(f'base/{name}', '1')}"
        return self._images[name]

    def kill(self, node: ClusterNode) -> None:
        """Cuts the node's cable and ends everything on it: what a machine's death looks like to the others."""
        subprocess.run([*self._at_switch(), "ip", "link", "delete", f"port{node.number}"], check=True)
        node.end_namespaces()

    def power_on(self, node: ClusterNode) -> None:
        """Starts a node that was killed, with the files that it had; waits until its engine answers."""
        node.remove_stale()
        shutil.rmtree(node.directory / "exec", ignore_errors=True)  # which a machine has in memory
        node.boot(self._switch)
        node.start()

    def cut(self, node: ClusterNode, *, again: bool = False) -> None:
        """Takes a node's cable out, or puts it in `again`; what runs there runs on."""
        state = "up" if again else "down"
        subprocess.run([*self._at_switch(), "ip", "link", "set", f"port{node.number}", state], check=True)

    def set_availability(self, node: ClusterNode, availability: str) -> None:
        """Has the cluster use a node ("active"), use it for nothing new ("pause"), or empty it ("drain")."""
        self._specify(node, Availability=availability)

    def label(self, node: ClusterNode, **labels: str) -> None:
        """Gives a node these labels and no others."""
        self._specify(node, Labels=labels)

    @property
    def leader(self) -> ClusterNode:
        """The manager that the others follow, as the first node sees it."""
        with self.client() as client:
            listed = [one.attrs for one in client.nodes.list()]
        name = next(one["Description"]["Hostname"] for one in listed if one.get("ManagerStatus", {}).get("Leader"))
        return next(node for node in self.nodes if node.name == name)

    def demote(self, node: ClusterNode, *, again: bool = False) -> None:
        """Makes a worker of a manager, or, `again`, a manager of it; another manager that runs sees to it."""
        by = next(other for other in self.nodes if other is not node and other.serving)
        wait_until(lambda: self._manages(by), 60, f"that {by.name} decides")
        self._specify(node, by=by, Role="manager" if again else "worker")

    def lead_elsewhere(self) -> None:
        """Has a manager lead that is not the first node."""
        wait_until(self._all_reached, 60, "all managers")
        while self.leader is self.manager:
            self.demote(self.manager)
            wait_until(lambda: not self._manages(self.manager), 60, "a worker")
            self.demote(self.manager, again=True)
            wait_until(lambda: self._manages(self.manager), 60, "a manager again")
            wait_until(self._whole, 60, "a whole cluster")

    def _all_reached(self) -> bool:
        with self.client() as client:
            listed = [one.attrs.get("ManagerStatus", {}).get("Reachability") for one in client.nodes.list()]
        return listed.count("reachable") == self._managers

    def _manages(self, node: ClusterNode) -> bool:
        with self.client(node) as client:
            found = client.info()["Swarm"]
            return bool(found["ControlAvailable"]) and not found["Error"]

    def _specify(self, node: ClusterNode, *, by: ClusterNode | None = None, **values: object) -> None:
        with self.client(by) as client:
            found = next(one for one in client.nodes.list() if one.attrs["Description"]["Hostname"] == node.name)
            found.update({**found.attrs["Spec"], **values})

    def heal(self, timeout: float = 60) -> None:
        """Makes it as it was: every machine and engine runs, every node is ready and takes tasks."""
        for node in self.nodes:
            if not node.on:
                self.power_on(node)
            elif not node.serving:
                node.start()
            self.cut(node, again=True)
        wait_until(self._whole, timeout, "a whole cluster")
        for node in self.nodes:
            self.set_availability(node, "active")

    def _whole(self) -> bool:
        try:
            return set(self.states().values()) == {"ready"}
        except docker.errors.APIError:  # there is no leader yet
            return False

    def states(self) -> dict[str, str]:
        """Host name → state of each node, as the first one sees it."""
        with self.client() as client:
            return {one.attrs["Description"]["Hostname"]: one.attrs["Status"]["State"] for one in client.nodes.list()}

    def _unite(self) -> None:
        first, *others = self.nodes
        with self.client() as client:
            client.swarm.init(
                advertise_addr=first.address,
                listen_addr=f"{first.address}:2377",
                dispatcher_heartbeat_period=round(HEARTBEAT * 10**9),
            )
            client.swarm.reload()
            tokens = client.swarm.attrs["JoinTokens"]
        for node in others:
            with self.client(node) as client:
                client.swarm.join(
                    remote_addrs=[f"{first.address}:2377"],
                    join_token=tokens["Manager" if node.number <= self._managers else "Worker"],
                    advertise_addr=node.address,
                    listen_addr=f"{node.address}:2377",
                )
        ready = {node.name: "ready" for node in self.nodes}
        wait_until(lambda: self.states() == ready, 30, "all nodes")

    def _start_switch(self) -> int:
        switch = subprocess.Popen(
            [*DIES_WITH_US, "unshare", "--net", "sh", "-euc", SWITCH],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._stack.callback(switch.wait)
        self._stack.callback(switch.kill)
        assert switch.stdout is not None
        self._stack.callback(switch.stdout.close)
        assert switch.stdout.readline() == "ready\n", "no namespace for the switch"
        return switch.pid

    def _at_switch(self) -> list[str]:
        return ["nsenter", "--target", str(self._switch), "--net", "--"]

    def _sweep_in_the_end(self) -> Any:
        """Has a shell remove all files as soon as this process has ended, however that comes; returns what has it do so."""
        directories = [str(self._directory), *(str(node.directory) for node in self.nodes)]
        sweeper = subprocess.Popen(
            ["sh", "-c", SWEEPER, "sweeper", *directories],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

        def sweep() -> None:
            assert sweeper.stdin is not None
            sweeper.stdin.close()
            sweeper.wait()

        return sweep


def plug(port: str, switch: int, interface: str, machine: int | None) -> None:
    """Lays a cable from a port of the switch to an interface; processes say whose network is meant, None for the tests' own."""
    there = ["netns", str(machine)] if machine else []
    cable = ["name", port, "netns", str(switch), "type", "veth", "peer", "name", interface, *there]
    subprocess.run(["ip", "link", "add", *cable], check=True)
    plugged = ["ip", "link", "set", port, "master", "switch", "up"]
    subprocess.run(["nsenter", "--target", str(switch), "--net", "--", *plugged], check=True)
