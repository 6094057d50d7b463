"""`gitdeploy prune [APP]`: removes releases beyond `retain.releases`, and build cache beyond `retain.build_cache`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from gitdeploy.cli.installation import enrolled_app, make_site
from gitdeploy.cli.who import audit, complain
from gitdeploy.config.model import App
from gitdeploy.engine.protocol import Engine
from gitdeploy.releases.retention import prune
from gitdeploy.releases.state import State
from gitdeploy.worker.afterwards import HISTORY
from gitdeploy.worker.site import Site


class Printed:
    """An `Output` on the terminal."""

    def __init__(self, hide: Callable[[str], str] = str) -> None:
        """Take what hides secrets in a text."""
        self._hide = hide

    def line(self, text: str, *, detail: bool = False) -> None:
        print(self._hide(text))

    def progress(self, key: str, text: str) -> None:
        pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo; all apps if left out")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Prune; return 0, or the exit status of the last failure among all."""
    site = make_site(environ)
    apps = [enrolled_app(arguments.app, site)] if arguments.app else list(site.load_config().apps.values())
    engine, status = site.connect(), 0
    with site.open_state() as state:
        for app in apps:
            try:
                _prune(site, engine, state, app, environ)
            except Exception as error:
                if arguments.app:
                    raise
                status = complain(site, app.name, error)
    return status


def _prune(site: Site, engine: Engine, state: State, app: App, environ: Mapping[str, str]) -> None:
    with site.spool.lock(app.name) as got:
        if not got:
            print(f"{app.name}: a deployment is running, which prunes at its end")
            return
        target = site.target(lambda: engine)
        target.settle(app, Printed())
        target.sweep(app, Printed())
        freed = prune(
            engine,
            app,
            state.history(app.name, HISTORY),
            used=target.images_in_use(),
            forget=state.forget,
            output=Printed(),
        )
        print(f"{app.name}: {freed}")
    audit(site, environ, "prune", verdict="done", app=app.name, reason=str(freed))
