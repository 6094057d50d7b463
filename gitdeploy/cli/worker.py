"""`gitdeploy worker [--once|--watch]`: what the hook and the agent run."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from gitdeploy import __version__
from gitdeploy.agent.prepare import AGENT_VERSION
from gitdeploy.cli.installation import make_site
from gitdeploy.errors import UnfitError
from gitdeploy.intake.cancelling import stop_on_sigterm
from gitdeploy.releases.state import State
from gitdeploy.worker.site import Site
from gitdeploy.worker.supervisor import BUSY, STOPPED, Supervisor

PATIENCE = 2.0
"""Seconds between two looks for a Git server that is not set up yet."""

HEARTBEAT = 10.0
"""Seconds between two signs of life."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--once", action="store_true", help="until nothing waits (the default)")
    mode.add_argument("--watch", action="store_true", help="stay, and wait for pushes")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Work; return 0, 1 if an app's work could not be done, or STOPPED."""
    site = _site(environ, patient=arguments.watch)
    unfinished: frozenset[str] = frozenset()
    if arguments.watch:
        _warm_up()
    if (site.home / "state.db").exists():
        with site.open_state() as state:
            unfinished = frozenset(deployment.app for deployment in state.unfinished())
            if arguments.watch:
                unfinished |= _apps_that_hold(state)
    supervisor = Supervisor(site.spool, _child(site), _watcher(site), _heartbeat(site), _note(site))
    return supervisor.run(unfinished, watch=arguments.watch)


def _note(site: Site) -> Callable[[str], None]:
    """Write a line, and the traceback of what is being handled, to gitdeploy's log."""

    def note(text: str) -> None:
        from gitdeploy.terminal import console  # noqa: PLC0415

        console.setup(site.home / "logs" / "gitdeploy.log", stderr=site.mode == "agent")
        console.crash(text) if sys.exc_info()[0] else console.note(text)

    return note


def _site(environ: Mapping[str, str], *, patient: bool) -> Site:
    """Return the installation; to watch, waits for a Git server that is not set up yet."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0 if patient else STOPPED))
    told = ""
    while True:
        try:
            site = make_site(environ)
            site.homes()  # an app.ini that cannot be read must not be the end of every push that waits
            return site
        except UnfitError as error:
            if not patient or not environ.get("GITDEPLOY_HOME"):
                raise
            if told != error.reason:
                told = error.reason
                print(f"waiting: {error.reason}\n    {error.hint}", file=sys.stderr, flush=True)
        time.sleep(PATIENCE)


def _heartbeat(site: Site) -> Callable[[], None]:
    """Show in agent mode that the agent is alive, and of which version."""
    path = site.home / AGENT_VERSION
    if site.mode != "agent":
        return lambda: None
    path.write_text(f"{__version__}\n")
    beaten = time.monotonic()

    def beat() -> None:
        nonlocal beaten
        if time.monotonic() - beaten >= HEARTBEAT:
            beaten = time.monotonic()
            path.touch()

    return beat


def _watcher(site: Site) -> Callable[[], int]:
    """Return the process that watches refs, hooks and what should run."""

    def watch() -> int:
        site.readers.warm()
        from gitdeploy.intake.bell import ring  # noqa: PLC0415
        from gitdeploy.terminal import console  # noqa: PLC0415
        from gitdeploy.worker.watcher import Watcher  # noqa: PLC0415

        console.setup(site.home / "logs" / "gitdeploy.log", stderr=site.mode == "agent")
        threading.Thread(target=_keep_up, args=(site,), name="keeper", daemon=True).start()
        if site.mode == "agent":  # else a timer looks, see install.sh
            threading.Thread(target=_keep_time, args=(site,), name="schedules", daemon=True).start()
        try:
            with site.open_state() as state:
                Watcher(site, state, lambda: ring(site.spool.shared)).run()
        except Exception:
            console.crash("watching failed")
        return 1

    return watch


def _keep_up(site: Site) -> None:
    """Bring back what should run and does not, until this process ends."""
    from gitdeploy.terminal import console  # noqa: PLC0415
    from gitdeploy.worker.keeper import Keeper  # noqa: PLC0415

    try:
        with site.open_state() as state:
            Keeper(site, state).run()
    except Exception:
        console.crash("keeping apps up failed")


def _keep_time(site: Site) -> None:
    """Look what is due of schedules, until this process ends."""
    from gitdeploy.cli.schedule import start, start_edge  # noqa: PLC0415
    from gitdeploy.worker.edgetick import look_at_edge  # noqa: PLC0415
    from gitdeploy.worker.schedules import each_minute, tick  # noqa: PLC0415

    def look() -> None:
        with site.open_state() as state:
            tick(site, state, start)
            look_at_edge(site, state, start_edge)

    each_minute(site, look)


def _warm_up() -> None:
    """Import what every deployment needs, once, before the forks."""
    import gitdeploy.cli.engineway  # noqa: PLC0415
    import gitdeploy.engine.buildkit  # noqa: PLC0415
    import gitdeploy.engine.scoped  # noqa: PLC0415
    import gitdeploy.worker.appworker  # noqa: F401, PLC0415
    from gitdeploy.targets.known import warm  # noqa: PLC0415

    warm()


def _apps_that_hold(state: State) -> frozenset[str]:
    from gitdeploy.worker.leftovers import apps_that_hold  # noqa: PLC0415

    return apps_that_hold(state)


def _admit(site: Site, app: str) -> bool:
    from gitdeploy.cli.enrol import enrol_newcomer  # noqa: PLC0415 - hardly any push is a newcomer's

    return enrol_newcomer(site, app)


def _child(site: Site) -> Callable[[str], int]:
    """Return the work of one app's process: imports come here, so that a worker with nothing to do starts fast."""

    def work(app: str) -> int:
        site.readers.warm()
        from gitdeploy.terminal import console  # noqa: PLC0415
        from gitdeploy.worker.appworker import Worker  # noqa: PLC0415

        stop = stop_on_sigterm()
        console.setup(site.home / "logs" / "gitdeploy.log", stderr=site.mode == "agent")
        try:
            while True:
                with site.spool.lock(app, patience=0.1) as got:
                    if not got:
                        return BUSY
                    with site.open_state() as state:
                        left = Worker(site, app, state, stop, partial(_admit, site)).run()
                waiting = {record.name for record in site.spool.pending()[0] if record.app == app}
                if stop.is_set() or waiting <= left:  # a push that came between the last look and the lock's end
                    return 0
        except UnfitError as error:  # the machine's doing, not a defect: a line says it all
            console.note(f"the worker of {app} cannot go on: {error.reason}")
            return 1
        except Exception:
            console.crash(f"the worker of {app} failed")
            return 1

    return work
