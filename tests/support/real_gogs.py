"""A real Gogs, from the binary that GITDEPLOY_GOGS_BIN names, with a user, through its own command line, API and web pages."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from tests.support import gogs_container
from tests.support.gogs import Gogs, Remote
from tests.support.net import DIES_WITH_US, free_port, listens, wait_until

USER, PASSWORD = "alice", "correct-horse"

APP_INI = """\
RUN_USER = {user}
RUN_MODE = prod

[server]
HTTP_ADDR        = 127.0.0.1
HTTP_PORT        = {port}
DOMAIN           = 127.0.0.1
EXTERNAL_URL     = http://127.0.0.1:{port}/
OFFLINE_MODE     = true
START_SSH_SERVER = true
SSH_LISTEN_HOST  = 127.0.0.1
SSH_PORT         = {ssh_port}
SSH_ROOT_PATH    = {data}/ssh

[database]
TYPE = sqlite3
PATH = {data}/gogs/data/gogs.db

[repository]
ROOT           = {data}/git/gogs-repositories
SCRIPT_TYPE    = sh
DEFAULT_BRANCH = main
ENABLE_LOCAL_PATH_MIGRATION = true

[security]
INSTALL_LOCK = true
SECRET_KEY   = for-tests-only

[picture]
DISABLE_GRAVATAR = true

[log]
MODE      = file
ROOT_PATH = {data}/gogs/log
"""

CLIENT = (
    "ssh -F /dev/null -i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR "
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
)


@dataclass
class RealGogs:
    """A running Gogs.

    Attributes:
        gogs: its data directory, laid out as in the official images.
        port: of its web server.
        ssh_port: of its SSH server.
        key: the user's private SSH key.
        command: runs a command as Gogs' user where Gogs runs, and returns its output.
        token: for the API.
    """

    gogs: Gogs
    port: int
    ssh_port: int
    key: Path
    command: Callable[[Sequence[str]], str]
    token: str = ""
    _browser: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    )

    def admin(self, *arguments: str) -> str:
        """`gogs admin …`"""
        return self.command([str(self.gogs.binary), "admin", *arguments, f"--config={self.gogs.app_ini}"])

    def seen(self, name: str) -> str:
        """The path of a repository, as Gogs sees it."""
        return str(self.gogs.seen / self.gogs.repository(name).relative_to(self.gogs.data))

    def api(self, method: str, path: str, body: object = None) -> Any:
        """One request to the API, with a token or else by name and password; returns the answer's JSON."""
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"token {self.token}" if self.token else f"Basic {login}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error} {error.read().decode()}") from error
        return json.loads(text) if text else None

    def page(self, path: str) -> str:
        """One page of the web site, as its user sees it."""
        with self._browser.open(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            text: str = answer.read().decode()
            return text

    def submit(self, page: str, target: str, /, **values: str) -> str:
        """Sends a form of one page to a path; returns the page that comes then."""
        data = urllib.parse.urlencode({"_csrf": self._token(page), **values}).encode()
        with self._browser.open(f"http://127.0.0.1:{self.port}{target}", data, timeout=120) as answer:
            text: str = answer.read().decode()
        error = re.search(r'class="ui negative message">\s*(.*?)\s*</div>', text, re.DOTALL)
        assert not error, f"{target}: {error[1]}"
        return text

    def upload(self, page: str, target: str, name: str, content: bytes) -> str:
        """Uploads a file as one page does, to a path; returns the id that Gogs gives it."""
        boundary = "gitdeploy-test-boundary"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{target}",
            data=head.encode() + content + f"\r\n--{boundary}--\r\n".encode(),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}", "X-Csrf-Token": self._token(page)},
        )
        with self._browser.open(request, timeout=60) as answer:
            uuid: str = json.loads(answer.read())["uuid"]
            return uuid

    def _token(self, page: str) -> str:
        """What a form of this page has to bring back."""
        token = re.search(r'name="_csrf" (?:content|value)="([^"]+)"', self.page(page))
        assert token, page
        return token[1]

    def create_repository(self, name: str) -> str:
        """Makes a repository of the user's; returns its "owner/name"."""
        self.api("POST", "/user/repos", {"name": name})
        return f"{USER}/{name}"

    def ssh(self, name: str) -> Remote:
        """Where to push "owner/name" over SSH."""
        return Remote(f"ssh://git@127.0.0.1:{self.ssh_port}/{name}.git", {"GIT_SSH_COMMAND": CLIENT.format(key=self.key)})

    def http(self, name: str) -> Remote:
        """Where to push "owner/name" over HTTP."""
        return Remote(f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}.git")

    def merge(self, name: str, branch: str, number: int) -> None:
        """Opens a pull request of a branch into main, and merges it, in the web page."""
        compare = f"/{name}/compare/main...{branch}"
        self.submit(compare, compare, title=f"Merge {branch}")
        # Gogs tests in the background whether it can be merged.
        wait_until(lambda: 'name="merge_style"' in self.page(f"/{name}/pulls/{number}"), 30, "the pull request's test")
        self.submit(f"/{name}/pulls/{number}", f"/{name}/pulls/{number}/merge", merge_style="create_merge_commit")


