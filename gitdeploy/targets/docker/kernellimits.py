"""Limits that an app asks for and the engine's kernel may not be able to hold: the engine would leave them out in silence."""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import StageFailed


def require_limits(engine: Engine, app: App) -> None:
    """Raise StageFailed if the engine would run the app's containers without a limit that config.toml asks for by name."""
    run = app.run
    asked = {"run.memory_swap": run.memory_swap > 0, "run.cpu_shares": run.cpu_shares, "run.cpuset": run.cpuset}
    wanted = {key for key, value in asked.items() if value}
    if missing := sorted(wanted.intersection(engine.info().ignored)) if wanted else []:
        hint = "take it out, or see `docker info` and give the kernel what it lacks (for swap: swapaccount=1 at its start)"
        raise StageFailed(f"{', '.join(missing)}: this engine's kernel holds no such limit", hint)
