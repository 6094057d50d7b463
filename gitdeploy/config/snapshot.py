"""An app's configuration as JSON and back, so that a release can run again as it ran. Pure.

Paths of secret files are in it, never their contents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_origin, get_type_hints

from gitdeploy.config.model import App

UNLIMITED: Mapping[str, object] = MappingProxyType({"pids_limit": 0, "no_new_privileges": False})
"""`run` of a release that says nothing of it: it ran before there were limits, and it runs again as it ran."""


def dump(app: App) -> str:
    """Return the app as JSON."""
    return json.dumps(_plain(app), sort_keys=True)


def load(text: str) -> App | None:
    """Return the app from `dump`'s JSON; None if it is empty or of a shape that this gitdeploy does not know."""
    try:
        value = _build(App, {"run": UNLIMITED, **json.loads(text)})
    except (ValueError, TypeError, KeyError):
        return None
    return value if isinstance(value, App) else None


def _plain(value: object) -> Any:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _build(kind: Any, value: Any) -> Any:
    """Turn plain data into what the type annotation asks for."""
    if value is None:
        return None
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{name: _build(hints[name], item) for name, item in value.items() if name in hints})
    if get_origin(kind) is tuple:
        return tuple(_build(get_args(kind)[0], item) for item in value)
    if get_origin(kind) is Mapping:
        return MappingProxyType({key: _build(get_args(kind)[1], item) for key, item in value.items()})
    a_path = kind is Path or Path in get_args(kind)
    return Path(value) if a_path and value.startswith("/") else value  # a repository may be "owner/repo"
