"""An app's domains in a deployment: led to old and new while the release takes over, to the new alone once it serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gitdeploy.errors import GitdeployError
from gitdeploy.pipeline.plan import Deadline, Running, Step
from gitdeploy.pipeline.way import Way

LATER = "it is tried again each minute; gitdeploy edge shows how it stands"


def routes(way: Way) -> Iterator[Step[Way]]:
    """Yield the step that leads the app's domains to what serves now, if there is anything to be done."""
    if way.tools.edge.concerns(way.app):
        yield Step("Routes", lead, deadline=lambda _: Deadline(600.0, "an order of certificates at the most", LATER))


@contextmanager
def admitted(way: Way, stage: Running) -> Iterator[None]:
    """Lead the domains to the new release beside what serves; if the block fails, to what serves alone. Raises StageFailed."""
    edge, output = way.tools.edge, way.tools.console
    if not edge.concerns(way.app):
        yield
        return
    try:
        edge.admit(way.app, output)
        yield
    except BaseException:
        try:
            edge.refresh(output, stage.cancel, anyway=True)
        except GitdeployError as error:
            output.line(f"the domains of {way.app.name} could not be led back: {error.reason}; {LATER}")
        raise


def lead(way: Way, stage: Running) -> None:
    """Lead the domains to the release, which serves by now: what fails is told, and fails no deployment any more."""
    try:
        way.tools.edge.settle(way.app, way.tools.console, stage.cancel)
    except GitdeployError as error:
        stage.warning = f"{error.reason}; {LATER}"
