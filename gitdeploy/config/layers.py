"""Layers: the checked values of one source, how they are laid over each other, and the app that results. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from gitdeploy.config.formats import fill_in
from gitdeploy.config.jobs import Accessory, Schedule, Task
from gitdeploy.config.key import Key
from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.model import App, AppProcess, Layer
from gitdeploy.config.partkeys import MAX_PARTS, PART, PARTS
from gitdeploy.config.problems import BadValue, Problems, join_key, type_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

BUILT_IN = App(name="", image="{owner}/{repo}", container="{repo}")
"""What an app is with an empty table."""


WORDS: Mapping[str, str] = MappingProxyType({"router": "router.kind", "tls": "tls.mode"})
"""Tables of which one word may stand for the key that matters."""


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
    for path, key, value in _flatten(table, keys, problems, prefix):
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
) -> Iterator[tuple[str, Key, object]]:
    """Yield the known keys in a table and in the tables of it, each with its path from there and its value.

    Keys have at most two parts, so a quoted name with a dot in it is no known one: "build.args" = … is not args in [build].
    """
    sections = list(dict.fromkeys(section for section, dot, _ in (path.rpartition(".") for path in keys) if dot))
    parts = PARTS if keys is APP_KEYS else {}
    for name, value in table.items():
        if name in keys and "." not in name:
            yield name, keys[name], value
        elif (word := WORDS.get(name, "")) in keys and isinstance(value, str):
            yield word, keys[word], value
        elif name == "command" and "run.command" in keys:
            yield "run.command", keys["run.command"], value
        elif name in parts:
            yield from _parts(value, parts[name], problems, [*prefix, name])
        elif name not in sections:
            problems.unknown(prefix, [name], [*keys, *sections, *parts])
        elif not isinstance(value, dict):
            problems.add(join_key([*prefix, name]), f"expected a table, found {type_name(value)}")
        else:
            for leaf, item in value.items():
                if f"{name}.{leaf}" in keys:
                    yield f"{name}.{leaf}", keys[f"{name}.{leaf}"], item
                else:
                    problems.unknown(prefix, [name, leaf], keys)


def _parts(
    table: object, keys: Mapping[str, Key], problems: Problems, prefix: Sequence[str]
) -> Iterator[tuple[str, Key, object]]:
    """Yield the same of a table of tables with names of their own: "worker.replicas" below [processes]."""
    if not isinstance(table, dict):
        problems.add(join_key(prefix), f"expected a table of tables, [{join_key([*prefix, 'NAME'])}], found {type_name(table)}")
        return
    if len(table) > MAX_PARTS:
        problems.add(join_key(prefix), f"expected at most {MAX_PARTS} names, found {len(table)}")
        return
    for name, inner in table.items():
        whole = [*prefix, name]
        try:
            PART.parse(name)
        except BadValue as bad:
            problems.bad_value(join_key(whole), bad)
            continue
        if not isinstance(inner, dict):
            problems.add(join_key(whole), f"expected a table, found {type_name(inner)}")
            continue
        if not inner:
            problems.add(join_key(whole), "expected keys in it, found none")
        for path, key, value in _flatten(inner, keys, problems, whole):
            yield f"{prefix[-1]}.{name}.{path}", key, value


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
    flat, parts = _apart(merge(layers))
    app = replaced(replace(BUILT_IN, name=name), flat)
    app = replace(app, image=fill_in(app.image, name), container=_container(app.container, name))
    return replace(
        app,
        processes=_all(AppProcess(stop_timeout=app.stop_timeout, run=app.run.shared), parts["processes"]),
        tasks=_all(Task(run=app.run.shared), parts["tasks"]),
        schedule=_all(Schedule(run=app.run.shared), parts["schedule"]),
        accessories=_all(Accessory(), parts["accessories"]),
    )


def _apart(layer: Layer) -> tuple[Layer, Mapping[str, Mapping[str, Layer]]]:
    """Return the app's own values; and by the table they stand in ("tasks") and their name the layers of its parts."""
    flat: dict[str, object] = {}
    parts: dict[str, dict[str, dict[str, object]]] = {name: {} for name in PARTS}
    for path, value in layer.items():
        group, _, rest = path.partition(".")
        if group in PARTS:
            part, _, key = rest.partition(".")
            parts[group].setdefault(part, {})[key] = value
        else:
            flat[path] = value
    return flat, parts


def _all(base: Record, parts: Mapping[str, Layer]) -> Mapping[str, Record]:
    """Return parts of an app by name, each `base` with its own values."""
    return MappingProxyType({name: replaced(base, values) for name, values in parts.items()})


def _container(template: str, name: str) -> str:
    """Return an app's container; engines want two letters at least, which not every repository's name has."""
    container = fill_in(template, name)
    return container if len(container) > 1 or template != BUILT_IN.container else fill_in("{owner}-{repo}", name)
