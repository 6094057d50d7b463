"""Changing an app's table or a key of `[server]` in config.toml; comments, order and line ends stay as they were. Pure.

Each change is tried on the text and then read back: it counts only if nothing but the intended value is different.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from gitdeploy.config.document import MAX_CONFIG, parse_toml
from gitdeploy.config.formats import APP_NAME
from gitdeploy.config.keys import APP_KEYS, SERVER_KEYS
from gitdeploy.config.problems import BadValue, Problems, join_key
from gitdeploy.config.scan import Statement, statements
from gitdeploy.config.writer import dump_key, dump_value
from gitdeploy.errors import ConfigError

Path = tuple[str, ...]


def set_app(text: str, name: str, values: Mapping[str, object]) -> str:
    """Return the text of config.toml with these values in the app's table, which is made if there is none.

    Args:
        text: of the file, line ends as they are in it; "" if there is none.
        name: "owner/repo".
        values: key path, for example "publish" or "push.enabled", to TOML value; a dict sets the names that are in it.

    Raises:
        ConfigError: the text is no TOML, a key or value is not right, or the file's form does not allow the change.
    """
    problems = Problems("config.toml")
    bom, body = text[:1] if text.startswith("\ufeff") else "", text.removeprefix("\ufeff")
    document = parse_toml(body.encode(), MAX_CONFIG, problems)
    _check(name, values, problems)
    problems.require_none()
    apps = document["apps"] if isinstance(document.get("apps"), dict) else {}
    table = ("apps", next((written for written in apps if written.lower() == name.lower()), name.lower()))
    body = _set(body, table, {}) if _get(document, table) is None else body
    for path, value in values.items():
        whole = (*table, *path.split("."))
        if isinstance(value, dict) and _get(tomllib.loads(body), whole) is not None:
            for leaf, item in value.items():
                body = _set(body, (*whole, leaf), item)
        else:
            body = _set(body, whole, value)
    return bom + body


def rename_app(text: str, old: str, new: str) -> str:
    """Return the text with the app's table, and all below it, under another name; see `set_app`.

    Raises:
        ConfigError: the text is no TOML, or its form does not allow the change.
    """
    problems = Problems("config.toml")
    bom, body = text[:1] if text.startswith("\ufeff") else "", text.removeprefix("\ufeff")
    document = parse_toml(body.encode(), MAX_CONFIG, problems)
    problems.require_none()
    written = next((name for name in document["apps"] if name.lower() == old), old)
    wanted = {**document, "apps": {new if name == written else name: app for name, app in document["apps"].items()}}
    parts, end = [], 0
    for statement in statements(body):
        if statement.path[:2] == ("apps", written):
            stop = statement.value.start if statement.key else statement.end
            parts += [body[end : statement.start], _renamed(body[statement.start : stop], written, new)]
            end = stop
    renamed = "".join([*parts, body[end:]])
    if not _reads_as(renamed, wanted):
        reason = f"config.toml: {join_key(['apps', old])}: cannot be renamed without rewriting what stands there"
        raise ConfigError([reason], "change it by hand")
    return bom + renamed


def _renamed(key: str, old: str, new: str) -> str:
    """Return a table's header or a key with the first of its parts that is the old name replaced."""
    for spelling in (dump_key([old]), f"'{old}'"):
        if spelling in key:
            return key.replace(spelling, dump_key([new]), 1)
    return key


def set_server(text: str, key: str, value: object) -> str:
    """Return the same with one key of `[server]`; see `set_app`."""
    problems = Problems("config.toml")
    bom, body = text[:1] if text.startswith("\ufeff") else "", text.removeprefix("\ufeff")
    parse_toml(body.encode(), MAX_CONFIG, problems)
    try:
        SERVER_KEYS[key].kind.parse(value)
    except BadValue as bad:
        problems.bad_value(join_key(["server", key]), bad)
    problems.require_none()
    return bom + _set(body, ("server", key), value)


def _check(name: str, values: Mapping[str, object], problems: Problems) -> None:
    prefix = ["apps", name]
    try:
        APP_NAME.parse(name.lower())
    except BadValue as bad:
        problems.bad_value(join_key(prefix), bad)
    for path, value in values.items():
        if path not in APP_KEYS:
            problems.unknown(prefix, path.split("."), APP_KEYS)
            continue
        try:
            APP_KEYS[path].kind.parse(value)
        except BadValue as bad:
            problems.bad_value(join_key([*prefix, *path.split(".")]), bad, secret=APP_KEYS[path].secret)


def _set(text: str, path: Path, value: object) -> str:
    """Return the text with one value changed or added."""
    before = tomllib.loads(text)
    if _get(before, path) == value:
        return text
    wanted = copy.deepcopy(before)
    if _put(wanted, path, value):
        for candidate in _candidates(text, path, wanted):
            if _reads_as(candidate, wanted):
                return candidate
    reason = f"config.toml: {join_key(path)}: cannot be set without rewriting what stands there"
    raise ConfigError([reason], "change it by hand")


def _get(document: Mapping[str, Any], path: Path) -> Any:
    found: Any = document
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _put(document: dict[str, Any], path: Path, value: object) -> bool:
    """Set a value in parsed data; False if something else than a table is in the way."""
    table: Any = document
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            return False
    table[path[-1]] = value
    return True


def _reads_as(text: str, wanted: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False


def _candidates(text: str, path: Path, wanted: Mapping[str, Any]) -> Iterator[str]:
    """Texts that may have the value at `path`, the most natural first."""
    found = list(statements(text))
    for statement in found:
        if statement.key and path[: len(statement.path)] == statement.path:  # itself, or an inline table around it
            value = dump_value(_get(wanted, statement.path))
            yield text[: statement.value.start] + value + text[statement.value.stop :]
    newline = "\r\n" if "\r\n" in text else "\n"
    value = _get(wanted, path)
    if value != {}:
        for statement in sorted(found, key=lambda s: (_common(s.path, path), s.start), reverse=True):
            if _common(statement.path, path) >= min(2, len(path) - 1) and statement.table == path[: len(statement.table)]:
                yield _insert(text, statement, path, value, newline)
    table, line = (path, "") if value == {} else (path[:-1], f"{dump_key(path[-1:])} = {dump_value(value)}{newline}")
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    yield f"{text}{gap}[{dump_key(table)}]{newline}{line}"


def _common(one: Path, other: Path) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _insert(text: str, after: Statement, path: Path, value: object, newline: str) -> str:
    """Return the text with a line for the value after a statement of the same table, indented like it."""
    line = text[after.start : after.end]
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    gap = "" if line.endswith("\n") else newline
    added = f"{indent}{dump_key(path[len(after.table) :])} = {dump_value(value)}{newline}"
    return text[: after.end] + gap + added + text[after.end :]
