"""A running HAProxy, spoken to through `docker exec`: which containers get traffic, and what it counts.

Its runtime API listens on the loopback interface of its own container, so no other container reaches it, and any image with
busybox's or another `nc`, or with bash, can be the router's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from operator import add

from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.targets.router import runtime
from gitdeploy.targets.router.addressing import addressed
from gitdeploy.targets.router.haproxycfg import (
    DIRECTORY,
    FILE,
    PREVIOUS,
    Backend,
    Settings,
    Table,
    backend,
    health_backend,
    render,
    shape,
)
from gitdeploy.targets.router.preamble import ADMIN_PORT
from gitdeploy.targets.router.runtime import Counts

CLIENT = """\
if command -v nc >/dev/null; then printf '%s\\n' "$1" | nc -w 5 "$2" "$3"
else bash -c 'exec 3<>"/dev/tcp/$2/$3" && printf "%s\\n" "$1" >&3 && cat <&3' bash "$1" "$2" "$3"
fi"""
"""Sends one line of commands to a host's port and prints the answers; HAProxy closes the connection after them."""

HERE = ("127.0.0.1", ADMIN_PORT)

ASK = 10.0
"""Seconds for one question to HAProxy: it answers at once, and must not hold the app if it does not."""

READY = 15.0
"""Seconds in which HAProxy has to answer after a start or a reload."""

TICK = 0.05


