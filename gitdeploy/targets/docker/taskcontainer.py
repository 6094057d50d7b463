"""Tasks and scheduled runs as containers. Each stays until its end is on record, and tells after a crash how it ended."""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from types import MappingProxyType

from gitdeploy.config.model import App
from gitdeploy.config.values import format_duration
from gitdeploy.engine.lines import Lines
from gitdeploy.engine.protocol import CommandSession, Engine
from gitdeploy.engine.types import Attended, Container, ContainerSpec, Output
from gitdeploy.errors import Cancelled, EngineError, GitdeployError, NotRunnable, StageFailed
from gitdeploy.releases.release import APP, ONE_OFF, RELEASE, SCHEDULED, TASK, label_number
from gitdeploy.targets.docker.oneoff import Kind, one_off
from gitdeploy.targets.docker.rollout.found import started_at
from gitdeploy.targets.docker.rollout.stopping import remove_all
from gitdeploy.targets.errand import Errand, TaskEnd, next_move

INTERVAL = 50
"""Milliseconds after which a wish to stop is noticed at the latest."""

AFTER_STOP = 60.0
"""Seconds for a task to be over once its time to stop is up: the engine kills it then."""

SILENCE = 2.0
"""Seconds after its end in which a task's last words may still come, from an engine that has much to do."""

MAX_LINES, MAX_SHOWN = 1000, 1_000_000
"""Lines and characters of what a task says that pushers see; the log gets more."""

TAIL = 20
"""Lines that are worth repeating."""

LOG = MappingProxyType({"max-size": "10m"})
"""Its log is kept with the driver json-file, whatever the app's is: some drivers give back nothing of what they were given."""


def run_task(engine: Engine, errand: Errand, now: Callable[[], float], clock: Callable[[], float]) -> TaskEnd | None:
    """See `Target.run_task`. Takes seconds since the epoch, and of a clock that only goes forward."""
    found = _container(engine, errand)
    state, code = (found.state, found.exit_code) if found else ("", 0)
    move = next_move(state, code, begun=errand.begun, retry=errand.task.retry, may_start=bool(errand.image))
    told = _Told(errand.output, everything=errand.run > 0)
    if move == "unknown":
        return None
    if move == "read":
        assert found
        errand.output.line("    it has ended since an earlier attempt was cut off")
        told.lines(engine.logs(found.id, MAX_LINES))
        return TaskEnd(found.exit_code, found.oom_killed, tail=told.tail)
    if move == "follow":
        assert found
        errand.output.line("    it still runs since an earlier attempt was cut off; what it has said so far:")
        return _follow(engine, errand, found.id, told, _Limit(engine, errand, found, clock, started_at(found) - now()))
    if errand.cancel.is_set():
        raise Cancelled(f"cancelled before task {errand.name} began")
    if move == "run":
        if errand.begun:
            errand.output.line("    it was cut off in an earlier attempt, and runs again (retry)")
        if found:
            engine.remove(found.id, force=True)
        found = engine.container(engine.create(task_spec(errand)))
    assert found
    errand.begin()
    return _follow(engine, errand, found.id, told, _Limit(engine, errand, found, clock), first=True)


def drop_tasks(engine: Engine, app: App, keep: Collection[tuple[int, str]]) -> None:
    """See `Target.drop_tasks`."""
    left = [c for c in _containers(engine, app) if (label_number(c.labels, RELEASE), c.labels[TASK]) not in keep]
    remove_all(engine, left, app.stop_timeout)


def drop_runs(engine: Engine, app: App, keep: Callable[[], Collection[int]]) -> None:
    """See `Target.drop_runs`."""
    found = engine.containers({APP: app.name, ONE_OFF: "schedule"})
    kept = keep()  # behind that: what is made from now on is not among them
    remove_all(engine, [c for c in found if label_number(c.labels, SCHEDULED) not in kept], app.stop_timeout)


def task_spec(errand: Errand) -> ContainerSpec:
    """Return the container of a task, or of a run of a schedule. Pure."""
    app, run = errand.app, replace(errand.task.run, log_driver="json-file", log_opts=LOG)
    name = f"{app.container}.{errand.release}.{errand.name}"
    kind: Kind = "task"
    labels = {TASK: errand.name}
    if errand.run:
        name, kind, labels = f"{name}.{errand.run}", "schedule", {SCHEDULED: str(errand.run)}
    return one_off(app, errand.release, errand.image, errand.env, run.command, name=name, kind=kind, run=run, labels=labels)


def _container(engine: Engine, errand: Errand) -> Container | None:
    """Return the container of this errand, None if there is none."""
    if errand.run:
        mine = {APP: errand.app.name, ONE_OFF: "schedule", SCHEDULED: str(errand.run)}
        return next(iter(engine.containers(mine)), None)
    return next(iter(_containers(engine, errand.app, {(errand.release, errand.name)})), None)


