"""What managers answer while they elect a leader is waited out, and what was done all the same is not done twice."""

from __future__ import annotations

from typing import Any, cast

import pytest

from gitdeploy.engine import election
from gitdeploy.engine.cluster import ServiceSpec
from gitdeploy.engine.swarmcluster import SwarmCluster
from gitdeploy.engine.transport import Api
from gitdeploy.errors import EngineError, NoManager, NotFound
from tests.engine.swarm import nobody

SAID = (
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online.",
    "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
    "rpc error: code = Unavailable desc = error reading from server: read tcp 10.0.0.2:4: read: connection reset by peer",
    "rpc error: code = Unknown desc = raft: failed to process the request: node lost leader status",
    "rpc error: code = Unknown desc = raft proposal dropped",
    "This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster.",
)
"""Of 20.10 and 28.5, when the leader's engine was killed, its machine died, it was demoted, and when an engine began."""

SPEC = ServiceSpec("shop-r7", "r/shop@sha256:7", labels={"release": "7"})
TAKEN = EngineError("rpc error: code = AlreadyExists desc = name conflicts with an existing object", 409)


class Answer:
    def __init__(self, body: Any) -> None:
        self._body = body

    def json(self) -> Any:
        return self._body


class PlayedApi:
    """Gives these answers, the last one again and again."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def call(self, method: str, path: str, **options: Any) -> Answer:
        self.asked.append(f"{method} {path}")
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer)


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(election, "PAUSE", 0.01)


def cluster(api: PlayedApi, patience: float = 20.0) -> SwarmCluster:
    return SwarmCluster(cast(Api, api), patience)


@pytest.mark.parametrize("said", SAID)
def test_it_is_asked_again(said: str) -> None:
    api = PlayedApi(EngineError(said, 500), EngineError(said, 500), [])
    assert cluster(api).services({}) == []
    assert api.asked == ["GET /services"] * 3


@pytest.mark.parametrize("said", SAID)
def test_who_only_looks_is_told_at_once(said: str) -> None:
    api = PlayedApi(EngineError(said, 503))
    with pytest.raises(EngineError) as caught:
        cluster(api, 0.0).services({})
    assert type(caught.value) is EngineError
    assert len(api.asked) == 1


def test_other_errors_are_no_election() -> None:
    for error in (
        NotFound("no such service", 404),
        NoManager("This node is not a swarm manager. Worker nodes can't be used", 503),
    ):
        api = PlayedApi(error)
        with pytest.raises(type(error)):
            cluster(api).nodes()
        assert len(api.asked) == 1


def test_a_wait_in_vain_is_the_last_one_until_it_answers() -> None:
    gone = EngineError(SAID[0], 500)
    api = PlayedApi(gone)
    found = cluster(api, 0.1)
    for last in (False, True, True):
        asked = len(api.asked)
        with pytest.raises(EngineError, match="leader"):
            found.nodes()
        assert (len(api.asked) - asked == 1) is last
    api._answers = [[], gone, []]
    assert found.nodes() == []
    assert found.nodes() == []


def service(labels: dict[str, str]) -> dict[str, Any]:
    spec = {"Name": SPEC.name, "Labels": labels, "TaskTemplate": {"ContainerSpec": {"Image": SPEC.image}}}
    return {"ID": "made", "Spec": {**spec, "Mode": {"Replicated": {"Replicas": 1}}}, "CreatedAt": ""}


def test_a_service_that_was_made_all_the_same_is_taken() -> None:
    api = PlayedApi(EngineError(SAID[1], 500), TAKEN, service({"release": "7"}))
    assert cluster(api).create_service(SPEC, nobody) == "made"


def test_a_service_of_that_name_that_is_another_is_not() -> None:
    for answers in ([EngineError(SAID[1], 500), TAKEN, service({})], [TAKEN, service({"release": "7"})]):
        with pytest.raises(EngineError, match="conflicts"):
            cluster(PlayedApi(*answers)).create_service(SPEC, nobody)
