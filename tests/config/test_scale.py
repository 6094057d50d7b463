"""Numbers of containers that a person asks for: what may be asked, and what becomes of it."""

from __future__ import annotations

import pytest

from gitdeploy.config.checks import processes
from gitdeploy.config.model import App
from gitdeploy.config.scale import parse_counts, scaled
from gitdeploy.errors import UsageError
from tests.config.loading import config

WORKER = 'processes.worker.command = "x"'


def app(text: str) -> App:
    return config(f'[apps."o/shop"]\n{text}\n').apps["o/shop"]


def replicas(found: App) -> dict[str, int]:
    return {part.process: part.replicas for part in processes(found)}


def test_numbers_are_laid_over_the_configuration() -> None:
    found = app(f'strategy = "rolling"\npublish = "80:80"\n{WORKER}')
    assert replicas(scaled(found, {})) == {"web": 1, "worker": 1}
    assert replicas(scaled(found, {"worker": 0, "web": 4})) == {"web": 4, "worker": 0}
    assert replicas(scaled(found, {"gone": 3})) == {"web": 1, "worker": 1}


def test_what_the_configuration_no_longer_allows_is_cut_down() -> None:
    found = app(f'strategy = "recreate"\npublish = "80:80"\n{WORKER}')
    assert replicas(scaled(found, {"web": 4, "worker": 4})) == {"web": 1, "worker": 4}


def test_what_is_asked_for() -> None:
    found = app(f"{WORKER}\nreplicas = 2")
    assert parse_counts([], found) == {}
    assert parse_counts(["worker=0", "web=32"], found) == {"worker": 0, "web": 32}
    assert parse_counts(["worker=config"], found) == {"worker": None}


@pytest.mark.parametrize(
    ("word", "reason", "hint"),
    [
        ("wroker=2", "no process 'wroker'", "did you mean worker? its processes: web, worker"),
        ("x=2", "no process 'x'", "its processes: web, worker"),
        ("worker", "expected PROCESS=NUMBER, found 'worker'", "worker=2"),
        ("=2", "expected PROCESS=NUMBER", ""),
        ("worker=", "expected a number from 0 to 32", ""),
        ("worker=-1", "expected a number from 0 to 32", ""),
        ("worker=33", "expected a number from 0 to 32", ""),
        ("worker=٣", "expected a number from 0 to 32", ""),
        ("worker=" + "9" * 5000, "expected a number from 0 to 32", ""),
        ("web=0", "web: expected at least 1", "gitdeploy stop"),
        ("web=2", "cannot share 80:80 without a router", "rolling"),
    ],
)
def test_what_cannot_be_asked_for(word: str, reason: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_counts([word], app(f'strategy = "recreate"\npublish = "80:80"\n{WORKER}'))
    assert reason in caught.value.reason
    assert hint in caught.value.hint
    assert len(caught.value.reason) < 300
