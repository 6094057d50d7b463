"""Sentinels in every place where a secret can be, and a search of everything that gitdeploy writes, says or starts."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.conftest import DOCKERFILE, MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.support.gogs import SALT_MD5, Remote
from tests.support.registry import Registry, serve

PASSWORD = "sentinel-registry-password"
ENV = "sentinel-of-the-env-file"
BUILD = "sentinel-of-the-build-secret"
DATABASE = "sentinel-of-the-database"
TOKEN = "sentinel-of-notify-url"
SECRETS = (PASSWORD, ENV, BUILD, DATABASE, TOKEN, SALT_MD5)

TELLTALE = DOCKERFILE.replace(
    "STOPSIGNAL", "RUN --mount=type=secret,id=token cat /run/secrets/token; test -s /run/secrets/token\nSTOPSIGNAL"
)
BLABBER = TELLTALE.replace('CMD ["httpd"', 'CMD ["sh", "-c", "env; exit 3"]\n# ')


@pytest.fixture
def locked_registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry whose password is a sentinel."""
    (tmp_path / "registry").mkdir()
    with serve(tmp_path / "registry", "pusher", PASSWORD) as registry:
        yield registry


class Watch:
    """Reads the command lines of all processes as long as it lasts, and keeps those with a secret.

    Of those that have been there for a second it reads them once a second: that many a machine has.
    """

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        looks: dict[str, int] = {}
        secrets = needles()
        while not self._stop.wait(0.05):
            there = [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
            looks = {pid: looks.get(pid, 0) + 1 for pid in there}
            for pid, look in looks.items():
                if look > 20 and look % 20:
                    continue
                with contextlib.suppress(OSError):
                    line = Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ")
                    self.found |= {line.decode(errors="replace") for secret in secrets if secret in line}


def needles() -> list[bytes]:
    """The secrets as they may be written: as they are, and as a registry's login is sent."""
    logins = [base64.b64encode(f"pusher:{PASSWORD}".encode()), base64.b64encode(PASSWORD.encode())]
    return [*(secret.encode() for secret in SECRETS), *logins]


def leaks(where: str, data: bytes | str) -> list[str]:
    """Where a secret stands in `data`."""
    text = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    return [f"{where}: …{text[max(0, text.find(n) - 60) : text.find(n) + 60]!r}…" for n in needles() if n in text]


@pytest.fixture
def guarded(make_tiny: MakeTiny, locked_registry: Registry, tmp_path: Path, docker_client: object) -> Tiny:
    """An app with a secret of each kind."""
    files = {"app.env": f"PASSWORD={ENV}\n", "token": BUILD, "auth.json": locked_registry.docker_config()}
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o700)
    for name, content in files.items():
        (directory / name).write_text(content)
        (directory / name).chmod(0o600)
    image = f"{locked_registry.host}/secret-app"
    extra = (
        f'env_file = "{directory}/app.env"\n'
        f'push = {{ auth_file = "{directory}/auth.json" }}\n'
        f'build = {{ secrets = {{ token = "{directory}/token" }}, output = "full" }}\n'
    )
    tiny = make_tiny(extra, image=image)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tiny.site.configure(f'[notify]\nurl = "http://127.0.0.1:{port}/?token={TOKEN}"\n')
    environ = {**tiny.remote.environ, "GOGS_DATABASE_PASSWORD": DATABASE, "PGPASSWORD": DATABASE}
    return replace(tiny, remote=Remote(tiny.remote.url, environ))


def told(tiny: Tiny) -> list[str]:
    """Every leak in what the command line says."""
    found = []
    verbs: tuple[tuple[str, ...], ...] = (
        ("status",),
        ("status", "--json"),
        ("history", tiny.name),
        ("history", tiny.name, "--json"),
        ("logs", tiny.name),
        ("config", "show", tiny.name),
        ("config", "check"),
        ("doctor",),
        ("doctor", "--json"),
    )
    for verb in verbs:
        done = tiny.site.run(*verb, check=None)
        found += leaks(" ".join(verb), done.stdout + done.stderr)
    return found


