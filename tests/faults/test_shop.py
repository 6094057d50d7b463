"""kill -9 while the shop of the tutorial is deployed: its database, its migrations, its worker and its orders come through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.faults.test_crash import PARTS, WHAT, Trial, changing, points, sample
from tests.support import params
from tests.support import shop as shops
from tests.support.images import BaseImages
from tests.support.shop import Shop
from tests.support.summary import Summary

GOODS = 2
"""Products of the first release; each migration adds one."""

CONTAINERS = 3
"""The web process, the worker and the database."""

MakeShop = Callable[[str], Tiny]


@dataclass
class ShopTrial(Trial):
    """One release of the shop, killed at one point."""

    def run_first(self, version: str, point: Point) -> bool:
        """Pushes the first release and is killed at `point`; returns whether that point was reached."""
        self.tiny.kill_at(point, "child")
        push = self.tiny.push(timeout=300)
        fired = self.tiny.fired.exists()
        self.tiny.kill_no_more()
        if list((self.tiny.site.home / "spool").glob("*.push")):
            self.tiny.site.run("worker", "--once")
        self.expect("exit code of the push", push.code, 0)
        if self.tiny.get():
            self.check(version)
        else:
            self.wrong.append(f"nothing serves: {push.text}")
        for name in self.tiny.containers():  # of many shops side by side the machine is full
            self.tiny.client.containers.get(name).kill()
        return fired

    def check(self, version: str) -> None:
        """As for any app; and each migration has run once, and the worker sends what is ordered."""
        super().check(version)
        shop = Shop(f"http://127.0.0.1:{self.tiny.port}")
        self.expect("products", len(shop.get("/")), GOODS + int(version))
        order = shop.order(1, 1)
        self.expect("order", shop.wait_until_sent(order), {"sent": True, "total": 2400})

    def check_database(self, container: str) -> None:
        """The database is the one that there was, and ran on."""
        self.expect("database", self.tiny.client.containers.get(f"{self.tiny.container}-db").id, container)


def release(tiny: Tiny, version: int) -> None:
    """Commits a version with a migration of its own."""
    migration = f"INSERT INTO products (name, price) VALUES ('Spoon {version}', 100);\n"
    tiny.clone.release(str(version), {f"migrations/1{version:03}_spoon.sql": migration} if version else {})


@pytest.fixture
def make_shop(make_tiny: MakeTiny, base_images: BaseImages, shop_images_loaded: None) -> Iterator[MakeShop]:
    """Makes an enrolled shop with 0 committed; takes a suffix for the names of more than one."""

    def make(suffix: str = "") -> Tiny:
        tiny = replace(make_tiny(suffix=suffix), page="/version")
        shops.set_up(tiny.site, tiny.name, tiny.container, tiny.clone, base_images)
        release(tiny, 0)
        return tiny

    yield make


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", [pytest.param(n, marks=pytest.mark.exhaustive if n else ()) for n in range(PARTS)])
@pytest.mark.parametrize("victim", params.sample(("child", "group"), "group"))
def test_kill_while_a_release_follows(
    victim: str, part: int, make_shop: MakeShop, summary: Summary, pytestconfig: pytest.Config
) -> None:
    tiny = make_shop("")
    first = tiny.push().text
    assert "0 is live" in first, first
    release(tiny, 1)
    every = list(points(tiny.effects(tiny.push)))
    chosen = changing(every)[part::PARTS] if pytestconfig.getoption("--exhaustive") else sample(every, 2)
    database = str(tiny.client.containers.get(f"{tiny.container}-db").id)
    row = summary.row(f"{WHAT[victim]}, shop")
    row.known += 0 if part else len(changing(every))
    wrong: list[str] = []
    for number, point in enumerate(chosen, 2):
        trial = ShopTrial(tiny, routed=True, replicas=CONTAINERS, own_network=True)
        release(tiny, number)
        fired = trial.run(str(number - 1), str(number), point, victim)
        trial.check_database(database)
        row.tried += fired
        row.held += fired and not trial.wrong
        wrong += [f"{point}: {text}" for text in trial.wrong]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(7200)
def test_kill_while_the_database_is_made(make_shop: MakeShop, summary: Summary, pytestconfig: pytest.Config) -> None:
    """The first push of all, at points where the accessory is started."""
    first = make_shop("-first")
    every = list(points(first.effects(first.push)))
    row = summary.row("kill -9 of the worker, shop's first push")
    row.known += len(changing(every))
    wrong: list[str] = []
    for number, point in enumerate(changing(every)[::10] if pytestconfig.getoption("--exhaustive") else sample(every, 5)[2:3]):
        trial = ShopTrial(make_shop(f"-{number}"), routed=True, replicas=CONTAINERS, own_network=True)
        fired = trial.run_first("0", point)
        row.tried += fired
        row.held += fired and not trial.wrong
        wrong += [f"{point}: {text}" for text in trial.wrong]
    assert not wrong, "\n".join(wrong)
