"""The app.ini of the documentation starts a Gogs that lets one sign in, without an install page, as Gogs 0.15 has none."""

from __future__ import annotations

import base64
import json
import re
import shlex
import tempfile
import urllib.request
from pathlib import Path

import docker

from tests.agent.test_compose import INI, PAGE, TEXT
from tests.gogs.conftest import BINARIES, IMAGE
from tests.support import gogs_container
from tests.support.gogs import Gogs
from tests.support.net import free_port, listens, wait_until


def test_a_gogs_with_the_documented_settings(docker_client: docker.DockerClient) -> None:
    port, ssh = free_port(), free_port()
    gogs_container.build(docker_client, IMAGE, Path(BINARIES["gogs"]))
    with tempfile.TemporaryDirectory(prefix="gitdeploy-test-") as directory:
        Path(directory).chmod(0o755)
        data = Gogs(Path(directory) / "data", 1000, gogs_container.SEEN, gogs_container.BINARY)
        (places,) = re.findall(r"mkdir -p (.*?) &&", TEXT)
        for place in places.split():
            (data.data / place.removeprefix("/data/")).mkdir(parents=True)
        settings = INI.replace("3000", str(port)).replace("2222", str(ssh)).replace("put a long random text here", "x" * 40)
        (data.data / data.ini).write_text(settings)
        data.own()
        container = gogs_container.start(docker_client, IMAGE, str(data.data), [str(data.binary), "web"])
        try:
            wait_until(
                lambda: listens(port), 30, f"Gogs, whose log is {[*map(Path.read_text, data.data.glob('gogs/log/*.log'))]}"
            )
            assert listens(ssh)
            (command,) = re.findall(r"^docker compose exec -u git gogs (.*)$", PAGE, re.MULTILINE)
            gogs_container.inside(container, shlex.join(shlex.split(command)))
            assert _tokens(port) == []
        finally:
            container.remove(force=True)
            docker_client.images.remove(IMAGE, force=True)


def _tokens(port: int) -> list[object]:
    """The access tokens of the new user, who alone may list them."""
    login = base64.b64encode(b"you:CHANGE-ME").decode()
    url, headers = f"http://127.0.0.1:{port}/api/v1/users/you/tokens", {"Authorization": f"Basic {login}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        found: list[object] = json.loads(answer.read())
        return found
