"""The annotated example of config.toml: `gitdeploy config reference`, and docs/configuration.md. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from gitdeploy.config.edgekeys import EDGE_KEYS
from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.jobs import Accessory, Schedule, Task
from gitdeploy.config.key import Key
from gitdeploy.config.keys import APP_KEYS, NOTIFY_KEYS, PUSH_OPTIONS, SERVER_KEYS
from gitdeploy.config.layers import BUILT_IN
from gitdeploy.config.model import AppProcess
from gitdeploy.config.partkeys import PARTS
from gitdeploy.config.sections import Notify, Server
from gitdeploy.config.show import value_of
from gitdeploy.config.writer import dump_value

APP = "devops/dev-app"

_HEAD = """\
# Every key with its built-in default; a key behind "#" has none and shows an example, and so does a table.
# T: the tree's own gitdeploy.toml may set it too (there without the [apps."…"], so [build], not [apps."…".build]);
# A: the same, if `allow` lists it. Later wins: [defaults], gitdeploy.toml, [apps."…"], push options.
# Durations: "10s", "1m30s" or seconds. Sizes: "10MB", "1GiB" or bytes.
# Push options: git push -o gitdeploy.skip; and gitdeploy.{options}.
"""
_DEFAULTS = """\
[defaults]  # any key of an app, for all apps that do not set it; in image and container {owner} and {repo} are filled in
# image = "127.0.0.1:5000/{owner}/{repo}"
"""
_PARTS: Mapping[tuple[str, str], tuple[str, object]] = MappingProxyType(
    {
        ("processes", "worker"): ("more containers of the image, switched with it", AppProcess()),
        ("tasks", "migrate"): ("runs once in a container of the new image", Task()),
        ("schedule", "nightly"): ("runs again and again in a container of what is live", Schedule()),
        ("accessories", "db"): ("a database or a cache beside it; deployments leave it be", Accessory()),
    }
)
_MARKS = {"yes": "T", "allow": "A", "no": " "}


def reference() -> str:
    """Return the whole config as TOML, one line for each key."""
    sections = [
        _HEAD.replace("{options}", ", ".join(PUSH_OPTIONS)),
        _section("[server]", SERVER_KEYS, Server()),
        _section("[notify]", NOTIFY_KEYS, Notify()),
        _section("[edge]", EDGE_KEYS, EdgeSettings()),
        _DEFAULTS,
    ]
    tables = dict.fromkeys(path.rpartition(".")[0] for path in APP_KEYS)
    for table in tables:
        keys = {path.rpartition(".")[2]: key for path, key in APP_KEYS.items() if path.rpartition(".")[0] == table}
        header = f'[apps."{APP}"{"." if table else ""}{table}]'
        sections.append(_section(header, keys, value_of(BUILT_IN, table) if table else BUILT_IN))
    for (group, name), (doc, defaults) in _PARTS.items():
        keys = {path.rpartition(".")[2]: key for path, key in PARTS[group].items() if "." not in path}
        below = ", ".join(sorted({path.partition(".")[0] for path in PARTS[group]} - keys.keys()))
        header = f'[apps."{APP}".{group}.{name}]  # {doc}; and tables {below}'
        part = _section(header, {"command": PARTS[group]["run.command"], **keys}, defaults, {"command": ()})
        part = re.sub(r"^# (.*?)  #", r"\1    #", part, flags=re.MULTILINE)  # what has no default, in its column
        sections.append(re.sub(r"^(?=.)", "# ", part, flags=re.MULTILINE))
    return "\n".join(sections)


def _section(header: str, keys: Mapping[str, Key], defaults: object, known: Mapping[str, object] = MappingProxyType({})) -> str:
    """Return a table; `known` are defaults of keys that are elsewhere in the model."""
    values = {name: known[name] if name in known else value_of(defaults, name) for name in keys}
    lines = [_setting(name, key, values[name]) for name, key in keys.items()]
    width = max(len(setting) for setting, _ in lines)
    return "\n".join([header, *(f"{setting:{width}}  # {doc}" for setting, doc in lines), ""])


def _setting(name: str, key: Key, default: object) -> tuple[str, str]:
    """`name = default`, or an example behind "#" where the default is empty; and what stands at the end of the line."""
    if not default and key.example is not None:
        return f"# {name} = {dump_value(key.example)}", f"{_MARKS[key.tree]} {key.doc}"
    return f"{name} = {dump_value(key.kind.format(default))}", f"{_MARKS[key.tree]} {key.doc}"
