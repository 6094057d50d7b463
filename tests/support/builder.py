"""Builds for tests: small contexts from text, on the engine under test."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import docker

from gitdeploy.engine.contexts import BuildContext, FileEntry
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.types import BuildRequest, Credentials
from gitdeploy.errors import GitdeployError
from tests.support.recorder import Recorder

Kind = Literal["auto", "buildkit", "classic"]


@dataclass
class Built:
    """How a build ended.

    Attributes:
        image: id, "" if it failed.
        output: what it said.
        seconds: how long it took.
    """

    image: str
    output: Recorder
    seconds: float
    error: GitdeployError | None = None

    @property
    def failure(self) -> GitdeployError:
        """The error of a build that was to fail."""
        assert self.error, self.output.lines
        return self.error

    @property
    def text(self) -> str:
        """All that was said, one line each, steps' output without its indentation."""
        return "\n".join(line.strip() for line in self.output.lines)


@dataclass
class Builder:
    """Builds on one engine, with one of its builders.

    Attributes:
        base: reference of a busybox image.
        tag: every build's, until told otherwise.
    """

    engine: DockerEngine
    client: docker.DockerClient
    base: str
    kind: Kind = "buildkit"
    tag: str = field(default_factory=lambda: f"gitdeploy-test/{uuid.uuid4().hex[:8]}:1")

    def run(
        self,
        text: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        credentials: Credentials = lambda host: None,
        cancel: threading.Event | None = None,
        context: BuildContext | None = None,
        **request: Any,
    ) -> Built:
        """Builds `text` and tells how it ended. `BASE` in it stands for the base image."""
        name = request.get("dockerfile", "Dockerfile")
        given = context or MemoryContext({name: text.replace("BASE", self.base), **(files or {})})
        wanted = BuildRequest(**{"dockerfile": name, "tags": (self.tag,), "engine": self.kind, **request})
        output, began = Recorder(), time.monotonic()
        try:
            image = self.engine.build(wanted, given, credentials, output, cancel or threading.Event())
        except GitdeployError as error:
            return Built("", output, time.monotonic() - began, error)
        return Built(image, output, time.monotonic() - began)

    def good(self, text: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> Built:
        """Builds what is expected to succeed."""
        built = self.run(text, files, **options)
        if built.error:
            raise AssertionError("\n".join([*built.output.lines, built.error.reason, *built.error.tail])) from built.error
        return built

    def sh(self, built: Built, script: str) -> str:
        """The output of a shell script in the image, taken as it is written: a busy engine can lose the end of a log."""
        container = self.client.containers.create(built.image, ["sh", "-c", script])
        try:
            output = container.attach(stream=True, stdout=True, stderr=False)
            container.start()
            text = b"".join(output).decode()
            assert container.wait()["StatusCode"] == 0, text
            return text
        finally:
            container.remove(force=True)

    def clean_up(self) -> None:
        """Removes the tag that every build has, and containers of builds that did not."""
        self.engine.remove_image(self.tag)


class MemoryContext:
    """A build context of files in memory, the Dockerfile first; every file has its own time, of 2020."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self.given = files
        found = {os.fsencode(name): text.encode() if isinstance(text, str) else text for name, text in files.items()}
        self.content = next(iter(found.values()))
        self.files = found
        self.asked: list[tuple[Sequence[str], Sequence[str], Sequence[str]]] = []

    def tar(self, *, hide: bool = False) -> Iterator[bytes]:
        return pieces(archive(self.given))

    def files_for(
        self, follow: Sequence[str], include: Sequence[str], exclude: Sequence[str], cancelled: Callable[[], bool]
    ) -> MemoryFiles:
        self.asked.append((follow, include, exclude))
        return MemoryFiles(self.files)


class MemoryFiles:
    """All of it, whatever is asked for."""

    def __init__(self, files: Mapping[bytes, bytes]) -> None:
        self.found: dict[bytes, bytes | None] = dict(files)
        for path in files:
            parts = path.split(b"/")
            self.found.update((b"/".join(parts[:depth]), None) for depth in range(1, len(parts)))
        self.paths = sorted(self.found, key=lambda path: path.split(b"/"))

    def entries(self) -> Generator[FileEntry]:
        for path in self.paths:
            content = self.found[path]
            time = 1577836800 + int.from_bytes(hashlib.sha256(content or b"").digest()[:3])
            yield (0o040755, path, 0, time, b"") if content is None else (0o100644, path, len(content), time, b"")

    def contents(self, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
        for number in numbers:
            if content := self.found[self.paths[number]]:
                yield number, content
            yield number, b""


def archive(files: Mapping[str, str | bytes], *, end: bool = True) -> bytes:
    """A build context: a tar file with these, in their order; without `end`, more may follow."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
        length = stream.tell()
    return stream.getvalue() if end else stream.getvalue()[:length]


def pieces(data: bytes, size: int = 10_240) -> Iterator[bytes]:
    """The data in pieces."""
    return (data[start : start + size] for start in range(0, len(data), size))


def running(mark: str) -> bool:
    """Whether a process of this machine, containers' included, has `mark` among its arguments."""
    return bool(running_ids(mark))


def running_ids(mark: str) -> list[int]:
    """The ids of those processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if mark.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def set_when(event: threading.Event, condition: Callable[[], object]) -> threading.Thread:
    """Sets the event, from a thread, as soon as the condition is true."""

    def wait() -> None:
        while True:
            with contextlib.suppress(OSError):  # what it looks at may go while it looks
                if condition():
                    break
            time.sleep(0.01)
        event.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread
