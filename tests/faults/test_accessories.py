"""kill -9 while an accessory is replaced: the next run leaves exactly one of old and new, which runs on the same data."""

from __future__ import annotations

import io
from collections.abc import Iterator

import docker
import pytest

from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point

DATABASE = """\
FROM gitdeploy-test/busybox:1
VOLUME /data
STOPSIGNAL SIGKILL
CMD ["sh", "-c", "echo $EDITION >>/data/started; exec sleep 1000"]
"""
IMAGE = "gitdeploy-faults/database:1"

MOMENTS = [
    Point("engine.create", 1, "after"),
    Point("engine.set_restart", 1, "after"),
    Point("engine.stop", 1, "during"),
    Point("engine.stop", 1, "after"),
    Point("engine.start", 1, "before"),
    Point("engine.start", 1, "after"),
    Point("engine.set_restart", 2, "after"),
    Point("engine.rename", 1, "before"),
]
SAMPLE = (3, 6, 7)
EACH = [pytest.param(point, marks=() if n in SAMPLE else pytest.mark.exhaustive) for n, point in enumerate(MOMENTS)]


@pytest.fixture
def tiny(make_tiny: MakeTiny, docker_client: docker.DockerClient) -> Iterator[Tiny]:
    docker_client.images.build(fileobj=io.BytesIO(DATABASE.encode()), tag=IMAGE, rm=True)
    tiny = make_tiny()
    table = f'\n[apps."{tiny.name}".accessories.db]\nimage = "{IMAGE}"\nenv.EDITION = "first"\nhealth.min_uptime = "100ms"\n'
    tiny.site.configure(table)
    yield tiny
    for container in docker_client.containers.list(all=True, filters={"label": f"gitdeploy.app={tiny.name}"}):
        container.remove(force=True)
    for volume in docker_client.volumes.list(filters={"label": f"gitdeploy.app={tiny.name}"}):
        volume.remove()


def standing(tiny: Tiny, client: docker.DockerClient) -> tuple[list[str], str, str, list[str]]:
    """Names of the accessory's containers; of the first, its state and restart policy, and what it has written."""
    wanted = {"label": ["gitdeploy.accessory", f"gitdeploy.app={tiny.name}"]}
    found = client.containers.list(all=True, filters=wanted)
    first = found[0]
    lines = first.exec_run(["cat", "/data/started"]).output.decode().split()
    policy = first.attrs["HostConfig"]["RestartPolicy"]["Name"]
    return [str(c.name) for c in found], first.status, policy, lines


@pytest.mark.parametrize("point", EACH, ids=str)
def test_one_of_old_and_new_stays(point: Point, tiny: Tiny, docker_client: docker.DockerClient) -> None:
    tiny.push("1")
    assert standing(tiny, docker_client) == ([f"{tiny.container}-db"], "running", "always", ["first"])
    config = tiny.site.home / "config.toml"
    config.write_text(config.read_text().replace('"first"', '"second"'))
    tiny.kill_at(point, "child")
    text = tiny.push("2").text
    assert tiny.fired.exists(), text
    names, state, policy, started = standing(tiny, docker_client)
    assert (names, state, policy) == ([f"{tiny.container}-db"], "running", "always"), text
    assert (started[0], started[-1]) == ("first", "second")
    assert tiny.get() == "2"
