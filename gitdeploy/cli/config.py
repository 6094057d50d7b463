"""`gitdeploy config check|show [APP]`: whether config.toml is right, and what applies to an app."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence

from gitdeploy.cli.installation import enrolled_app, make_site
from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.model import App
from gitdeploy.config.show import show
from gitdeploy.doctor.secrets import examine_secrets
from gitdeploy.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("action", choices=["check", "show", "reference"], help="reference: every key with its default")
    parser.add_argument("app", nargs="?", metavar="APP", help="owner/repo; all apps if left out")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Check or show; return 0, raise ConfigError for a config, or a file with secrets, in error."""
    if arguments.action == "reference":
        from gitdeploy.config.reference import reference  # noqa: PLC0415

        print(reference(), end="")
        return 0
    site = make_site(environ)
    config = site.load_config()
    apps = [enrolled_app(arguments.app, site)] if arguments.app else list(config.apps.values())
    if arguments.action == "check":
        _require_secrets(apps, config.edge)
        print(f"{config.source}: {len(config.apps)} apps, no mistakes")
    else:
        print("\n".join(show(app) for app in apps), end="")
    return 0


def _require_secrets(apps: Sequence[App], edge: EdgeSettings) -> None:
    """Raise ConfigError for files with secrets that the config names and no deployment could read."""
    wrong = [finding for finding in examine_secrets(apps, edge, time.time()) if finding.level == "error"]
    if wrong:
        raise ConfigError([f"{one.app or '[edge]'}: {one.found} ({one.fix})" for one in wrong])
