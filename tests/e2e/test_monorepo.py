"""One repository, two apps: a push deploys each that it concerns, and shows both; see also tests/hook/test_several_apps.py."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support import guards
from tests.support.apps import TEMPLATE
from tests.support.net import free_port

ADMIN = {f"admin/{path.name}": path.read_bytes() for path in TEMPLATE.iterdir()}


@dataclass(frozen=True)
class Shop:
    """The app of the repository's own name, and one more of the same repository that lies in admin/."""

    web: Deployable
    admin: str
    url: str

    def answers(self) -> tuple[str, str]:
        """What both say."""
        with urllib.request.urlopen(self.url, timeout=5) as answer:
            return self.web.get(), answer.read().decode().strip()


@pytest.fixture
def shop(app: Deployable, docker_client: docker.DockerClient) -> Iterator[Shop]:
    name, port = f"{app.name}-admin", free_port()
    done = app.site.run(
        *("enrol", name, "--repository", app.name, "--image", f"{app.image}-admin"),
        *("--container", f"{app.container}-admin", "--publish", f"127.0.0.1:{port}:80"),
    )
    assert f"a push there deploys {app.name}, too" in done.stdout
    config = app.site.home / "config.toml"
    web, admin = f'[apps."{app.name}"]\n', f'[apps."{name}"]\n'
    text = config.read_text().replace(web, f'{web}paths = ["**", "!admin"]\n')
    text = text.replace(admin, f'{admin}paths = ["admin/**"]\nversion_file = "admin/VERSION"\nbuild.context = "admin"\n')
    config.write_text(text.replace("build.context", 'build.dockerfile = "admin/Dockerfile"\nbuild.context'))
    yield Shop(app, name, f"http://127.0.0.1:{port}")
    guards.remove_app(docker_client, name)


def test_a_push_deploys_each_that_it_concerns(shop: Shop) -> None:
    web, site = shop.web, shop.web.site
    web.clone.release("1", {**ADMIN, "admin/VERSION": "10\n"})
    first = web.clone.push(web.remote)
    assert shop.answers() == ("dev-app 1", "dev-app 10"), first.text
    here, there = web.name, shop.admin
    assert f"remote: {here} | {web.name} 1 is live at" in first.text, first.text
    assert f"remote: {there} | {shop.admin} 10 is live at" in first.text

    web.clone.release("1", {"admin/VERSION": "11\n"})
    second = web.clone.push(web.remote)
    assert shop.answers() == ("dev-app 1", "dev-app 11")
    assert f"{here} | gitdeploy: nothing to deploy: no file of **, !admin has changed since 1" in second.text, second.text

    web.clone.release("2")
    third = web.clone.push(web.remote)
    assert shop.answers() == ("dev-app 2", "dev-app 11")
    assert f"{there} | gitdeploy: nothing to deploy: no file of admin/** has changed since 11" in third.text
    assert [len(site.history(name)) for name in (web.name, shop.admin)] == [2, 2]
    doctor = site.run("doctor", check=None).stdout
    assert f"gitdeploy enrol {shop.admin}" not in doctor, doctor
    assert f"gitdeploy enrol {web.name}" not in doctor, doctor


def test_what_was_rolled_back_stays_so_when_another_app_is_pushed(shop: Shop) -> None:
    web, site = shop.web, shop.web.site
    for version in ("10", "11"):
        web.clone.release("1", {**ADMIN, "admin/VERSION": f"{version}\n"})
        web.clone.push(web.remote)
    site.run("rollback", shop.admin)
    assert shop.answers() == ("dev-app 1", "dev-app 10")
    web.clone.release("2")
    web.clone.push(web.remote)
    assert shop.answers() == ("dev-app 2", "dev-app 10")
    site.run("deploy", shop.admin, "main")  # asked for by hand, whatever has changed
    assert shop.answers() == ("dev-app 2", "dev-app 11")


def test_one_is_taken_out_and_the_other_goes_on(shop: Shop) -> None:
    web, site = shop.web, shop.web.site
    assert f"which still deploys {web.name}" in site.run("remove", shop.admin).stdout
    web.clone.release("1", {**ADMIN, "admin/VERSION": "10\n"})
    push = web.clone.push(web.remote)
    assert f"remote: {web.name} 1 is live at" in push.text
    assert site.run("history", shop.admin).stdout == "no deployments yet\n"
