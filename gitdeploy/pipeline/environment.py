"""The environment of a release's containers."""

from __future__ import annotations

from collections.abc import Mapping

from gitdeploy.config.model import App
from gitdeploy.config.secretfile import whole_env
from gitdeploy.pipeline.tools import Tools


def environment(app: App, tools: Tools) -> Mapping[str, str]:
    """Return the release's environment: proxies, `env` and `env_file`, the later the stronger; the console hides secrets."""
    return whole_env(app, tools.proxies(), tools.console.redact.add)
