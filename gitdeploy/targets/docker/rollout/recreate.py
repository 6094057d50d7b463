"""recreate: stop the old container, start the new one on its ports; the old one comes back if the new one fails.

Everything that can be done beforehand is: the gap is the old container's stop, the new one's start and its first good answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from gitdeploy.engine.types import Container
from gitdeploy.errors import EngineGone, GitdeployError
from gitdeploy.releases.release import APP
from gitdeploy.targets.docker.rollout.arrange import require_free_ports
from gitdeploy.targets.docker.rollout.context import Rollout
from gitdeploy.targets.docker.rollout.found import everyone, look_to_deploy, version_of
from gitdeploy.targets.docker.rollout.names import take_name
from gitdeploy.targets.docker.rollout.overlap import stop_all
from gitdeploy.targets.docker.rollout.takeover import put_back
from gitdeploy.targets.docker.router.container import discard
from gitdeploy.targets.target import Outcome


def recreate(r: Rollout) -> Outcome:
    """Brings the release live with an outage. On any failure the old containers serve again before the error leaves."""
    app = r.release.app
    found = look_to_deploy(r.engine, app)
    old = list(everyone(found.groups))
    if found.named and not found.named.labels.get(APP):
        r.output.line(f"adopting container {app.container}, which gitdeploy did not make ({found.named.image_ref})")
    require_free_ports(r, [*old, *found.routers])
    new: list[str] = []
    try:
        for replica in range(1, (1 if app.publish else app.replicas) + 1):
            new.append(r.engine.create(r.spec(replica)))
        r.require_published()
    except BaseException:
        _remove(r, new)
        raise
    return _swap(r, [c for c in old if c.running], [c for c in found.routers if c.running], new)


def _swap(r: Rollout, old: Sequence[Container], routers: Sequence[Container], new: Sequence[str]) -> Outcome:
    app = r.release.app
    stopped_at = r.clock()
    try:
        for container in old:
            r.output.line(f"stopping {container.name} {version_of(container)}")
        stop_all(r.engine, old, app.stop_timeout)
        for router in routers:
            r.engine.stop(router.id, 0)
        r.output.line(f"starting {app.container} {r.release.version}")
        for container_id in new:
            r.engine.start(container_id)
        for container_id in new:
            r.wait_healthy(container_id)
    except BaseException as error:
        _put_back(r, old, routers, new, error)
        raise
    outage = r.clock() - stopped_at
    _retire(r, new)
    return Outcome(outage if old else None)


def _retire(r: Rollout, new: Sequence[str]) -> None:
    """Gives the app's name to the new release and removes what gitdeploy made before; the new release serves already."""
    try:
        if first := r.engine.container(new[0]):
            take_name(r.engine, r.release.app, first)
        _remove(r, [c.id for c in r.containers() if c.id not in new])
        discard(r.engine, r.release.app)
    except EngineGone:
        raise  # recovery goes on from here
    except GitdeployError as error:
        r.output.line(f"the old release could not be removed yet: {error.reason}")


def _put_back(
    r: Rollout, old: Sequence[Container], routers: Sequence[Container], new: Sequence[str], error: BaseException
) -> None:
    """Starts the old containers again; what fails at that is added to the log, for the first error is the one to show."""
    try:
        _remove(r, new)
        put_back(r.engine, r.release.app, old)
        for router in routers:
            r.engine.start(router.id)
        for container in old:
            r.output.line(f"{container.name} {version_of(container)} serves again")
    except EngineGone:
        raise  # recovery goes on from here
    except GitdeployError as second:
        r.output.line(f"the old container could not be started again: {second.reason}")
        if isinstance(error, GitdeployError):
            error.hint = (
                f"the old container could not be started again ({second.reason}): run `docker start` by hand. {error.hint}"
            )


def _remove(r: Rollout, containers: Sequence[str]) -> None:
    for container in containers:
        r.engine.remove(container, force=True)
