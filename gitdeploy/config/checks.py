"""Values that are right by themselves and wrong together, within one app. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from types import MappingProxyType
from typing import cast

from gitdeploy.config.attachments import Volume
from gitdeploy.config.domainchecks import domain_problems
from gitdeploy.config.formats import CONTAINER, IMAGE, fill_in
from gitdeploy.config.imagereference import HUB, OFFICIAL, OWN, image_key, is_in, parse
from gitdeploy.config.keys import MAX_REPLICAS
from gitdeploy.config.model import WEB, App, Layer
from gitdeploy.config.partchecks import part_problems
from gitdeploy.config.problems import BadValue, join_key, quoted
from gitdeploy.config.runchecks import run_problems
from gitdeploy.config.values import format_duration

DERIVED = r"(?:[.-]router|\.swarm\.router|\.before-gitdeploy|\.[0-9]+(?:\..*)?)"
"""What gitdeploy appends to an app's container name for its router, its next releases and an adopted container."""

HOUR, DAY = 3600.0, 86400.0
"""Seconds that a pusher's times may come to."""

HEALTH_TIMES = ("health.start_period", "health.retries", "health.interval", "health.timeout")
REPLICA_TIMES = ("replicas", "stop_timeout", "health.min_uptime", *HEALTH_TIMES)
CANARY_TIMES = ("canary.duration", "canary.weight")

_NO_COMMAND = "the image's own is what the app's containers run"

NOTHING: Layer = MappingProxyType({})

Problem = tuple[str, str]
"""Key path and what is wrong with it."""


def app_problems(app: App) -> list[Problem]:
    """Return what contradicts itself in one app."""
    found = [*_names(app), *domain_problems(app), *_routing(app), *_repetitions(app), *run_problems(app)]
    for name in app.processes:
        part = app.of_process(name)
        found += [
            (f"processes.{name}.{key}", text) for key, text in (*_routing(part), *_repetitions(part), *run_problems(part))
        ]
    for name in app.accessories:
        part = app.of_accessory(name)
        found += [(f"accessories.{name}.{key}", text) for key, text in (*_repetitions(part), *run_problems(part))]
    found += part_problems(app)
    for name, task in app.tasks.items():
        if not task.run.command:
            found.append((f"tasks.{name}", f'expected a command, such as command = "flask db upgrade", for {_NO_COMMAND}'))
    for name, job in app.schedule.items():
        if not job.cron:
            found.append((f"schedule.{name}", 'expected a time, such as cron = "30 3 * * *" (every day at 3:30)'))
        if not job.run.command:
            found.append((f"schedule.{name}", f'expected a command, such as command = "./report.sh", for {_NO_COMMAND}'))
    return found


def processes(app: App) -> tuple[App, ...]:
    """Return the app as each of its processes has it, "web" first."""
    return (app, *map(app.of_process, app.processes))


def app_warnings(app: App) -> tuple[str, ...]:
    """Return what works and may still surprise; one line each, beginning with the key."""
    bare = [name for name, process in app.processes.items() if not process.run.command]
    notes = tuple(f"processes.{name}: it has no command, so a Procfile in the tree has to name one" for name in bare)
    writable = [str(volume) for volume in app.volumes if not volume.read_only]
    if app.strategy == "recreate" or not writable:
        return notes
    both = f'volumes: with strategy "{app.strategy}" two releases write to {", ".join(writable)} at the same time'
    return (*notes, both)


def _names(app: App) -> Iterator[Problem]:
    """Yield the names once {owner} and {repo} are filled in."""
    for key, kind, value in (("image", IMAGE, app.image), ("container", CONTAINER, app.container)):
        try:
            kind.parse(value)
        except BadValue as bad:
            yield key, f"expected {bad.expected}, but the app's name gives {quoted(value)}: set {key} for this app"
    if re.fullmatch(r"gitdeploy\.edge(\..*)?", app.container):
        yield "container", f"{quoted(app.container)} is what the edge's own container is called: choose another"
    if is_in(app.image, OWN):
        yield "image", f"{OWN} is where gitdeploy keeps names of its own, found {quoted(app.image)}: choose another registry"


