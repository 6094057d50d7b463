"""HAProxy's runtime API through `docker exec`: it listens on the loopback interface of its container, where nobody else is.

Any image with busybox's or another `nc`, or with bash, can be spoken to. What is sent may hold keys, so it goes as a file that
root alone can read, and never as an argument.

Commands: https://docs.haproxy.org/2.6/management.html#9.3 ("prompt", "add map", "show map", "show info").
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from gitdeploy.edge.edgecfg import ADMIN_PORT
from gitdeploy.edge.edgemaps import DIRECTORY, PREFIX
from gitdeploy.engine.protocol import Engine
from gitdeploy.errors import EngineError, StageFailed

WORDS = f"{PREFIX}words"
"""File that commands are sent from."""

CLIENT = """\
if command -v nc >/dev/null; then nc -w 5 127.0.0.1 "$2" <"$1"
else bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$2" && cat "$1" >&3 && cat <&3' bash "$1" "$2"
fi
code=$?
: >"$1"
exit $code"""
"""Sends a file of commands, prints the answers, and empties the file: it may hold keys."""

ASKER = """\
if command -v nc >/dev/null; then printf %s "$1" | nc -w 5 127.0.0.1 "$2"
else bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$2" && printf %s "$1" >&3 && cat <&3' bash "$1" "$2"
fi"""
"""Sends questions, and prints the answers."""

NO_FILES: Mapping[str, bytes] = MappingProxyType({})

FILE_MODE = 0o600
"""Of all files of the edge in its container: certificates' keys are among them."""

HINT = "gitdeploy doctor looks at it"

ASK = 10.0
"""Seconds for one question: HAProxy answers at once, and must not hold the edge if it does not."""

TICK = 0.05


class RuntimeApi:
    """A running HAProxy that is asked and told."""

    def __init__(self, engine: Engine, container: str, clock: Callable[[], float]) -> None:
        """Take the id of its container, and seconds of a clock that only goes forward."""
        self._engine, self._container, self._clock = engine, container, clock

    def ask(self, commands: Sequence[str], files: Mapping[str, bytes] = NO_FILES) -> list[str]:
        """Send commands, each with the payload that belongs to it; return the answer to each. Raises StageFailed.

        Args:
            files: written before, for HAProxy to find when it starts again.
        """
        text = "prompt\n" + "".join(f"{command}\n" for command in commands) + "quit\n"
        client = ["sh", "-c", CLIENT, "sh", f"{DIRECTORY}/{WORDS}", str(ADMIN_PORT)]
        if all(command.startswith("show ") for command in commands):  # nothing that nobody may see, so no file is needed
            client = ["sh", "-c", ASKER, "sh", text, str(ADMIN_PORT)]
        else:
            files = {**files, WORDS: text.encode()}
        if files:
            self._engine.put_files(self._container, DIRECTORY, files, FILE_MODE)
        try:
            code, output = self._engine.exec(self._container, client, ASK)
        except EngineError as error:
            raise StageFailed(f"the edge's HAProxy cannot be asked: {error.reason}", HINT) from error
        said = output.decode(errors="replace")
        # Each answer ends with an empty line and the prompt; the first one is to "prompt" itself.
        answers = said.split("\n> ")[1:-1]
        if code != 0 or len(answers) != len(commands):
            raise StageFailed(f"the edge's HAProxy does not answer: {said.strip()[-300:] or f'exit code {code}'}", HINT)
        return answers

    def await_digest(self, digest: str, timeout: float) -> None:
        """Wait until HAProxy runs with the configuration of this digest. Raises StageFailed with its last lines."""
        end = self._clock() + timeout
        silence = "it still runs with the old one"
        while self._clock() < end:
            try:
                if digest_of(self.ask(["show info"])[0]) == digest:
                    return
            except StageFailed as error:
                silence = error.reason
                container = self._engine.container(self._container)
                if container is None or not container.running:
                    break
            time.sleep(TICK)
        reason = f"the edge's HAProxy did not take its configuration: {silence}"
        raise StageFailed(reason, HINT, self._engine.logs(self._container, 15))


def digest_of(answer: str) -> str:
    """Return the digest of the configuration in an answer to `show info`, "" for none. Pure."""
    found = re.search(r"^description: ([0-9a-f]+)$", answer, re.MULTILINE)
    return found[1] if found else ""


def map_commands(path: str, now: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """Yield the commands that bring a map from one state to another: what is new, what has changed, what goes. Pure."""
    for key in wanted.keys() - now.keys():
        yield f"add map {path} {key} {wanted[key]}"
    for key in wanted.keys() & now.keys():
        if wanted[key] != now[key]:
            yield f"set map {path} {key} {wanted[key]}"
    for key in now.keys() - wanted.keys():
        yield f"del map {path} {key}"


def entries(answer: str) -> dict[str, str]:
    """Return the keys and values of a map from the answer to `show map FILE`. Pure."""
    lines = (line.split(" ", 2) for line in answer.splitlines() if line.startswith("0x"))
    return {words[1]: words[2] for words in lines if len(words) == 3}
