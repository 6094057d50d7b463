"""What happens inside containers of the Docker Engine: logs, commands, files."""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from gitdeploy.engine.dial import endpoint, upgrade
from gitdeploy.engine.lines import Lines
from gitdeploy.engine.transport import Api, part


class Inside:
    """The part of `types.Engine` about what happens inside containers; every method is documented there."""

    _api: Api

    def logs(self, container: str, tail: int) -> list[str]:
        lines = Lines()
        return lines.feed(self._api.logs(container, tail=tail)) + lines.rest()

    def exec(self, container: str, command: Sequence[str]) -> tuple[int, bytes]:
        wanted = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        run: str = self._api.call("POST", f"/containers/{part(container)}/exec", json=wanted).json()["Id"]
        how = {"Content-Type": "application/json"}
        with upgrade(endpoint(self._api), f"/exec/{run}/start", how, protocol="tcp", body=b"{}") as streams:
            try:
                output = b"".join(frames(streams.makefile("rb")))
            except OSError as error:
                raise self._api.broken(error) from error
        code: int = self._api.call("GET", f"/exec/{run}/json").json()["ExitCode"]
        return code, output

    def put_files(self, container: str, directory: str, files: Mapping[str, bytes], mode: int = 0o644) -> None:
        self._api.put_archive(container, directory, archive(files, mode))


def frames(reader: IO[bytes]) -> Iterator[bytes]:
    """The payloads of a multiplexed stream, stdout and stderr as they come.

    Each has a header of 8 bytes, the last 4 its length: https://docs.docker.com/reference/api/engine/ (ContainerAttach).
    """
    while len(header := reader.read(8)) == 8:
        yield reader.read(struct.unpack(">I", header[4:])[0])


def archive(files: Mapping[str, bytes], mode: int) -> bytes:
    """A tar of these files (name → content), owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
