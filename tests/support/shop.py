"""The shop in tests/shop, enrolled, with the database as its accessory."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.apps import SampleApp
from tests.support.images import BaseImages
from tests.support.installed import Installed
from tests.support.net import wait_until
from tests.support.shop_images import POSTGRES, SHOP

TABLES = """
env_file = "{home}/shop.env"
router = {{ image = "{haproxy}", drain_timeout = "2s" }}

[apps."{name}".accessories.db]
image = "{postgres}"
env_file = "{home}/db.env"
health = {{ port = 5432 }}
backup_hint = "docker exec {container}-db pg_dump --username=postgres shop >shop.sql"
"""


@dataclass(frozen=True)
class Shop:
    """A shop that can be reached.

    Attributes:
        url: where it answers.
    """

    url: str

    def get(self, path: str) -> Any:
        """What a page says."""
        return self._ask(urllib.request.Request(self.url + path))

    def order(self, product: int, count: int) -> int:
        """Orders something; returns the order's number."""
        body = json.dumps({"product": product, "count": count}).encode()
        request = urllib.request.Request(f"{self.url}/orders", body, {"Content-Type": "application/json"})
        return int(self._ask(request)["id"])

    def wait_until_sent(self, number: int) -> Mapping[str, Any]:
        """What is said of an order that the worker has sent."""
        wait_until(lambda: self.get(f"/orders/{number}")["sent"], 30, "the worker")
        found: Mapping[str, Any] = self.get(f"/orders/{number}")
        return found

    def _ask(self, request: urllib.request.Request) -> Any:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if answer.headers.get_content_type() == "application/json" else body.decode()


def set_up(site: Installed, name: str, container: str, clone: SampleApp, base_images: BaseImages) -> None:
    """Makes an enrolled app the shop: its files, its table, its secrets."""
    for file in clone.path.iterdir():
        if file.name != ".git":
            file.unlink()
    shutil.copytree(SHOP, clone.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    secrets = {
        "shop.env": "DATABASE_URL=postgresql://postgres:open-sesame@db/shop\n",
        "db.env": "POSTGRES_PASSWORD=open-sesame\nPOSTGRES_DB=shop\n",
    }
    for file_name, text in secrets.items():
        path = site.home / file_name
        path.touch(mode=0o600)
        path.write_text(text)
    config = site.home / "config.toml"
    text = config.read_text().replace(':80"', ':8000"')
    more = TABLES.format(home=site.home, name=name, container=container, postgres=POSTGRES, haproxy=base_images.haproxy)
    config.write_text(text + more)
