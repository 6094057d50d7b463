"""Which repository an app is: a deleted one's table in config.toml does not go to the next repository of that name.

Enrolment writes a random token into the repository's gitdeploy.conf, which no push reaches and which a rename or a backup takes
along; state.db remembers it. An app that was enrolled by an older gitdeploy is bound to the repository that is used first.
"""

from __future__ import annotations

from pathlib import Path

from gitdeploy.config.model import App, Config
from gitdeploy.errors import ConfigError, UsageError
from gitdeploy.gitserver.hookconf import token_of
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site


def configured(config: Config, name: str) -> App:
    """Return an app of the config. Raises ConfigError if it has no table there, or another name."""
    if app := config.apps.get(name):
        return app
    if renamed := next((other.name for other in config.apps.values() if name in other.formerly), ""):
        problem = f"{name} is called {renamed} now, and its repository does not know yet"
        raise ConfigError([problem], f"run on the server: gitdeploy rename {name} {renamed}")
    problem = f'{config.source}: expected a table [apps."{name}"], found none: this repository is not enrolled'
    raise ConfigError([problem], f"run install.sh --repo {name} --image IMAGE, or add the table by hand")


def require_same(state: State, app: str, repository: Path) -> None:
    """Raise UsageError if the app was enrolled from another repository than this one."""
    bound = state.bound(app)
    if bound and token_of(repository) != bound:
        reason = f"{repository} is another repository than the one that was enrolled as {app}"
        raise UsageError(reason, f"if it is to take that one's place, run on the server: gitdeploy enrol {app}")


def bound_repository(site: Site, state: State, app: App, config: Config, seen: str) -> Path:
    """Return the app's repository, its hook up to date; `seen` is where the push record says it is. Raises UsageError."""
    path = site.repository(app, seen)
    require_same(state, app.name, path)
    site.refresh_hook(app, config, path)
    remember(state, app.name, path)
    return path


def remember(state: State, app: str, repository: Path) -> None:
    """Bind the app to this repository, which has been enrolled, if it is bound to none."""
    if not state.bound(app) and (token := token_of(repository)):
        state.bind(app, token)


def rebind(state: State, app: str, repository: Path) -> None:
    """Bind the app to this repository, whatever it was bound to: the server's owner said so."""
    if (token := token_of(repository)) != state.bound(app):
        state.bind(app, token)
