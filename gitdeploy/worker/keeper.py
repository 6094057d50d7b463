"""Brings back what should run and does not, when the agent starts and whenever the engine has come back.

The engine's own restart policies do nearly all of that. This is for the rest: containers of older gitdeploys, which a crash of
the engine leaves down, what could not start with the engine, and what a person stopped without `gitdeploy stop`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from gitdeploy.config import snapshot
from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import LASTING, PERISHABLE
from gitdeploy.errors import ConfigError, EngineError, EngineGone, UnfitError
from gitdeploy.releases.state import State
from gitdeploy.terminal import console as log
from gitdeploy.worker.leftovers import Note
from gitdeploy.worker.site import Site

PATIENCE = 2.0
"""Seconds between two tries to reach an engine that is away."""

FOR_EVER = 86400.0
"""Seconds; what is to run is looked at again after it, whatever the engine does."""


class Keeper:
    """Keeps the apps of one installation up."""

    def __init__(self, site: Site, state: State, pause: Callable[[float], object] = time.sleep) -> None:
        self.site = site
        self.state = state
        self._pause = pause

    def run(self) -> None:
        """Look after each start of the engine, for ever."""
        while True:
            try:
                engine = self.site.connect()
            except UnfitError:
                self._pause(PATIENCE)
                continue
            try:
                self.look(engine)
                engine.await_end(FOR_EVER)
            except EngineError as error:  # what stands before the engine lets nobody wait for its end
                log.note(f"whether the engine starts again cannot be seen: {error.reason}")
                return
            finally:
                engine.close()
            self._pause(PATIENCE)

    def look(self, engine: Engine) -> None:
        """Look once at every app that is in service; what is done, and what goes wrong, goes to gitdeploy's log."""
        with self._noting("the agent"):
            self._keep_the_agent(engine)
        target = self.site.target(lambda: engine)
        for name in self.state.apps():
            with self._noting(name), self.site.spool.lock(name, patience=0.1) as got:
                app = self._in_service(name)
                if got and app:  # else its worker has it, or it is not to run
                    target.keep_up(app, Note(name))

    def _keep_the_agent(self, engine: Engine) -> None:
        """Give the agent's own container another policy, too, if an older gitdeploy started it."""
        own = engine.container(self.site.container) if self.site.container else None
        if own and own.restart == PERISHABLE:
            engine.set_restart(own.id, LASTING)
            log.note(f"the agent's container {own.name} has the restart policy {LASTING} now, in place of {PERISHABLE}")

    def _in_service(self, name: str) -> App | None:
        """Return the configuration of what is live, `restart` as config.toml has it now; None if it is not to run."""
        live = self.state.live(name)
        app = snapshot.load(live.config) if live else None
        if app is None or self.state.stopped(name) or self.state.unfinished(name):
            return None
        try:
            now = self.site.load_config(name).apps.get(name)
        except ConfigError:
            return None
        return replace(app, restart=now.restart) if now else None

    @contextmanager
    def _noting(self, about: str) -> Iterator[None]:
        """Note a failure of the block: whatever one app brings up concerns that one."""
        try:
            yield
        except EngineGone as error:  # it is back soon, and looked at then
            log.note(f"{about}: {error.reason}")
        except Exception as error:
            log.note(f"{about} is not kept up: {error}")
