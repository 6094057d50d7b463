"""Layers: the checked values of one source, how they are laid over each other, and the app that results. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from gitdeploy.config.formats import fill_in
from gitdeploy.config.keys import Key
from gitdeploy.config.model import App, Layer
from gitdeploy.config.problems import BadValue, Problems, join_key, type_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

BUILT_IN = App(name="", image="{owner}/{repo}", container="{repo}")
"""What an app is with an empty table."""


def permit_all(key: Key) -> str:
    """No key is refused."""
    return ""


def read_layer(
    table: object,
    keys: Mapping[str, Key],
    problems: Problems,
    prefix: Sequence[str] = (),
    refusal: Callable[[Key], str] = permit_all,
) -> Layer:
    """Check one table and give its good values.

    Args:
        table: as tomllib gave it.
        keys: what may be in it.
        problems: where mistakes go.
        prefix: the path of the table in its file, for messages.
        refusal: why a key must not be set here, "" if it may.
    """
    values: dict[str, object] = {}
    if not isinstance(table, dict):
        problems.add(join_key(prefix), f"expected a table, found {type_name(table)}")
        return values
    for path, value in _flatten(table, keys, problems, prefix):
        key = keys[path]
        shown = join_key([*prefix, *path.split(".")])
        if why := refusal(key):
            problems.add(shown, why)
            continue
        try:
            values[path] = key.kind.parse(value)
        except BadValue as bad:
            problems.bad_value(shown, bad, secret=key.secret)
    return MappingProxyType(values)


def _flatten(
    table: Mapping[str, object], keys: Mapping[str, Key], problems: Problems, prefix: Sequence[str]
) -> Iterator[tuple[str, object]]:
    """Yield the known keys in a table and in the tables of it, with their values.

    Keys have at most two parts, so a quoted name with a dot in it is no known one: "build.args" = … is not args in [build].
    """
    sections = list(dict.fromkeys(section for section, dot, _ in (path.rpartition(".") for path in keys) if dot))
    for name, value in table.items():
        if name in keys and "." not in name:
            yield name, value
        elif name == "router" and name in sections and isinstance(value, str):
            yield "router.kind", value
        elif name not in sections:
            problems.unknown(prefix, [name], [*keys, *sections])
        elif not isinstance(value, dict):
            problems.add(join_key([*prefix, name]), f"expected a table, found {type_name(value)}")
        else:
            for leaf, item in value.items():
                if f"{name}.{leaf}" in keys:
                    yield f"{name}.{leaf}", item
                else:
                    problems.unknown(prefix, [name, leaf], keys)


def merge(layers: Sequence[Layer]) -> Layer:
    """Return one layer of several: later ones win, tables with free names (env, build.args) name by name."""
    merged: dict[str, object] = {}
    for layer in layers:
        for path, value in layer.items():
            below = merged.get(path)
            both = isinstance(value, Mapping) and isinstance(below, Mapping)
            merged[path] = MappingProxyType({**below, **value}) if both else value  # type: ignore[dict-item]
    return merged


def replaced(record: Record, values: Layer) -> Record:
    """Return the dataclass with the values of a layer in it and in the dataclasses of it."""
    changes: dict[str, Any] = {}
    for path, value in values.items():
        section, _, leaf = path.rpartition(".")
        if section:
            changes[section] = replace(changes.get(section, getattr(record, section)), **{leaf: value})
        else:
            changes[leaf] = value
    return replace(record, **changes)


def build_app(name: str, layers: Sequence[Layer]) -> App:
    """Return an app from its layers, the built-in defaults below them."""
    app = replaced(replace(BUILT_IN, name=name), merge(layers))
    return replace(app, image=fill_in(app.image, name), container=_container(app.container, name))


def _container(template: str, name: str) -> str:
    """Return an app's container; engines want two letters at least, which not every repository's name has."""
    container = fill_in(template, name)
    return container if len(container) > 1 or template != BUILT_IN.container else fill_in("{owner}-{repo}", name)
