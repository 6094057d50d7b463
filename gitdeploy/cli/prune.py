"""`gitdeploy prune [APP]`: removes releases beyond `retain.releases`, and build cache beyond `retain.build_cache`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.afterwards import HISTORY
from gitdeploy.cli.context import enrolled_app, make_site
from gitdeploy.cli.who import audit
from gitdeploy.retention import prune
from gitdeploy.rollout.recovery import release_held


class _Print:
    """An `Output` on the terminal."""

    def line(self, text: str, *, detail: bool = False) -> None:
        print(text)

    def progress(self, key: str, text: str) -> None:
        pass


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo; all apps if left out")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Prunes; returns 0."""
    site = make_site(environ)
    apps = [enrolled_app(arguments.app, site)] if arguments.app else list(site.load_config().apps.values())
    engine = site.connect()
    with site.open_state() as state:
        for app in apps:
            with site.spool.lock(app.name) as got:
                if not got:
                    print(f"{app.name}: a deployment is running, which prunes at its end")
                    continue
                release_held(engine, app, _Print(), site.now())
                freed = prune(engine, app, state.history(app.name, HISTORY), state.forget, _Print())
                print(f"{app.name}: {freed}")
                audit(site, environ, "prune", verdict="done", app=app.name, reason=str(freed))
    return 0
