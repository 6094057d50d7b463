"""What the parts of an app, its processes and accessories, cannot have besides one another. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

from gitdeploy.config.model import WEB, App
from gitdeploy.config.problems import quoted

Problem = tuple[str, str]


def holders(app: App) -> tuple[tuple[str, App], ...]:
    """Return the app as each of its parts that stay up has it, with the part's table: "" for "web", "accessories.db"."""
    parts = [(f"processes.{name}", app.of_process(name)) for name in app.processes]
    return (("", app), *parts, *((f"accessories.{name}", app.of_accessory(name)) for name in app.accessories))


def part_problems(app: App) -> Iterator[Problem]:
    """Yield (key path, what is wrong) for one app."""
    for (first, one), (table, other) in combinations(holders(app), 2):
        for mine, theirs in product(other.publish, one.publish):
            if mine.clashes(theirs):
                owner = first.rpartition(".")[2] or WEB
                yield f"{table}.publish", f"port {mine} of the host is already {owner}'s"
    taken = {app.process, *app.processes, app.container, *(app.of_process(name).container for name in app.processes)}
    for name, accessory in app.accessories.items():
        if not accessory.image:
            yield f"accessories.{name}", 'expected an image, such as image = "postgres:17"'
        if name in taken:
            yield f"accessories.{name}", f"{quoted(name)} is what a process of the app is known by: call it something else"
