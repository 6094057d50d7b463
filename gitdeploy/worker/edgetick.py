"""Looking after the edge once a minute: routes that have changed in config.toml, certificates that are due."""

from __future__ import annotations

from collections.abc import Callable

from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel
from gitdeploy.errors import ConfigError, GitdeployError
from gitdeploy.releases.state import State
from gitdeploy.terminal import console as log
from gitdeploy.worker.leftovers import Note
from gitdeploy.worker.schedules import fronted_apps, mark
from gitdeploy.worker.site import Site

LOOKING = "edge-apply"
"""The lock of the process that does what is due: orders may take minutes."""


def look_at_edge(site: Site, state: State, start: Callable[[], object]) -> None:
    """Start a process that does what is due, if anything is.

    Args:
        start: starts `gitdeploy edge apply --tick`.
    """
    if not (site.home / "edge").exists() or site.spool.locked(LOOKING):
        return
    try:
        config = site.load_config()
        if config.edge.git:
            mark(site.home)  # the Git server is no app that is live, and its certificate ends like any
        if site.edge(config, state, site.connect).is_due():
            start()
    except ConfigError:
        mark(site.home)  # whoever wrote the mistake is told by the next push, and what is led goes on being led
    except GitdeployError as error:
        log.note(f"edge: {error.reason}")


def do_what_is_due(site: Site, state: State, stop: Cancel) -> None:
    """Do it, unless another process does; what is done, and what goes wrong, goes to gitdeploy's log."""
    with site.spool.lock(LOOKING) as got:
        if got:
            lead_to_what_is_live(site, state, site.connect, stop)


def lead_to_what_is_live(site: Site, state: State, engine: Callable[[], Engine], stop: Cancel) -> None:
    """Lead all domains to what is live, if there are any; what goes wrong goes to gitdeploy's log."""
    if not (site.home / "edge").exists() and not any(fronted_apps(state)):
        return
    try:
        site.edge(site.load_config(), state, engine).refresh(Note("edge"), stop)
    except GitdeployError as error:
        log.note(f"edge: {error.reason}")
