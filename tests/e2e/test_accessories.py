"""A database beside an app: there before a task needs it, untouched by deployments, replaced with its data as its table is."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator

import docker
import pytest
from docker.models.containers import Container

from tests.e2e.conftest import BUSYBOX_DOCKERFILE, Deployable
from tests.support.net import wait_until
from tests.support.registry import Registry

DATABASE = """\
FROM gitdeploy-test/busybox:1
VOLUME /data
EXPOSE 5432
STOPSIGNAL SIGKILL
CMD ["sh", "-c", "echo $$EDITION >>/data/started; test -z $$BROKEN || exit 3; exec httpd -f -p 5432 -h /data"]
""".replace("$$", "$")
ASK = "wget -qO- http://db:5432/started"


class Shop:
    """An app with a migration that asks its database."""

    def __init__(self, app: Deployable, client: docker.DockerClient, image: str) -> None:
        self.app, self.client, self.image = app, client, image
        self.versions = 0
        (app.clone.path / "Dockerfile").write_text(BUSYBOX_DOCKERFILE)
        (app.clone.path / "gitdeploy.toml").write_text(f'health.interval = "50ms"\ntasks.migrate.command = "{ASK}"\n')
        self.before = (app.site.home / "config.toml").read_text()

    def table(self, *lines: str, others: str = "") -> None:
        """Sets the accessory's table."""
        text = [f'[apps."{self.app.name}".accessories.db]', f'image = "{self.image}"', 'backup_hint = "cp /data"', *lines]
        (self.app.site.home / "config.toml").write_text("\n".join([self.before, *text, others, ""]))

    def push(self) -> str:
        self.versions += 1
        self.app.clone.release(f"1.0.{self.versions}")
        return self.app.clone.push(self.app.remote).text

    def verb(self, *words: str, name: str = "db") -> str:
        return self.app.site.run("accessory", self.app.name, name, *words, check=False).stdout

    @property
    def database(self) -> Container:
        return self.client.containers.get(f"{self.app.container}-db")

    @property
    def identity(self) -> tuple[str, str]:
        found = self.database
        return found.id, found.attrs["State"]["StartedAt"]

    @property
    def containers(self) -> list[str]:
        """Names of all that are there of accessories."""
        wanted = {"label": ["gitdeploy.accessory", f"gitdeploy.app={self.app.name}"]}
        return sorted(str(c.name) for c in self.client.containers.list(all=True, filters=wanted))

    @property
    def volumes(self) -> list[str]:
        return [str(v.name) for v in self.client.volumes.list(filters={"label": f"gitdeploy.app={self.app.name}"})]

    def asked_by_the_app(self) -> str:
        code, output = self.client.containers.get(self.app.container).exec_run(ASK.split())
        assert code == 0
        return str(output.decode().strip())


@pytest.fixture
def shop(app: Deployable, docker_client: docker.DockerClient, registry: Registry) -> Iterator[Shop]:
    image = f"{registry.host}/{app.name}-db:1"
    docker_client.images.build(fileobj=io.BytesIO(DATABASE.encode()), tag=image, rm=True)
    docker_client.images.push(image)
    docker_client.images.remove(image)
    shop = Shop(app, docker_client, image)
    shop.table('env.EDITION = "first"')
    yield shop
    for name in shop.containers:
        docker_client.containers.get(name).remove(force=True)
    for name in shop.volumes:
        docker_client.volumes.get(name).remove(force=True)


def test_it_is_there_before_a_task_and_deployments_leave_it_be(shop: Shop) -> None:
    text = shop.push()
    assert "1.0.1 is live at" in text, text
    assert text.index("==> Accessories") < text.index(f"pulling {shop.image}") < text.index("==> Task migrate")
    volume = f"{shop.app.container}-db-data"
    assert f"db keeps its data of /data in the volume {volume}" in text
    assert text.index("==> Task migrate") < text.index("    first")
    assert shop.asked_by_the_app() == "first"
    was = shop.identity

    text = shop.push()
    assert "1.0.2 is live at" in text
    assert "Accessories: 0." in text
    assert "db runs" in text
    assert shop.identity == was

    shop.table('env.EDITION = "first"', 'health.interval = "100ms"')
    assert "1.0.1 is live" in shop.app.site.run("rollback", shop.app.name).stdout
    assert shop.identity == was
    assert f"{shop.app.name}: accessory db runs" in shop.app.site.run("status").stdout
    assert "its accessories run on (db)" in shop.app.site.run("stop", shop.app.name).stdout
    assert shop.identity == was


