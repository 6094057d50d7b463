"""The apps: whether what is live of each really runs, and its accessories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitdeploy.config import snapshot
from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.errors import GitdeployError
from gitdeploy.releases.state import State
from gitdeploy.targets.target import Target


def examine_apps(apps: Iterable[App], state: State, target: Target) -> Iterator[Finding]:
    """Look at each app that was deployed."""
    good = 0
    for app in apps:
        live = state.live(app.name)
        running = snapshot.load(live.config) if live else None
        if live is None or running is None:
            continue
        try:
            wrong = target.condition(running)
            beside = target.accessories.look(app)
        except GitdeployError as error:
            yield from_error("app", error, app=app.name)
            continue
        for one in beside:
            if one.configured and one.wrong:
                yield Finding(
                    "error",
                    "app",
                    f"accessory {one.name}: {one.wrong}",
                    f"gitdeploy accessory {app.name} {one.name} start",
                    app.name,
                )
            elif not one.configured:
                fix = f"gitdeploy accessory {app.name} {one.name} remove, which keeps its volumes, or give it its table again"
                yield Finding(
                    "warning", "app", f"accessory {one.name} runs and has no table in config.toml any more", fix, app.name
                )
        good += not wrong
        if wrong and state.stopped(app.name):
            fix = f"gitdeploy start {app.name}"
            yield Finding("warning", "app", f"{live.version} is out of service (gitdeploy stop)", fix, app.name)
        elif wrong:
            fix = f"see its last lines (docker logs), start it (docker start), or: gitdeploy deploy {app.name}"
            yield Finding("error", "app", f"{live.version} is live, and {wrong}", fix, app.name)
    if good:
        yield Finding("ok", "app", f"apps that run: {good}")
