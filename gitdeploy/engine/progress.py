"""What a running BuildKit build says to people, from its trace: a state machine without a clock or any effect.

The short view is one line for each step when it is done, and a state that names what runs; `detail` lines add when a step
starts and all that it prints.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gitdeploy.engine.cutting import beginning, hidden, shortened
from gitdeploy.engine.lines import Lines
from gitdeploy.engine.trace import Log, Status, Trace, Vertex
from gitdeploy.engine.types import Output

TAIL = 20
"""Lines of a failing step that are worth repeating."""

HIDDEN = ("[internal] ", "[auth] ", "copy /context ")
"""Beginnings of the names of steps that are no instruction of the Dockerfile."""

SOURCES = re.compile(r"^(?:\[[^]]*\] FROM |docker-image://)")
"""Names of steps that may end, having looked something up, and start again to fetch it."""

LOOKED_UP = 0.1
"""Seconds that looking up takes at most."""

AGAIN = 1.0
"""Seconds that a finished step must have gone on for, to be worth a second line."""


@dataclass(frozen=True)
class Said:
    """One line."""

    text: str
    detail: bool = False


@dataclass(frozen=True)
class VertexState:
    """What something long is doing now, in place of the last state with the same key."""

    key: str
    text: str


@dataclass(frozen=True)
class Failure:
    """The step that failed.

    Attributes:
        step: its heading, "[2/5] RUN make".
        error: in BuildKit's words.
        tail: the last lines that it printed, oldest first.
    """

    step: str
    error: str
    tail: tuple[str, ...]


@dataclass(eq=False)  # a step is itself, whatever it looks like
class _Step:
    heading: str = "(unnamed step)"
    cached: bool = False
    error: str = ""
    runs: dict[float, float] = field(default_factory=dict)  # start → end, seconds since 1970
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)  # bytes of each download: so far, in the end
    fetched: tuple[int, int] = (0, 0)  # their sums: an image can have thousands of layers, each told again and again
    output: Lines = field(default_factory=Lines)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    told: tuple[bool, float, int] | None = None  # whether it failed, its seconds and downloaded bytes, when its end was told

    @property
    def hidden(self) -> bool:
        return self.heading.startswith(HIDDEN)

    @property
    def seconds(self) -> float:
        return sum(max(0.0, end - start) for start, end in self.runs.items())

    @property
    def cancelled(self) -> bool:
        return "context canceled" in self.error

    def ending(self) -> Said:
        """Return the line that tells its end."""
        if self.cancelled:
            result = "cancelled"
        elif self.error:
            result = f"failed after {self.seconds:.1f} s"
        elif self.cached and not self.layers:
            result = "CACHED"
        else:
            result = f"{self.seconds:.1f} s"
            if self.fetched[1]:
                result += f", {size(self.fetched[1])}"
        self.told = (bool(self.error), self.seconds, self.fetched[1])
        return Said(f"{self.heading} · {result}", detail=self.hidden and not self.error)

    def worth_telling(self) -> bool:
        if self.told is None:
            return True
        failed, seconds, fetched = self.told  # a base image is looked up first, and may be downloaded a moment later
        return failed != bool(self.error) or fetched != self.fetched[1] or self.seconds - seconds >= AGAIN


class Progress:
    """All steps of one build."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._speaking: _Step | None = None
        self._held: list[_Step] = []  # ended, not told yet

    def feed(self, trace: Trace) -> list[Said | VertexState]:
        """Take what the engine reports; return what is to be said about it."""
        for vertex in trace.vertexes:
            step = self._steps.setdefault(vertex.digest, _Step())
            step.heading = heading(vertex.name) or step.heading
        events: list[Said | VertexState] = []
        for status in trace.statuses:
            events += self._status(status)
        for log in trace.logs:
            events += self._log(log)
        for vertex in trace.vertexes:
            events += self._vertex(vertex)
        events += [Said(f"warning: {heading(text)}", detail=True) for text in trace.warnings]
        return events

    def finish(self) -> list[Said | VertexState]:
        """Say what is left when no more comes."""
        events: list[Said | VertexState] = []
        for step in self._steps.values():
            events += self._print(step, step.output.rest())
        return events + self._tell_held()

    def failure(self) -> Failure | None:
        """Return the first step that failed, rather than was cancelled because another had failed."""
        failed = [step for step in self._steps.values() if step.error]
        if not failed:
            return None
        step = min(failed, key=lambda step: step.cancelled)
        return Failure(step.heading, step.error, tuple(step.tail))

    def _vertex(self, vertex: Vertex) -> list[Said | VertexState]:
        step = self._steps[vertex.digest]
        step.cached = step.cached or vertex.cached
        step.error = step.error or shortened(vertex.error)
        if vertex.completed is not None:
            return self._ended(step, vertex.completed if vertex.started is None else vertex.started, vertex.completed)
        if vertex.started is None:
            return []
        self._held = [held for held in self._held if held is not step]
        state = [] if step.hidden else [VertexState(vertex.digest, step.heading)]
        return [*self._tell_held(), *self._speak(step), *state]

    def _ended(self, step: _Step, started: float, completed: float) -> list[Said | VertexState]:
        step.runs[started] = completed
        printed = self._print(step, step.output.rest())
        if step not in self._held and step.worth_telling():
            self._held.append(step)
        settled = step.error or step.seconds >= LOOKED_UP or not SOURCES.match(step.heading)
        return printed + self._tell_held() if settled else printed

    def _tell_held(self) -> list[Said | VertexState]:
        held, self._held = self._held, []
        if held:
            self._speaking = None
        return [step.ending() for step in held]

    def _status(self, status: Status) -> list[Said | VertexState]:
        step = self._steps.get(status.vertex)
        if step is None or not status.id.startswith("sha256:") or status.total <= 0:
            return []
        before = step.layers.get(status.id, (0, 0))
        step.layers[status.id] = (status.current, status.total)
        so_far, total = step.fetched[0] + status.current - before[0], step.fetched[1] + status.total - before[1]
        step.fetched = (so_far, total)
        return [VertexState(status.vertex, f"{step.heading}: {size(so_far)} of {size(total)}")]

    def _log(self, log: Log) -> list[Said | VertexState]:
        step = self._steps.setdefault(log.vertex, _Step())
        return self._print(step, step.output.feed(log.data))

    def _print(self, step: _Step, lines: Iterable[str]) -> list[Said | VertexState]:
        events: list[Said | VertexState] = []
        for line in lines:
            step.tail.append(line)
            events += [*self._speak(step), Said(f"    {line}", detail=True)]
        return events

    def _speak(self, step: _Step) -> list[Said | VertexState]:
        """Say whose lines follow, if it was another's turn."""
        if self._speaking is step:
            return []
        self._speaking = step
        return [Said(step.heading, detail=True)]


def heading(name: str) -> str:
    """Return a step's name on one line of bearable length, digests as short as Docker shows them."""
    shown = hidden(name)  # as it was written: white space may be part of a secret
    return beginning(re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1", " ".join(shown.split())), 160)


def size(count: int) -> str:
    """Return bytes as people read them: "31.1 MB"."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def report(events: Iterable[Said | VertexState], output: Output) -> None:
    """Pass what is to be said on to whoever listens."""
    for event in events:
        if isinstance(event, VertexState):
            output.progress(event.key, event.text)
        else:
            output.line(event.text, detail=event.detail)


def sending(output: Output) -> Callable[[int], None]:
    """Return what is to be told how many bytes of the build context are sent."""
    return lambda count: output.progress("context", f"sending the build context: {size(count)}")
