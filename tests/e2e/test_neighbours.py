"""Two apps on one engine: neither a Dockerfile nor the build cache brings one within reach of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support import apps, guards
from tests.support.net import free_port
from tests.support.params import sample

BASE = "gitdeploy-test/python:1"
END = 'CMD ["python3", "app.py"]\n'
CANARY = "canary-0123456789"


@dataclass(frozen=True)
class Two:
    """Both apps; the first has been deployed."""

    victim: Deployable
    other: Deployable


@pytest.fixture
def two(app: Deployable, docker_client: docker.DockerClient, tmp_path: Path) -> Iterator[Two]:
    name, port = f"{app.name}-other", free_port()
    container, image = f"{app.container}-other", f"{app.image}-other"
    app.site.enrol(name, image, port, container=container)
    remote = app.site.gogs.local(name)
    clone = apps.create(tmp_path / "other")
    app.clone.release("1", {"Dockerfile": f"FROM {BASE}\nWORKDIR /app\nCOPY . .\nRUN echo {CANARY} > /canary\n{END}"})
    assert "1 is live" in app.clone.push(app.remote).text
    yield Two(app, Deployable(name, image, container, f"http://127.0.0.1:{port}", remote, clone, app.site))
    guards.remove_app(docker_client, name)


READ_BEFORE = ("plain", "copy", "mount", "argument")
"""What gitdeploy reads by itself; the others end as soon as BuildKit says which image it takes."""


def dockerfile(first: str, line: str = "") -> str:
    return f"{first}\nWORKDIR /app\nCOPY . .\n{line}RUN cat /canary; sleep 2; cat /canary > /app/stolen\n{END}"


def hidden(image: str) -> dict[str, str]:
    """Dockerfiles that take the image, some in ways that only BuildKit itself understands."""
    half = len(image) // 2
    return {
        "plain": dockerfile(f"FROM {image}:1"),
        "copy": dockerfile(f"FROM {BASE}", f"COPY --from={image}:latest /canary /canary\n"),
        "mount": dockerfile(f"FROM {BASE}", f"RUN --mount=from={image}:1,target=/from cp /from/canary /canary\n"),
        "argument": dockerfile(f"ARG IMAGE={image[half:]}\nFROM {image[:half]}${{IMAGE}}:1"),
        "quotes": dockerfile(f"FROM {image[:half]}'{image[half:]}':1"),
        "nested": dockerfile(f"ARG IMAGE={image}\nFROM ${{NONE:-${{IMAGE}}}}:1"),
        "onbuild": dockerfile(f"FROM {BASE} AS one\nONBUILD COPY --from={image}:1 /canary /canary\nFROM one"),
    }


@pytest.mark.parametrize("way", sample(hidden("xx"), "mount", "nested"))
def test_the_image_of_another_app_is_no_base_image(two: Two, docker_client: docker.DockerClient, way: str) -> None:
    other = two.other
    other.clone.release("1", {"Dockerfile": hidden(two.victim.image)[way]})
    text = other.clone.push(other.remote).text
    assert "FAILED at Build: " in text, text
    assert f'which is an image of the app "{two.victim.name}"' in text
    assert "build.bases" in text
    assert CANARY not in text
    if way in READ_BEFORE:
        log = (other.site.home / "logs" / other.name / "latest.log").read_text()
        assert "FROM" not in log.partition("FAILED")[0], "the engine was not asked to build"
    assert not docker_client.images.list(other.image)


@pytest.mark.parametrize("host", sample(["localhost", "127.1"], "127.1"))
def test_the_image_of_another_app_is_no_base_image_by_another_name_of_its_registry(two: Two, host: str) -> None:
    registry, _, path = two.victim.image.partition("/")
    image = f"{host}:{registry.rpartition(':')[2]}/{path}"
    other = two.other
    for number, way in enumerate(("plain", "quotes"), 1):
        other.clone.release(str(number), {"Dockerfile": hidden(image)[way]})
        text = other.clone.push(other.remote).text
        assert "FAILED at Build: " in text, text
        assert f'which is an image of the app "{two.victim.name}"' in text
        assert CANARY not in text


def test_the_server_allows_a_base_image_to_be_shared(two: Two) -> None:
    other = two.other
    other.site.configure(f'[apps."{other.name}".build]\nbases = ["{two.victim.image}"]\n')
    other.clone.release("1", {"Dockerfile": f"FROM {two.victim.image}:1\nCOPY VERSION /app/VERSION\n"})
    assert "1 is live" in other.clone.push(other.remote).text


def test_nothing_is_added_from_where_only_the_engine_can_reach(app: Deployable) -> None:
    registry = app.image.partition("/")[0].replace("127.0.0.1", "127.1")
    app.clone.release("1", {"Dockerfile": dockerfile(f"FROM {BASE}", f"ADD http://{registry}/v2/_catalog /canary\n")})
    text = app.clone.push(app.remote).text
    assert "FAILED at Build: Dockerfile line 4: ADD may load nothing from this machine or its link, found" in text, text


def test_a_frontend_that_is_not_in_the_list_never_runs(two: Two) -> None:
    other = two.other
    other.clone.release("1", {"Dockerfile": f"# syntax={two.victim.image}:1\n{dockerfile(f'FROM {BASE}')}"})
    text = other.clone.push(other.remote).text
    assert "FAILED at Build: Dockerfile line 1: expected a frontend of build.frontends (docker/dockerfile), found" in text
    assert "==> " not in text.partition("==> Build")[2].replace("==> Build", ""), "nothing was built"


def test_a_step_with_a_secret_is_not_cached_for_another_app(
    two: Two, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    secret.chmod(0o600)
    two.victim.site.configure(f'[apps."{two.victim.name}".build]\nsecrets = {{ token = "{secret}" }}\n')
    step = "RUN --mount=type=secret,id=token cat /run/secrets/token > /made 2>&- || true"
    text = f"FROM {BASE}\n{step}; echo {two.victim.name}\nWORKDIR /app\nCOPY . .\n{END}"
    seen = []
    for deployable in (two.victim, two.other):
        deployable.clone.release("2", {"Dockerfile": text})
        assert "2 is live" in deployable.clone.push(deployable.remote).text
        seen.append(docker_client.containers.get(deployable.container).exec_run(["cat", "/made"]).output.decode())
    assert seen == [CANARY, ""]
