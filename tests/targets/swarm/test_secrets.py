"""What `swarm.secret_files` names is a file in the app's containers, and nowhere else."""

from __future__ import annotations

import json

import pytest

from gitdeploy.config.sections import Swarm
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP
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
