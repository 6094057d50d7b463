"""One process of what serves brought to another number of containers; those that stay are not touched."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count

from gitdeploy.releases.release import container_name
from gitdeploy.targets.docker.rollout.found import Group
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.leaving import take_away
from gitdeploy.targets.docker.rollout.overlap import Overlap
from gitdeploy.targets.docker.rollout.serving import serving_group
from gitdeploy.targets.docker.rollout.stopping import remove_all
from gitdeploy.targets.docker.rollout.strategies import STRATEGIES
from gitdeploy.targets.strategies.confirm import confirm
from gitdeploy.targets.undo import Undo


def resize(r: Rollout) -> None:
    """Bring one process of what serves to as many containers as its configuration has: none, fewer, or more.

    Raises what keeps a new one from getting healthy; then as many run as before.
    """
    app = r.release.app
    if not app.replicas:
        take_away(r.engine, app)
        return
    group = serving_group(r.engine, app)
    if group is None:
        STRATEGIES[app.strategy](r)
        return
    r = replace(r, release=replace(r.release, id=group.release))  # a rollback may have taken an earlier one's containers
    if group.routed:
        confirm(Overlap(r))
    else:
        _resize_direct(r, group)


def _resize_direct(r: Rollout, group: Group) -> None:
    """Do so where the containers' ports, if they have any, are their own."""
    wanted = r.release.app.replicas
    remove_all(r.engine, group.containers[wanted:], r.release.app.stop_timeout)
    undo = Undo(r.output)
    with undo.on_failure():
        ids = []
        for _ in range(wanted - len(group.containers)):
            free = next(number for number in count(2) if not r.engine.container(container_name(r.release, number)))
            ids.append(r.engine.create(r.spec(free)))
            undo.add("removing the new container", partial(r.engine.remove, ids[-1], force=True))
        for container in ids:
            r.engine.start(container)
        for container in ids:
            r.wait_healthy(container)
