"""Whether what serves an app on a cluster really runs, and where: what is wrong with it, in words."""

from __future__ import annotations

from collections.abc import Sequence

from gitdeploy.config.model import WEB, App
from gitdeploy.engine.cluster import Cluster, Node
from gitdeploy.engine.protocol import Engine
from gitdeploy.targets.router.container import find, has_router
from gitdeploy.targets.swarm.entryservice import EntryService
from gitdeploy.targets.swarm.readiness import describe, progress
from gitdeploy.targets.swarm.services import DIRECT, look
from gitdeploy.targets.target import Strength


def strength_of(engine: Engine, cluster: Cluster, nodes: Sequence[Node], app: App) -> Strength:
    """Return how many tasks of a process run, on which machines, and what is wrong. Takes the app as the process has it."""
    live = look(cluster, app).live
    whose = "" if app.process == WEB else f"{app.process} "
    if live is None:
        return Strength(app.process, 0, app.replicas, f"its {whose}service is gone" if app.replicas else "")
    tasks = cluster.tasks([live.id])
    of = {node.id: node for node in nodes}
    running = progress(tasks, nodes).running
    where = tuple(sorted(of[task.node].name for task in tasks if task.running and task.node in of and of[task.node].ready))
    wanted = 1 if live.labels.get(DIRECT) else app.replicas
    wrong = ""
    if running < wanted:
        waiting = [describe(task, of) for task in tasks if task.wanted == "running" and not task.running]
        failed = [describe(task, of) for task in tasks if task.state in ("failed", "rejected")]
        wrong = "; ".join([f"{running} of its {wanted} {whose}tasks run", *[*waiting, *failed][:2]])
    elif has_router(app) and not live.labels.get(DIRECT) and not any(router.running for router in find(engine, app)):
        wrong = "nothing reaches it without its router, which does not run"
    elif app.router.nodes and has_router(app) and (lacking := EntryService(cluster, app).lacking()):
        wrong = f"no router runs on {', '.join(node.name for node in lacking)}"
    return Strength(app.process, running, app.replicas, wrong, where)
