"""What starts again with the engine, and what does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding
from gitdeploy.engine.types import PERISHABLE, Container
from gitdeploy.releases.release import APP


def judge_policies(containers: Iterable[Container], apps: Mapping[str, App]) -> Iterator[Finding]:
    """Yield which containers would stay down after a crash of the engine, though config.toml does not say so. Pure."""
    for container in containers:
        app = apps.get(container.labels.get(APP, ""))
        if app and container.running and container.restart == PERISHABLE != app.restart:
            found = f"{container.name} has the restart policy {PERISHABLE}: it stays down if the engine crashes"
            later = f"an agent's next start and the next deployment give it {app.restart}"
            fix = f"at once, and nothing is restarted by it: docker update --restart {app.restart} {container.name}; {later}"
            yield Finding("warning", "restart policy", found, fix, app.name)
