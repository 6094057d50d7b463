"""One key of config.toml as the tables of keys have it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gitdeploy.config.values import Kind


@dataclass(frozen=True)
class Key:
    """One key of the config.

    Attributes:
        path: "strategy", "build.args": its place in an app's table, in `[server]` or in `[notify]`.
        kind: what it takes.
        doc: what it is for, one line.
        tree: whether the tree's own gitdeploy.toml may set it.
        example: shown in the reference where the default is empty; a TOML value.
        secret: its values are never shown.
        option: its name as a push option, after "gitdeploy."; "" for none.
    """

    path: str
    kind: Kind[Any]
    doc: str
    tree: Literal["yes", "allow", "no"] = "no"
    example: object = None
    secret: bool = False
    option: str = ""
