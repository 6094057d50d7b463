"""What `swarm.secret_files` names is a file in the app's containers, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from gitdeploy.config.sections import Swarm
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP
from tests.support.targets import target_on
from tests.targets.swarm.fleet import ClusterSite

FIRST, SECOND, THIRD = "sesame-1\nand more", "sesame-2", "sesame-3"


def inside(site: ClusterSite, *command: str) -> str:
    """What a command in the app's only container prints."""
    (task,) = (task for task in site.tasks() if task.running)
    code, output = site.engine.exec(task.container, command)
    assert code == 0, output
    return output.decode()


def told(site: ClusterSite) -> str:
    """All that the cluster and the engine tell of the app."""
    with site.swarm.client() as client:
        services = [service.attrs for service in client.services.list(filters={"label": APP})]
        secrets = [secret.attrs for secret in client.secrets.list()]
        tasks = client.api.tasks()
        containers = [client.api.inspect_container(task.container) for task in site.tasks() if task.running]
    return json.dumps([services, secrets, tasks, containers])


def test_a_file_of_the_server_is_at_its_path_on_each_machine(
    wide: ClusterSite, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It comes and goes with the release that it was read for."""
    path = tmp_path_factory.mktemp("files") / "shop.conf"
    path.write_text("colour = blue\n")
    wide.configure(replicas=3, swarm=Swarm(files={"/etc/shop/shop.conf": path, "/etc/shop.conf": path}))
    wide.deploy("1")
    assert wide.where() == ["node1", "node2", "node3"]
    assert everywhere(wide, "/etc/shop/shop.conf") == everywhere(wide, "/etc/shop.conf") == ["colour = blue\n"] * 3
    path.write_text("colour = green\n")
    with pytest.raises(StageFailed):
        wide.deploy("2", EXIT="4")
    assert everywhere(wide, "/etc/shop.conf") == ["colour = blue\n"] * 3
    wide.deploy("3")
    assert everywhere(wide, "/etc/shop.conf") == ["colour = green\n"] * 3
    assert len(wide.cluster.secrets({APP: wide.app.name})) == 2
    for content, mode, said in ((b"x" * 500_001, 0o644, "500001 bytes"), (b"", 0o644, "is empty"), (b"x", 0o666, "written by")):
        path.write_bytes(content)
        path.chmod(mode)
        with pytest.raises(StageFailed, match=said):
            target_on(wide.engine).require_fit(wide.app, wide.app)
    alone = replace(wide.app, target="docker")
    with pytest.raises(StageFailed, match=r"swarm\.files is for target") as failed:
        target_on(wide.engine).require_fit(alone, alone)
    assert f'"{path}:/etc/shop.conf:ro"' in failed.value.hint
    wide.configure(swarm=Swarm())
    wide.deploy("4")
    assert wide.cluster.secrets({APP: wide.app.name}) == []


def everywhere(site: ClusterSite, path: str) -> list[str]:
    """What a file has in each of the app's containers."""
    nodes = {node.id: node.name for node in site.cluster.nodes()}
    found = []
    for task in site.tasks():
        if task.running:
            (node,) = (node for node in site.swarm.nodes if node.name == nodes[task.node])
            with site.swarm.client(node) as client:
                found.append(client.containers.get(task.container).exec_run(["cat", path]).output.decode())
    return found


def test_a_secret_is_a_file_and_changes_with_the_release(site: ClusterSite) -> None:
    site.configure(swarm=Swarm(secret_files=("TOKEN",)))
    for version, value in (("1", FIRST), ("2", SECOND)):
        site.deploy(version, TOKEN=value)
        assert inside(site, "cat", "/run/secrets/TOKEN") == value
        assert "TOKEN" not in inside(site, "env")
        (secret,) = site.cluster.secrets({APP: site.app.name})
        assert secret.name.endswith(f"-r{version}.TOKEN")
        assert "sesame" not in told(site)
    with pytest.raises(StageFailed) as failed:
        site.deploy("3", TOKEN=THIRD, EXIT="4")
    assert inside(site, "cat", "/run/secrets/TOKEN") == SECOND
    assert [secret.name for secret in site.cluster.secrets({APP: site.app.name})] == [secret.name]
    with pytest.raises(StageFailed, match="env_file has no TOKEN"):
        site.deploy("4")
    site.configure(strategy="recreate")
    site.deploy("5", TOKEN=THIRD)
    assert inside(site, "cat", "/run/secrets/TOKEN") == THIRD
    assert len(site.cluster.secrets({APP: site.app.name})) == 1
    site.configure(swarm=Swarm())
    site.deploy("6", TOKEN=THIRD)
    assert site.cluster.secrets({APP: site.app.name}) == []
    assert "sesame" not in "\n".join([site.output.text, str(failed.value), failed.value.hint, *failed.value.tail])
