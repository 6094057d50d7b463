"""Looking after the edge once a minute: routes that have changed in config.toml, certificates that are due."""

from __future__ import annotations

from collections.abc import Callable

from gitdeploy.errors import ConfigError, GitdeployError
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.releases.state import State
from gitdeploy.terminal import console as log
from gitdeploy.worker.leftovers import Note
from gitdeploy.worker.schedules import mark
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


def do_what_is_due(site: Site, state: State, stop: CancelFlag) -> None:
    """Do it, unless another process does; what is done, and what goes wrong, goes to gitdeploy's log."""
    with site.spool.lock(LOOKING) as got:
        if not got:
            return
        try:
            site.edge(site.load_config(), state, site.connect).refresh(Note("edge"), stop)
        except GitdeployError as error:
            log.note(f"edge: {error.reason}")
