"""The .dockerignore filter against the Docker CLI's own result, on random files.

Twice: what the CLI uploads to the classic builder (the newest rules, whichever engine there is; nothing is built, so it is fast
and many files are tried), and what BuildKit finds in a context that the CLI sends it, where the CLI can speak to BuildKit.
"""

from __future__ import annotations

import http.server
import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.repository import open_repository
from tests.support.gitrepo import GitRepo, members

FILES = [
    "Dockerfile", "README.md", "a", "b/a", "b/b", "b/c/a", "b/c/d.txt", "foo/bar/a", "foo/bar/b/c", "foo/baz.txt", "foo.txt",
    "ab/a/b/ab", "ab/x y", "c/a.b", "c/axb", "c/[z]", "c/a*b", "c/é/ü", "c/-", "c/^", "d/(a)/$", "d/{b}/+", "d/e/f/g/h.txt",
]  # fmt: skip

WORDS = ["a", "b", "c", "d", "ab", "foo", "bar", "*", "**", "?", "*.txt", "[a-c]", "[^a]", "a*", "é", "x y"]
ODD = [r"a\*b", "[*]", "a.b", ".", "..", "", " "]
COMMENTS = ["#a", " #a", "", " \t "]

# What the rules of today say and those of engines before 23 did not: ** before letters, characters that mean something in a
# regular expression, exceptions for directories, before the pattern that they except from, and together with **.
NEW_WORDS = ["**b", "^", "a^*", "(a)", "{b}", "$", r"\[z]"]
NEW_EXCEPTIONS = ["b", "b/c", "foo", "foo/bar", "c", "d/e", "c/^", "d/(a)/$", "d/{b}/+"]
OLD_EXCEPTIONS = ["README.md", "a", "b/a", "b/c/d.txt", "foo/bar/b/c", "ab/x y", "c/é/ü", "d/e/f/g/h.txt"]


def ignore_files(*, newest: bool) -> st.SearchStrategy[bytes]:
    """.dockerignore files, as random as the version allows."""
    words = st.sampled_from(WORDS + WORDS + ODD + newest * NEW_WORDS)
    paths = st.lists(words, min_size=1, max_size=4).map("/".join) | st.sampled_from(COMMENTS)
    exceptions = st.sampled_from(OLD_EXCEPTIONS + newest * NEW_EXCEPTIONS).map("!{}".format)
    lines = st.lists(paths | paths | exceptions, max_size=6)
    if not newest:
        simple = st.lists(paths.filter(lambda path: "**" not in path), max_size=5)
        excepted = st.tuples(simple, st.lists(exceptions, min_size=1, max_size=2)).map(lambda both: both[0] + both[1])
        lines = st.lists(paths, max_size=6) | excepted
    return lines.map(lambda lines: "\n".join(lines).encode())


class Recorder(http.server.ThreadingHTTPServer):
    """Takes the place of an engine's /build and keeps the context that arrives, so that no image needs to be built."""

    context = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_HEAD(self) -> None:
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._answer(200, b"OK")

    def do_POST(self) -> None:
        data = bytearray()
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.server.context = bytes(data)
        self._answer(500, b'{"message":"recorded"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in (("Api-Version", "1.41"), ("OSType", "linux"), ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with FILES in it."""
    root = tmp_path_factory.mktemp("checkout")
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("FROM scratch\nCOPY . /\n" if name == "Dockerfile" else name)
    return root


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    return GitRepo(tmp_path_factory.mktemp("ignore") / "x.git")


def ours(repo: GitRepo, checkout: Path, text: bytes) -> set[str]:
    """The files that gitdeploy sends of the same files in a repository."""
    files = {name: (checkout / name).read_bytes() for name in FILES}
    repo.commit(files | {".dockerignore": text})
    with open_repository(repo.path) as opened:
        found = members(open_context(opened, opened.resolve("main")))
    return {name for name, member in found.items() if member.kind == "file"}


def run(docker: str, checkout: Path, host: str, *arguments: str, buildkit: bool) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DOCKER_HOST": host}
    environment["DOCKER_BUILDKIT"] = "1" if buildkit else "0"
    return subprocess.run([docker, "build", *arguments, checkout], env=environment, capture_output=True, check=False)


def files_of(tar: tarfile.TarFile) -> set[str]:
    return {member.name for member in tar if member.isfile()}


def clis() -> list[str]:
    """Every docker binary on this machine."""
    found = [shutil.which("docker", path=directory) for directory in os.environ["PATH"].split(":")]
    return sorted({str(Path(path).resolve()) for path in found if path})


def version(docker: str) -> int:
    """Its major version."""
    said = subprocess.run([docker, "--version"], capture_output=True, check=True, text=True).stdout
    return int(said.removeprefix("Docker version ").split(".")[0])


def test_there_is_a_docker_cli() -> None:
    assert clis()


@pytest.mark.parametrize("docker", clis())
def test_like_the_classic_upload(
    docker: str, recorder: Recorder, checkout: Path, repo: GitRepo, pytestconfig: pytest.Config
) -> None:
    @settings(max_examples=600 if pytestconfig.getoption("--exhaustive") else 40, deadline=None)
    @given(ignore_files(newest=version(docker) >= 23))
    def compare(text: bytes) -> None:
        (checkout / ".dockerignore").write_bytes(text)
        recorder.context = b""
        done = run(docker, checkout, f"tcp://127.0.0.1:{recorder.server_port}", buildkit=False)
        note(done.stderr.decode())
        with tarfile.open(fileobj=io.BytesIO(recorder.context)) as tar:
            expected = files_of(tar)
        forced = {"Dockerfile", ".dockerignore"}  # that builder needs them
        assert expected - forced == ours(repo, checkout, text) - forced

    compare()


def speaks_buildkit(docker: str) -> bool:
    """Whether it can: the client was built in before 23, and is a plugin since."""
    plugin = subprocess.run([docker, "buildx", "version"], capture_output=True, check=False)
    return version(docker) < 23 or plugin.returncode == 0


@pytest.mark.parametrize("docker", [docker for docker in clis() if speaks_buildkit(docker)])
def test_like_the_context_that_buildkit_sees(
    docker: str, engine_url: str, checkout: Path, repo: GitRepo, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    # Newer engines send a client the patterns with what is not ASCII encoded, which older clients take literally.
    newest = version(docker) >= 23
    files = ignore_files(newest=newest) if newest else ignore_files(newest=False).filter(bytes.isascii)

    @settings(max_examples=200 if pytestconfig.getoption("--exhaustive") else 15, deadline=None)
    @given(files)
    def compare(text: bytes) -> None:
        (checkout / ".dockerignore").write_bytes(text)
        out = tmp_path / "out.tar"
        done = run(docker, checkout, engine_url, "-o", f"type=tar,dest={out}", buildkit=True)
        assert done.returncode == 0, done.stderr.decode()
        with tarfile.open(out) as tar:
            expected = files_of(tar)
        assert expected - {"Dockerfile"} == ours(repo, checkout, text) - {"Dockerfile"}

    compare()
