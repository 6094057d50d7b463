"""recreate: stop the old container, start the new one on its ports; the old one comes back if the new one fails.

Everything that can be done beforehand is: the gap is the old container's stop, the new one's start and its first good answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from gitdeploy.engine.types import Container
from gitdeploy.releases.release import APP
from gitdeploy.targets.docker.adopting import dropped
from gitdeploy.targets.docker.rollout.arrange import require_free_ports
from gitdeploy.targets.docker.rollout.found import everyone, look_to_deploy, version_of
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.docker.rollout.names import take_name
from gitdeploy.targets.docker.rollout.rehearsal import rehearse
from gitdeploy.targets.docker.rollout.stopping import enter_way_back, stop_old
from gitdeploy.targets.docker.volumes import nameless
from gitdeploy.targets.router.container import discard
from gitdeploy.targets.router.takeover import let_go
from gitdeploy.targets.strategies.together import left_to_the_next
from gitdeploy.targets.target import Outcome
from gitdeploy.targets.undo import Undo


def recreate(r: Rollout) -> Outcome:
    """Bring the release live with an outage. On any failure the old containers serve again before the error leaves."""
    app = r.release.app
    found = look_to_deploy(r.engine, app)
    old = list(everyone(found.groups))
    if found.named and not found.named.labels.get(APP):
        r.output.line(f"adopting container {app.container}, which gitdeploy did not make ({found.named.image_ref})")
        for option, way in dropped(app, r.env, r.engine.made_with(found.named.id)):
            r.output.line(f"    its {option} is not taken along: {way}")
    require_free_ports(r, [*old, *found.routers])
    running = [c for c in old if c.running]
    undo = Undo(r.output)
    with undo.on_failure():
        new = [_create(r, replica, running or old, undo) for replica in range(1, (1 if app.publish else app.replicas) + 1)]
        if running:
            rehearse(r)
        r.require_published()
        outage = _swap(r, running, [c for c in found.routers if c.running], new, undo)
        r.committed()
    _retire(r, new)
    return Outcome(outage)


def _create(r: Rollout, replica: int, old: Sequence[Container], undo: Undo) -> str:
    """Create a container; what the one before it keeps in volumes without a name is there, too."""
    spec = r.spec(replica)
    for volume in nameless(r.release.app, old[replica - 1]) if len(old) >= replica else ():
        r.output.line(f"{volume.target} stays as it is (volume {volume.source[:12]})")
        spec = replace(spec, volumes=(*spec.volumes, volume))
    created = r.engine.create(spec)
    undo.add(f"removing {spec.name}", partial(r.engine.remove, created, force=True))
    return created


def _swap(r: Rollout, old: Sequence[Container], routers: Sequence[Container], new: Sequence[str], undo: Undo) -> float | None:
    """Stop what serves, start the new containers and wait for them; return the outage in seconds, None if nothing served."""
    app = r.release.app
    for router in routers:
        undo.add(f"starting {router.name} again", partial(r.engine.start, router.id), traffic=True)
    enter_way_back(r, undo, old)
    for container_id in new:  # which hold the ports that the old ones need
        undo.add("ending the new container", partial(let_go, r.engine, app, container_id), traffic=True)
    stopped_at = r.clock()
    for container in old:
        r.output.line(f"stopping {container.name} {version_of(container)}")
    stop_old(r, [*routers, *old])  # side by side: the router keeps connections, and an app may end when they are closed
    r.output.line(f"starting {app.container} {r.release.version}")
    for container_id in new:
        r.engine.start(container_id)
    for container_id in new:
        r.wait_healthy(container_id)
    return r.clock() - stopped_at if old else None


def _retire(r: Rollout, new: Sequence[str]) -> None:
    """Give the app's name to the new release and remove what gitdeploy made before; the new release serves already."""
    with left_to_the_next(r.output):
        if first := r.engine.container(new[0]):
            take_name(r.engine, r.release.app, first)
        _remove(r, [c.id for c in r.containers() if c.id not in new])
        discard(r.engine, r.release.app)


def _remove(r: Rollout, containers: Sequence[str]) -> None:
    for container in containers:
        r.engine.remove(container, force=True)
