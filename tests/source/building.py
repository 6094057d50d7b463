"""Builds of an app from a real repository, as its worker makes them, on a real engine."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Literal

import docker

from gitdeploy.engine.client import connect
from gitdeploy.engine.types import BuildRequest
from gitdeploy.pipeline import contextages
from gitdeploy.releases.state import State
from gitdeploy.source.reader import Place
from gitdeploy.worker.readers import Readers
from tests.source.test_context_on_engine import contents
from tests.support.gitrepo import GitRepo, Member
from tests.support.recorder import Recorder


@dataclass
class Site:
    """One app's builds, as its worker makes them.

    Attributes:
        repo: the app's repository.
        builder: which of the engine's two builds.
        said: what the last build did.
        sent: bytes of files that it took.
    """

    repo: GitRepo
    client: docker.DockerClient
    state: State
    url: str
    tag: str = field(default_factory=lambda: f"gitdeploy-sync:{uuid.uuid4().hex[:12]}")
    builder: Literal["buildkit", "classic"] = "buildkit"
    said: Recorder = field(default_factory=Recorder)
    sent: int = 0

    def build(self, rev: str = "main", *, directory: str = ".", dockerfile: str = "Dockerfile", app: str = "o/app") -> str:
        """Builds a commit and returns its image's id."""
        engine, readers = connect({"DOCKER_HOST": self.url}), Readers(lambda path: Place(path, path.parent, 0, 0))
        self.said = Recorder()
        try:
            with readers.open(self.repo.path) as repository:
                commit = repository.resolve(rev)
                context = repository.context(
                    commit, directory=directory, dockerfile=dockerfile, lfs=None, submodules=None, limit=10**9
                )
                tools = self  # has all that `begin` wants
                key = contextages.begin(app, commit, repository, context, tools)  # type: ignore[arg-type]
                request = BuildRequest(
                    context.dockerfile,
                    (self.tag,),
                    shared_key=key,
                    ended=lambda: self.state.ages_known(app),
                    engine=self.builder,
                )
                image = engine.build(request, context, lambda host: None, self.said)
                self.sent = context.bytes
                return image
        finally:
            readers.close()
            engine.close()

    @staticmethod
    def now() -> float:
        return 2e9

    def found(self) -> dict[str, Member]:
        """What is in /ctx of the image that was built last."""
        return contents(self.client, self.tag)

    def cached(self) -> set[str]:
        """The steps that were taken from the cache."""
        return {line.split(" · ")[0] for line in self.said.lines if line.endswith(" · CACHED")}
