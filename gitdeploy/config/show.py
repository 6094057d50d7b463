"""The effective configuration of an app as TOML. Pure.

Values of env, build arguments, headers and labels may be secrets: their names are shown. Of secret files the path is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gitdeploy.config.key import Key
from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.model import App
from gitdeploy.config.partkeys import PARTS
from gitdeploy.config.writer import dump_tables

HIDDEN = "…"


def show(app: App) -> str:
    """Return everything that applies to the app, as the table that would say so in config.toml."""
    tables = _tables(app, APP_KEYS)
    for group, keys in PARTS.items():
        if parts := {name: _tables(part, keys) for name, part in getattr(app, group).items()}:
            tables[group] = parts
    return dump_tables({"apps": {app.name: tables}})


def _tables(record: object, keys: Mapping[str, Key]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for path, key in keys.items():
        value = value_of(record, path)
        if value is not None and value != {}:
            section, _, leaf = path.rpartition(".")
            (tables.setdefault(section, {}) if section else tables)[leaf] = _shown(key, value)
    return tables


def value_of(record: object, path: str) -> Any:
    """Return the value of a key in the model, None if there is none."""
    for part in path.split("."):
        record = getattr(record, part)
    return record


def _shown(key: Key, value: Any) -> object:
    if key.secret and isinstance(value, Mapping):
        return dict.fromkeys(value, HIDDEN)
    return key.kind.format(value)
