"""Whether a new container serves: the wait for the first good answer.

A container that exits or restarts during the wait fails at once, not at the timeout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass

from gitdeploy.config.sections import Health
from gitdeploy.engine.imagefaults import image_fault
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel, Container
from gitdeploy.errors import Cancelled, EngineError, StageFailed
from gitdeploy.targets.check import Check
from gitdeploy.targets.docker import probe

TICK = 0.05
"""Seconds between two looks at the container: an exit is seen within this time, and so is a port that begins to listen."""

SOON = 0.005
"""Seconds between the first two looks at a port that does not listen yet; each pause is twice the one before it, up to TICK."""

TELL = 5.0
"""Seconds between two words of what is waited for."""

LOG_LINES = 20
ANSWERS = 5

HINT = "see the container's last lines above; [apps.X.health] sets what is asked and how long gitdeploy waits"

ENDED = "what a process runs has to stay: see its `command`; what is done once is a task, [apps.X.tasks.NAME]"
"""What to do about a container that ended well, and too early."""


def gone_wrong(container: Container | None, restarts: int = 0) -> str:
    """Return why this container can never get healthy any more, "" if it still can. Pure.

    Takes how often its restart policy had started it again before.
    """
    if container is None:
        return "the new container disappeared while it was starting"
    killed = " (killed for using too much memory)" if container.oom_killed else ""
    ended = container.state in ("exited", "dead", "restarting")
    code = f" with code {container.exit_code}" if ended else ""  # the engine forgets it when it starts the container again
    if container.restarts > restarts or container.state == "restarting":
        return f"the new container exited{code}{killed} and was started again by its restart policy"
    return f"the new container exited{code}{killed}" if ended else ""


def failure(engine: Engine, container_id: str, reason: str, answers: Iterable[str] = ()) -> StageFailed:
    """Return the error for a container that does not serve, with its last log lines and the last health answers."""
    log = engine.logs(container_id, LOG_LINES) if engine.container(container_id) else []
    answers = list(answers)
    runtime = [*(line for line in log if line.startswith("exec ")), *(text for text in answers if "exec failed" in text)]
    hint = image_fault(runtime) or (ENDED if "exited with code 0" in reason else HINT)
    return StageFailed(reason, hint, [*(f"log: {line}" for line in log), *(f"health: {answer}" for answer in answers)])


@dataclass(frozen=True)
class Waiter:
    """Waits for a container to get healthy.

    Attributes:
        engine: where it runs.
        cancel: ends the wait.
        clock: seconds, monotonic.
        elsewhere: asked in place of the container where that is out of reach from here, and answers alike:
            "" for healthy, else what is wrong.
        tell: is told now and then what is waited for.
        restarts: how often its restart policy had started the container again before.
    """

    engine: Engine
    cancel: Cancel
    clock: Callable[[], float]
    elsewhere: Callable[[], str] | None = None
    tell: Callable[[str], None] = lambda text: None
    restarts: int = 0

    def wait(self, container_id: str, check: Check, health: Health) -> None:
        """Return when the container is healthy.

        Raises:
            StageFailed: it exited, restarted, or was not healthy in time; with its last log lines and health answers.
            Cancelled: `cancel` was set.
        """
        if check.kind in ("http", "tcp", "image"):
            self._ask_until_healthy(container_id, check, health)
        else:
            self._stay_up(container_id, health.min_uptime)

    def _ask_until_healthy(self, container_id: str, check: Check, health: Health) -> None:
        started = self.clock()
        told = started
        answers: deque[str] = deque(maxlen=ANSWERS)
        failures, soon = 0, SOON
        pool = ThreadPoolExecutor(1, "health")
        try:
            while True:
                asked = self.clock()
                answer = self._ask(pool, container_id, check, health, answers)
                if not answer:
                    return
                if not answers or answers[-1] != answer:
                    answers.append(answer)
                if self.clock() - told >= TELL:
                    told = self.clock()
                    self.tell(f"waiting for the new container: {check}, for {told - started:.0f} s so far ({answer})")
                counts = asked - started >= health.start_period
                failures = failures + 1 if counts else 0
                if failures >= health.retries:
                    reason = f"the new container was not healthy after {self.clock() - started:.0f} s ({check})"
                    if check.exposed and answer.endswith(probe.NOT_LISTENING):
                        ports = ", ".join(map(str, check.exposed))
                        reason += f"; its image EXPOSEs {ports}: does publish or health.port name the wrong one?"
                    raise failure(self.engine, container_id, reason, answers)
                starting = answer.endswith(probe.NOT_LISTENING) and not counts
                self._pause(min(soon, TICK, health.interval) if starting else health.interval)
                soon *= 2
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self, pool: ThreadPoolExecutor, container_id: str, check: Check, health: Health, answers: Iterable[str]) -> str:
        """Ask once, in a thread, with an eye on the container: one that died would keep the question waiting."""
        future: Future[str] = pool.submit(self._reach, self._alive(container_id, answers), check, health)
        while True:
            try:
                answer = future.result(TICK)
            except FutureTimeout:
                self._alive(container_id, answers)
            else:
                self._alive(container_id, [*answers, answer] if answer else answers)
                return answer

    def _reach(self, container: Container, check: Check, health: Health) -> str:
        """Ask by the image's own command, or at the first of the container's addresses that is within reach."""
        if check.kind == "image":
            return self._run_healthcheck(container, health)
        published = probe.published_addresses(container, check.port, probe.engine_host())
        silent = "it has no address"
        for address in [*probe.own_addresses(container, check.port), *published]:
            try:
                if check.kind == "http":
                    return probe.ask_http(address, health)
                return probe.ask_tcp(address, health, address in published)
            except probe.OutOfReachError as error:
                silent = str(error)
        return self.elsewhere() if self.elsewhere else f"out of reach from here: {silent}"

    def _run_healthcheck(self, container: Container, health: Health) -> str:
        """Run the HEALTHCHECK's command; the engine does so, too, but in its own time: 30 s after the start, say."""
        if container.health == "healthy":
            return ""
        try:
            code, output = self.engine.exec(container.id, container.healthcheck, health.timeout)
        except EngineError as error:
            return f"HEALTHCHECK: {error.reason}"
        said = output.decode("utf-8", "replace").strip().splitlines()[-1:]
        return "" if code == 0 else ": ".join([f"HEALTHCHECK: exit code {code}", *said])

    def _stay_up(self, container_id: str, seconds: float) -> None:
        end = self.clock() + seconds
        while self._alive(container_id, ()) and self.clock() < end:
            self._pause(min(TICK, seconds))

    def _pause(self, seconds: float) -> None:
        self.cancel.wait(seconds)

    def _alive(self, container_id: str, answers: Iterable[str]) -> Container:
        """Return the container, if it can still get healthy. Raises StageFailed, Cancelled."""
        if self.cancel.is_set():
            raise Cancelled("cancelled while waiting for the new container to get healthy")
        container = self.engine.container(container_id)
        wrong = gone_wrong(container, self.restarts)
        if wrong or container is None:
            raise failure(self.engine, container_id, wrong, answers)
        return container
