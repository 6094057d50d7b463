"""./install.sh --demo, with an engine that answers and with one of its own: it works, and nothing is left of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.install.conftest import Installer


def check(text: str) -> None:
    """Both versions answered and are in the registry."""
    assert re.findall(r"^hello from dev-app .*$", text, re.MULTILINE) == [
        "hello from dev-app 0.0.1",
        "hello from dev-app 0.0.2",
    ]
    assert "remote: demo/dev-app 0.0.2 is live at http://" in text
    (line,) = re.findall(r'^\{"name":"dev-app".*$', text, re.MULTILINE)
    assert set(json.loads(line)["tags"]) == {"0.0.1", "0.0.2", "latest"}


def test_with_the_engine_that_answers(installer: Installer, engine_url: str, tmp_path: Path) -> None:
    def on_engine() -> str:
        command = ["docker", "--host", engine_url, "ps", "--all", "--quiet"]
        images = ["docker", "--host", engine_url, "images", "--quiet", "--filter", "label=gitdeploy.app=demo/dev-app"]
        return "".join(subprocess.run(c, check=True, capture_output=True, text=True).stdout for c in (command, images))

    before = on_engine()
    installer.environ |= {"TMPDIR": str(tmp_path), "DOCKER_HOST": engine_url}
    text = installer.run("--demo", "--wheels", installer.wheels)
    assert "No Docker Engine answers" not in text
    check(text)
    assert on_engine() == before
    assert list(tmp_path.iterdir()) == []


def test_with_an_engine_of_its_own(installer: Installer, open_path: Path) -> None:
    # A network and a /run of its own hide the engine that the machine may have.
    hide = "mount -t tmpfs none /run; ip link set lo up; unset DOCKER_HOST;"
    installer.environ["TMPDIR"] = str(open_path)
    own = ["unshare", "--mount", "--net", "sh", "-c", f'{hide} "$@" || exit; ip -brief link | grep -v "^lo "; true', "sh"]
    text = installer.run("--demo", "--wheels", installer.wheels, prefix=own)
    assert f"No Docker Engine answers: starting one in {open_path}/gitdeploy-demo." in text
    check(text)
    assert text.rstrip().endswith("Removing all of it")
    assert list(open_path.iterdir()) == []


def test_stopped_in_the_middle(installer: Installer, engine_url: str, tmp_path: Path) -> None:
    installer.environ |= {"TMPDIR": str(tmp_path), "DOCKER_HOST": engine_url}
    with installer.start("--demo", "--wheels", installer.wheels) as process:
        assert process.stdout is not None
        while "Installing gitdeploy" not in (line := process.stdout.readline()):
            assert line, "the demo ended early"
        process.terminate()
        assert "Removing all of it" in process.communicate(timeout=120)[0]
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