def _containers(engine: Engine, app: App, wanted: Collection[tuple[int, str]] = ()) -> list[Container]:
    """Return the containers of the app's tasks, all or these, by release and name."""
    found = [c for c in engine.containers({APP: app.name, ONE_OFF: "task"}) if TASK in c.labels]
    return [c for c in found if not wanted or (label_number(c.labels, RELEASE), c.labels[TASK]) in wanted]


def _follow(engine: Engine, errand: Errand, container: str, told: _Told, limit: _Limit, *, first: bool = False) -> TaskEnd:
    """Follow what a task says, having started it if it is the first time; return how it ended."""
    with ExitStack() as stack:
        try:
            session = stack.enter_context(engine.attend(container, Attended(), replay=not first))
        except EngineError as error:
            now = engine.container(container)
            if now is None or now.started:
                raise
            return TaskEnd(error.code if isinstance(error, NotRunnable) else now.exit_code, problem=error.reason)
        told.lines(_lines(session, limit))
        while (code := session.exit_code(INTERVAL / 1000)) is None and not limit.reached():
            pass
    limit.check()
    assert code is not None
    now = engine.container(container)
    return TaskEnd(code, now is not None and now.oom_killed, tail=told.tail)


def _lines(session: CommandSession, limit: _Limit) -> Iterator[str]:
    """Yield what a task says until that is all, line by line."""
    texts = {1: Lines(), 2: Lines()}
    poll = select.poll()
    poll.register(session.fileno(), select.POLLIN)
    pieces: Sequence[tuple[int, bytes]] | None = ()
    silent = 0
    while pieces is not None and silent * INTERVAL < SILENCE * 1000 and not limit.reached():
        pieces = session.receive() if poll.poll(INTERVAL) else ()
        silent = silent + 1 if not pieces and session.exit_code(0) is not None else 0
        for stream, data in pieces or ():
            yield from texts[stream].feed(data)
    for text in texts.values():
        yield from text.rest()


class _Told:
    """Tells what a task says, to pushers as much as a person may read; of a scheduled run, there is its log alone."""

    def __init__(self, output: Output, *, everything: bool) -> None:
        self._output = output
        self._everything = everything
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._count = self._size = 0

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)

    def lines(self, lines: Iterator[str] | Sequence[str]) -> None:
        for line in lines:
            self._tail.append(line)
            over = self._over()
            self._count += 1
            self._size += len(line)
            if not over and self._over():
                self._output.line(f"    {line}")
                self._output.line("    … it says much: the rest is in the log alone")
            else:
                self._output.line(f"    {line}", detail=over)

    def _over(self) -> bool:
        return not self._everything and (self._count >= MAX_LINES or self._size >= MAX_SHOWN)


class _Limit:
    """Stops a task when somebody wishes so, or its time is over."""

    def __init__(
        self, engine: Engine, errand: Errand, container: Container, clock: Callable[[], float], since: float = 0.0
    ) -> None:
        """`since`: when it was started, in seconds from now on, 0.0 or less."""
        self._engine, self._errand, self._container, self._clock = engine, errand, container, clock
        self._end = clock() + since + errand.task.timeout
        self._why: GitdeployError | None = None

    def reached(self) -> bool:
        """Return whether there is nothing more to wait for: it runs on by itself, or does not end though it was stopped."""
        if self._why is None:
            self._why = self._reason()
            if self._why is None:
                return False
            if isinstance(self._why, Cancelled) and self._errand.leave():
                self._end = self._clock()
                return True
            self._end = self._clock() + self._errand.app.stop_timeout + AFTER_STOP
            # In a thread: what it says while it ends is worth reading.
            threading.Thread(target=self._stop, name="stop", daemon=True).start()
        return self._clock() >= self._end

    def check(self) -> None:
        """Raise why it was stopped, if it was."""
        if self._why:
            raise self._why

    def _reason(self) -> GitdeployError | None:
        name, timeout = self._errand.name, self._errand.task.timeout
        if self._errand.cancel.is_set():
            return Cancelled(f"cancelled while task {name} ran")
        if self._clock() < self._end:
            return None
        key = self._errand.key
        what = "run" if self._errand.run else "task"
        reason = f"{what} {name} was not done within {format_duration(timeout)} ({key}.timeout), and was stopped"
        return StageFailed(reason, f"raise {key}.timeout, or see in what it said why it takes so long")

    def _stop(self) -> None:
        with suppress(GitdeployError):
            self._engine.stop(self._container.id, self._errand.app.stop_timeout)
