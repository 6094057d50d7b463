"""An app's domains in a deployment: led to old and new while the release takes over, to the new alone once it serves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gitdeploy.errors import GitdeployError
from gitdeploy.pipeline.plan import Deadline, Running, Step
from gitdeploy.pipeline.way import Way

LATER = "it is tried again each minute; gitdeploy edge shows how it stands"


def routes(way: Way) -> Iterator[Step[Way]]:
    """Yield the step that leads the app's domains to what serves now, if there is anything to be done."""
    if way.tools.edge.concerns(way.app):
        yield Step("Routes", lead, deadline=lambda _: Deadline(600.0, "an order of certificates at the most", LATER))


@contextmanager
def admitted(way: Way) -> Iterator[Callable[[], object]]:
    """Lead the domains to the new release beside what serves; if the block fails, to what serves alone. Raises StageFailed.

    Yields:
        what is to be called when the new release serves, before the old one goes.
    """
    edge, output = way.tools.edge, way.tools.console
    if not edge.concerns(way.app):
        yield lambda: None
        return
    try:
        admits = edge.admit(way.app, output)
        yield Once(partial(edge.turn, way.tools.job.deployment, way.app, output)) if admits else lambda: None
    except BaseException:
        try:
            edge.go_back(way.app, output)
        except GitdeployError as error:
            output.line(f"the domains of {way.app.name} could not be led back: {error.reason}; {LATER}")
        raise


class Once:
    """Does something at the first call; those that come meanwhile, from other threads, wait for it."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        """Do it, unless it is done. Raises what it raises."""
        with self._lock:
            if not self._done:
                self._action()
                self._done = True


def lead(way: Way, stage: Running) -> None:
    """Lead the domains to the release, which serves by now: what fails is told, and fails no deployment any more."""
    try:
        way.tools.edge.settle(way.tools.job.deployment, way.app, way.tools.console, stage.cancel)
    except GitdeployError as error:
        stage.warning = f"{error.reason}; {LATER}"
