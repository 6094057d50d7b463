"""Whether a container with a release's options can start at all, asked before anything is stopped for it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import EngineError
from gitdeploy.releases.release import APP, ROLE, process_label
from gitdeploy.targets.docker.rollout.incoming import Rollout

PROGRAM = "/gitdeploy-rehearsal"
"""What the container would run. Images have no such file: the engine does all that it does for a start, and fails at this."""

AT_START = (
    *("user", "group_add", "workdir", "tmpfs", "ulimits", "sysctls", "oom_score_adj", "security_opt", "privileged", "devices"),
    *("gpus", "cap_add", "ipc", "pid", "userns", "runtime", "log_driver"),
)
"""Fields of `Run` that an engine looks at when a container starts; at the others it looks when it makes one."""


def rehearse(r: Rollout) -> None:
    """Raise EngineError if the engine cannot start a container with the options of this release."""
    app = r.release.app
    if not any(getattr(app.run, name) for name in AT_START):
        return
    name = f"{app.container}.0.check"
    r.engine.remove(name, force=True)
    run = replace(app.run, entrypoint=(PROGRAM,), command=(), init=False, mac_address="", labels={})
    spec = ContainerSpec(name, r.release.image, labels={APP: app.name, ROLE: "check", **process_label(app)}, run=run)
    container = r.engine.create(spec)
    try:
        r.engine.start(container)
    except EngineError as error:
        if PROGRAM not in error.reason:
            raise
    finally:
        with suppress(EngineError):  # what is left over is removed by the next one
            r.engine.remove(container, force=True)
