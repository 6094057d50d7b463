"""`gitdeploy deploy APP [REF]`: deploys a ref, or any commit, as a push of it would."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.cli.follow import submit
from gitdeploy.cli.installation import enrolled_app, make_site
from gitdeploy.cli.who import user_name
from gitdeploy.intake.choice import full_patterns
from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.intake.spool import new_name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("app", metavar="APP", help="owner/repo")
    parser.add_argument("ref", nargs="?", metavar="REF", help="branch, tag or commit; the app's first branch if left out")
    parser.add_argument("-o", "--option", action="append", default=[], metavar="OPTION", help="as with git push -o")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Deploy in the foreground; return 0, or how it failed."""
    site = make_site(environ)
    site.readers.warm()
    app = enrolled_app(arguments.app, site)
    path = site.repository(app)
    ref = arguments.ref or full_patterns(app.branch)[0]
    with site.readers.open(path) as repository:
        commit = repository.resolve(ref)
        full = next(
            (name for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}") if repository.tip(name)), "refs/gitdeploy/commit"
        )
    record = PushRecord(
        name=new_name(site.now()),
        app=app.name,
        repo=str(path),
        refs=(RefUpdate("0" * len(commit.id), commit.id, full),),
        user=user_name(environ),
        options=tuple(arguments.option),
        trigger="deploy",
    )
    return submit(site, record, environ)
