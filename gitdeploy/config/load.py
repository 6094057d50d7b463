"""From files and push options to the model.

Later wins: built-in, `[defaults]`, the tree's gitdeploy.toml, `[apps."owner/repo"]`, push options.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from gitdeploy.config.checks import (
    app_problems,
    app_warnings,
    newcomer_problems,
    pusher_problems,
    volume_problem,
)
from gitdeploy.config.configfile import read_config_file
from gitdeploy.config.document import MAX_CONFIG, MAX_TREE, parse_toml
from gitdeploy.config.domainchecks import edge_problems, taken_from_others
from gitdeploy.config.edgekeys import EDGE_KEYS
from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.formats import APP_NAME
from gitdeploy.config.key import Key
from gitdeploy.config.keys import APP_KEYS, NOTIFY_KEYS, PUSH_OPTIONS, SERVER_KEYS
from gitdeploy.config.layers import build_app, read_layer, replaced
from gitdeploy.config.model import OWN_NETWORK, App, Config, Layer
from gitdeploy.config.neighbours import cross_problems, pair_problems
from gitdeploy.config.problems import BadValue, Problems, join_key, quoted, type_name
from gitdeploy.config.sections import Notify, Server
from gitdeploy.config.values import FLAG

NOBODY = "/"
"""For `app` of `load_config`: no app's mistakes matter. Those that have some are in `Config.mistaken`."""

TABLES = ("server", "notify", "edge", "defaults", "apps")


def load_config(path: Path, app: str = "") -> Config:
    """Return the server's config.toml.

    Args:
        app: the only app that matters, "" for all: a mistake in another one's table is nothing to it.

    Raises:
        ConfigError: with all that is wrong in it; or it is missing, unreadable, or others can write it.
    """
    written = 0
    with suppress(OSError):  # reading it tells
        written = path.stat().st_mtime_ns  # before it is read: an edit in between is news
    data, warnings = read_config_file(path)
    return replace(parse_config(data, path, warnings, app), written=written)


def parse_config(data: bytes, source: Path, warnings: Sequence[str] = (), only: str = "") -> Config:
    """Return the config from the bytes of config.toml. Pure.

    Args:
        source: what the file is called in messages.
        warnings: about the file itself.
        only: as `app` of `load_config`.

    Raises:
        ConfigError: with all that is wrong in it.
    """
    problems = Problems(str(source))
    document = parse_toml(data, MAX_CONFIG, problems)
    for name in [name for name in document if name not in TABLES]:
        if name in {path.partition(".")[0] for path in APP_KEYS}:
            problems.add(join_key([name]), 'keys of an app belong in [apps."owner/repo"], those of all apps in [defaults]')
        else:
            problems.unknown([], [name], TABLES)
    server = read_layer(document.get("server", {}), SERVER_KEYS, problems, ["server"])
    notify = read_layer(document.get("notify", {}), NOTIFY_KEYS, problems, ["notify"])
    edge = read_layer(document.get("edge", {}), EDGE_KEYS, problems, ["edge"])
    defaults = read_layer(document.get("defaults", {}), APP_KEYS, problems, ["defaults"])
    tables, mistaken = _read_apps(document.get("apps", {}), defaults, problems, only)
    apps = {name: build_app(name, [defaults, table]) for name, table in tables.items()}
    for app, key, text in cross_problems(list(apps.values()), defaults):
        if only in ("", app.name):
            problems.add(join_key(["apps", app.name, *key.split(".")]), text)
    for key, text in newcomer_problems(str(server["new_repositories"]), defaults) if server.get("new_repositories") else ():
        problems.add(key, text)
    front = replaced(EdgeSettings(), edge)
    for key, text in edge_problems(front, list(apps.values())):
        problems.add(key, text)
    problems.require_none("correct the file, then run: gitdeploy config check")
    notes = [f"{source}: {join_key(['apps', app.name])}: {note}" for app in apps.values() for note in app_warnings(app)]
    return Config(
        apps=MappingProxyType(apps),
        server=replaced(Server(), server),
        notify=replaced(Notify(), notify),
        source=source,
        edge=front,
        warnings=(*warnings, *notes),
        defaults=defaults,
        tables=MappingProxyType(tables),
        mistaken=mistaken,
    )