class Haproxy:
    """The router of one app; the app's lock keeps others from using it at the same time."""

    TAKES_OVER = "less than a second"
    """How long it takes from the release of the ports until it serves, in words."""

    def __init__(self, engine: Engine, container: str, settings: Settings) -> None:
        """`container`: id of the router's container, running or not."""
        self.engine = engine
        self.container = container
        self.settings = settings
        self._table: dict[int, Backend] = {}
        self._seen: dict[str, dict[int, Backend]] = {}
        self._digest = ""

    @property
    def servers(self) -> tuple[Backend, ...]:
        """The containers that HAProxy was told of, or had when it was looked at."""
        return tuple(self._table.values())

    @property
    def known(self) -> Table:
        """The same by slot, with the addresses that HAProxy had when it was looked at."""
        return dict(self._table)

    @property
    def up_to_date(self) -> bool:
        """Whether HAProxy, when it was looked at, ran with the configuration of these settings."""
        return self._digest == shape(self.settings)

    def look(self) -> None:
        """Ask a running HAProxy for its servers and its configuration. Raises StageFailed if it does not answer."""
        text = self._ask(["show info", runtime.STATE])
        self._digest = runtime.digest(text.encode())
        self._seen = runtime.servers_state(text)
        # All backends agree, unless a change was interrupted.
        slots = self._seen.get(health_backend(self.settings)) or next(iter(self._seen.values()), {})
        self._table = dict(slots)

    def load(self, servers: Iterable[Backend]) -> None:
        """Write the file for HAProxy to read at its next start."""
        self._write(servers, {})

    def apply(self, servers: Iterable[Backend]) -> None:
        """Bring a running HAProxy to exactly these servers, the file first, and look whether it has them.

        Raises:
            StageFailed: HAProxy is gone, or refused.
        """
        self.load(servers)
        ports = {backend(port): port for port in self.settings.ports}
        text = ""
        for _ in range(2):  # the second time if HAProxy was started again since it was looked at
            text = self._ask([*runtime.changes(ports, self._seen, self._table), runtime.STATE])
            self._seen = runtime.servers_state(text)
            if all(runtime.essence(self._seen.get(name, {})) == runtime.essence(self._table) for name in ports):
                return
        raise StageFailed("HAProxy did not take over its servers", tail=[line for line in text.splitlines() if line][-5:])

    def counts(self) -> dict[str, Counts]:
        """Return what every container does and has done since HAProxy was started, by alias.

        A service's tasks are added up; it is reached if one of them is.
        """
        return {alias: reduce(add, sorted(found, key=lambda c: not c.reached)) for alias, found in self.slots().items()}

    def slots(self) -> dict[str, list[Counts]]:
        """Return the same for each slot of an alias: one of a container; several of a service, each of a task or of nobody."""
        return self._sorted(self._ask([runtime.STATISTICS]))

    def _sorted(self, statistics: str) -> dict[str, list[Counts]]:
        found = runtime.statistics(statistics)
        order = sorted(found, key=lambda name: name != health_backend(self.settings))  # whose checks count comes first
        together: dict[str, list[Counts]] = {}
        for slot, server in sorted(self._table.items()):
            if counts := [found[name].get(slot, Counts()) for name in order]:
                together.setdefault(server.alias, []).append(reduce(add, counts))
        return together

    def reached(self, aliases: Iterable[str]) -> int:
        """Return how many servers of these aliases passed a check of HAProxy's own. Raises StageFailed."""
        slots = self.slots()
        return sum(counts.reached for alias in aliases for counts in slots.get(alias, ()))

    def prepare(self) -> None:
        """Do what can be done of a start while something else still holds the ports. Raises EngineError, StageFailed."""

    def start(self) -> None:
        """Start the container and wait until HAProxy answers. Raises EngineError for a taken port, StageFailed."""
        self.engine.start(self.container)
        self._await_answer("start")

    def stop(self) -> None:
        """Stop serving at once. Raises EngineError."""
        self.engine.stop(self.container, 0)

    def give_up(self) -> None:
        """Let go of what else there is but the container, before that is removed. Raises EngineError."""

    def restart(self) -> None:
        """End HAProxy at once, if it runs, and start it with its file as it is. Raises EngineError, StageFailed."""
        self.stop()
        self.start()

    def file(self, name: str = FILE) -> bytes:
        """Return the file that a running HAProxy will read at its next start. Raises StageFailed if it cannot be read."""
        code, content = self._exec(["cat", f"{DIRECTORY}/{name}"])
        if code != 0:
            raise StageFailed(f"the router's file {name} cannot be read: {content.decode(errors='replace').strip()}")
        return content

    def reload(self, servers: Iterable[Backend], previous: bytes) -> None:
        """Make HAProxy read its settings anew, with these servers; running requests go on in its old process.

        `previous`: the file until now, kept beside the new one until HAProxy has read that.
        """
        self._write(servers, {PREVIOUS: previous})
        self.engine.signal(self.container, "HUP")
        self._await_answer("read its new configuration", shape(self.settings))
        if self.settings.services:
            self.load(servers)  # without the addresses

    def restore(self, previous: bytes, known: Table) -> None:
        """Undo `reload`, whether HAProxy has read the new file, has not, or was ended meanwhile.

        `known`: servers by slot, as they were before: a reload must not wait for DNS.
        """
        self.engine.put_files(self.container, DIRECTORY, {FILE: addressed(previous, known)})
        if _alive(self.engine.container(self.container)):
            self.engine.signal(self.container, "HUP")
            self._await_answer("read its old configuration", runtime.digest(previous))
        else:
            self.restart()
        self.engine.put_files(self.container, DIRECTORY, {FILE: previous})

    def mend(self) -> None:
        """Put the file back that a running HAProxy has read, if a crash came between a new file and the reload."""
        if runtime.digest(self.file()) == self._digest:
            return
        with suppress(StageFailed):
            if runtime.digest(previous := self.file(PREVIOUS)) == self._digest:
                self.engine.put_files(self.container, DIRECTORY, {FILE: previous})

    def _write(self, servers: Iterable[Backend], more: Mapping[str, bytes]) -> None:
        self._table = runtime.place(self._table, servers, self.settings.slots)
        # Who has an address when HAProxy starts again some day is not known now; a reload must not wait for DNS.
        table = self._table if more else {slot: replace(server, address="") for slot, server in self._table.items()}
        self.engine.put_files(self.container, DIRECTORY, {**more, FILE: render(self.settings, table)})

    def _await_answer(self, what: str, digest: str = "") -> None:
        """Wait until HAProxy answers, with that configuration if a digest is given."""
        end = time.monotonic() + READY
        silence = "it still runs with the old one"
        while time.monotonic() < end:
            try:
                self.look()
                if not digest or digest == self._digest:
                    return
            except StageFailed as error:
                silence = error.reason
                if not _alive(self.engine.container(self.container)):
                    break
            time.sleep(TICK)
        raise StageFailed(f"HAProxy did not {what}: {silence}", tail=self.engine.logs(self.container, 10))

    def _ask(self, commands: Sequence[str], whom: tuple[str, int] = HERE) -> str:
        """Return the answers to these commands, together. Raises StageFailed if HAProxy is not there to answer.

        `whom`: address and port, as the router's own container reaches it.
        """
        answers = [self._ask_line(line, whom) for line in runtime.lines(commands)]
        return "".join(answers)

    def _ask_line(self, line: str, whom: tuple[str, int]) -> str:
        code, output = self._exec(["sh", "-c", CLIENT, "sh", line, whom[0], str(whom[1])])
        if code != 0 or not output:
            raise StageFailed(f"HAProxy does not answer: {output.decode(errors='replace').strip() or f'exit code {code}'}")
        return output.decode(errors="replace")

    def _exec(self, command: Sequence[str]) -> tuple[int, bytes]:
        try:
            return self.engine.exec(self.container, command, ASK)
        except EngineError as error:
            container = self.engine.container(self.container)
            if container is None:
                raise StageFailed("the router's container was removed while it was needed", "deploy again") from error
            raise StageFailed(f"the router {container.name} is {container.state}: {error.reason}", "deploy again") from error


def _alive(container: Container | None) -> bool:
    return container is not None and container.running
