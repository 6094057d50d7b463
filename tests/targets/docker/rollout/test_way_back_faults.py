"""Whatever single call fails while a rollout is undone, the old release serves, and all other steps are taken."""

from __future__ import annotations

from typing import Any

import pytest

from gitdeploy.errors import EngineError, GitdeployError, StageFailed
from gitdeploy.targets.undo import Undo
from tests.support.net import wait_until
from tests.support.params import sample
from tests.targets.docker.rollout.interposed import Interposed, changes
from tests.targets.docker.rollout.site import Site, answers


def switches(word: str) -> bool:
    """Whether a command to HAProxy moves requests from some servers to others; what introduces one names its address."""
    return "weight 100" in word and "weight 0" in word and "fqdn" not in word


LATE = {
    "recreate": lambda name, arguments: name == "start",
    "rolling": lambda name, arguments: name == "stop",
    "blue-green": lambda name, arguments: name == "exec" and any(map(switches, arguments[1])),
}
"""The last change, by strategy, before a rollout is complete: it has come as far as there is something to undo."""


class Way:
    """A deployment that fails after that, on an engine on which one change fails while it is undone.

    Attributes:
        undoing: changes made since undoing began, by name and arguments.
    """

    def __init__(self, site: Site, fails: int) -> None:
        self.undoing: list[tuple[str, tuple[Any, ...]]] = []
        self._site = site
        self._fails = fails
        self._armed = False

    def deploy(self, monkeypatch: pytest.MonkeyPatch) -> GitdeployError:
        """Return what the deployment raised."""
        engine, run = Interposed(self._site.engine), Undo.run
        engine.before, engine.after = self._before, self._after

        def undo(undo: Undo) -> list[str]:
            self._armed = True
            return run(undo)

        with monkeypatch.context() as patch, pytest.raises(StageFailed, match="late") as caught:
            patch.setattr(Undo, "run", undo)
            patch.setattr(self._site, "engine", engine)
            self._site.deploy("2")
        return caught.value

    def _after(self, name: str, arguments: tuple[Any, ...]) -> None:
        if not self._armed and LATE[self._site.app.strategy](name, arguments):
            raise StageFailed("late")

    def _before(self, name: str, arguments: tuple[Any, ...]) -> None:
        if self._armed and changes(name, arguments):
            self.undoing.append((name, arguments))
            if len(self.undoing) == self._fails:
                raise EngineError("sentinel trouble", 500)


@pytest.mark.parametrize("strategy", sample(LATE, "blue-green"))
def test_each_change_of_the_way_back_may_fail(strategy: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.configure(strategy=strategy, replicas=2 if strategy == "rolling" else 1)
    fails = last = 1
    while fails <= last:
        if not answers(site.url, "1"):
            site.deploy("1")
        old = {c.id for c in site.containers()}
        way = Way(site, fails)
        error = way.deploy(monkeypatch)
        last = len(way.undoing)
        name, arguments = way.undoing[fails - 1]
        if name == "start" and arguments[0] in old:  # nothing can stand in for that, but the other replica
            assert "again: sentinel trouble" in error.hint
        if name != "start" or strategy == "rolling":
            wait_until(lambda: answers(site.url, "1"), 20, f"the old release after {name} failed")
        for container in site.containers():
            if container.id not in old:  # what could not be removed is for the next deployment
                site.engine.remove(container.id, force=True)
        fails += 1
    assert last >= 3
