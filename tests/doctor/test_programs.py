"""Doctor looks for what verify and require_signed need, and whether a router's tag has moved."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from gitdeploy.targets.router.container import IMAGE
from tests.doctor.patient import APP, Patient
from tests.doctor.test_engine import whole  # noqa: F401 - a fixture
from tests.support.images import BaseImages
from tests.support.keys import Keys, key_directory


@pytest.fixture
def keys() -> Iterator[Keys]:
    with key_directory() as keys:
        yield keys


def test_all_is_there(patient: Patient, keys: Keys) -> None:
    signers = keys.allowed(("alice", keys.ssh("alice")))
    patient.site.configure(f'\n[defaults]\nverify = ["true", "{{image}}"]\nrequire_signed.allowed_signers = "{signers}"\n')
    found = {f.check: f for f in patient.examine() if f.check in ("verify", "signatures")}
    assert {check: (f.level, f.app) for check, f in found.items()} == {"verify": ("ok", APP), "signatures": ("ok", APP)}
    assert found["verify"].found.endswith("/true judges each image")
    assert f"ssh-keygen and the keys in {signers}" in found["signatures"].found


@pytest.mark.parametrize(
    ("text", "check", "level", "said"),
    [
        ('verify = ["trivy-of-nobody", "{image}"]', "verify", "error", "there is no program trivy-of-nobody"),
        ('verify = ["true"]', "verify", "warning", "is not told the image"),
        ('require_signed.keyring = "/nonexistent/ring"', "signatures", "error", "/nonexistent/ring cannot be read"),
        ('require_signed.allowed_signers = "/dev/null"', "signatures", "error", "not a regular file"),
    ],
)
def test_what_is_missing(patient: Patient, text: str, check: str, level: str, said: str) -> None:
    patient.site.configure(f"\n[defaults]\n{text}\n")
    (finding,) = [f for f in patient.faults() if f.check == check]
    assert (finding.level, finding.app) == (level, APP)
    assert said in finding.found
    assert finding.fix


def test_a_tag_that_moved(
    whole: Patient,  # noqa: F811
    docker_client: docker.DockerClient,
    base_images: BaseImages,
) -> None:
    labels = {"gitdeploy.app": APP, "gitdeploy.role": "router", IMAGE: base_images.python}
    router = docker_client.containers.create(base_images.busybox, ["true"], labels=labels)
    try:
        (finding,) = [f for f in whole.faults() if f.check == "router"]
    finally:
        router.remove()
    assert (finding.level, finding.app) == ("warning", "")
    assert f"{base_images.python} is now sha256:" in finding.found
    assert f"the routers of {APP} run" in finding.found
