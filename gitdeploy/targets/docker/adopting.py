"""Taking the place of a container that somebody else made: what it was given and its successor would not be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from gitdeploy.config.model import App


def dropped(app: App, env: Collection[str], made_with: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield each option of `docker run` that config.toml does not repeat, and the way to keep it.

    Args:
        app: its configuration.
        env: names of the variables that the successor gets.
        made_with: see `Engine.made_with`.
    """
    run = app.run
    repeated = {*(f"{v.source}:{v.target}" for v in app.volumes), *app.networks, *env, *app.router.labels, "--pids-limit"}
    repeated |= {str(replace(port, host_ip="")) for port in app.publish}
    repeated |= {flag for flag, given in (("--memory", run.memory), ("--cpus", run.cpus), ("--log-opt", run.log_opts)) if given}
    for option, key in made_with:
        if not {*option.split(" ", 1)} & repeated:
            yield option, f"{key} in config.toml" if key else "no key of config.toml does that: see whether the image can"
