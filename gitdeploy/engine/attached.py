"""Commands of the Docker Engine that somebody is attached to: in a container of their own, or in one that runs."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlencode

import requests

from gitdeploy.engine.demultiplexer import Demultiplexer
from gitdeploy.engine.diagnosis import container_failure, program_failure
from gitdeploy.engine.dial import endpoint, upgrade
from gitdeploy.engine.transport import Api, part
from gitdeploy.engine.types import Attended
from gitdeploy.errors import EngineError, GitdeployError

CHUNK = 64 * 1024

LONGEST = 20 * 86400.0
"""Seconds that a command may run; the kernel's own limit for a wait is a few days more."""

DETACH = "ctrl-^,ctrl-^,ctrl-^"
"""Keys that would detach; the engine's own, Ctrl-P Ctrl-Q, take Ctrl-P from every shell's history."""

RESIZE_PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Seconds between tries to size a terminal: a command that has just been started may not have it yet."""

REFUSED = b"OCI runtime exec failed"
"""How the engine begins what it says, on the command's own stdout, where it cannot start it; a command may say so, too."""

BEGIN = 5.0
"""Seconds in which the engine knows of a command that says something already whether it runs."""

LOOK = 0.01
"""Seconds between two looks whether a command in a running container has ended: the engine offers no wait for it."""


