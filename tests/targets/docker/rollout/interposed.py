"""Stands between gitdeploy and a real engine, to break it or gitdeploy at a chosen call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitdeploy.engine.protocol import Engine

EFFECTS = {
    *("create", "start", "stop", "remove", "rename", "signal", "put_files", "set_restart"),
    *("ensure_network", "remove_network", "connect", "disconnect"),
    *(
        "create_service",
        "resize_service",
        "label_service",
        "replace_service",
        "restore_service",
        "remove_service",
        "create_secret",
        "remove_secret",
    ),
}


class Killed(BaseException):
    """The process is dead: nothing catches it, and nothing it tries afterwards has an effect."""


class Interposed:
    """An engine that calls `before(name, arguments)` and `after(name, arguments)` around every call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.before: Callable[[str, tuple[Any, ...]], None] = lambda name, arguments: None
        self.after: Callable[[str, tuple[Any, ...]], None] = lambda name, arguments: None

    def cluster(self, patience: float = 0.0) -> Any:
        """The engine's cluster, watched in the same way."""
        cluster = Interposed(self._engine.cluster(patience))  # type: ignore[arg-type]
        cluster.before, cluster.after = self.before, self.after
        return cluster

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.before(name, arguments)
            answer = method(*arguments, **options)
            self.after(name, arguments)
            return answer

        return call


def changes(name: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a call changes something on the engine."""
    return name in EFFECTS or (name == "exec" and any("set server" in word for word in arguments[1]))


class Count:
    """Counts the changes that a deployment makes."""

    def __init__(self, engine: Interposed) -> None:
        self.changes = 0
        engine.before = self._pass

    def _pass(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.changes += changes(name, arguments)


class KillAt:
    """Kills the deployment right before its Nth change, counted from 0.

    Right after a change is right before the next one: nothing happens on the engine between them.

    Attributes:
        where: the call that did not happen, "" if the deployment had fewer changes.
    """

    def __init__(self, engine: Interposed, point: int) -> None:
        self.where = ""
        self._left = point
        engine.before = self._pass

    def _pass(self, name: str, arguments: tuple[Any, ...]) -> None:
        if not self.where and changes(name, arguments):
            if self._left == 0:
                self.where = f"{name} {arguments[0]!s:.12}"
            self._left -= 1
        if self.where:
            raise Killed


def kill_before(engine: Interposed, wanted: str) -> None:
    """Kills the deployment right before the first call of that name."""
    dead = []

    def strike(name: str, arguments: tuple[Any, ...]) -> None:
        dead.extend([name] if name == wanted else [])
        if dead:
            raise Killed

    engine.before = strike
