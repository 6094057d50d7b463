"""A repository's gitdeploy.conf: what the hook knows, against what config.toml says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.doctor.finding import Finding, Level
from gitdeploy.doctor.permissions import FileFacts, look_at_file
from gitdeploy.gitserver.hookconf import FILE, MAX_SIZE, HookConf, refs_by_app


@dataclass(frozen=True)
class ConfFacts:
    """One gitdeploy.conf.

    Attributes:
        app: "owner/repo", as it is enrolled.
        file: the file.
        values: all values of each key.
        home: the directory that the hook takes, as far as this machine has it; None if it has none of them.
    """

    app: str
    file: FileFacts
    values: dict[str, list[str]]
    home: Path | None


def look_at_conf(app: str, repository: Path) -> ConfFacts:
    """Read a repository's gitdeploy.conf. Never raises OSError."""
    file = look_at_file(repository / FILE, MAX_SIZE)
    values: dict[str, list[str]] = {}
    for line in file.data.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value.strip())
    homes = (Path(home) for home in values.get("home", ()) if "\0" not in home)
    return ConfFacts(app, file, values, next((home.resolve() for home in homes if _is_directory(home)), None))


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def judge_conf(facts: ConfFacts, home: Path, expected: HookConf | None, config_mtime_ns: int) -> Iterator[Finding]:
    """Yield what is wrong with it. Pure.

    Args:
        home: the gitdeploy directory, links resolved.
        expected: what it should say, None where config.toml does not tell.
        config_mtime_ns: when config.toml was written. A hook with an older gitdeploy.conf lets the worker decide, and the
            worker brings it up to date.
    """
    file, enrol = facts.file, f"gitdeploy enrol {facts.app}"
    if file.problem:
        yield _finding("error", facts, f" {file.problem}: the hook does nothing", file.remove + enrol)
        return
    if file.mode & 0o444 != 0o444:
        found = f" cannot be read by everyone (mode {file.mode:o}, expected 644)"
        yield _finding("warning", facts, found, f"chmod 644 {file.path}")
    if file.mode & 0o022:
        found = f" can be changed by others (mode {file.mode:o}, expected 644)"
        yield _finding("error", facts, found, f"chmod 644 {file.path}; {enrol}")
    if b"\r" in file.data:
        yield _finding("error", facts, " has CRLF line ends, which the hook takes for a part of the values", enrol)
    elif expected:
        expected = expected.beside(refs_by_app(file.data))
        yield from _judge_values(facts, home, expected, current=config_mtime_ns <= file.mtime_ns)


def _judge_values(facts: ConfFacts, home: Path, expected: HookConf, *, current: bool) -> Iterator[Finding]:
    enrol = f"gitdeploy enrol {facts.app}"
    seen = facts.values.get("home", [])
    if facts.home != home if facts.home else not set(seen) & set(expected.homes):
        yield _finding("error", facts, f": home: expected {_listed(expected.homes)}, found {_listed(seen)}", enrol)
    for key, wanted, level in _wanted(expected) if current else ():
        found = facts.values.get(key, [])
        if found != wanted:
            yield _finding(level, facts, f": {key}: expected {_listed(wanted)}, found {_listed(found)}", enrol)


def _finding(level: Level, facts: ConfFacts, found: str, fix: str) -> Finding:
    return Finding(level, FILE, f"{facts.file.path}{found}", fix, facts.app)


def _wanted(conf: HookConf) -> Iterator[tuple[str, list[str], Level]]:
    """Yield each key but home with its values, and how bad others are."""
    rendered: dict[str, list[str]] = {}
    for line in conf.render().decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(" ")
        rendered.setdefault(key, []).append(value)
    for key in ("app", "ref", "mode", "wait"):
        yield key, rendered.get(key, []), "warning" if key == "wait" else "error"


def _listed(values: Sequence[str]) -> str:
    return ", ".join(value[:200] for value in values[:5]) or "nothing"
