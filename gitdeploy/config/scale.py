"""How many containers a process has by the word of a person, whatever the configuration says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from gitdeploy.config.checks import processes
from gitdeploy.config.keys import MAX_REPLICAS
from gitdeploy.config.model import WEB, App
from gitdeploy.config.problems import nearest
from gitdeploy.errors import UsageError

CONFIGURED = "config"
"""In place of a number: as the configuration says, from the next deployment on."""


def most(app: App) -> int:
    """Return how many containers of a process there may be: one, if it publishes ports that no router holds for it."""
    return 1 if app.strategy == "recreate" and (app.publish or app.led_to) else MAX_REPLICAS


def scaled(app: App, counts: Mapping[str, int]) -> App:
    """Return the app with these numbers of replicas, by process; what is asked of no process of its own counts for nothing."""
    for part in processes(app):
        if part.process in counts:
            app = _with(app, part.process, min(counts[part.process], most(part)))
    return app


def _with(app: App, process: str, replicas: int) -> App:
    if process == WEB:
        return replace(app, replicas=max(1, replicas))
    changed = {**app.processes, process: replace(app.processes[process], replicas=replicas)}
    return replace(app, processes=MappingProxyType(changed))


def parse_counts(words: Sequence[str], app: App) -> dict[str, int | None]:
    """Return what "worker=3" and the like ask for: by process the number of replicas, None for what the configuration says.

    Args:
        app: what is live.

    Raises:
        UsageError: no such process, or a number that it cannot have.
    """
    return dict(_count(word, {part.process: part for part in processes(app)}) for word in words)


def _count(word: str, known: Mapping[str, App]) -> tuple[str, int | None]:
    name, equals, text = word.partition("=")
    if not equals or not name:
        raise UsageError(f"expected PROCESS=NUMBER, found {word[:60]!r}", f"for example: {[*known][-1]}=2")
    if name not in known:
        close = nearest(name, list(known))
        meant = f"did you mean {close}? " if close else ""
        raise UsageError(f"what is live has no process {name[:60]!r}", f"{meant}its processes: {', '.join(known)}")
    if text == CONFIGURED:
        return name, None
    if not (text.isascii() and text.isdecimal()) or int(text[:9]) > MAX_REPLICAS:
        raise UsageError(f"{name}: expected a number from 0 to {MAX_REPLICAS}, or {CONFIGURED!r}, found {text[:60]!r}")
    count = int(text)
    if count == 0 and name == WEB:
        raise UsageError("web: expected at least 1, found 0", "gitdeploy stop takes the whole app out of service")
    if count > (limit := most(known[name])):
        port = next(iter(known[name].publish), f"port {known[name].led_to}")
        hint = 'strategy = "rolling" puts a router before them'
        raise UsageError(f"{name}: {count} containers cannot share {port} without a router, expected at most {limit}", hint)
    return name, count
