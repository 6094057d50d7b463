"""`gitdeploy scale APP [PROCESS=NUMBER …]`: sets how many containers of a process run, without a deployment."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Mapping

from gitdeploy.cli.installation import make_site
from gitdeploy.cli.prune import Printed
from gitdeploy.cli.stop import in_service
from gitdeploy.cli.tables import table
from gitdeploy.cli.who import audit
from gitdeploy.config import snapshot
from gitdeploy.config.model import App
from gitdeploy.config.scale import CONFIGURED, parse_counts, scaled
from gitdeploy.config.secretfile import whole_env
from gitdeploy.errors import UsageError
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.release import Release
from gitdeploy.releases.retention import live_image
from gitdeploy.releases.state import State
from gitdeploy.targets.target import Incoming
from gitdeploy.worker.site import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    what = f"worker=3; worker=0 ends it; worker={CONFIGURED} forgets the number; none: show them"
    parser.add_argument("counts", nargs="*", metavar="PROCESS=NUMBER", help=what)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Scale, or show how many run; return 0."""
    site = make_site(environ)
    with in_service(site, arguments.app) as (state, live, found):
        app = found
        counts = parse_counts(arguments.counts, app)
        if counts and state.stopped(app.name):
            raise UsageError(f"{app.name} is out of service", f"gitdeploy start {app.name} brings it back")
        for process, count in counts.items():
            if count is None:
                state.set_scale(app.name, process, None)
                print(f"{process}: as the configuration says, from the next deployment on")
                continue
            app = scaled(app, {process: count})
            _resize(site, live, app, process)
            state.set_scale(app.name, process, count, live.id, snapshot.dump(app))
            audit(site, environ, "scale", verdict="done", app=app.name, deployment=live.id, reason=f"{process}={count}")
        _show(site, state, app)
    return 0


def _resize(site: Site, live: Deployment, app: App, process: str) -> None:
    """Bring one process to the number that `app` says."""
    engine = site.connect()
    target = site.target(lambda: engine)
    image = live_image(engine, app, live)
    serves = target.serving(app) or live.id
    target.resize(
        Incoming(
            release=Release(serves, app.of_process(process), live.version, live.commit_id, image.id),
            image=image,
            env=whole_env(app, site.proxies()),
            output=Printed(),
            cancel=threading.Event(),
            published=lambda: None,
        )
    )


def _show(site: Site, state: State, app: App) -> None:
    """Print what runs of each process."""
    asked = state.scales(app.name)
    rows = [
        [one.process, f"{one.running} of {one.wanted}", "scale" if one.process in asked else CONFIGURED]
        for one in site.target(site.connect).processes(app)
    ]
    print(table(["PROCESS", "RUN", "BY"], rows))