def _read_apps(apps: object, defaults: Layer, problems: Problems, only: str) -> tuple[dict[str, Layer], frozenset[str]]:
    """Return the table of each app, and which of the others have mistakes.

    What contradicts itself in one app is looked for where its keys are right by themselves.
    """
    tables: dict[str, Layer] = {}
    mistaken: set[str] = set()
    if not isinstance(apps, dict):
        problems.add("apps", f"expected a table, found {type_name(apps)}")
        return tables, frozenset()
    of_this, of_others = problems, Problems(problems.source)
    for written, table in apps.items():
        prefix = ["apps", written]
        name = written.lower()
        problems = of_this if only in ("", name) else of_others
        try:
            APP_NAME.parse(name)
        except BadValue as bad:
            problems.bad_value(join_key(prefix), bad)
            continue
        if name in tables:
            problems.add(join_key(prefix), f"stands twice, for upper and lower case are the same in {name}")
            continue
        before = len(problems)
        tables[name] = read_layer(table, APP_KEYS, problems, prefix)
        if len(problems) == before:
            for key, text in app_problems(build_app(name, [defaults, tables[name]])):
                problems.add(join_key([*prefix, *key.split(".")]), text)
        mistaken |= {name} if len(problems) > before else set()
    return tables, frozenset(mistaken)


def apply_tree(config: Config, app: App, text: bytes, source: str) -> App:
    """Return the app with the gitdeploy.toml of the pushed tree between [defaults] and its own table. Pure.

    Args:
        app: one of `config.apps`.
        text: the file's bytes, hostile.
        source: what the file is called in messages.

    Raises:
        ConfigError: with all that is wrong in it, a key that only the server may set included.
    """
    problems = Problems(source)
    document = parse_toml(text, MAX_TREE, problems)
    for name in [name for name in document if name in TABLES]:
        del document[name]
        problems.add(name, "only the server's config.toml has this table; the app's keys stand here without one")
    layer = read_layer(document, APP_KEYS, problems, refusal=partial(_refuse_tree, app))
    above = config.tables.get(app.name, {})
    merged = build_app(app.name, [config.defaults, layer, above])
    if not problems:
        others = [other for other in config.apps.values() if other.name != app.name]
        for key, wrong in _tree_problems(merged, layer, above, others, config.edge):
            problems.add(key, wrong)
    problems.require_none("correct the file and push again; the running release is untouched")
    return merged


def _refuse_tree(app: App, key: Key) -> str:
    """Return why a tree may not set this key, "" if it may."""
    if key.tree == "yes" or (key.tree == "allow" and key.path in app.allow):
        return ""
    table = join_key(["apps", app.name])
    if key.tree == "allow":
        return f'only the server may set it; [{table}] of its config.toml can allow it here: allow = ["{key.path}"]'
    return f"only the server may set it, in [{table}] of its config.toml"


def _tree_problems(app: App, layer: Layer, above: Layer, others: Sequence[App], edge: EdgeSettings) -> list[tuple[str, str]]:
    """Return what a tree's values contradict: each other, the server's, or another app's; `above` is the app's own table."""
    found = [*app_problems(app), *pusher_problems(app, layer, above)]
    for other in others:
        found += [(key, text) for _, key, text in pair_problems(other, app)]
    found += taken_from_others(edge, app, others)
    own = build_app(app.name, [layer])
    found += [
        ("networks", f"{quoted(name)} is a network that gitdeploy makes for one app: only that app is on it")
        for name in own.networks
        if name.startswith(("gitdeploy.", OWN_NETWORK)) or name == "gitdeploy"
    ]
    return found + [("volumes", text) for volume in own.volumes if (text := volume_problem(app, volume, others))]


def apply_options(app: App, options: Sequence[str]) -> tuple[App, bool]:
    """Return the app with the push options (`git push -o`) on top, and whether they ask to skip the deployment. Pure.

    Options that do not begin with "gitdeploy." are for others.

    Raises:
        ConfigError: an option of gitdeploy that there is not, or with a value that it does not take.
    """
    problems = Problems("push option")
    values: dict[str, object] = {}
    skip = False
    for option in options:
        if not option.startswith("gitdeploy."):
            continue
        name, equals, text = option.removeprefix("gitdeploy.").partition("=")
        key = PUSH_OPTIONS.get(name)
        try:
            if name == "skip":
                skip = FLAG.parse(_option_value(text, bool(equals), flag=True))
            elif key is None:
                problems.unknown(["gitdeploy"], name.split("."), ["skip", *PUSH_OPTIONS])
            else:
                values[key.path] = key.kind.parse(_option_value(text, bool(equals), flag=key.kind is FLAG))
        except BadValue as bad:
            problems.bad_value(f"gitdeploy.{name}", bad)
    changed = replaced(app, values)
    if not problems:
        for path, wrong in [*app_problems(changed), *pusher_problems(changed, values)]:
            problems.add(path, wrong)
    known = ", ".join(f"gitdeploy.{name}" for name in ("skip", *PUSH_OPTIONS))
    problems.require_none(f"push options are {known}; correct it and push again, with a new commit")
    return changed, skip


def _option_value(text: str, given: bool, *, flag: bool) -> object:
    """Return the TOML value that an option's text stands for; a flag needs none, commas make an array."""
    if flag:
        return {"true": True, "false": False}.get(text, text) if given else True
    if "," in text:
        return text.split(",")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text