@contextmanager
def serve(binary: Path, directory: Path, environ: Mapping[str, str]) -> Iterator[RealGogs]:
    """Runs a Gogs on this machine with its files in `directory` until the context ends; hooks get `environ`."""
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    data = directory / "data"
    own = {
        "PATH": os.environ["PATH"],
        "USER": user,
        "HOME": str(data / "git"),
        "GOGS_CUSTOM": str(data / "gogs"),
        "GOGS_WORK_DIR": str(data / "gogs"),
        **environ,
    }

    def command(words: Sequence[str]) -> str:
        return subprocess.run(words, env=own, check=True, capture_output=True, text=True).stdout

    gogs = _prepare(Gogs(data, os.geteuid(), data, binary), directory / "key", user, command)
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [*DIES_WITH_US, str(binary), "web", f"--config={gogs.gogs.app_ini}"],
            env=own,
            stdout=output,
            stderr=output,
            cwd=data,
        )
        try:
            wait_until(lambda: listens(gogs.port) or process.poll() is not None, 60, "Gogs' web server")
            assert process.poll() is None, (directory / "output").read_text()
            yield _introduce(gogs)
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def serve_in_container(client: docker.DockerClient, image: str, directory: Path) -> Iterator[RealGogs]:
    """Runs a Gogs as its official images do: in a container without Python, as user 1000, with its data at /data."""
    holder: list[Container] = []

    def command(words: Sequence[str]) -> str:
        return gogs_container.inside(holder[0], shlex.join(words))

    made = Gogs(directory / "data", 1000, gogs_container.SEEN, gogs_container.BINARY)
    gogs = _prepare(made, directory / "key", "git", command)
    made.own()
    web = [str(made.binary), "web", f"--config={made.app_ini}"]
    holder.append(gogs_container.start(client, image, str(made.data), web))
    try:
        wait_until(lambda: listens(gogs.port) or not _runs(holder[0]), 60, "Gogs' web server")
        assert _runs(holder[0]), holder[0].logs().decode()
        yield _introduce(gogs)
    finally:
        holder[0].remove(force=True)


def _runs(container: Container) -> bool:
    container.reload()
    return container.status == "running"


def _prepare(gogs: Gogs, key: Path, user: str, command: Callable[[Sequence[str]], str]) -> RealGogs:
    """The data directory, and a key for its user."""
    for place in ("gogs/conf", "gogs/data", "gogs/log", "git/gogs-repositories", "ssh"):
        (gogs.data / place).mkdir(parents=True)
    real = RealGogs(gogs, free_port(), free_port(), key, command)
    ini = APP_INI.format(user=user, data=gogs.seen, port=real.port, ssh_port=real.ssh_port)
    (gogs.data / "gogs/conf/app.ini").write_text(ini)
    (gogs.data / "git/.gitconfig").write_text("[user]\n\tname = Gogs\n\temail = gogs@example.com\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return real


def _introduce(gogs: RealGogs) -> RealGogs:
    """Makes the user, with all a user needs."""
    gogs.admin("create-user", f"--name={USER}", f"--password={PASSWORD}", "--email=alice@example.com", "--admin")
    gogs.token = gogs.api("POST", f"/users/{USER}/tokens", {"name": "tests"})["sha1"]
    gogs.api("POST", "/user/keys", {"title": "tests", "key": gogs.key.with_suffix(".pub").read_text()})
    gogs.submit("/user/login", "/user/login", user_name=USER, password=PASSWORD)
    return gogs
