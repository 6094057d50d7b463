"""A real Git server with a user, driven through its own command line, API and web pages, whichever server it is."""

from __future__ import annotations

import abc
import base64
import hashlib
import json
import os
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import docker
from docker.models.containers import Container

from tests.support import gogs_container
from tests.support.gogs import Gogs, Remote
from tests.support.net import DIES_WITH_US, free_port, listens, wait_until

USER, PASSWORD = "alice", "correct-horse"

CLIENT = (
    "ssh -F /dev/null -i {key} -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR "
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
)


@dataclass
class RealServer(abc.ABC):
    """A running Git server.

    Attributes:
        data: its data directory, laid out as in the official images.
        port: of its web server.
        ssh_port: of its SSH server.
        key: the user's private SSH key.
        command: runs a command as the server's user where the server runs, and returns its output.
        token: for the API.
        home: where its files are, below the data directory.
        environ: variables of the server, by which it finds itself.
        merges: how gitdeploy hears of a merge in the web page: as a "push", or as a "move" of the ref.
        app_ini: what its app.ini says, to be filled in with user, data, port and ssh_port.
    """

    data: Gogs
    port: int
    ssh_port: int
    key: Path
    command: Callable[[Sequence[str]], str]
    token: str = ""

    home: ClassVar[str]
    environ: ClassVar[Mapping[str, str]]
    merges: ClassVar[str]
    app_ini: ClassVar[str]

    def admin(self, *arguments: str) -> str:
        """`gogs admin …`"""
        return self.command([str(self.data.binary), "admin", *arguments, f"--config={self.data.app_ini}"])

    def seen(self, name: str) -> str:
        """The path of a repository, as the server sees it."""
        return str(self.data.seen / self.data.repository(name).relative_to(self.data.data))

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

    def create_repository(self, name: str) -> str:
        """Makes a repository of the user's; returns its "owner/name"."""
        self.api("POST", "/user/repos", {"name": name, "default_branch": "main"})
        return f"{USER}/{name}"

    def ssh(self, name: str) -> Remote:
        """Where to push "owner/name" over SSH."""
        return Remote(f"ssh://git@127.0.0.1:{self.ssh_port}/{name}.git", {"GIT_SSH_COMMAND": CLIENT.format(key=self.key)})

    def http(self, name: str) -> Remote:
        """Where to push "owner/name" over HTTP."""
        return Remote(f"http://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{name}.git")

    def put_lfs(self, name: str, content: bytes) -> bytes:
        """Gives a repository an LFS object, as `git lfs push` does; returns the pointer file that a tree holds in its place.

        https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
        """
        oid, login = hashlib.sha256(content).hexdigest(), base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        kind, headers = "application/vnd.git-lfs+json", {"Authorization": f"Basic {login}"}
        batch = {"operation": "upload", "transfers": ["basic"], "objects": [{"oid": oid, "size": len(content)}]}
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{name}.git/info/lfs/objects/batch",
            json.dumps(batch).encode(),
            {**headers, "Accept": kind, "Content-Type": kind},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            upload = json.loads(answer.read())["objects"][0]["actions"]["upload"]
        headers |= {"Content-Type": "application/octet-stream", **upload.get("header", {})}
        with urllib.request.urlopen(urllib.request.Request(upload["href"], content, headers, method="PUT"), timeout=60):
            return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n".encode()

    def introduce(self) -> None:
        """Makes the user, with all a user needs."""
        self.make_user()
        self.api("POST", "/user/keys", {"title": "tests", "key": self.key.with_suffix(".pub").read_text()})

    @abc.abstractmethod
    def make_user(self) -> None:
        """Makes the user and the token."""

    @abc.abstractmethod
    def edit(self, name: str, path: str, text: str) -> None:
        """Changes a file on main through the API."""

    @abc.abstractmethod
    def edit_in_page(self, name: str, path: str, text: str) -> None:
        """Changes a file on main in the web editor."""

    @abc.abstractmethod
    def delete_in_page(self, name: str, path: str) -> None:
        """Deletes a file on main in the web page."""

    @abc.abstractmethod
    def upload_in_page(self, name: str, path: str, text: str) -> None:
        """Uploads a file to main in the web page."""

    @abc.abstractmethod
    def merge(self, name: str, branch: str, number: int) -> None:
        """Opens a pull request of a branch into main, its number to be this one, and merges it."""

    @abc.abstractmethod
    def mirror(self, source: str, name: str) -> str:
        """Makes a mirror of another repository; returns its "owner/name"."""

    def sync(self, name: str) -> None:
        """Has a mirror fetched."""
        self.api("POST", f"/repos/{name}/mirror-sync")

    @abc.abstractmethod
    def fork(self, name: str, team: str) -> str:
        """Forks a repository into a new organization; returns the fork's "owner/name"."""

    @abc.abstractmethod
    def rename(self, name: str, new: str) -> None:
        """Calls a repository by another name."""

    @abc.abstractmethod
    def transfer(self, name: str, team: str) -> None:
        """Gives a repository to a new organization."""

    @abc.abstractmethod
    def begin_wiki(self, name: str) -> None:
        """Makes the wiki's first page."""

    @abc.abstractmethod
    def resync(self) -> None:
        """Has the server write its hooks anew."""


