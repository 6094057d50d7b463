"""Whether what serves an app really runs: what is wrong with its containers, in words. Pure."""

from __future__ import annotations

from gitdeploy.config.model import WEB, App
from gitdeploy.engine.types import Container
from gitdeploy.targets.docker.rollout.found import Found, Group, started_at
from gitdeploy.targets.router.container import has_router
from gitdeploy.targets.router.takeover import serves_directly

SETTLED = 60.0
"""Seconds after which a container that its restart policy has started again counts as well."""


def condition(app: App, found: Found, group: Group | None, now: float) -> str:
    """Return what is wrong with an app, "" if all of it runs.

    Args:
        app: the configuration of what is live.
        found: what it has on the engine.
        group: the containers that serve, or served last.
        now: seconds since the epoch.
    """
    if group is None:
        return f"its {'' if app.process == WEB else f'{app.process} '}container is gone"
    wrong = [problem for container in group.containers if (problem := _wrong(container, group, now))]
    replicas = app.replicas if group.routed or (group.release and not app.publish) else 1
    if len(group.containers) < replicas:
        whose = "" if app.process == WEB else f"{app.process} "
        wrong.append(f"{replicas - len(group.containers)} of its {replicas} {whose}containers are gone")
    if group.routed and has_router(app) and not any(router.running for router in found.routers):
        stopped = next((f"{router.name} {_ended(router)}" for router in found.routers), "it is gone")
        wrong.append(f"nothing reaches it without its router: {stopped}")
    return "; ".join(wrong)


def _wrong(container: Container, group: Group, now: float) -> str:
    """Return what is wrong with one container that should serve."""
    if container.state == "restarting" or (container.running and container.restarts and now - started_at(container) < SETTLED):
        times = f"{container.restarts} time{'s' if container.restarts != 1 else ''}"
        return f"{container.name} ends and is started again ({times} so far)"
    if not container.running:
        return f"{container.name} {_ended(container)}"
    if container.health == "unhealthy":
        answers = [line for answer in container.health_log[-1:] for line in answer.splitlines()[:1]]
        return ": ".join([f"{container.name} is unhealthy", *answers])
    if not group.routed and not serves_directly(container):
        return f"{container.name} is cut off from its network"
    return ""


def _ended(container: Container) -> str:
    if container.state != "exited":
        return f"is {container.state}"
    memory = ", killed for using too much memory" if container.oom_killed else ""
    return f"has exited with code {container.exit_code}{memory}"
