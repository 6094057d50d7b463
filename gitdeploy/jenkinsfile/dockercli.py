"""The options of `docker run` and `docker build`, as Docker's command line reads them. Pure.

Reference: https://docs.docker.com/reference/cli/docker/container/run/ and …/buildx/build/.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_ALIASES = {"net": "network", "net-alias": "network-alias", "dns-opt": "dns-option"}

_SHORT = {
    "run": {
        **{"d": "detach", "i": "interactive", "t": "tty", "P": "publish-all", "q": "quiet"},
        **{"a": "attach", "c": "cpu-shares", "e": "env", "h": "hostname", "l": "label", "m": "memory"},
        **{"p": "publish", "u": "user", "v": "volume", "w": "workdir"},
    },
    "build": {"t": "tag", "f": "file", "q": "quiet", "m": "memory", "c": "cpu-shares", "o": "output", "D": "debug"},
    "docker": {"H": "host", "c": "context", "l": "log-level", "D": "debug", "v": "version"},
}

_FLAGS = {
    "run": {
        *("detach", "interactive", "tty", "publish-all", "quiet", "rm", "init", "privileged", "read-only", "no-healthcheck"),
        *("oom-kill-disable", "sig-proxy", "disable-content-trust", "help"),
    },
    "build": {"quiet", "no-cache", "pull", "rm", "force-rm", "squash", "compress", "load", "push", "check", "debug", "help"},
    "docker": {"debug", "version", "tls", "tlsverify", "help"},
}


@dataclass(frozen=True)
class Parsed:
    """A command line of docker.

    Attributes:
        options: (long name, value) in order; the value of a flag is "true" unless it says otherwise.
        rest: what follows the options.
    """

    options: tuple[tuple[str, str], ...]
    rest: tuple[str, ...]

    def all(self, name: str) -> list[str]:
        """Return all values of an option."""
        return [value for key, value in self.options if key == name]

    def last(self, name: str) -> str:
        """Return the value that counts of an option that is given once, "" if it is not given."""
        return next(iter(self.all(name)[::-1]), "")


def parse(command: str, words: Sequence[str]) -> Parsed:
    """Read what follows `docker run`, `docker build`, or `docker` itself.

    Args:
        command: "run", "build" or "docker".
        words: after it.
    """
    options: list[tuple[str, str]] = []
    rest: list[str] = []
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word == "--":
            rest += reversed(queue)
            break
        if word == "-" or not word.startswith("-"):
            rest.append(word)
            if command == "build":  # its options may follow the path
                continue
            rest += reversed(queue)
            break
        taken = _long(command, word, queue) if word.startswith("--") else _short(command, word, queue)
        options += taken
    return Parsed(tuple(options), tuple(rest))


def _long(command: str, word: str, queue: list[str]) -> list[tuple[str, str]]:
    name, equals, value = word[2:].partition("=")
    name = _ALIASES.get(name, name)
    if equals:
        return [(name, value)]
    return [(name, "true" if name in _FLAGS[command] else queue.pop() if queue else "")]


def _short(command: str, word: str, queue: list[str]) -> list[tuple[str, str]]:
    """-d, -dit, -p8080:80, -p=8080:80, -dp 8080:80."""
    taken: list[tuple[str, str]] = []
    for position, letter in enumerate(word[1:], 2):
        name = _SHORT[command].get(letter, letter)
        if name in _FLAGS[command]:
            taken.append((name, "true"))
            continue
        value = word[position:].removeprefix("=")
        return [*taken, (name, value or (queue.pop() if queue else ""))]
    return taken