def _routing(app: App) -> Iterator[Problem]:
    overlaps = app.strategy != "recreate"
    external = app.router.kind == "external"
    if overlaps and not external and (udp := [str(port) for port in app.publish if port.protocol == "udp"]):
        yield "publish", f'strategy "{app.strategy}" needs a router and HAProxy has no UDP ({udp[0]}): use "recreate"'
    if overlaps and external and app.publish:
        yield (
            "publish",
            f'with router = "external" and strategy "{app.strategy}" two containers would publish {app.publish[0]}: '
            'leave publish empty, or use "recreate"',
        )
    if app.strategy == "canary" and external:
        yield "strategy", '"canary" needs gitdeploy\'s own router to weigh the traffic: use "rolling" with router = "external"'
    if not overlaps and app.replicas > 1 and (app.publish or app.led_to):
        shared = app.publish[0] if app.publish else f"port {app.led_to}"
        yield (
            "replicas",
            f'{app.replicas} containers cannot share {shared} without a router: use "rolling", or replicas = 1',
        )
    if app.target == "swarm" and not app.push.enabled:
        yield "push.enabled", 'the machines of a cluster pull the image from a registry: expected true with target = "swarm"'
    if app.router.proxy_protocol and app.router.mode != "tcp":
        yield "router.proxy_protocol", 'only for router.mode = "tcp"; in http mode the app gets X-Forwarded-For'


def _repetitions(app: App) -> Iterator[Problem]:
    for first, second in combinations(app.publish, 2):
        if first.clashes(second):
            yield "publish", f"{first} and {second} take the same port of the host"
    for one, other in combinations(app.volumes if app.process == WEB else (), 2):
        if one.target == other.target:
            yield "volumes", f"two mounts at {quoted(one.target)}"
    if both := sorted({volume.target for volume in app.volumes} & set(app.swarm.files)):
        yield "swarm.files", f"{quoted(both[0])} is mounted there by volumes, too"
    if any(first >= second for first, second in pairwise(app.canary.weight)):
        yield "canary.weight", f"expected ascending steps, found {list(app.canary.weight)}"


def pusher_problems(app: App, layer: Layer, above: Layer = NOTHING) -> Iterator[Problem]:
    """Yield what is right for the server and too much for who pushes.

    Args:
        app: with everything merged.
        layer: what the tree, or the push options, set.
        above: what lies over that: the app's own table.
    """
    for name in _table(layer, "build.args"):
        if name.upper().endswith("_PROXY") or name.upper().startswith("BUILDKIT_"):
            where = join_key(["apps", app.name, "build", "args", name])
            yield (
                join_key(["build", "args", name]),
                f"only the server may set it, as {where} of its config.toml: BuildKit takes it for a setting of its own",
            )
    images = layer.get("build.cache_from", ())
    for image in images if isinstance(images, tuple) else ():
        if image_key(image) != image_key(app.image):
            text = f"expected images of {quoted(app.image)} alone, found {quoted(image)}: only the server may name others"
            yield "build.cache_from", text
    keys = [key for key in layer if key not in above]
    yield from _too_long(app, keys)
    for name in app.processes:
        mine = f"processes.{name}."
        for key, text in _too_long(app.of_process(name), [key.removeprefix(mine) for key in keys if key.startswith(mine)]):
            yield mine + key, text
    limits = {f"tasks.{name}.timeout": task.timeout for name, task in app.tasks.items()}
    limits |= {f"schedule.{name}.timeout": job.timeout for name, job in app.schedule.items()}
    for key, seconds in limits.items():
        if key in keys and seconds > HOUR:
            yield key, f"expected at most {format_duration(HOUR)}: only the server may give more"
    total = sum(part.replicas for part in processes(app))
    if total > MAX_REPLICAS and (given := [key for key in keys if key.rpartition(".")[2] == "replicas"]):
        yield (
            given[0],
            f"expected at most {MAX_REPLICAS} replicas of all processes, found {total}: only the server may have more",
        )


