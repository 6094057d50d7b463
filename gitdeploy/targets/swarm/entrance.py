"""The routers of an app on several machines, told and asked as if they were one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from operator import add

from gitdeploy.config.imagereference import same_repository
from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import StageFailed
from gitdeploy.targets.router import runtime
from gitdeploy.targets.router.haproxy import Haproxy
from gitdeploy.targets.router.haproxycfg import Backend, Settings, Table, backend, shape
from gitdeploy.targets.router.preamble import CONTROL_PORT
from gitdeploy.targets.router.runtime import Counts
from gitdeploy.targets.swarm.entryservice import EntryService, control_network
from gitdeploy.targets.swarm.readiness import TICK, describe

PATIENCE = 60.0
"""Seconds for all of them to be told: the cluster does not notice at once that a machine is dead."""


class Entrance(Haproxy):
    """The app's routers: one on this manager, which publishes nothing, and one of a service on each entry machine.

    That of the manager is asked first, keeps the file, and is the way to the others, over the control network.
    """

    TAKES_OVER = "some seconds on each machine"

    def __init__(self, engine: Engine, container: str, settings: Settings, service: EntryService) -> None:
        super().__init__(engine, container, settings)
        self._service = service
        self._prepared = False

    @property
    def up_to_date(self) -> bool:
        """See `Haproxy`; of the others, whether their service is what the app asks for."""
        return super().up_to_date and self._service.fits(self.settings)

    def apply(self, servers: Iterable[Backend]) -> None:
        """See `Haproxy`. Raises StageFailed if one that its machine runs does not answer."""
        super().apply(servers)
        self._tell()

    def slots(self) -> dict[str, list[Counts]]:
        """See `Haproxy`: numbers are those of all; a server is reached if each of them reaches it.

        One that does not answer is left out: its machine may have died. None is before it has been told what all are told.
        """
        each = [super().slots()]
        for address in self._addresses().values():
            with suppress(StageFailed):
                each.append(self._sorted(self._ask([runtime.STATISTICS], (address, CONTROL_PORT))))
        return together(each)

    def prepare(self) -> None:
        """See `Haproxy`: start all but that of this machine, whose ports something else may hold. Raises as `start` does."""
        self._begin()
        self._tell(everywhere=True, but=self._service.cluster.membership().node)
        self._prepared = True

    def start(self) -> None:
        """See `Haproxy`; wait for one on each machine that is there."""
        if not self._prepared:
            self._begin()
        self._tell(everywhere=True)

    def _begin(self) -> None:
        super().start()
        if not self._service.restore():  # they were not stopped
            self._service.bring_up(self.settings)

    def restart(self) -> None:
        """See `Haproxy`: the others run on."""
        super().stop()
        self.start()

    def stop(self) -> None:
        """See `Haproxy`."""
        self._service.pause()
        super().stop()

    def give_up(self) -> None:
        """See `Haproxy`."""
        self._service.restore()

    def reload(self, servers: Iterable[Backend], previous: bytes) -> None:
        """See `Haproxy`; the others start anew, one after the other, and take no requests meanwhile."""
        super().reload(servers, previous)
        self._service.bring_up(self.settings)
        self._tell(everywhere=True)

    def restore(self, previous: bytes, known: Table) -> None:
        """See `Haproxy`."""
        super().restore(previous, known)
        self._service.restore()
        self._tell(digest=runtime.digest(previous), everywhere=True)

    def _tell(self, *, digest: str = "", everywhere: bool = False, but: str = "") -> None:
        """Bring the others to the servers of this one, and look whether they have them.

        Args:
            digest: of the configuration that they are to have, "" for that of the settings.
            everywhere: whether to wait for one on each machine that is to have one.
            but: the id of a machine that need not have one yet.

        Raises:
            StageFailed: one was not there, or did not answer in time.
        """
        end, told = time.monotonic() + PATIENCE, set[str]()
        while True:
            addresses = self._addresses()
            late = {task: address for task, address in addresses.items() if task not in told}
            told |= {task for task, address in late.items() if self._told(address, digest or shape(self.settings))}
            missing = [task for task in addresses if task not in told]
            absent = self._absent(but) if everywhere and not missing else ""
            if not missing and not absent:
                # One that has begun since has copied its servers, from one that may not have been told yet.
                if self._addresses().keys() <= told:
                    return
            elif time.monotonic() > end:
                raise StageFailed(absent or self._silent(missing), "docker service ps tells more; then deploy again")
            time.sleep(TICK)

    def _told(self, address: str, digest: str) -> bool:
        """Bring one of the others to the servers of this one; return whether it has them."""
        whom = (address, CONTROL_PORT)
        ports = {backend(port): port for port in self.settings.ports}
        try:
            now = self._ask(["show info", runtime.STATE], whom)
            if runtime.digest(now.encode()) != digest:
                return False
            for _ in range(2):
                seen = runtime.servers_state(now)
                if all(runtime.essence(seen.get(name, {})) == runtime.essence(self._table) for name in ports):
                    return True
                now = self._ask([*runtime.changes(ports, seen, self._table), runtime.STATE], whom)
        except StageFailed:
            pass
        return False

    def _addresses(self) -> dict[str, str]:
        """Return where the others are on the control network, by their task."""
        network = control_network(self._service.app)
        return {task.id: task.addresses[network] for task in self._service.tasks() if network in task.addresses}

    def _absent(self, but: str) -> str:
        """Return which machine that is there has no router, and why, "" if each has one."""
        lacking = [node for node in self._service.lacking() if node.id != but]
        if not lacking:
            return ""
        found = self._service.find()
        of = {node.id: node for node in lacking}
        tasks = self._service.cluster.tasks([found.id] if found else [])
        why = next((describe(task, of) for task in tasks if task.error and task.node in of), "")
        return f"no router runs on {', '.join(node.name for node in lacking)}" + (f": {why}" if why else "")

    def _silent(self, tasks: Sequence[str]) -> str:
        of = {node.id: node.name for node in self._service.cluster.nodes()}
        where = [of.get(task.node, task.node) for task in self._service.tasks() if task.id in tasks]
        return f"the router on {', '.join(where)} does not answer, or did not take over its servers"


def together(each: Sequence[Mapping[str, Sequence[Counts]]]) -> dict[str, list[Counts]]:
    """Return what several routers count, as of one: numbers added up, and as many servers reached as all of them reach.

    Each has given a service's tasks to its slots in an order of its own.
    """
    found = {}
    for alias, own in each[0].items():
        ordered = [sorted(counts.get(alias, [Counts()] * len(own)), key=lambda c: not c.reached) for counts in each]
        found[alias] = [reduce(add, sorted(column, key=lambda c: c.reached)) for column in zip(*ordered, strict=True)]
    return found


def entry_image(engine: Engine, app: App, image: str) -> str:
    """Return how every machine pulls the routers' image, given its id here. Raises StageFailed if none could."""
    found = engine.image(image)
    name = app.router.image.partition("@")[0]
    digests = [digest for digest in (found.digests if found else ()) if same_repository(digest, name)]
    if digests:
        return digests[0]
    hint = "push it to a registry that all machines reach, and name it by that in router.image"
    raise StageFailed(f"router.nodes: {app.router.image} is in no registry, so no other machine could pull it", hint)
