"""`gitdeploy config check|show [APP]`: whether config.toml is right, and what applies to an app."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from gitdeploy.cli.context import enrolled_app, make_site
from gitdeploy.config.show import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verb's arguments."""
    parser.add_argument("action", choices=["check", "show", "reference"], help="reference: every key with its default")
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo; all apps if left out")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Checks or shows; returns 0, raises ConfigError for a config in error."""
    if arguments.action == "reference":
        from gitdeploy.config.reference import reference  # noqa: PLC0415

        print(reference(), end="")
        return 0
    site = make_site(environ)
    config = site.load_config()
    apps = [enrolled_app(arguments.app, site)] if arguments.app else list(config.apps.values())
    if arguments.action == "check":
        print(f"{config.source}: {len(config.apps)} apps, no mistakes")
    else:
        print("\n".join(show(app) for app in apps), end="")
    return 0
