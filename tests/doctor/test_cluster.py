"""Doctor asks real engines of a cluster, for the apps that run there."""

from __future__ import annotations

from pathlib import Path

from tests.doctor.patient import APP, Patient
from tests.support.cluster import SwarmNodes


def to_cluster(patient: Patient, registry: str, url: str, more: str = "") -> Patient:
    """Has the app run on the cluster of the engine at `url`."""
    config = patient.home / "config.toml"
    text = (
        config.read_text().replace("127.0.0.1:5000/dev-app", f"{registry}/dev-app").replace("enabled = false", "enabled = true")
    )
    table = f'[apps."{APP}"]\n'
    assert table in text
    text = text.replace("127.0.0.1:8080:80", "8080:80")
    config.write_text(text.replace(table, f'{table}target = "swarm"\nrun.no_new_privileges = false\n{more}'))
    return Patient(type(patient.site)(patient.site.gogs, {"DOCKER_HOST": url, "DOCKER_CONFIG": str(Path("/nonexistent"))}))


def said(patient: Patient) -> list[str]:
    return [f"{f.level}: {f.found}" for f in patient.examine() if f.check == "cluster"]


def test_a_cluster(patient: Patient, lone_node: SwarmNodes) -> None:
    whole = to_cluster(patient, lone_node.registry.host, lone_node.manager.url)
    assert said(whole) == ["ok: machines: node1, this one (manager)"]
    config = whole.home / "config.toml"
    config.write_text(config.read_text().replace('target = "swarm"\n', 'target = "swarm"\nrun.privileged = true\n'))
    with config.open("a") as file:
        file.write(f'[apps."{APP}".swarm]\nconstraints = ["node.labels.zone==a"]\n')
    with lone_node.client() as client:
        options = {"ports": {"80/tcp": 8080}, "detach": True, "name": "stranger"}
        stranger = client.containers.run(lone_node.image("busybox"), ["sleep", "300"], **options)
        try:
            ok, lacking, nowhere, taken = said(whole)
        finally:
            stranger.remove(force=True)
    assert ok.startswith("ok: ")
    assert lacking.startswith("error: a service of a cluster cannot have run.privileged")
    assert nowhere == "error: swarm.constraints: none of node1 fits node.labels.zone==a"
    assert taken.startswith("error: host port 8080 is taken by container stranger (")


def test_an_engine_in_no_cluster(patient: Patient, engine_url: str) -> None:
    (found,) = said(to_cluster(patient, "127.0.0.1:5000", engine_url))
    assert found == f'error: target = "swarm": this engine is in no cluster (for {APP})'
