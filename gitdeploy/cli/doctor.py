"""`gitdeploy doctor [--json]`: finds what is wrong with this installation, and says how to put it right."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from gitdeploy.cli.engineway import scope
from gitdeploy.cli.gitside import hook_conf
from gitdeploy.cli.installation import become
from gitdeploy.doctor.examine import Examination, Installation
from gitdeploy.doctor.finding import as_json, as_text, exit_status
from gitdeploy.engine.client import DEFAULT_HOST, connect
from gitdeploy.engine.credentials import load as load_credentials
from gitdeploy.gitserver.hookconf import Mode
from gitdeploy.worker.installationid import read_id


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="for monitoring")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print what it finds; return 0 if nothing is broken, else 3."""
    findings = Examination(_installation(environ)).run()
    print(json.dumps(as_json(findings), indent=2) if arguments.json else as_text(findings))
    return exit_status(findings)


def _installation(environ: Mapping[str, str]) -> Installation:
    """Return the installation that GITDEPLOY_HOME names, however much is wrong with it: `make_site` wants more of one."""
    home = Path(environ["GITDEPLOY_HOME"]).absolute() if environ.get("GITDEPLOY_HOME") else None
    os.umask(0o077)
    with contextlib.suppress(OSError):  # it is not there, or may not be looked at: a finding of its own
        if home:
            become(home)
    mode: Mode = "agent" if environ.get("GITDEPLOY_MODE") == "agent" else "direct"
    return Installation(
        home=home,
        shared=Path(environ["GITDEPLOY_DATA"]) / "gitdeploy" if environ.get("GITDEPLOY_DATA") else None,
        mode=mode,
        host=environ.get("DOCKER_HOST") or DEFAULT_HOST,
        connect=lambda: connect(environ, scope(home, read_id(home)) if home else None),
        credentials=lambda app: load_credentials(environ, app.push.auth_file),
        hook_conf=lambda app, config, homes: hook_conf(app, config, homes, mode),
        now=time.time,
    )
