"""The shop of the tutorial, deployed for real: a web process, a worker, a nightly run, migrations, tests, a database."""

from __future__ import annotations

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support import shop as shops
from tests.support.images import BaseImages
from tests.support.prober import Prober
from tests.support.shop import Shop

NEW_MIGRATION = "ALTER TABLE products ADD COLUMN stock integer NOT NULL DEFAULT 0;\n"
FAILING_TEST = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.fail('not today')\n"


@pytest.fixture
def shop(app: Deployable, base_images: BaseImages, shop_images_loaded: None) -> Shop:
    """The shop, with 1.0.0 live."""
    shops.set_up(app.site, app.name, app.container, app.clone, base_images)
    app.clone.release("1.0.0")
    text = app.clone.push(app.remote).text
    assert "1.0.0 is live" in text, text
    steps = [line.split("==> ")[1].strip() for line in text.splitlines() if "==> " in line]
    assert [step for step in steps if step.startswith(("Task", "Deploy"))] == ["Task test", "Task migrate", "Deploy"]
    return Shop(app.url)


def test_the_shop_from_its_first_push_to_a_rollback(app: Deployable, shop: Shop, docker_client: docker.DockerClient) -> None:
    site, name = app.site, app.name
    assert [product["name"] for product in shop.get("/")] == ["Teapot", "Cup"]
    first = shop.order(1, 12)
    assert shop.wait_until_sent(first) == {"sent": True, "total": 25_920}
    database = docker_client.containers.get(f"{app.container}-db")

    site.run("schedule", name, "nightly")
    assert shop.get("/report")["orders"] == "1"
    assert "nightly" in site.run("history", name).stdout
    assert site.run("exec", name, "python3", "-c", "print(6 * 7)").stdout == "42\n"

    app.clone.release("2.0.0", {"migrations/003_stock.sql": NEW_MIGRATION})
    with Prober(f"{app.url}/version", pause=0.01) as prober:
        text = app.clone.push(app.remote).text
    assert "2.0.0 is live" in text, text
    assert "applying 003_stock.sql" in text
    assert (dict(prober.findings.errors), set(prober.findings.bodies)) == ({}, {"1.0.0", "2.0.0"})
    assert shop.wait_until_sent(shop.order(2, 1))["total"] == 600

    app.clone.release("3.0.0", {"migrations/004_wrong.sql": "DROP TABLE orders;\nSELECT 1 FROM nowhere;\n"})
    text = app.clone.push(app.remote).text
    assert "FAILED at Task migrate" in text
    assert 'relation "nowhere" does not exist' in text
    app.clone.release("3.0.1", {"migrations/004_wrong.sql": None, "tests/test_today.py": FAILING_TEST})
    text = app.clone.push(app.remote).text
    assert "FAILED at Task test" in text
    assert "not today" in text
    assert (shop.get("/version"), shop.get(f"/orders/{first}")["sent"]) == ("2.0.0", True)

    text = site.run("rollback", name, "1.0.0").stdout
    assert "migrate" in text  # it has run since
    assert shop.get("/version") == "1.0.0"
    assert shop.wait_until_sent(shop.order(1, 1))["sent"]
    again = docker_client.containers.get(f"{app.container}-db")
    assert (again.id, again.attrs["State"]["StartedAt"]) == (database.id, database.attrs["State"]["StartedAt"])
