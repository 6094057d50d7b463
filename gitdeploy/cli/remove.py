"""`gitdeploy remove APP`: takes the hook out of a repository and puts back what was there; the running app is left alone."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.cli.context import make_site
from gitdeploy.enrol import remove
from gitdeploy.errors import UsageError
from gitdeploy.records import TAKEN_OUT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Removes; returns 0."""
    site = make_site(environ)
    name = arguments.app.lower()
    app = site.load_config().apps.get(name)
    repository = site.repository(app) if app else site.find_repository(name, "")
    done = remove(site.data, repository)
    with site.open_state() as state:
        state.remember(name, TAKEN_OUT)
    if not done.found:
        raise UsageError(f"{name} is not enrolled: {repository} has no hook of gitdeploy")
    print(f"{name}: hook removed from {repository}; its container runs on")
    if done.restored:
        print(f"{name}: the earlier hook is back: {done.restored}")
    if done.left:
        print(f"{name}: {done.left} is not gitdeploy's and was left alone")
    return 0