Kind = TypeVar("Kind", bound=RealServer)


@contextmanager
def serve(kind: type[Kind], data: Gogs, environ: Mapping[str, str]) -> Iterator[Kind]:
    """Runs a server on this machine until the context ends; hooks get `environ`."""
    user = subprocess.run(["id", "-un"], check=True, capture_output=True, text=True).stdout.strip()
    own = {"PATH": os.environ["PATH"], "USER": user, "HOME": str(data.data / "git"), **environ}
    own |= {key: str(data.data / value) for key, value in kind.environ.items()}

    def command(words: Sequence[str]) -> str:
        return subprocess.run(words, env=own, check=True, capture_output=True, text=True).stdout

    server = _prepare(kind, data, user, command)
    with (data.data.parent / "output").open("wb") as output:
        web = [*DIES_WITH_US, str(data.binary), "web", f"--config={data.app_ini}"]
        process = subprocess.Popen(web, env=own, stdout=output, stderr=output, cwd=data.data)
        try:
            wait_until(lambda: listens(server.port) or process.poll() is not None, 60, "the web server")
            assert process.poll() is None, (data.data.parent / "output").read_text()
            server.introduce()
            yield server
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def serve_in_container(client: docker.DockerClient, image: str, kind: type[Kind], data: Gogs) -> Iterator[Kind]:
    """Runs a server as its official images do: in a container without Python, as user 1000, with its data at /data."""
    holder: list[Container] = []

    def command(words: Sequence[str]) -> str:
        return gogs_container.inside(holder[0], shlex.join(words))

    server = _prepare(kind, data, "git", command)
    data.own()
    web = [str(data.binary), "web", f"--config={data.app_ini}"]
    environ = {key: str(data.seen / value) for key, value in kind.environ.items()}
    holder.append(gogs_container.start(client, image, str(data.data), web, environ))
    try:
        wait_until(lambda: listens(server.port) or not _runs(holder[0]), 60, "the web server")
        assert _runs(holder[0]), holder[0].logs().decode()
        server.introduce()
        yield server
    finally:
        holder[0].remove(force=True)


def _runs(container: Container) -> bool:
    container.reload()
    return container.status == "running"


def _prepare(kind: type[Kind], data: Gogs, user: str, command: Callable[[Sequence[str]], str]) -> Kind:
    """The data directory, and a key for its user."""
    for place in (f"{kind.home}/conf", f"{kind.home}/data", f"{kind.home}/log", data.root, "ssh"):
        (data.data / place).mkdir(parents=True, exist_ok=True)
    server = kind(data, free_port(), free_port(), data.data.parent / "key", command)
    text = kind.app_ini.format(user=user, data=data.seen, port=server.port, ssh_port=server.ssh_port)
    (data.data / data.ini).write_text(text)
    (data.data / "git/.gitconfig").write_text("[user]\n\tname = Gogs\n\temail = gogs@example.com\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", server.key], check=True)
    return server
