"""Whether all tasks of a release serve, from what the cluster says of them and the router sees of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from gitdeploy.engine.cluster import Cluster, Node, ServiceTask
from gitdeploy.errors import Cancelled, StageFailed

TICK = 0.2
"""Seconds between two looks at a service's tasks."""

STEADY = 1.0
"""Seconds for which all of it must have served: a task that is about to fail runs for a moment, too."""

PULL = 900.0
"""Seconds for machines to pull an image, which do not count as time in which it was not healthy."""

TELL = 5.0
"""Seconds between two words of what is waited for."""

GETTING = ("accepted", "assigned", "preparing")
"""States of a task whose machine is getting it ready: pulling its image, most of all."""

HOLDING = (*GETTING, "ready", "starting", "running")
"""States of a task whose machine keeps its ports for it; one that is to begin again after a failure is "ready" for a while."""

UNPLACED = ("new", "pending", *GETTING)
"""States of a task on its way to a machine."""

DONE = {"complete": "ended", "failed": "failed", "rejected": "was refused"}
"""What tasks did that are over, for people."""

REFUSALS = 3
"""How often machines may refuse a task: an engine that is just busy takes the next one."""

LOG_LINES = 20


@dataclass(frozen=True)
class TaskProgress:
    """How far the tasks of a service have come.

    Attributes:
        running: how many run, on machines that are ready.
        pulling: whether a machine is still getting one ready, or has not reported to a new leader yet.
        failed: why it will not come to anything, "" if it still may.
        waits: what it waits for, in the cluster's own words, "" for nothing to speak of.
    """

    running: int
    pulling: bool = False
    failed: str = ""
    waits: str = ""


def progress(tasks: Iterable[ServiceTask], nodes: Sequence[Node], known: Collection[str] = ()) -> TaskProgress:
    """Return how far a service's tasks have come. Pure.

    Args:
        known: ids of tasks that had failed before; nobody holds those against it.
    """
    of = {node.id: node for node in nodes}
    tasks = list(tasks)
    new = [task for task in tasks if task.id not in known]
    running = [task for task in tasks if task.running and task.node in of and of[task.node].ready]
    ended = [task for task in new if task.state in ("failed", "complete")]
    refused = [task for task in new if task.state == "rejected"]
    open_ = [task for task in new if task.wanted == "running" and not task.running]
    failed = ""
    if ended:
        failed = describe(ended[0], of)
    elif len(refused) >= REFUSALS or _piled_up(refused, running):
        failed = describe(refused[0], of)
    return TaskProgress(
        len(running),
        pulling=any(task.state in GETTING for task in open_) or any(node.there and not node.ready for node in nodes),
        failed=failed,
        waits="; ".join(dict.fromkeys(describe(task, of) for task in [*open_[:3], *refused[:1]])),
    )


def _piled_up(refused: Sequence[ServiceTask], running: Sequence[ServiceTask]) -> bool:
    """Return whether a machine refused tasks, so that others have more than their share: it looks fine, and is not spread."""
    machines = Counter(task.node for task in running)
    return any(task.node not in machines for task in refused) and max(machines.values(), default=0) > 1


def describe(task: ServiceTask, nodes: dict[str, Node]) -> str:
    """Return what a task does and where, for people. Pure."""
    where = f" on {nodes[task.node].name}" if task.node in nodes else ""
    code = f" (exit code {task.exit_code})" if task.exit_code and str(task.exit_code) not in task.error else ""
    does = DONE.get(task.state, f"is {task.state}")
    number = f" {task.slot}" if task.slot else ""  # a machine's only one has none
    return f"task{number}{where} {does}{code}" + (f": {task.error}" if task.error else "")


class _Look:
    """Looks at a service's tasks, and asks for more than those only where they have changed or something depends on it.

    Attributes:
        serves: whether all that are wanted serve, by the last look.
        words: how far they have come, for people.
    """

    def __init__(
        self, cluster: Cluster, service: str, wanted: int, known: Collection[str], reached: Callable[[], int] | None
    ) -> None:
        self._cluster = cluster
        self._service = service
        self._wanted = wanted
        self._known = known
        self._reached = reached
        self._tasks: Sequence[ServiceTask] = ()
        self._nodes: Sequence[Node] = ()
        self._up: int | None = None
        self.serves = False
        self.words = ""

    def __call__(self, *, thorough: bool) -> TaskProgress:
        """Look once; `thorough`: whether the router is asked though the tasks are those of the last time."""
        tasks = self._cluster.tasks([self._service])
        changed = tasks != self._tasks
        self._tasks = tasks
        if changed or thorough or not self._nodes:  # a machine that dies changes none of its tasks
            self._nodes = self._cluster.nodes()
        found = progress(tasks, self._nodes, self._known)
        enough = found.running >= self._wanted
        if not enough or self._reached is None:
            self._up = None
        elif changed or thorough or self._up is None:
            self._up = self._reached()
        self.serves = enough and (self._reached is None or (self._up or 0) >= self._wanted)
        run = f"{found.running} of {self._wanted} tasks run"
        came = run if self._up is None else f"the router reaches {self._up} of {self._wanted}"
        self.words = "; ".join(filter(None, [came, found.waits]))
        return found


