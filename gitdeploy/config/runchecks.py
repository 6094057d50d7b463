"""Values of `[apps.X.run]` that are right by themselves and wrong together, so that no engine has to say so. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gitdeploy.config.model import App
from gitdeploy.config.problems import quoted
from gitdeploy.config.runoptions import MIN_MEMORY, Run

Problem = tuple[str, str]


def run_problems(app: App) -> Iterator[Problem]:
    """Yield (key path, what is wrong) for one app."""
    yield from _memory(app.run)
    yield from _networks(app)
    mounted = {volume.target for volume in app.volumes}
    for directory in (entry.partition(":")[0].rstrip("/") for entry in app.run.tmpfs):
        if directory in mounted:
            yield "run.tmpfs", f"{quoted(directory)} is mounted there by volumes, too"
        mounted.add(directory)
    for name in sorted({*app.run.cap_add} & {*app.run.cap_drop}):
        yield "run.cap_drop", f"{quoted(name)} is in run.cap_add, too"


def _memory(run: Run) -> Iterator[Problem]:
    for key, value in (("memory", run.memory), ("memory_reservation", run.memory_reservation)):
        if 0 < value < MIN_MEMORY:
            yield f"run.{key}", f"expected at least 6MiB, below which engines make no container, found {value} bytes"
    if run.memory_swap > 0 and not run.memory:
        yield "run.memory_swap", "needs run.memory: it is the limit of both together"
    elif 0 < run.memory_swap < run.memory:
        yield "run.memory_swap", f"expected at least run.memory ({run.memory} bytes), for it counts memory and swap together"
    if 0 < run.memory < run.memory_reservation:
        yield "run.memory_reservation", f"expected at most run.memory ({run.memory} bytes)"
    if run.cpu_shares == 1:
        yield "run.cpu_shares", "expected at least 2, or 0 for the engine's 1024"


def _networks(app: App) -> Iterator[Problem]:
    """Yield what needs a network of the app's own, and what only one container can have at a time."""
    run = app.run
    single = {"ip": run.ip, "ip6": run.ip6, "mac_address": run.mac_address}
    for key in [name for name, value in {**single, "network_aliases": run.network_aliases}.items() if value]:
        if not app.networks:
            yield (
                f"run.{key}",
                "needs a network in networks: on the default one there are no names and no addresses of one's own",
            )
        elif key in single and (app.strategy != "recreate" or app.replicas > 1):
            yield f"run.{key}", 'two containers would have the same: use strategy "recreate" and replicas = 1'