def test_a_changed_table_replaces_it_and_an_unhealthy_one_is_taken_back(shop: Shop) -> None:
    shop.push()
    first = shop.identity
    shop.table('env.EDITION = "second"')
    text = shop.push()
    assert "db: its table has changed" in text
    assert "a backup is made by: cp /data" in text
    assert "1.0.2 is live at" in text
    assert shop.asked_by_the_app() == "first\nsecond"
    second = shop.identity
    assert second[0] != first[0]
    assert shop.containers == [f"{shop.app.container}-db"]

    shop.table('env.EDITION = "third"', 'env.BROKEN = "1"')
    text = shop.push()
    assert "FAILED at Accessories: accessory db: the new container exited with code 3" in text
    assert (shop.identity[0], shop.database.status) == (second[0], "running")
    assert shop.database.attrs["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert shop.containers == [f"{shop.app.container}-db"]
    assert shop.app.get() == "1.0.2"
    assert shop.asked_by_the_app() == "first\nsecond\nthird\nsecond"


def test_the_verbs(shop: Shop) -> None:
    shop.push()
    was = shop.identity
    followed = [str(shop.app.site.home / "bin" / "gitdeploy"), "accessory", shop.app.name, "db", "logs", "-f"]
    environ = {**os.environ, **shop.app.site.environ}
    with subprocess.Popen(followed, env=environ, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        assert shop.database.exec_run(["sh", "-c", "echo hello >/proc/1/fd/1"]).exit_code == 0
        assert program.stdout.readline() == "hello\n"
        assert "is stopped" in shop.verb("stop")
        assert program.stdout.read() == ""
        assert program.wait(20) == 0
    assert shop.database.status == "exited"
    assert "accessory db stopped" in shop.app.site.run("status").stdout
    assert "FAILED at Accessories: accessory db: it is stopped" in shop.push()
    assert "runs" in shop.verb("start")
    assert "1.0.3 is live at" in shop.push()
    assert "runs" in shop.verb("restart")
    assert shop.identity[0] == was[0]
    assert "a backup is made by: cp /data" in shop.verb("upgrade")
    assert shop.identity[0] != was[0]
    wait_until(lambda: shop.asked_by_the_app().split() == ["first"] * 4, 20, "the new one to answer")
    shop.table(others=f'[apps."{shop.app.name}".accessories.cache]\nimage = "{shop.image}"\n')
    config = (shop.app.site.home / "config.toml").read_text()
    (shop.app.site.home / "config.toml").write_text(shop.before)
    assert "has no table any more" in shop.app.site.run("status").stdout
    audited = (shop.app.site.home / "audit.jsonl").read_text()
    assert '"accessory upgrade"' in audited
    assert "its data stays in the volume" in shop.verb("remove")
    assert shop.containers == []
    assert shop.volumes == [f"{shop.app.container}-db-data"]
    (shop.app.site.home / "config.toml").write_text(config)
    assert "1.0.4 is live at" in shop.push()
    assert shop.containers == [f"{shop.app.container}-{name}" for name in ("cache", "db")]
    assert shop.asked_by_the_app().split()[:4] == ["first"] * 4


def test_never_two_on_one_volume(shop: Shop) -> None:
    shop.push()
    was, client, name = shop.identity, shop.client, shop.database.name
    volume = {f"{name}-data": {"bind": "/data"}}

    # As after the end of who was replacing it: the old one stopped, the new one under way.
    shop.database.update(restart_policy={"Name": "no"})
    shop.database.kill()
    labels = {key: value for key, value in shop.database.labels.items() if key.startswith("gitdeploy.")}
    image = shop.database.image.id
    client.containers.run(image, "sleep 60", name=f"{name}.0.new", labels=labels, volumes=volume, detach=True)
    assert "accessory db was being replaced when that was cut off" in shop.app.site.run("status").stdout
    assert "runs" in shop.verb("start")
    assert shop.containers == [name]
    assert (shop.database.id, shop.database.status) == (was[0], "running")

    shop.verb("remove")
    foreign = client.containers.run(image, "sleep 60", volumes=volume, detach=True)
    try:
        text = shop.push()
        assert f"accessory db: the container {foreign.name} (" in text
        assert f"runs on {name}-data, which this one is to have" in text
    finally:
        foreign.remove(force=True)
    assert "is live at" in shop.push()
