"""What happens inside containers of the Docker Engine: logs, commands, files."""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import struct
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from gitdeploy.engine.transport import Api, connection, part


class Inside:
    """The part of `types.Engine` about what happens inside containers; every method is documented there."""

    _api: Api

    def logs(self, container: str, tail: int) -> list[str]:
        output: bytes = self._api.logs(container, tail=tail)
        return output.decode("utf-8", "backslashreplace").splitlines()

    def exec(self, container: str, command: Sequence[str], stdin: bytes = b"") -> tuple[int, bytes]:
        wanted = {"Cmd": list(command), "AttachStdin": bool(stdin), "AttachStdout": True, "AttachStderr": True}
        run: str = self._api.call("POST", f"/containers/{part(container)}/exec", json=wanted).json()["Id"]
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        answer = self._api.call("POST", f"/exec/{run}/start", json={"Tty": False}, headers=upgrade, stream=True)
        with contextlib.closing(answer):
            reader, sock = connection(answer)
            if stdin:
                _send(sock, stdin)
            output = b"".join(frames(reader))
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


def _send(sock: socket.socket, data: bytes) -> None:
    """Sends a command's whole input; over TLS its end is not told, for Python's TLS sockets cannot close one direction."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a command may end without reading its input
        sock.sendall(data)
        if not isinstance(sock, ssl.SSLSocket):
            sock.shutdown(socket.SHUT_WR)
