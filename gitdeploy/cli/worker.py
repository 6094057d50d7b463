"""`gitdeploy worker [--once|--watch]`: what the hook and the agent run."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Mapping

from gitdeploy.cancel import CancelFlag
from gitdeploy.cli.context import make_site
from gitdeploy.site import Site
from gitdeploy.supervisor import BUSY, Supervisor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--once", action="store_true", help="until nothing waits (the default)")
    mode.add_argument("--watch", action="store_true", help="stay, and wait for pushes")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Works; returns 0."""
    site = make_site(environ)
    unfinished: frozenset[str] = frozenset()
    if (site.home / "state.db").exists():
        with site.open_state() as state:
            unfinished = frozenset(deployment.app for deployment in state.unfinished())
    if arguments.watch:
        _warm_up()
    Supervisor(site.spool, _child(site)).run(unfinished, watch=arguments.watch)
    return 0


def _warm_up() -> None:
    """Imports what every deployment needs, once, before the forks."""
    import gitdeploy.engine.client  # noqa: PLC0415
    import gitdeploy.worker  # noqa: F401, PLC0415


def _child(site: Site) -> Callable[[str], int]:
    """The work of one app's process: imports come here, so that a worker with nothing to do starts fast."""

    def work(app: str) -> int:
        from gitdeploy import console  # noqa: PLC0415
        from gitdeploy.worker import Worker  # noqa: PLC0415

        stop = CancelFlag()
        signal.signal(signal.SIGTERM, lambda *_: stop.set("stop"))
        console.setup(site.home / "logs" / "gitdeploy.log")
        try:
            while True:
                with site.spool.lock(app) as got:
                    if not got:
                        return BUSY
                    with site.open_state() as state:
                        left = Worker(site, app, state, stop).run()
                waiting = {record.name for record in site.spool.pending()[0] if record.app == app}
                if stop.is_set() or waiting <= left:  # a push that came between the last look and the lock's end
                    return 0
        except Exception as error:
            console.crash(f"the worker of {app} failed: {error}")
            return 1

    return work
