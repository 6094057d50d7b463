"""Which of an app's waiting pushes is deployed, asked of its repository and of what was deployed before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gitdeploy.config.model import App
from gitdeploy.intake.choice import Choice, choose, full_patterns
from gitdeploy.intake.push import PushRecord
from gitdeploy.releases.state import State
from gitdeploy.source.reader import RemoteRepository


def choose_among(
    waiting: Sequence[PushRecord], app: App, repository: RemoteRepository, state: State, running: str = ""
) -> Choice:
    """Return what to do with the waiting records of an app, of which a commit may be running. Raises StageFailed, Cancelled."""
    return choose(
        waiting,
        full_patterns(app.branch),
        repository.tip,
        repository.holds,
        lambda commit: _unconcerned(app, repository, state, commit, running),
    )


def _unconcerned(app: App, repository: RemoteRepository, state: State, commit: str, running: str) -> str:
    """Return why a commit is nothing to the app, "" if it is.

    Compared is what was released last, not what a rollback brought back: a push that is another app's is no reason to
    deploy once more what was rolled back.
    """
    if app.paths and running and not repository.differ(running, commit, app.paths):
        return f"no file of {', '.join(app.paths)} differs from what is being deployed (paths in config.toml)"
    before = state.newest_release(app.name) if app.paths else None
    if before is None or not repository.holds(before.commit_id) or repository.differ(before.commit_id, commit, app.paths):
        return ""
    return f"no file of {', '.join(app.paths)} has changed since {before.version} (paths in config.toml)"


def as_asked(app: App, record: PushRecord) -> App:
    """Return the app as a record asks for it: who deploys by hand knows what container it takes the place of. Pure."""
    return replace(app, adopt=True) if record.trigger == "deploy" and app.adopt is None else app
