"""Taking the place of a container that somebody else made: what it was given and its successor would not be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from gitdeploy.config.keys import APP_KEYS
from gitdeploy.config.model import App
from gitdeploy.config.problems import BadValue
from gitdeploy.config.show import value_of
from gitdeploy.config.writer import dump_value
from gitdeploy.engine.madewith import MadeWith

NO_KEY = "no key of config.toml does that: see whether the image can"


def dropped(app: App, env: Collection[str], made_with: Iterable[MadeWith]) -> Iterator[tuple[str, str]]:
    """Yield each option of `docker run` that config.toml does not repeat, and the way to keep it.

    Args:
        app: its configuration.
        env: names of the variables that the successor gets.
        made_with: see `Engine.made_with`.
    """
    for given in made_with:
        if not _repeated(app, env, given):
            yield given.option, f"{_way(given)} in config.toml" if given.key else NO_KEY


def _way(given: MadeWith) -> str:
    """Return what to write: the key with its value, or the keys that may have it."""
    if given.value is not None:
        return f"{given.key} = {dump_value(given.value)}"
    return {"env": "env or env_file", "run.labels": "run.labels or router.labels"}.get(given.key, given.key)


def _repeated(app: App, env: Collection[str], given: MadeWith) -> bool:
    """Return whether the app's configuration has it; of a limit or a name, whether it has any: somebody thought of it."""
    known: Mapping[str, Collection[str]] = {
        "": (),
        "env": env,
        "run.labels": {*app.router.labels, *app.run.labels},
        "publish": {str(replace(port, host_ip="")) for port in app.publish},
    }
    if given.key in known:
        return given.option.partition(" ")[2] in known[given.key]
    now = value_of(app, given.key)
    try:
        wanted = APP_KEYS[given.key].kind.parse(given.value)
    except BadValue:  # not to be shown, or in a form that only the engine knows
        return bool(now)
    if given.key == "volumes":
        return {(volume.source, volume.target) for volume in wanted} <= {(volume.source, volume.target) for volume in now}
    if isinstance(wanted, tuple | Mapping) and given.key != "run.log_opts":
        return set(wanted) <= set(now)
    return bool(now == wanted) if isinstance(wanted, bool) else bool(now)
