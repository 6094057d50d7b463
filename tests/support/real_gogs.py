"""A real Gogs, from the binary that GITDEPLOY_GOGS_BIN names, with a user, through its own command line, API and web pages."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

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
        token: for the API.
    """

    gogs: Gogs
    port: int
    ssh_port: int
    key: Path
    environ: Mapping[str, str]
    token: str = ""
    _browser: urllib.request.OpenerDirector = field(
        default_factory=lambda: urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    )

    def admin(self, *arguments: str) -> str:
        """`gogs admin …`"""
        command = [str(self.gogs.binary), "admin", *arguments, f"--config={self.gogs.app_ini}"]
        return subprocess.run(command, env=self.environ, check=True, capture_output=True, text=True).stdout

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
        token = re.search(r'name="_csrf" (?:content|value)="([^"]+)"', self.page(page))
        assert token, page
        data = urllib.parse.urlencode({"_csrf": token[1], **values}).encode()
        with self._browser.open(f"http://127.0.0.1:{self.port}{target}", data, timeout=120) as answer:
            text: str = answer.read().decode()
        error = re.search(r'class="ui negative message">\s*(.*?)\s*</div>', text, re.DOTALL)
        assert not error, f"{target}: {error[1]}"
        return text

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
    """Runs a Gogs with its files in `directory` until the context ends; hooks get `environ`."""
    data = directory / "data"
    for place in ("gogs/conf", "gogs/data", "gogs/log", "git/gogs-repositories", "ssh", "home"):
        (data / place).mkdir(parents=True)
    port, ssh_port = free_port(), free_port()
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    ini = data / "gogs/conf/app.ini"
    ini.write_text(APP_INI.format(user=user, data=data, port=port, ssh_port=ssh_port))
    own = {
        "PATH": os.environ["PATH"],
        "USER": user,
        "HOME": str(data / "home"),
        "GOGS_CUSTOM": str(data / "gogs"),
        "GOGS_WORK_DIR": str(data / "gogs"),
        **environ,
    }
    key = directory / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    gogs = RealGogs(Gogs(data, os.geteuid(), data, binary), port, ssh_port, key, own)
    subprocess.run(["git", "config", "--global", "user.name", "Gogs"], env=own, check=True)
    subprocess.run(["git", "config", "--global", "user.email", "gogs@example.com"], env=own, check=True)
    with (directory / "output").open("wb") as output:
        process = subprocess.Popen(
            [*DIES_WITH_US, str(binary), "web", f"--config={ini}"], env=own, stdout=output, stderr=output, cwd=data
        )
        try:
            wait_until(lambda: listens(port) or process.poll() is not None, 60, "Gogs' web server")
            assert process.poll() is None, (directory / "output").read_text()
            gogs.admin("create-user", f"--name={USER}", f"--password={PASSWORD}", "--email=alice@example.com", "--admin")
            gogs.token = gogs.api("POST", f"/users/{USER}/tokens", {"name": "tests"})["sha1"]
            gogs.api("POST", "/user/keys", {"title": "tests", "key": key.with_suffix(".pub").read_text()})
            gogs.submit("/user/login", "/user/login", user_name=USER, password=PASSWORD)
            yield gogs
        finally:
            process.terminate()
            process.wait(30)
