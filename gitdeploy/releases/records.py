"""A deployment and its stages, as state.db keeps them and `--json` shows them. Pure data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

Status = Literal["queued", "running", "succeeded", "failed", "superseded", "cancelled", "unchanged"]
ENDED: tuple[Status, ...] = ("succeeded", "failed", "superseded", "cancelled", "unchanged")


@dataclass(frozen=True)
class Stage:
    """One stage of one deployment.

    Attributes:
        started: seconds since the epoch.
        seconds: how long it took, None while it runs.
        status: running, succeeded, failed or skipped.
    """

    name: str
    started: float
    seconds: float | None
    status: str


@dataclass(frozen=True)
class Deployment:
    """One row of `deployments`; times are seconds since the epoch.

    Attributes:
        record: name of the push record it stands for.
        image: the image's id on the engine, "" before Build is done.
        digest: "sha256:…" in the registry, "" if it was not pushed.
        stage: where it is, or where it ended.
        exit_code: what `gitdeploy deploy` ends with for it.
        outage: seconds in which nothing served, None if unknown or not applicable.
        attempts: how often a worker began it.
        config: the app's configuration as JSON, as it was deployed; values of secret files are not in it.
        retained: whether its image is kept for a rollback.
    """

    id: int
    app: str
    record: str
    trigger: str
    ref: str
    commit_id: str
    subject: str
    pusher: str
    strategy: str
    version: str
    tree: str
    image: str
    digest: str
    status: Status
    stage: str
    error: str
    hint: str
    exit_code: int
    created: float
    started: float | None
    finished: float | None
    outage: float | None
    attempts: int
    config: str
    retained: bool

    @property
    def ended(self) -> bool:
        """Whether its end is known."""
        return self.status in ENDED


@dataclass(frozen=True)
class TaskRecord:
    """One task of one deployment, from just before its container is started.

    Attributes:
        name: of the task.
        moment: its `when`.
        started: seconds since the epoch.
        ended: the same; None while it runs, or where nobody has looked yet what became of it.
        exit_code: None while it runs, and for ever where it was stopped or nobody knows.
    """

    deployment: int
    name: str
    moment: str
    started: float
    ended: float | None
    exit_code: int | None


RunStatus = Literal["queued", "running", "succeeded", "failed", "skipped"]


@dataclass(frozen=True)
class ScheduledRun:
    """One run of a schedule; times are seconds since the epoch.

    Attributes:
        name: of the schedule.
        due: when it was to begin.
        trigger: "schedule", or "command" where a person asked for it.
        deployment: the release that it runs in, 0 before it is known.
        version: of that release.
        started: None until its container is about to be started.
        exit_code: None while it runs, and where it was stopped or nobody knows.
        error: why it failed or was skipped, "" for nothing.
    """

    id: int
    app: str
    name: str
    due: float
    trigger: str
    deployment: int
    version: str
    status: RunStatus
    started: float | None
    ended: float | None
    exit_code: int | None
    error: str


@dataclass(frozen=True)
class Seen:
    """What was last seen of the refs of one app.

    Attributes:
        patterns: the full ref patterns that were deployed then.
        tips: commit id of each matching ref, as far as it has been dealt with.
    """

    patterns: tuple[str, ...]
    tips: Mapping[str, str]


TAKEN_OUT = Seen((), {})
"""Of an app whose hook `gitdeploy remove` has taken out: it is left alone, until it is enrolled again."""


COLUMNS = tuple(field.name for field in fields(Deployment))


def as_json(deployment: Deployment, stages: Sequence[Stage]) -> dict[str, object]:
    """Return a deployment for `--json`: its columns and stages, without the configuration."""
    shown = {name: getattr(deployment, name) for name in COLUMNS if name not in ("config", "record")}
    return {**shown, "stages": [vars(stage) for stage in stages]}


@dataclass(frozen=True)
class BuiltAges:
    """When the files of an app that were built last were last changed.

    Attributes:
        ages: see `source.ages`.
        key: under which engines keep those files.
        known: whether the engine has ended the build.
    """

    ages: bytes
    key: str
    known: bool
