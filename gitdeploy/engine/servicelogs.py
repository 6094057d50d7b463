"""The output of a service's tasks, which comes from all nodes at once. Pure.

With `details` and `timestamps` the engine puts in front of each line when it was written, and by whom:
https://docs.docker.com/reference/api/engine/ (ServiceLogs).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from gitdeploy.engine.cluster import Node, ServiceTask

LINE = re.compile(r"(\S+Z) (com\.docker\.swarm\.node\.id=\S*) ?(.*)", re.S)


def told(lines: Iterable[str], tasks: Sequence[ServiceTask], nodes: Sequence[Node], tail: int) -> list[str]:
    """Return the last `tail` lines in the order in which they were written, each as "SLOT@NODE | TEXT".

    What the cluster itself says, of nodes that it cannot ask for instance, comes last and as it is.
    """
    slots = {task.id: str(task.slot) for task in tasks}
    names = {node.id: node.name for node in nodes}
    found, own = [], []
    for line in lines:
        match = LINE.fullmatch(line)
        if match is None:
            own.append(line)
            continue
        by = _details(match[2])
        task, node = by.get("task", ""), by.get("node", "")
        found.append((match[1], f"{slots.get(task, task[:12])}@{names.get(node) or node[:12]} | {match[3]}"))
    found.sort(key=lambda pair: pair[0])  # equally long times; lines of one time stay in order
    return [*(text for _, text in found), *own][-tail:] if tail > 0 else []


def _details(written: str) -> Mapping[str, str]:
    """{"node": …, "service": …, "task": …} for "com.docker.swarm.node.id=…,com.docker.swarm.service.id=…,…"."""
    pairs = (pair.partition("=")[::2] for pair in written.split(","))
    return {name.removeprefix("com.docker.swarm.").removesuffix(".id"): value for name, value in pairs}
