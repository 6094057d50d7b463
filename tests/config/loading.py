"""Loads a config.toml, or the mistakes in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.config.load import parse_config
from gitdeploy.config.model import Config
from gitdeploy.errors import ConfigError

FILE = Path("/c.toml")


def config(text: str) -> Config:
    return parse_config(text.encode(), FILE)


def problems(text: str | bytes) -> list[str]:
    """The problems of a config, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text if isinstance(text, bytes) else text.encode(), FILE)
    assert all(problem.startswith("/c.toml: ") and problem.isprintable() for problem in caught.value.problems)
    return [problem.removeprefix("/c.toml: ") for problem in caught.value.problems]
