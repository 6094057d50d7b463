"""What the steps of one deployment hand on to one another."""

from __future__ import annotations

from dataclasses import dataclass, field

from gitdeploy.config.model import App
from gitdeploy.engine.types import Image
from gitdeploy.errors import StageFailed
from gitdeploy.pipeline.build import Candidate
from gitdeploy.pipeline.plan import Walk
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.release import Release, label_problem
from gitdeploy.source.commit import Commit
from gitdeploy.source.reader import RemoteRepository
from gitdeploy.targets.target import Outcome


@dataclass
class Way(Walk):
    """The way of one deployment: each step finds here what those before it have found out.

    Attributes:
        repository: open while the steps that read it run; none for a rollback.
        signed_tree: the tree that a key signed for, "" where nobody asks.
        app: the configuration that the release runs with.
    """

    repository: RemoteRepository | None
    signed_tree: str = ""
    app: App = field(init=False)
    commit: Commit = field(init=False)
    candidate: Candidate = field(init=False)
    release: Release = field(init=False)
    image: Image = field(init=False)
    outcome: Outcome = field(init=False)

    @property
    def files(self) -> RemoteRepository:
        """The open repository."""
        assert self.repository is not None, "a rollback reads no repository"
        return self.repository

    @property
    def recorded(self) -> Deployment:
        """What state.db has of the deployment, by this attempt or one before it."""
        row = self.tools.state.deployment(self.tools.job.deployment)
        assert row is not None, "it is on record before it begins"
        return row

    def require_plain_image(self) -> None:
        """Raise StageFailed if the image has labels that a container made of it must not have."""
        if problem := label_problem(self.app, self.image.labels):
            raise StageFailed(problem, "take that LABEL out of the Dockerfile, or use another base image")

    def record(self, **values: object) -> None:
        """Keep in state.db what a step has found out."""
        self.tools.state.update(self.tools.job.deployment, **values)
