"""Stopping containers that served, and the way back to them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import NEVER, Container
from gitdeploy.targets.check import Check
from gitdeploy.targets.docker.health import Waiter
from gitdeploy.targets.docker.rollout.found import version_of
from gitdeploy.targets.docker.rollout.incoming import Rollout
from gitdeploy.targets.router.haproxycfg import published_ports
from gitdeploy.targets.router.takeover import put_back
from gitdeploy.targets.undo import Undo

KILLED = 137
"""Exit code after SIGKILL, as a shell would tell of it."""


def enter_way_back(r: Rollout, undo: Undo, leaving: Sequence[Container]) -> None:
    """Enter that containers which are about to be stopped are all started again, and then waited for."""
    app = r.release.app
    waiter = Waiter(r.engine, NEVER, r.clock, lambda: "")

    def wait(container: Container) -> None:
        own = [port.container_port for port in container.publish if port.protocol == "tcp"]
        ports = own or published_ports(app)
        waiter.wait(container.id, Check("tcp", ports[0]) if ports else r.check, app.health)
        r.output.line(f"{container.name} {version_of(container)} serves again")

    for container in leaving:
        undo.add(f"waiting for {container.name}", partial(wait, container), traffic=True)
    for container in leaving:
        undo.add(f"starting {container.name} again", partial(put_back, r.engine, app, container), traffic=True)


def stop_all(engine: Engine, containers: Sequence[Container], timeout: float | None) -> None:
    """Stop containers side by side: one that ignores its stop signal takes `timeout` seconds, or as long as it was made with.

    Raises EngineError.
    """
    with ThreadPoolExecutor(max(1, len(containers)), "stop") as pool:
        list(pool.map(lambda c: engine.stop(c.id, timeout), containers))


def remove_all(engine: Engine, containers: Sequence[Container], timeout: float) -> None:
    """Stop containers side by side, and remove them. Raises EngineError."""
    stop_all(engine, containers, timeout)
    for container in containers:
        engine.remove(container.id, force=True)


def stop_old(r: Rollout, containers: Sequence[Container]) -> None:
    """Stop containers of the app side by side, and tell which of them had to be killed. Raises EngineError."""
    timeout = r.release.app.stop_timeout
    began = r.clock()
    stop_all(r.engine, containers, timeout)
    if r.clock() - began < timeout:
        return
    for container in containers:
        now = r.engine.container(container.id)
        if now and now.exit_code == KILLED:
            r.output.line(f"{now.name} did not end within {timeout:.0f} s of its stop signal and was killed (stop_timeout)")
