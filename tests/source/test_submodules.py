"""Submodules: taken from repositories of the same server, as far as the pusher may read them; errors otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitdeploy.errors import StageFailed
from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.repository import open_repository
from gitdeploy.source.sameserver import PUBLIC, SameServer
from tests.support.gitrepo import GitRepo, members, submodule

DOCKERFILE = b"FROM scratch\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "gogs-repositories"


@pytest.fixture
def app(root: Path) -> GitRepo:
    return GitRepo(root / "devops" / "app.git")


@pytest.fixture
def server(root: Path) -> SameServer:
    return SameServer(root, "devops", frozenset({"git.example.com"}), prefix="gogs")


def gitmodules(**urls: str) -> bytes:
    return "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, url in urls.items()).encode()


def context(app: GitRepo, server: SameServer | None, directory: str = ".") -> set[str]:
    with open_repository(app.path) as opened:
        made = open_context(opened, opened.resolve("main"), directory=directory, submodules=server)
        return set(members(made))


def failure(app: GitRepo, server: SameServer | None) -> StageFailed:
    with pytest.raises(StageFailed) as caught:
        context(app, server)
    return caught.value


@pytest.mark.parametrize(
    "url",
    [
        "../lib.git",
        "../lib",
        "../../devops/lib.git",
        "https://git.example.com/gogs/devops/lib.git",
        "http://git.example.com:3000/gogs/devops/lib",
        "https://ann:secret@git.example.com/gogs/Devops/Lib.git",
        "ssh://git@git.example.com:2222/devops/lib.git",
        "git@git.example.com:devops/lib.git",
        "git.example.com:devops/lib",
    ],
)
def test_a_submodule_of_the_same_owner(app: GitRepo, server: SameServer, root: Path, url: str) -> None:
    lib = GitRepo(root / "devops" / "lib.git").commit({"src/x": b"1", "README": b"2"})
    app.commit({"Dockerfile": DOCKERFILE, "libs/lib": submodule(lib), ".gitmodules": gitmodules(**{"libs/lib": url})})
    expected = {"Dockerfile", ".gitmodules", "libs", "libs/lib", "libs/lib/src", "libs/lib/src/x", "libs/lib/README"}
    assert expected == context(app, server)


def test_a_submodule_of_a_submodule_and_dockerignore(app: GitRepo, server: SameServer, root: Path) -> None:
    deep = GitRepo(root / "devops" / "deep.git").commit({"a": b"1", "b": b"2"})
    files = {"deep": submodule(deep), "c": b"3", ".gitmodules": gitmodules(deep="../deep.git")}
    lib = GitRepo(root / "devops" / "lib.git").commit(files)
    ignore = b"lib\n!lib/deep/a\n"
    app.commit(
        {"Dockerfile": DOCKERFILE, "lib": submodule(lib), ".gitmodules": gitmodules(lib="../lib"), ".dockerignore": ignore}
    )
    assert context(app, server) == {"Dockerfile", ".gitmodules", ".dockerignore", "lib", "lib/deep", "lib/deep/a"}


def test_a_submodule_below_the_context(app: GitRepo, server: SameServer, root: Path) -> None:
    lib = GitRepo(root / "devops" / "lib.git").commit({"x": b"1"})
    modules = gitmodules(**{"app/lib": "../lib", "other": "../none"})
    app.commit({"app/Dockerfile": DOCKERFILE, "app/lib": submodule(lib), ".gitmodules": modules, "other": submodule("1" * 40)})
    assert context(app, server, directory="app") == {"Dockerfile", "lib", "lib/x"}


def test_a_public_repository_of_another_owner(app: GitRepo, server: SameServer, root: Path) -> None:
    other = GitRepo(root / "others" / "lib.git")
    lib = other.commit({"x": b"1"})
    app.commit({"Dockerfile": DOCKERFILE, "lib": submodule(lib), ".gitmodules": gitmodules(lib="../../others/lib.git")})
    private = failure(app, server).reason
    assert "submodule lib: others/lib is no repository of devops and no public one" in private
    (other.path / PUBLIC).touch()
    assert "lib/x" in context(app, server)


def test_a_private_repository_is_not_told_from_none(app: GitRepo, server: SameServer, root: Path) -> None:
    lib = GitRepo(root / "others" / "secret.git").commit({"x": b"1"})
    reasons = []
    for name in ("secret", "nothing"):
        url = f"../../others/{name}.git"
        app.commit({"Dockerfile": DOCKERFILE, "lib": submodule(lib), ".gitmodules": gitmodules(lib=url)})
        reasons.append(failure(app, server).reason.replace(name, "NAME"))
    assert reasons[0] == reasons[1]


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/devops/lib.git",
        "git@github.com:devops/lib.git",
        "https://git.example.com.evil.org/gogs/devops/lib.git",
        "https://evil.org/git.example.com/devops/lib.git",
        "https://git.example.com@evil.org/gogs/devops/lib.git",
        "file:///etc",
        "/srv/git/devops/lib.git",
        "../../../../etc",
        "../../../gogs-repositories/devops/lib.git",
        "https://git.example.com/gogs/devops/../others/lib.git",
        "https://git.example.com/gogs/devops/lib.git/../../x",
        "https://git.example.com/gogs/devops",
        "ext::sh -c touch% pwned",
        "-u",
        "\x1b[31m",
        "",
    ],
)
def test_a_url_that_is_not_taken(app: GitRepo, server: SameServer, root: Path, url: str) -> None:
    lib = GitRepo(root / "devops" / "lib.git").commit({"x": b"1"})
    app.commit({"Dockerfile": DOCKERFILE, "lib": submodule(lib), ".gitmodules": gitmodules(lib=f'"{url}"')})
    error = failure(app, server)
    assert "submodule lib: " in error.reason
    assert error.reason.isprintable()
    assert ".dockerignore" in error.hint


def test_a_commit_that_was_not_pushed_there(app: GitRepo, server: SameServer, root: Path) -> None:
    GitRepo(root / "devops" / "lib.git").commit({"x": b"1"})
    app.commit({"Dockerfile": DOCKERFILE, "lib": submodule("1" * 40), ".gitmodules": gitmodules(lib="../lib.git")})
    assert f"submodule lib: ../lib.git has no commit {'1' * 40}; push it there" in failure(app, server).reason


def test_all_that_cannot_be_taken_are_named(app: GitRepo) -> None:
    modules = gitmodules(a="../a.git", **{"x/b": "https://github.com/x/b"})
    files = {"a": submodule("1" * 40), "x/b": submodule("2" * 40), "c": submodule("3" * 40), ".gitmodules": modules}
    app.commit({"Dockerfile": DOCKERFILE} | files)
    reason = failure(app, None).reason
    for expected in (
        "submodule a: ../a.git is not",
        "submodule x/b: https://github.com/x/b is not",
        "submodule c: .gitmodules",
    ):
        assert expected in reason


def test_a_gitlink_without_gitmodules(app: GitRepo, server: SameServer) -> None:
    app.commit({"Dockerfile": DOCKERFILE, "nested": submodule("1" * 40)})
    assert failure(app, server).reason == "submodule nested: .gitmodules has no URL for it"


def test_an_ignored_submodule_is_not_needed(app: GitRepo) -> None:
    modules = gitmodules(lib="https://github.com/x/lib")
    app.commit({"Dockerfile": DOCKERFILE, "lib": submodule("1" * 40), ".gitmodules": modules, ".dockerignore": b"lib"})
    assert context(app, None) == {"Dockerfile", ".gitmodules", ".dockerignore"}


@pytest.mark.parametrize("data", [b"[submodule", b"\xff\0", b'[submodule "a"]\npath\n', b"[include]\npath = /etc/passwd\n"])
def test_a_gitmodules_file_that_is_none(app: GitRepo, server: SameServer, data: bytes) -> None:
    app.commit({"Dockerfile": DOCKERFILE, "lib": submodule("1" * 40), ".gitmodules": data})
    assert ".gitmodules" in failure(app, server).reason