def everything(tiny: Tiny, said: str) -> list[str]:
    """Every leak in what was said, written, built and started."""
    found = leaks("the push", said)
    home = tiny.site.home
    for path in [*home.rglob("*"), tiny.site.gogs.repository(tiny.name) / "gitdeploy.conf"]:
        if path.is_file() and path != home / "config.toml":
            found += leaks(str(path), path.read_bytes())
    label = f"gitdeploy.app={tiny.name}"
    for image in tiny.client.images.list(filters={"label": label}):
        found += leaks("image", json.dumps([image.attrs, image.history()]))
        layers = b"".join(tiny.client.images.get(str(image.id)).save())
        found += leaks("image layers", layers)
    for container in tiny.client.containers.list(all=True, filters={"label": label}):
        facts = container.attrs
        assert f"PASSWORD={ENV}" in facts["Config"].pop("Env"), "the app gets its env_file"
        found += leaks("container", json.dumps(facts))
    return found


def test_no_secret_gets_out(guarded: Tiny, locked_registry: Registry, tmp_path: Path) -> None:
    tiny = guarded
    secrets = tmp_path / "secrets"
    found: list[str] = []

    def push(expected: str, version: str, dockerfile: str = TELLTALE) -> None:
        tiny.release(version, Dockerfile=dockerfile)
        said = tiny.push().text
        assert expected in said, said
        found.extend(f"{version}, {leak}" for leak in everything(tiny, said))

    with Watch() as watch:
        push("is live", "success")
        assert "***" in tiny.site.run("logs", tiny.name).stdout, "the build step did print the secret"
        push("FAILED at Build", "build-fails", TELLTALE.replace("test -s", "false"))
        push("FAILED at Deploy", "start-fails", BLABBER)
        found += told(tiny)

        good = (secrets / "auth.json").read_text()
        wrong = {"auths": {locked_registry.host: {"auth": base64.b64encode(f"nobody:{PASSWORD}".encode()).decode()}}}
        (secrets / "auth.json").write_text(json.dumps(wrong))
        push("FAILED at Push", "registry-refuses")
        (secrets / "auth.json").write_text(f"not JSON {PASSWORD}")
        push("FAILED at", "auth-file-damaged")
        (secrets / "auth.json").write_text(good)

        (secrets / "app.env").write_text(f"PASSWORD={ENV}\nno equals sign {ENV}\n")
        push("FAILED at Deploy", "env-file-damaged")
        (secrets / "app.env").write_text(f"PASSWORD={ENV}\n")
        (secrets / "app.env").chmod(0o644)
        push("others can read it", "env-file-open")
        (secrets / "app.env").chmod(0o600)

        for effect in ("engine.create", "engine.push", "engine.build"):
            tiny.kill_at(Point(effect, 1, "before"), "raise")
            push("gitdeploy itself failed (RuntimeError)", f"crash-{effect}")
            assert tiny.fired.exists()
        tiny.kill_no_more()
        assert "RuntimeError: sabotage" in (tiny.site.home / "logs" / "gitdeploy.log").read_text()
        push("is live", "success-again")
        found += told(tiny)
    found += [f"ps: {line}" for line in watch.found]
    assert not found, "\n".join(found)


def test_files_are_private_under_any_umask(guarded: Tiny) -> None:
    tiny = guarded
    script = tiny.site.home / "bin" / "gitdeploy"
    script.write_text(script.read_text().replace("#!/bin/sh\n", "#!/bin/sh\numask 0\n"))
    assert "is live" in tiny.push("1").text
    home = tiny.site.home
    open_ones = []
    for path in home.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # SQLite's files go with the worker's end
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & 0o077 and path.parent != home / "bin":
                open_ones.append(f"{path.relative_to(home)} {mode & 0o777:o}")
    assert open_ones == []
