"""Puts a tree's gitdeploy.toml between the layers of a server's config."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.config.load import apply_tree, parse_config
from gitdeploy.config.model import App, Config
from gitdeploy.config.writer import dump_value
from gitdeploy.errors import ConfigError

SERVER = b"""
[defaults]
env = { LEVEL = "default", REGION = "default" }
stop_timeout = "20s"
[apps."o/app"]
publish = "8080:80"
env = { GREETING = "server" }
health.retries = 7
build.args.PYTHON = "3.12"
[apps."o/other"]
publish = "9090:80"
volumes = ["app-shared:/x", "app-2-data:/y"]
[apps."o/app-2"]
container = "app-2"
"""


def server(*allow: str) -> Config:
    return parse_config(
        SERVER.replace(b"health.retries", f"allow = {dump_value(allow)}\nhealth.retries".encode()), Path("/c.toml")
    )


def tree(text: str | bytes, *allow: str) -> App:
    config = server(*allow)
    return apply_tree(config, config.apps["o/app"], text if isinstance(text, bytes) else text.encode(), "gitdeploy.toml")


def problems(text: str | bytes, *allow: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        tree(text, *allow)
    assert all(problem.startswith("gitdeploy.toml: ") and problem.isprintable() for problem in caught.value.problems)
    return [problem.removeprefix("gitdeploy.toml: ") for problem in caught.value.problems]
