"""What the pusher reads at the end. Pure."""

from __future__ import annotations

from gitdeploy.config.model import App
from gitdeploy.errors import GitdeployError
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.release import address
from gitdeploy.targets.target import Outcome


def opening(deployment: Deployment) -> str:
    """Return the first line: what is deployed, and as which deployment."""
    ref = deployment.ref.removeprefix("refs/heads/").removeprefix("refs/")
    what = f"{ref} at {deployment.commit_id[:12]}" if ref else deployment.trigger
    by = f" by {deployment.pusher}" if deployment.pusher else ""
    return f"gitdeploy: {deployment.app}: {what}{by} (deployment {deployment.id})"


def success(app: App, version: str, host: str, seconds: float, outcome: Outcome) -> str:
    """Return the last line of a deployment that went well, which took so many seconds."""
    outage = outcome.outage
    gap = "" if outage is None else f", outage {outage:.1f} s" if outage else ", no outage"
    return f"{app.name} {version} is live at {outcome.place or address(app, host)} ({seconds:.1f} s{gap})"


def failure(error: GitdeployError, deployment: Deployment, live: Deployment | None, *, lost: bool = False) -> list[str]:
    """Return the last lines of one that did not: step, reason, last lines, what to do, what serves; `lost`: not even `live`."""
    version = f" {deployment.version}" if deployment.version else ""
    verb = "was cancelled" if type(error).__name__ == "Cancelled" else "FAILED"
    stage = f" at {error.stage}" if error.stage else ""
    first, *more = error.reason.splitlines() or ["unknown reason"]
    lines = ["", f"{deployment.app}{version} {verb}{stage}: {first}"]
    lines += [f"    {line}" for line in more]
    if error.tail:
        lines += ["    last lines:", *(f"    | {line}" for line in error.tail)]
    if error.hint:
        lines.append(f"    what to do: {error.hint}")
    serves = f"{live.version} still serves" if live else "nothing was live before, and nothing is now"
    if live and lost:
        serves = f"{live.version} DOES NOT SERVE any more: run gitdeploy deploy {deployment.app}"
    lines.append(f"    {serves}; the whole log: gitdeploy logs {deployment.app} {deployment.id}")
    return lines