@dataclass(frozen=True)
class TaskWaiter:
    """Waits for a service's tasks to serve.

    Attributes:
        cancelled: whether somebody wants to stop; waits for that for so many seconds.
        clock: seconds, monotonic.
        tell: is told now and then what is waited for.
        whose: tasks are waited for.
    """

    cluster: Cluster
    cancelled: Callable[[float], bool]
    clock: Callable[[], float]
    tell: Callable[[str], object]
    whose: str = "the new release"

    def wait(
        self,
        service: str,
        wanted: int,
        patience: float,
        *,
        steady: float = STEADY,
        known: Collection[str] = (),
        reached: Callable[[], int] | None = None,
    ) -> None:
        """Return when that many tasks have served for `steady` seconds, by the cluster and by the router.

        Args:
            service: its id.
            patience: seconds, without those in which machines pull the image.
            reached: returns how many of them the router reaches; None where there is no router to ask.

        Raises:
            StageFailed: a task ended, no machine takes it, or it was not healthy in time; with its last lines.
            Cancelled: somebody wants to stop.
        """
        began = told = last = self.clock()
        waited, good = 0.0, None
        look = _Look(self.cluster, service, wanted, known, reached)
        while True:
            decisive = good is not None and self.clock() - good >= steady
            found = look(thorough=good is None or decisive)
            now = self.clock()
            waited += 0.0 if found.pulling and now - began < PULL else now - last
            last = now
            if found.failed:
                raise self._failure(service, found.failed)
            if look.serves:
                if decisive:
                    return
                good = now if good is None else good
            else:
                good = None
            if waited > patience + steady:
                raise self._failure(service, f"{self.whose} was not healthy after {now - began:.0f} s: {look.words}")
            if now - told >= TELL and good is None:
                told = now
                self.tell(f"waiting for {self.whose}, for {now - began:.0f} s so far ({look.words})")
            if self.cancelled(TICK if good is None else max(0.0, min(TICK, good + steady - now))):
                raise Cancelled(f"cancelled while waiting for {self.whose} to get healthy")

    def await_end(self, service: str, timeout: float) -> None:
        """Wait until no task of it holds a port of a machine that is there, `timeout` seconds at most. Raises StageFailed."""
        end = self.clock() + timeout
        while True:
            there = {node.id for node in self.cluster.nodes() if node.there}
            left = [t for t in self.cluster.tasks([service]) if _holds(t, there)]
            if not left:
                return
            if self.clock() > end:
                raise StageFailed(f"{len(left)} tasks of the old release did not end within {timeout:.0f} s")
            self.cancelled(TICK)

    def await_placed(self, service: str, timeout: float) -> None:
        """Wait until each attempt of it has its machine, `timeout` seconds at most."""
        end = self.clock() + timeout
        while self.clock() < end and any(
            task.wanted in ("ready", "running") and task.state in UNPLACED for task in self.cluster.tasks([service])
        ):
            self.cancelled(TICK)

    def _failure(self, service: str, reason: str) -> StageFailed:
        log = [f"log: {line}" for line in self.cluster.service_logs(service, LOG_LINES)]
        return StageFailed(reason, _hint(reason, bool(log)), log)


def _holds(task: ServiceTask, there: Collection[str]) -> bool:
    """Return whether a task holds the ports of one of these machines, or is about to: nobody has told it to end yet."""
    if task.wanted in ("ready", "running") and not task.node:
        return True
    return task.node in there and (task.state in HOLDING or (task.wanted in ("ready", "running") and task.state not in DONE))


def _hint(reason: str, said: bool) -> str:
    """Return what to do about a release that did not get healthy; `said`: its tasks have printed something. Pure."""
    if "executable file not found" in reason:
        return "is that program in the image? See `command` in config.toml, and the image's ENTRYPOINT and CMD"
    if "no suitable node" in reason:
        return "no machine has what it asks for: see docker node ls, swarm.constraints and run.memory"
    if said:
        return "see its last lines above; [apps.X.health] sets what is asked and how long gitdeploy waits"
    return "its tasks have printed nothing; [apps.X.health] sets what is asked and how long gitdeploy waits"
