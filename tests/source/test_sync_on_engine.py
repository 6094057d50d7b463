"""Contexts that are served file by file, against `docker build` of a checkout of the same commit, on the same engine."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from gitdeploy.errors import GitdeployError
from gitdeploy.source.remotelisting import RemoteListing
from tests.source.building import Site
from tests.source.test_context_on_engine import FILES
from tests.source.test_ignore_docker import clis, speaks_buildkit
from tests.support.engine import PrivateEngine
from tests.support.gitrepo import Tree, executable, sha1, symlink
from tests.support.images import BaseImages
from tests.support.interposer import interpose

COPY_ALL = b'FROM scratch\nCOPY . /ctx/\nCMD ["x"]\n'
DOCKER = [docker for docker in clis() if speaks_buildkit(docker)]


def is_text(name: str | bytes) -> bool:
    return b"\xff" not in os.fsencode(name) and b"\xe9\xe9" not in os.fsencode(name)


def checked_out(site: Site, directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    site.repo.git(f"--work-tree={directory}", "checkout", "-f", "main", "--", ".")
    for path in [directory, *directory.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    return directory


@pytest.mark.parametrize("docker_command", DOCKER)
@pytest.mark.parametrize(
    ("where", "directory"),
    [("Dockerfile", "."), ("docker/a.Dockerfile", "."), ("Dockerfile", "app"), ("app/Dockerfile", "app")],
)
def test_an_image_is_that_of_docker_build(site: Site, tmp_path: Path, docker_command: str, where: str, directory: str) -> None:
    more: Tree = {".dockerignore": b"**/ignored*\n!**/ignored-not\n", "x/ignored": b"1", "x/ignored-not": b"2"}
    prefix = b"" if directory == "." else os.fsencode(directory) + b"/"
    files = {prefix + os.fsencode(name): file for name, file in {**FILES, **more}.items() if is_text(name)}
    site.repo.commit({os.fsencode(where): COPY_ALL, **files})
    site.build(directory=directory, dockerfile=where)
    ours = site.found()
    tree = checked_out(site, tmp_path / "tree")
    command = [docker_command, "build", "-q", "-t", site.tag, "-f", str(tree / where), str(tree / directory)]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "DOCKER_HOST": site.url, "DOCKER_BUILDKIT": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert ours == site.found()
    assert ours["x/ignored-not"].content == sha1(b"2")


def test_only_what_changed_is_sent(site: Site) -> None:
    files: Tree = {f"d{number % 10}/f{number}": os.urandom(1000) for number in range(200)}
    site.repo.commit({"Dockerfile": COPY_ALL, "link": symlink(b"a"), **files})
    site.build()
    assert site.sent == 200_000 + len(COPY_ALL)
    site.repo.commit({"Dockerfile": COPY_ALL, "link": symlink(b"b"), **files, "d0/f0": b"y" * 1000, "new": b"123"})
    site.build()
    assert site.sent == 1003
    found = site.found()
    assert found["d0/f0"].content == sha1(b"y" * 1000)
    assert found["link"].content == "b"
    assert len(found) == 200 + 10 + 3


def test_everything_that_can_happen_to_a_file(site: Site) -> None:
    """Each kind becomes each other one, by commits of one and the same time, and back."""
    kinds: list[Tree] = [
        {"x": b"1"},
        {"x": b"2"},
        {"x": executable(b"2")},
        {"x": symlink(b"2")},
        {"x": symlink(b"3")},
        {"x/a": b"1", "x/b": b"1"},
        {"x/a": b"2", "x.b": b"1"},
        {"y": b"2"},
        {},
    ]
    for number, files in enumerate([*kinds, *reversed(kinds)]):
        site.repo.commit({"Dockerfile": COPY_ALL, "always": b"%02d" % number, **files})
        site.build()
        assert site.found() == site.repo.archive("main"), files


def test_a_comment_in_a_hidden_dockerfile_changes_nothing(site: Site) -> None:
    files: Tree = {".dockerignore": b"Dockerfile\n", "a": os.urandom(20)}
    site.repo.commit({"Dockerfile": COPY_ALL, **files})
    site.build()
    assert set(site.found()) == {".dockerignore", "a"}
    site.repo.commit({"Dockerfile": b"# why\n" + COPY_ALL, **files})
    site.build()
    assert site.cached() == {"[1/1] COPY . /ctx/"}


def test_a_dockerfile_outside_of_the_context_is_not_in_the_image(site: Site) -> None:
    site.repo.commit({"Dockerfile": COPY_ALL, "svc/a": b"1", "other": b"2"})
    site.build(directory="svc")
    assert set(site.found()) == {"a"}


def test_a_file_of_the_same_size_and_commit_time_is_not_taken_for_the_one_before(site: Site) -> None:
    for content in (b"1", b"2", b"1", b"3"):
        site.repo.commit({"Dockerfile": COPY_ALL, "index": content})
        site.build()
        assert site.found()["index"].content == sha1(content)


def test_another_directory_is_not_taken_for_the_one_before(site: Site) -> None:
    """Neither by another setting nor by a symlink that leads elsewhere; all files have one size and one time."""
    files: Tree = {"Dockerfile": COPY_ALL, "one/index": b"1", "two/index": b"2"}
    site.repo.commit({**files, "now": symlink(b"one")})
    for directory, content in (("one", b"1"), ("two", b"2"), ("now", b"1"), ("one", b"1")):
        site.build(directory=directory)
        assert site.found()["index"].content == sha1(content)
    site.repo.commit({**files, "now": symlink(b"two")})
    site.build(directory="now")
    assert site.found()["index"].content == sha1(b"2")


def test_times_that_are_lost_begin_anew(site: Site) -> None:
    """What the engine still has of the app may have any of the times that are given out again."""
    site.repo.commit({"Dockerfile": COPY_ALL, "index": b"1"})
    site.build()
    with site.state._transaction():
        site.state._db.execute("DELETE FROM ages")
    site.repo.commit({"Dockerfile": COPY_ALL, "index": b"2"})
    site.build()
    assert site.found()["index"].content == sha1(b"2")


def test_apps_have_nothing_in_common(site: Site) -> None:
    for app, content in (("o/a", b"1"), ("o/b", b"2"), ("o/a", b"1")):
        site.repo.commit({"Dockerfile": COPY_ALL, "index": content})
        site.build(app=app)
        assert site.found()["index"].content == sha1(content)


def test_a_dockerfile_of_the_same_size_is_not_taken_for_the_one_before(site: Site) -> None:
    for name in (b"a", b"b", b"a"):
        site.repo.commit({"Dockerfile": COPY_ALL.replace(b"COPY .", b"COPY " + name), "a": b"1", "b": b"2"})
        site.build()
        assert set(site.found()) == {name.decode()}


def test_dockerignore_itself_can_be_copied_and_named_files_too(site: Site, base_images: BaseImages) -> None:
    dockerfile = f"FROM {base_images.busybox}\nCOPY .dockerignore /ctx/ignore\nCOPY link/f o*r /ctx/\nADD d /ctx/d\n".encode()
    files: Tree = {
        ".dockerignore": b"# n\xc3\xa9\nn*\xc3\xa9\n",
        "link": symlink(b"real"),
        "real/f": b"1",
        "d/e": b"2",
        "other": b"3",
    }
    site.repo.commit({"Dockerfile": dockerfile, **files, "more": bytes(1000)})
    site.build()
    assert {name: member.content for name, member in site.found().items() if member.kind == "file"} == {
        "ignore": sha1(b"# n\xc3\xa9\nn*\xc3\xa9\n"),
        "f": sha1(b"1"),
        "other": sha1(b"3"),
        "d/e": sha1(b"2"),
    }
    assert site.sent < 100


def test_an_engine_that_was_killed_in_the_middle_gets_everything_again(
    site: Site, private_engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has new files by then, and what it knows of their content may be that of the old ones."""
    files: Tree = {"Dockerfile": COPY_ALL, **{f"f{number}": b"1" * 100_000 for number in range(20)}}
    site.repo.commit(files)
    site.build()
    first = site.found()
    site.repo.commit({**files, **{f"f{number}": b"2" * 100_000 for number in range(20)}})
    read = RemoteListing.contents
    pieces = itertools.count()  # over all calls: how many files the engine asks for at a time is its own affair

    def killing(listing: RemoteListing, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
        for piece in read(listing, numbers):
            yield piece
            if next(pieces) == 10:
                private_engine.kill()

    with monkeypatch.context() as patch, pytest.raises(GitdeployError):
        patch.setattr(RemoteListing, "contents", killing)
        site.build()
    private_engine.start()
    site.build()
    assert site.sent == 2_000_000 + len(COPY_ALL)
    assert site.found() == site.repo.archive("main") != first


def test_where_sessions_are_refused_everything_arrives_all_the_same(site: Site, tmp_path: Path) -> None:
    """As a stream; from an engine that has BuildKit's own way into a session, too, file by file on that."""
    files: Tree = {"Dockerfile": COPY_ALL, "large": os.urandom(3_000_000), "link": symlink(b"large"), "d/x": executable(b"1")}
    with interpose(site.url, tmp_path) as between:
        between.refused["/session"] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        site.url = between.url
        for content in (b"1", b"2"):
            site.repo.commit({**files, "index": content})
            site.build()
            assert site.found() == site.repo.archive("main")
