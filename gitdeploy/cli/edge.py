"""`gitdeploy edge` shows where domains lead and how long their certificates last; `gitdeploy edge apply` puts both right."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gitdeploy.cli.installation import make_site
from gitdeploy.cli.tables import table
from gitdeploy.terminal.redact import harmless

if TYPE_CHECKING:
    from gitdeploy.edge.standingnames import StandingName


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("what", nargs="?", choices=("show", "apply"), default="show", help="show (the default) | apply")
    parser.add_argument("--tick", action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show, or bring the edge to what config.toml and the releases ask for; return 0."""
    site = make_site(environ)
    if arguments.tick:
        from gitdeploy.cli.schedule import unattended  # noqa: PLC0415
        from gitdeploy.worker.edgetick import do_what_is_due  # noqa: PLC0415

        return unattended(site, "the edge", lambda state, stop: do_what_is_due(site, state, stop))
    with site.open_state() as state:
        edge = site.edge(site.load_config(), state, site.connect)
        if arguments.what == "apply":
            from gitdeploy.cli.prune import Printed  # noqa: PLC0415
            from gitdeploy.intake.cancelling import stop_on_sigterm  # noqa: PLC0415
            from gitdeploy.worker.schedules import mark  # noqa: PLC0415

            mark(site.home)
            edge.refresh(Printed(harmless), stop_on_sigterm(), anyway=True)
        names = edge.names()
    if not names:
        print('no app has domains: domains = ["shop.example.com"] in its table of config.toml')
        return 0
    print(table(["DOMAIN", "LEADS TO", "CERTIFICATE"], [_row(name, time.time()) for name in names]))
    for name in names:
        if name.trouble:
            print(f"{name.domain}: {harmless(name.trouble)}")
    return 0


def _row(name: StandingName, now: float) -> list[str]:
    days = (name.ends - now) / 86400
    certificate = f"{days:.0f} days" if name.ends else ("none yet" if name.tls else "no TLS")
    return [name.domain + name.path, name.leads_to or "nothing yet", certificate]