def _too_long(app: App, keys: Sequence[str]) -> Iterator[Problem]:
    """Yield times that are short by themselves and long together: a pusher could hold a deployment for weeks."""
    health, canary = app.health, app.canary
    each = max(health.patience, health.min_uptime) + app.stop_timeout
    times = (
        (HEALTH_TIMES, health.patience, HOUR, "start_period + retries x (interval + timeout)"),
        (REPLICA_TIMES, app.replicas * each, DAY, "replicas x (the time to get healthy + stop_timeout)"),
        (CANARY_TIMES, len(canary.weight) * canary.duration, DAY, "the steps of canary.weight x canary.duration"),
    )
    for concerned, seconds, most, what in times:
        if seconds > most and (given := [key for key in concerned if key in keys]):
            yield (
                given[0],
                f"expected at most {format_duration(most)} for {what}, found {format_duration(seconds)}: "
                "shorten it; only the server may take longer, if it sets all of them",
            )


def _table(layer: Layer, key: str) -> Mapping[str, object]:
    value = layer.get(key, {})
    return value if isinstance(value, Mapping) else {}


def newcomer_problems(template: str, defaults: Layer) -> Iterator[Problem]:
    """Yield what is wrong with enrolling repositories by their first push, as (key of the whole file, what is wrong).

    Whoever makes a repository chooses its name. A registry has to agree to what is pushed under it, and no name may be one
    that images of other people have on this engine, such as "library/haproxy" or "gogs/gogs".

    Args:
        template: `server.new_repositories`, not "".
        defaults: `[defaults]`.
    """
    first, _, rest = template.partition("/")
    named = parse(fill_in(template, "xx/xx"))
    domain = named.domain if named else ""
    if named and named.key.startswith(f"{HUB}/"):
        owner, slash, _ = (rest if domain else template).partition("/")
        good = bool(slash) and "{" not in owner and f"{owner}/" != OFFICIAL
    else:
        good = "{" not in first and not is_in(template, OWN)
    if not good:
        yield (
            "server.new_repositories",
            'expected a registry or an owner of your own before {owner} and {repo}, such as "127.0.0.1:5000/{owner}/{repo}" or '
            f'"6ain/{{repo}}", found {quoted(template)}: whoever makes a repository could name the images of others',
        )
    needs = "repositories that their first push enrols (server.new_repositories) need a registry that says what may be pushed"
    if defaults.get("push.enabled") is False:
        yield "defaults.push.enabled", f"{needs}: take this out, and set it in the tables of the apps that have none"
    if "push.enabled" in cast(tuple[str, ...], defaults.get("allow", ())):
        yield "defaults.allow", f'{needs}: take "push.enabled" out, and allow it in the tables of the apps that have none'


def volume_problem(app: App, volume: Volume, others: Sequence[App]) -> str:
    """Return why a tree must not have this mount although it may have volumes, "" if it may.

    Named volumes of the app itself only: paths lead to the host, and other volumes hold other apps' data, even the
    Git server's with gitdeploy's own config in it.
    """
    if volume.is_path:
        return f"only the server may mount paths of the host, found {quoted(str(volume))}"

    def belongs_to(owner: App) -> bool:
        return re.fullmatch(re.escape(owner.container) + r"(?:[._-].*)?", volume.source) is not None

    if any(volume.source.startswith(f"{app.container}-{name}-") for name in app.accessories) or volume.source in _beside(app):
        return f"that is the data of an accessory, found {quoted(str(volume))}"
    taken = any(
        volume.source in {theirs.source for theirs in other.volumes} | _beside(other)
        or (len(other.container) > len(app.container) and belongs_to(other))
        for other in others
    )
    if taken or not belongs_to(app):
        return f'expected a volume of this app, such as "{app.container}-data:{volume.target}", found {quoted(str(volume))}'
    return ""


def _beside(app: App) -> set[str]:
    """Return the volumes and paths that tables of accessories name."""
    return {volume.source for accessory in app.accessories.values() for volume in accessory.volumes}
