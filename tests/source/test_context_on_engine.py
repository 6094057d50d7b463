"""What an engine finds in a context that is a stream: every odd name, mode and symlink, with both builders.

Names that are no UTF-8 are among them, for which BuildKit gets a stream, too.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import docker
import pytest

from gitdeploy.engine.client import connect
from gitdeploy.engine.types import BuildRequest
from tests.source.reading import opened
from tests.support.gitrepo import GitRepo, Member, Tree, executable, members, symlink
from tests.support.recorder import Recorder

LONG = "/".join(["directory" * 5] * 5)

FILES: Tree = {
    "run.sh": executable(b"#!/bin/sh\n"),
    "empty": b"",
    "link": symlink(b"run.sh"),
    "link out": symlink(b"../../etc/passwd"),
    "a:b/c d": b"2",
    "naïve/ü": b"3",
    b"bytes\xff\xfe/\x80": b"4",
    "new\nline": b"5",
    f"{LONG}/deep": b"8",
    b"\xe9" * 200: b"10",
    "large": bytes(3_000_000),
}


@pytest.fixture
def tag(docker_client: docker.DockerClient) -> Iterator[str]:
    name = f"gitdeploy-context:{uuid.uuid4().hex[:12]}"
    yield name
    docker_client.images.remove(name, force=True)


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
@pytest.mark.parametrize(
    ("where", "options"),
    [
        ("Dockerfile", {}),
        ("docker/a.Dockerfile", {"dockerfile": "docker/a.Dockerfile"}),
        ("build/Dockerfile", {"dockerfile": "build/Dockerfile", "directory": "app"}),
    ],
)
def test_files_arrive_as_they_are(
    docker_client: docker.DockerClient,
    tmp_path: Path,
    tag: str,
    builder: Literal["buildkit", "classic"],
    where: str,
    options: dict[str, str],
) -> None:
    prefix = options.get("directory", "")
    files = {os.path.join(os.fsencode(prefix), os.fsencode(name)): file for name, file in FILES.items()}  # noqa: PTH118
    repo = GitRepo(tmp_path / "app.git")
    repo.commit({os.fsencode(where): b'FROM scratch\nCOPY . /ctx/\nCMD ["x"]\n', **files})
    engine = connect(os.environ)
    chosen = {"directory": ".", "dockerfile": "Dockerfile", **options}
    with opened(repo.path) as repository:
        commit = repository.resolve("main")
        context = repository.context(commit, **chosen, lfs=None, submodules=None, limit=10**9)
        sent = members(context)
        request = BuildRequest(dockerfile=context.dockerfile, tags=(tag,), engine=builder)
        engine.build(request, context, lambda host: None, Recorder())
    engine.close()
    hidden = builder == "classic" and "directory" in options  # the Dockerfile is no part of what is copied from
    inside = {name: member for name, member in sent.items() if not (hidden and name == context.dockerfile)}
    assert inside == contents(docker_client, tag)
    assert len([name for name in sent if sent[name].kind != "directory"]) == len(files) + 1


def contents(client: docker.DockerClient, tag: str) -> dict[str, Member]:
    """What is in /ctx of an image."""
    container = client.containers.create(tag)
    try:
        return members(container.get_archive("/ctx")[0], below="ctx/")
    finally:
        container.remove()
