"""HAProxy's runtime API through `docker exec`: it listens on the loopback interface of its container, where nobody else is.

Any image with busybox's or another `nc`, or with bash, can be spoken to. What is sent may hold keys, so it goes as a file that
root alone can read, and never as an argument.

Commands: https://docs.haproxy.org/2.6/management.html#9.3 ("prompt", "prepare map", "set ssl cert", "show servers state").
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from gitdeploy.edge.edgecfg import ADMIN_PORT
from gitdeploy.edge.edgemaps import DIRECTORY, PREFIX
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import EngineError, StageFailed

WORDS = f"{PREFIX}words"
"""File that commands are sent from."""

CLIENT = """\
if command -v nc >/dev/null; then nc -w 5 127.0.0.1 "$2" <"$1"
else bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$2" && cat "$1" >&3 && cat <&3' bash "$1" "$2"
fi"""

ASK = 10.0
"""Seconds for one question: HAProxy answers at once, and must not hold the edge if it does not."""

CHUNK = 16_000
"""Bytes of one payload: less than tune.bufsize."""

TICK = 0.05

_PROMPT = re.compile(r"^(?:> |\+ )+", re.MULTILINE)


class RuntimeApi:
    """A running HAProxy that is asked and told."""

    def __init__(self, engine: Engine, container: str, clock: Callable[[], float]) -> None:
        """Take the id of its container, and seconds of a clock that only goes forward."""
        self._engine, self._container, self._clock = engine, container, clock

    def ask(self, commands: Iterable[str]) -> str:
        """Send commands, each with the payload that belongs to it; return all answers. Raises StageFailed."""
        text = "prompt\n" + "".join(f"{command}\n" for command in commands) + "quit\n"
        self._engine.put_files(self._container, DIRECTORY, {WORDS: text.encode()}, 0o600)
        try:
            code, output = self._engine.exec(
                self._container, ["sh", "-c", CLIENT, "sh", f"{DIRECTORY}/{WORDS}", str(ADMIN_PORT)], ASK
            )
        except EngineError as error:
            raise StageFailed(f"the edge's HAProxy cannot be asked: {error.reason}", "gitdeploy doctor looks at it") from error
        finally:
            self._engine.put_files(self._container, DIRECTORY, {WORDS: b""}, 0o600)
        if code != 0 or not output:
            found = output.decode(errors="replace").strip() or f"exit code {code}"
            raise StageFailed(f"the edge's HAProxy does not answer: {found}", "gitdeploy doctor looks at it")
        return _PROMPT.sub("", output.decode(errors="replace"))

    def await_digest(self, digest: str, timeout: float) -> None:
        """Wait until HAProxy runs with the configuration of this digest. Raises StageFailed with its last lines."""
        end = self._clock() + timeout
        silence = "it still runs with the old one"
        while self._clock() < end:
            try:
                if digest_of(self.ask(["show info"])) == digest:
                    return
            except StageFailed as error:
                silence = error.reason
                container = self._engine.container(self._container)
                if container is None or not container.running:
                    break
            time.sleep(TICK)
        reason = f"the edge's HAProxy did not take its configuration: {silence}"
        raise StageFailed(reason, "gitdeploy doctor looks at it", self._engine.logs(self._container, 15))


def digest_of(answer: str) -> str:
    """Return the digest of the configuration in an answer to `show info`, "" for none. Pure."""
    found = re.search(r"^description: ([0-9a-f]+)$", answer, re.MULTILINE)
    return found[1] if found else ""


def map_commands(path: str, lines: Sequence[str], version: int) -> Iterator[str]:
    """Yield the commands that replace a map as a whole, in a version that was prepared. Pure."""
    chunk: list[str] = []
    size = 0
    for line in lines:
        if size + len(line) >= CHUNK:
            yield _payload(f"add map @{version} {path}", chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line) + 1
    if chunk:
        yield _payload(f"add map @{version} {path}", chunk)
    yield f"commit map @{version} {path}"


def version_of(answer: str) -> int:
    """Return the version that `prepare map` has made. Pure. Raises StageFailed for another answer."""
    found = re.search(r"New version created: (\d+)", answer)
    if not found:
        raise StageFailed("the edge's HAProxy did not prepare a new map", tail=answer.splitlines()[-5:])
    return int(found[1])


def entries(answer: str) -> list[str]:
    """Return the lines of a map, or of a crt-list, from the answer to `show map` or `show ssl crt-list`. Pure."""
    return sorted(line.partition(" ")[2] for line in answer.splitlines() if line.startswith("0x"))


def _payload(command: str, lines: Sequence[str]) -> str:
    return f"{command} <<\n" + "\n".join(lines) + "\n"