class AttachedSession:
    """A `protocol.CommandSession` over a connection that the engine has upgraded.

    Attributes:
        refusal: what the engine itself said in place of a command in a running container.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        terminal: bool,
        resize: Callable[[int, int], object],
        signal: Callable[[str], bool],
        exit_code: Callable[[float], int | None],
        never_began: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the connection, and what asks the engine; `never_began` whether the first words are its own, see REFUSED."""
        self._connection = connection
        self._demultiplexer = None if terminal else Demultiplexer()
        self._resize = resize
        self._exit_code, self._never_began = exit_code, never_began
        self._said = False
        self.signal = signal
        self.refusal = b""

    def fileno(self) -> int:
        """See `protocol.CommandSession`."""
        return self._connection.fileno()

    def receive(self) -> list[tuple[int, bytes]] | None:
        """See `protocol.CommandSession`."""
        try:
            data = self._connection.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:  # then the exit code, or why there is none, tells what became of it
            return None
        if not data:
            return None
        pieces = self._demultiplexer.feed(data) if self._demultiplexer else [(1, data)]
        first = bool(pieces) and not self._said
        self._said |= first
        if self.refusal or (first and pieces[0][1].startswith(REFUSED) and self._never_began()):
            self.refusal += b"".join(piece for _, piece in pieces)
            return []
        return pieces

    def send(self, data: bytes) -> int:
        """See `protocol.CommandSession`."""
        try:
            return self._connection.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # it has ended, and nobody reads it

    def exit_code(self, patience: float) -> int | None:
        """See `protocol.CommandSession`."""
        code = self._exit_code(patience)
        if code is not None and self.refusal:
            refusal = self.refusal.decode(errors="replace").strip()
            raise program_failure(refusal) or container_failure(EngineError(refusal))
        return code

    def end_input(self) -> None:
        """See `protocol.CommandSession`."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        """See `protocol.CommandSession`."""
        for pause in (*RESIZE_PAUSES, 0.0):
            with contextlib.suppress(GitdeployError):
                self._resize(rows, columns)
                return
            time.sleep(pause)


class Attaching:
    """The part of `protocol.Engine` about commands that somebody is attached to; every method is documented there."""

    _api: Api

    @contextmanager
    def attend(self, container: str, how: Attended, *, replay: bool = False) -> Iterator[AttachedSession]:
        streams: dict[str, object] = {"stream": 1, "stdin": int(how.interactive), "stdout": 1, "stderr": 1}
        streams |= {"logs": int(replay), "detachKeys": DETACH}
        name = part(container)
        path = f"/containers/{name}/attach?{urlencode(streams)}"
        with upgrade(endpoint(self._api), path, {}, protocol="tcp") as connection:
            ending = _Ending(self._api, name, "not-running" if replay else "next-exit")
            if not replay:
                self._begin(name)
            resize = f"/containers/{name}/resize"
            yield self._session(connection, how, resize, signal=partial(self._signalled, name), exit_code=ending.exit_code)

    @contextmanager
    def exec_attended(self, container: str, command: Sequence[str], how: Attended) -> Iterator[AttachedSession]:
        wanted = {"Cmd": list(command), "Tty": how.terminal, "AttachStdin": how.interactive, "DetachKeys": DETACH}
        wanted |= {"AttachStdout": True, "AttachStderr": True}
        run: str = self._api.call("POST", f"/containers/{part(container)}/exec", json=wanted).json()["Id"]
        begin = {"Detach": False, "Tty": how.terminal, **({"ConsoleSize": list(how.size)} if all(how.size) else {})}
        headers, body = {"Content-Type": "application/json"}, json.dumps(begin).encode()
        with upgrade(endpoint(self._api), f"/exec/{run}/start", headers, protocol="tcp", body=body) as connection:
            yield self._session(
                connection,
                how,
                f"/exec/{run}/resize",
                signal=lambda which: False,
                exit_code=lambda patience: self._exec_ended(run, patience),
                never_began=lambda: self._exec_never_began(run),
            )

    def _begin(self, container: str) -> None:
        try:
            self._api.call("POST", f"/containers/{container}/start")
        except EngineError as error:
            raise program_failure(error.reason) or container_failure(error) from error

    def _session(
        self,
        connection: socket.socket,
        how: Attended,
        resizing: str,
        *,
        signal: Callable[[str], bool],
        exit_code: Callable[[float], int | None],
        never_began: Callable[[], bool] = lambda: False,
    ) -> AttachedSession:
        def resize(rows: int, columns: int) -> None:
            self._api.call("POST", resizing, params={"h": rows, "w": columns})

        session = AttachedSession(
            connection,
            terminal=how.terminal,
            resize=resize,
            signal=signal,
            exit_code=exit_code,
            never_began=never_began,
        )
        if how.terminal and all(how.size):
            session.resize(*how.size)  # engines before API 1.42 take no size beforehand
        return session

    def _signalled(self, container: str, name: str) -> bool:
        with contextlib.suppress(EngineError):  # it may just have ended
            self._api.call("POST", f"/containers/{container}/kill", params={"signal": name})
        return True

    def _exec_never_began(self, run: str) -> bool:
        """Return whether the engine could not start it: its process has no number then, and is over all the same."""
        end = time.monotonic() + BEGIN
        with contextlib.suppress(GitdeployError):  # its container may be gone, and what was said is all that there is
            while time.monotonic() < end:
                found = self._api.call("GET", f"/exec/{run}/json").json()
                if found["Pid"] or not found["Running"]:
                    return not found["Pid"]
                time.sleep(LOOK)
        return False

    def _exec_ended(self, run: str, patience: float) -> int | None:
        end = time.monotonic() + patience
        while True:
            found = self._api.call("GET", f"/exec/{run}/json").json()
            if not found["Running"]:
                code: int = found["ExitCode"]
                return code
            if time.monotonic() >= end:
                return None
            time.sleep(LOOK)


class _Ending:
    """Waits for a container's end, from before its start: what the engine removes at its end can be asked for nothing later.

    With the condition "not-running" it is the end of one that was started before.
    """

    def __init__(self, api: Api, container: str, condition: str) -> None:
        # The engine answers with the head of its answer as soon as it has begun to wait.
        self._api = api
        path, asked = f"/containers/{container}/wait", {"condition": condition}
        self._answer = api.call("POST", path, params=asked, stream=True, timeout=LONGEST)
        self._ended = threading.Event()
        self._code = 0
        self._error: GitdeployError | None = None
        threading.Thread(target=self._wait, name="ending", daemon=True).start()

    def _wait(self) -> None:
        try:
            self._code = self._answer.json()["StatusCode"]
        except (requests.RequestException, OSError, ValueError, KeyError) as error:
            self._error = self._api.broken(error)
        finally:
            self._ended.set()

    def exit_code(self, patience: float) -> int | None:
        """See `protocol.CommandSession`."""
        if not self._ended.wait(patience):
            return None
        if self._error:
            raise self._error
        return self._code
