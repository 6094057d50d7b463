"""One transfer of a build context, or of a Dockerfile, in BuildKit's session: lists files, and sends those that are asked for.

It runs in a thread of its own, for it waits: for the repository to be read, and for the engine to make room and to ask.
Source: moby/buildkit, session/filesync.
"""

from __future__ import annotations

import hashlib
import re
import stat
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import unquote_plus

from gitdeploy.engine import packets
from gitdeploy.engine.contexts import BuildContext, FileEntry, Files
from gitdeploy.engine.packets import PacketReader
from gitdeploy.engine.protobuf import Malformed
from gitdeploy.errors import EngineError, GitdeployError, understood

DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy"

MOST_AT_ONCE = 1000
"""Files that are read together."""

PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")

IGNORED_ALREADY = b"# gitdeploy leaves out what .dockerignore says before it sends anything.\n"
"""A .dockerignore file of the Dockerfile's own, which goes before any other one."""


class Ended(Exception):
    """The engine wants no more of a transfer, or the session is at its end."""


@dataclass(frozen=True)
class Sources:
    """What an engine can take: the build context under the name "context", and its Dockerfile under "dockerfile".

    Attributes:
        context: where the files are.
        dockerfile: the Dockerfile's name.
    """

    context: BuildContext
    dockerfile: str

    def files(self, options: Mapping[str, Sequence[str]], ended: Callable[[], bool]) -> Files | None:
        """Return what a transfer with these options is about, None if there is no such thing.

        Args:
            options: gRPC metadata; followpaths, include-patterns and exclude-patterns among them.
            ended: whether the transfer is at its end, so that nobody needs to wait on.
        """
        follow, include, exclude = (_decoded(options, key) for key in ("followpaths", "include-patterns", "exclude-patterns"))
        names = options.get("dir-name", ())
        if names == ["context"]:
            return self.context.files_for(follow, include, exclude, ended)
        if names == ["dockerfile"]:
            found = {self.dockerfile: self.context.content, f"{self.dockerfile}.dockerignore": IGNORED_ALREADY}
            return FilesInMemory({name: content for name, content in found.items() if not follow or name in follow})
        return None


def shown_name(dockerfile: str) -> str:
    """Return the name under which a Dockerfile is given out: its own, unless that is an odd one."""
    name = dockerfile.rpartition("/")[2]
    return name if PLAIN_NAME.fullmatch(name) else "Dockerfile"


def _decoded(options: Mapping[str, Sequence[str]], key: str) -> list[str]:
    """Return the values of a key; engines from 24 encode them all if one is not ASCII, and say so."""
    values = options.get(key, ())
    encoded = options.get(f"{key}-encoded") == ["1"]
    return [unquote_plus(value, "utf-8", "surrogateescape") if encoded else value for value in values]


class FilesInMemory:
    """A few small files. The engine compares times: theirs is made from their content, for they are in no image."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = dict(sorted(files.items()))

    def entries(self) -> Generator[FileEntry]:
        """See `contexts.Files`."""
        for name, content in self._files.items():
            time = 1 << 41 | int.from_bytes(hashlib.sha256(content).digest()[:7])
            yield stat.S_IFREG | 0o644, name.encode(), len(content), time, b""

    def contents(self, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
        """See `contexts.Files`."""
        contents = [*self._files.values()]
        for number in numbers:
            if contents[number]:
                yield number, contents[number]
            yield number, b""


class FileTransfer(threading.Thread):
    """One transfer.

    Attributes:
        error: why it failed, None if it did not, or not by itself.
    """

    def __init__(
        self,
        files: Files,
        send: Callable[[bytes], object],
        done: Callable[[FileTransfer], object],
    ) -> None:
        """Take what it is about, what sends bytes when there is room, or raises Ended, and what is called in the end."""
        super().__init__(name="transfer", daemon=True)
        self.error: GitdeployError | None = None
        self._files = files
        self._send = send
        self._done = done
        self._reader = PacketReader()
        self._changed = threading.Condition()
        self._asked: deque[int] = deque()
        self._offered = bytearray()  # for each entry of the list, 1 if it may be asked for
        self._finished = self._ended = False

    def feed(self, data: bytes) -> None:
        """Take what the engine sends next."""
        with self._changed:
            try:
                for packet in self._reader.feed(data):
                    if packet.kind == packets.REQ:
                        self._take_request(packet.number)
                    else:
                        self._finished = packet.kind == packets.FIN
                        self._ended = not self._finished  # it says why in its answer to the build
            except Malformed as malformed:
                self._fail(f"sent what is no packet: {malformed}")
            self._changed.notify_all()

    def _take_request(self, number: int) -> None:
        if not 0 <= number < len(self._offered) or not self._offered[number]:
            self._fail(f"asked for file {number} of the build context, which it was not offered or has asked for before")
            return
        self._offered[number] = 0
        self._asked.append(number)

    def _fail(self, what: str) -> None:
        self.error = self.error or EngineError(f"the Docker Engine {what}", hint="push again; if it stays so, restart it")

    def feed_end(self) -> None:
        """Take that the engine sends no more."""
        with self._changed:
            try:
                self._reader.finish()
            except Malformed as malformed:
                self._fail(f"sent what is no packet: {malformed}")
            self._ended = self._ended or not (self._finished or self.error)
            self._changed.notify_all()

    def end(self) -> None:
        """Let it stop: the engine has hung up, or will hear no more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Whether it is to stop."""
        return self._ended

    def run(self) -> None:
        """Serve it to its end."""
        try:
            with suppress(Ended):
                self._serve()
        except Exception as error:
            if not self._ended:  # else it was only asked to stop
                self.error = self.error or understood(error, "no log")
        finally:
            self._done(self)

    def _serve(self) -> None:
        with closing(self._offering(self._files.entries())) as entries:
            self._pass_on(packets.listed(entries))
        while numbers := self._next():
            with closing(self._files.contents(numbers)) as pieces:
                self._pass_on(packets.data(pieces))
        self._send(packets.LAST)

    def _offering(self, entries: Generator[FileEntry]) -> Generator[FileEntry]:
        with closing(entries):
            for entry in entries:
                self._offered.append(stat.S_ISREG(entry[0]))
                yield entry

    def _pass_on(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            self._send(chunk)
            if self.error:
                raise self.error

    def _next(self) -> list[int]:
        """Wait for the next questions; none at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._asked or self._finished or self._ended or self.error)
            if self.error:
                raise self.error
            if self._ended:
                raise Ended
            return [self._asked.popleft() for _ in range(min(len(self._asked), MOST_AT_ONCE))]
