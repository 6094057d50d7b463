"""What happens inside containers of the Docker Engine: logs, commands, files."""

from __future__ import annotations

import io
import socket
import tarfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial

import requests

from gitdeploy.engine.attached import CHUNK, LONGEST
from gitdeploy.engine.demultiplexer import Demultiplexer
from gitdeploy.engine.dial import endpoint, hang_up, upgrade
from gitdeploy.engine.lines import Lines
from gitdeploy.engine.transport import Api, part
from gitdeploy.errors import EngineError

MOST_OUTPUT = 4_000_000
"""Bytes of a command's output: what runs in a container may be a pusher's and never end."""


class Inside:
    """The part of `types.Engine` about what happens inside containers; every method is documented there."""

    _api: Api

    def logs(self, container: str, tail: int) -> list[str]:
        lines = Lines()
        return lines.feed(self._api.logs(container, tail=tail)) + lines.rest()

    def follow(self, container: str, tail: int) -> Iterator[str]:
        asked = {"stdout": 1, "stderr": 1, "follow": 1, "tail": tail}
        path = f"/containers/{part(container)}/logs"
        streams, lines = Demultiplexer(), {1: Lines(), 2: Lines()}
        with closing(self._api.call("GET", path, params=asked, stream=True, timeout=LONGEST)) as answer:
            try:
                for data in answer.iter_content(chunk_size=None):
                    for stream, piece in streams.feed(data):
                        yield from lines[stream].feed(piece)
            except (requests.RequestException, OSError) as error:
                raise self._api.broken(error) from error
        for left in lines.values():
            yield from left.rest()

    def exec(self, container: str, command: Sequence[str], timeout: float = 30.0) -> tuple[int, bytes]:
        wanted = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        run: str = self._api.call("POST", f"/containers/{part(container)}/exec", json=wanted).json()["Id"]
        how = {"Content-Type": "application/json"}
        with (
            upgrade(endpoint(self._api), f"/exec/{run}/start", how, protocol="tcp", body=b"{}") as streams,
            ended_after(timeout, streams) as late,
        ):
            try:
                received = map(Demultiplexer().feed, iter(partial(streams.recv, CHUNK), b""))
                output = joined(piece for pieces in received for _, piece in pieces)
            except OSError as error:
                if not late.is_set():
                    raise self._api.broken(error) from error
        if late.is_set():
            raise EngineError(f"{command[0]} in container {container[:12]} did not end in {timeout:g} s")
        code: int = self._api.call("GET", f"/exec/{run}/json").json()["ExitCode"]
        return code, output

    def put_files(self, container: str, directory: str, files: Mapping[str, bytes], mode: int = 0o644) -> None:
        self._api.put_archive(container, directory, archive(files, mode))


@contextmanager
def ended_after(seconds: float, connection: socket.socket) -> Iterator[threading.Event]:
    """Hang up when so many seconds have passed, in whatever thread somebody reads; the event that this yields is set then."""
    late = threading.Event()

    def end() -> None:
        late.set()
        hang_up(connection)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def joined(pieces: Iterable[bytes]) -> bytes:
    """Return the pieces as one, all but what comes behind MOST_OUTPUT."""
    kept, size = [], 0
    for piece in pieces:
        if size < MOST_OUTPUT:
            kept.append(piece)
        size += len(piece)
    return b"".join(kept)[:MOST_OUTPUT]


def archive(files: Mapping[str, bytes], mode: int) -> bytes:
    """Return a tar of these files (name → content), owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
