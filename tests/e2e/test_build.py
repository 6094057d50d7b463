"""What a push brings into the build, and when a build is not needed."""

from __future__ import annotations

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.apps import SampleApp
from tests.support.gitrepo import GitRepo
from tests.support.params import sample

FROM = "FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\n"
CMD = 'CMD ["python3", "app.py"]\n'


def add_submodule(clone: SampleApp, url: str, commit: str) -> None:
    """Adds lib/ as a submodule, without a clone of it."""
    (clone.path / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib\n\turl = {url}\n')
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    (clone.path / "lib").mkdir(exist_ok=True)  # as a clone without its submodules has it


def file_of(client: docker.DockerClient, app: Deployable, path: str) -> str:
    """A file in the app's container."""
    container = client.containers.get(app.container)
    return b"".join(container.exec_run(["cat", path], stream=True).output).decode()


def test_lfs_objects_and_submodules_of_the_same_gogs(app: Deployable, docker_client: docker.DockerClient) -> None:
    gogs = app.site.gogs
    owner = app.name.partition("/")[0]
    lib = GitRepo(gogs.repository(f"{owner}/lib")).commit({"hello": b"from the submodule\n"})
    add_submodule(app.clone, "http://localhost:3000/devops/lib.git", lib)
    app.clone.release("1", {"picture": gogs.put_lfs_object(b"from the LFS store\n", app.name)})
    assert "1 is live" in app.clone.push(app.remote).text
    assert file_of(docker_client, app, "/app/lib/hello") == "from the submodule\n"
    assert file_of(docker_client, app, "/app/picture") == "from the LFS store\n"


def test_an_lfs_object_that_is_missing_and_a_submodule_from_elsewhere(app: Deployable) -> None:
    app.site.gogs.put_lfs_object(b"another", app.name)
    app.clone.release("1", {"picture": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"})
    missing = app.clone.push(app.remote).text
    assert "FAILED at Build: the Git LFS object of picture (aaaaaaaaaaaa…, 9 bytes) is not one of this repository's" in missing
    assert "git lfs push --all origin" in missing
    add_submodule(app.clone, "https://elsewhere.example/devops/lib.git", "1" * 40)
    app.clone.release("2", {"picture": None})
    elsewhere = app.clone.push(app.remote).text
    assert "FAILED at Build: submodule lib: https://elsewhere.example/devops/lib.git is not on this server" in elsewhere


LINES = ("COPY --from={} /made /made\n", "RUN --mount=from={},target=/from cp /from/made /made\n")


@pytest.mark.parametrize("line", sample(LINES, LINES[1]))
def test_a_tree_is_built_once_unless_a_base_image_is_another(
    app: Deployable, docker_client: docker.DockerClient, line: str
) -> None:
    base = f"gitdeploy-base/{app.container}:1"

    def make_base(content: str) -> None:
        container = docker_client.containers.run("gitdeploy-test/python:1", ["sh", "-c", f"echo {content} >/made"], detach=True)
        container.wait()
        repository, tag = base.split(":")
        container.commit(repository, tag)
        container.remove()

    make_base("one")
    first = app.clone.release("1", {"Dockerfile": f"{FROM}{line.format(base)}{CMD}"})
    assert "1 is live" in app.clone.push(app.remote).text
    app.clone.release("2")
    assert "2 is live" in app.clone.push(app.remote).text
    assert "this tree is already built" in app.site.run("deploy", app.name, first).stdout
    assert "already built" not in app.site.run("deploy", app.name, first, "-o", "gitdeploy.no-cache").stdout
    make_base("two")
    assert "already built" not in app.site.run("deploy", app.name, first).stdout
    assert file_of(docker_client, app, "/made") == "two\n"
    docker_client.images.remove(base)


def test_a_build_secret_whose_file_is_not_there(app: Deployable) -> None:
    app.site.configure('build = { secrets = { token = "/nonexistent/token" } }\n')
    app.clone.release("1")
    text = app.clone.push(app.remote).text
    assert "FAILED at Build: " in text
    assert f'apps."{app.name}".build.secrets.token' in text
    assert "/nonexistent/token" in text


def test_what_gitattributes_ask_for_in_vain_is_told(app: Deployable, docker_client: docker.DockerClient) -> None:
    app.clone.release("1", {".gitattributes": "*.bat text eol=crlf\n", "run.bat": "one\r\ntwo\r\n"})
    push = app.clone.push(app.remote).text
    assert "note: .gitattributes asks for eol=crlf: files are built as Git stores them" in push
    assert "1 is live" in push
    assert file_of(docker_client, app, "/app/run.bat") == "one\ntwo\n"


def test_gitattributes_that_cannot_be_read_fail_nothing(app: Deployable) -> None:
    app.clone.release("1", {"x": "y"})
    (app.clone.path / ".gitattributes").symlink_to("/etc/passwd")
    app.clone.git("add", ".gitattributes")
    app.clone.git("commit", "--quiet", "--amend", "--no-edit")
    assert "1 is live" in app.clone.push(app.remote).text
