"""Values that are right by themselves and that two apps of one server cannot both have. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from typing import cast

from gitdeploy.config.checks import DERIVED, NOTHING
from gitdeploy.config.domainchecks import domains_taken
from gitdeploy.config.imagereference import image_key, path_key
from gitdeploy.config.model import WEB, App, Layer
from gitdeploy.config.partchecks import holders
from gitdeploy.config.problems import quoted


def cross_problems(apps: Sequence[App], defaults: Layer = NOTHING) -> Iterator[tuple[App, str, str]]:
    """Yield what two apps cannot both have, as (the later app, key, what is wrong); takes `[defaults]`, too."""
    yield from _taken_twice(apps, "container", lambda app: app.container)
    yield from _taken_twice(apps, "image", lambda app: image_key(app.image))
    taken = {image_key(image): image for app in apps for image in (app.router.image, *app.build.frontends)}
    for app in apps:
        if image := taken.get(image_key(app.image)):
            text = f"{quoted(app.image)} is the repository of {quoted(image)}, a router's or a frontend's image: choose another"
            yield app, "image", text
    yield from domains_taken(apps)
    yield from _bases_taken(apps, defaults)
    yield from _names_taken(apps)
    for first, second in combinations(apps, 2):
        yield from pair_problems(first, second)


def _bases_taken(apps: Sequence[App], defaults: Layer) -> Iterator[tuple[App, str, str]]:
    """Apps that take nobody's place and have an image that others may build on: the maker of the repository chose its name."""
    shared = [(None, image) for image in cast(tuple[str, ...], defaults.get("build.bases", ()))]
    bases = [*shared, *((app.name, image) for app in apps for image in app.build.bases)]
    for app in [app for app in apps if app.adopt is False]:
        path = path_key(app.image)
        if image := next((image for name, image in bases if name != app.name and path_key(image) == path), ""):
            yield (
                app,
                "image",
                f"{quoted(app.image)} is the repository of {quoted(image)} of build.bases, which other apps build on: choose "
                "another, or set adopt = true for this app if it is the one that makes that image",
            )


def _names_taken(apps: Sequence[App]) -> Iterator[tuple[App, str, str]]:
    """Names that another app had before it was renamed: what bears them on the engine is that one's."""
    owners: dict[str, str] = {}
    for app in apps:
        for name in app.formerly:
            if (owner := owners.setdefault(name, app.name)) != app.name:
                yield app, "formerly", f"{quoted(name)} was {owner}, too: what bears that name can be one app's only"
    for app in apps:
        if (owner := owners.get(app.name, app.name)) != app.name:
            yield (
                app,
                "formerly",
                f"{quoted(app.name)} was the name of {owner}, whose containers and images may bear it: choose another "
                f"(gitdeploy enrol OWNER/APP --repository {app.name}), or take it out of formerly of {owner} if nothing does",
            )


def _taken_twice(apps: Sequence[App], key: str, value_of: Callable[[App], str]) -> Iterator[tuple[App, str, str]]:
    owners: dict[str, App] = {}
    for app in apps:
        value = value_of(app)
        owner = owners.setdefault(value, app)
        if value and owner is not app:
            yield app, key, f"{quoted(value)} is already the {key} of {owner.name}"


def pair_problems(first: App, second: App) -> Iterator[tuple[App, str, str]]:
    """Ports and names that two apps cannot both have, as (app, key, what is wrong); `second` is the later one."""
    for (table, one), (below, other) in product(holders(first), holders(second)):
        for mine, theirs in product(other.publish, one.publish):
            if mine.clashes(theirs):
                yield second, f"{below}.publish".lstrip("."), f"port {mine} of the host is already {first.name}'s ({theirs})"
        if one.container == other.container and (table or below):
            owned = table.rpartition(".")[2] or WEB
            text = f"{quoted(other.container)} is what containers of {first.name}'s {owned} are called: choose another"
            yield second, below or "container", text
        for owner, named, key in ((one, other, below), (other, one, table)):
            if re.fullmatch(re.escape(owner.container) + DERIVED, named.container):
                made = f"is a name that gitdeploy makes for containers of {owner.name}"
                yield named, key or "container", f"{quoted(named.container)} {made}: choose another"
