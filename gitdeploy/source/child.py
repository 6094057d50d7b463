"""The process that reads repositories, for `gitdeploy.source.reader`: answers requests on a socket until that is closed.

What it reads was written by pushers, and lies in directories that whoever breaks into the Git server can write. So it has
nothing that would be worth having: it was started afresh, with no secret in its memory, and goes on as the user that the
repository belongs to.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from gitdeploy.errors import StageFailed
from gitdeploy.source import ages, frames
from gitdeploy.source.buildcontext import open_context
from gitdeploy.source.changes import differ
from gitdeploy.source.commit import Commit
from gitdeploy.source.confine import CannotChange, allow, become, confine
from gitdeploy.source.lfs import LfsStore
from gitdeploy.source.listing import Listing, Patterns
from gitdeploy.source.objects import Objects
from gitdeploy.source.repository import Repository, open_repository
from gitdeploy.source.sameserver import SameServer
from gitdeploy.source.stream import ContextStream
from gitdeploy.source.tree import TreeEntry, read_tree

Request = Mapping[str, Any]

MAX_FAILURE = 4000
"""Characters of a reason."""


def main(fd: str, parent: str, temporary: str) -> None:
    """Serve requests on this socket. Takes the process id of whoever sends them, and the directory for temporary files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    confine(int(parent))
    tempfile.tempdir = temporary or None
    with socket.socket(fileno=int(fd)) as connection:
        Child(connection).run()


class Child:
    """One connection, and what was opened for it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._repository: Repository | None = None
        self._context: ContextStream | None = None
        self._listings: dict[int, Listing] = {}
        self._user: tuple[int, int] | None = None
        self._verbs: Mapping[str, Callable[[Request], Mapping[str, object]]] = {
            "open": self._open,
            "close": self._close,
            "resolve": lambda request: asdict(self._opened.resolve(request["rev"])),
            "holds": lambda request: {"holds": self._opened.holds(request["id"])},
            "refs": self._refs,
            "tip": lambda request: {"tip": self._opened.tip(request["ref"])},
            "tips": self._tips,
            "differ": self._differ,
            "raw": self._raw,
            "read_file": self._read_file,
            "ages": self._ages,
            "context": self._open_context,
            "stream": self._stream,
            "listing": self._list,
            "contents": self._contents,
        }

    def run(self) -> None:
        """Answer until the other side closes the connection."""
        while (request := self._receive()) is not None:
            allow(int(request["cpu"]), int(request["file_size"]))
            self._connection.sendall(frames.message({**self._answer(request), "number": request["number"]}))

    def _answer(self, request: Request) -> Mapping[str, object]:
        """Return the message that ends an answer, a failure's, too; of a defect, the place is told and never the text."""
        try:
            return self._verbs[request["verb"]](request)
        except StageFailed as failed:
            return {"failed": failed.reason[:MAX_FAILURE], "hint": failed.hint[:MAX_FAILURE]}
        except CannotChange as failed:
            hint = "an agent's container needs the capabilities SETUID and SETGID"
            return {"failed": f"this process cannot become the owner of the repository: {failed}", "hint": hint}
        except MemoryError:
            return {"memory": True}
        except OSError as error:
            return {"failed": f"the repository cannot be read: {error.strerror}", "hint": ""}
        except Exception as error:
            return {"defect": f"{type(error).__name__} at {_place(error)}"}

    def _receive(self) -> Request | None:
        head = self._exactly(frames.HEAD.size)
        return None if head is None else frames.read_message(self._exactly(frames.head(head, frames.MAX_REQUEST)[1]) or b"")

    def _exactly(self, size: int) -> bytes | None:
        parts: list[bytes] = []
        while size and (part := self._connection.recv(min(size, 1 << 20))):
            parts.append(part)
            size -= len(part)
        return None if size else b"".join(parts)

    def _send(self, data: bytes) -> None:
        for at in range(0, len(data), frames.MAX_DATA):
            part = data[at : at + frames.MAX_DATA]
            head = frames.HEAD.pack(frames.DATA, len(part))
            sent = self._connection.sendmsg([head, part]) - len(head)
            if sent < len(part):
                self._connection.sendall(memoryview(part)[sent:] if sent >= 0 else head[sent:] + part)

    @property
    def _opened(self) -> Repository:
        if self._repository is None:
            raise StageFailed("no repository is open")
        return self._repository

    def _open(self, request: Request) -> Mapping[str, object]:
        self._close(request)
        user = (request["uid"], request["gid"])
        if self._user is None:
            become(*user)
            self._user = user
        elif self._user != user:
            raise StageFailed("this reader belongs to another user already")
        self._repository = open_repository(Path(request["path"]), Path(request["root"]))
        return {}

    def _close(self, request: Request) -> Mapping[str, object]:
        if self._repository:
            self._repository.close()
        self._repository = self._context = None
        return {}

    def _refs(self, request: Request) -> Mapping[str, object]:
        self._send("\0".join(self._opened.refs()).encode("utf-8", "surrogateescape"))
        return {}

    def _tips(self, request: Request) -> Mapping[str, object]:
        """Send "REF NUL ID" or "REF NUL !REASON" for each ref, NUL between them: what is wrong with one is that one's."""
        found: list[str] = []
        for ref in request["refs"]:
            try:
                found += ref, self._opened.tip(ref) or ""
            except StageFailed as failed:
                found += ref, f"!{failed.reason[:MAX_FAILURE]}"
        self._send("\0".join(found).encode("utf-8", "surrogateescape"))
        return {}

    def _differ(self, request: Request) -> Mapping[str, object]:
        repository = self._opened
        old, new = (bytes.fromhex(repository.resolve(request[key]).tree) for key in ("old", "new"))
        return {"differ": old != new and differ(repository.objects, old, new, request["patterns"])}

    def _raw(self, request: Request) -> Mapping[str, object]:
        kind, data = self._opened.raw(request["name"])
        self._send(data)
        return {"kind": kind}

    def _read_file(self, request: Request) -> Mapping[str, object]:
        commit = Commit(request["commit"], request["tree"], "", "", 0)
        data = self._opened.read_file(commit, request["path"], request["limit"])
        self._send(data or b"")
        return {"found": data is not None}

    def _open_context(self, request: Request) -> Mapping[str, object]:
        server = request["submodules"]
        self._context = open_context(
            self._opened,
            Commit(request["commit"], request["tree"], "", "", 0),
            directory=request["directory"],
            dockerfile=request["dockerfile"],
            lfs=LfsStore.from_plain(request["lfs"]) if request["lfs"] else None,
            submodules=SameServer.from_plain(server) if server else None,
            limit=request["limit"],
            ages=ages.load(base64.b64decode(request["ages"])) if request["ages"] else None,
        )
        self._listings.clear()
        self._send(self._context.content)
        return {name: getattr(self._context, name) for name in ("dockerfile", "key", "place")}

    @property
    def _opened_context(self) -> ContextStream:
        if self._context is None:
            raise StageFailed("no build context is open")
        return self._context

    def _stream(self, request: Request) -> Mapping[str, object]:
        for chunk in self._opened_context.stream(hide=request["hide"]):
            self._send(chunk)
        return {"files": self._opened_context.files}

    def _ages(self, request: Request) -> Mapping[str, object]:
        """Send the ages of a tree, from those of the tree before it; say whether they had to begin anew."""
        last: ages.Ages | None = None
        with suppress(ages.BadAges):
            last = ages.load(base64.b64decode(request["last"])) if request["last"] else None
        tree = bytes.fromhex(request["tree"])
        self._send(ages.advance(last, tree, request["now"], partial(_entries, self._opened.objects)).dump())
        return {"anew": last is None}

    def _list(self, request: Request) -> Mapping[str, object]:
        """Send the list of what the patterns name; keep it for `contents`."""
        patterns = Patterns(*(tuple(request[key]) for key in ("follow", "include", "exclude")))
        listing = self._listings[request["listing"]] = self._opened_context.listing(patterns)
        for records in listing.records():
            self._send(records)
        return {}

    def _contents(self, request: Request) -> Mapping[str, object]:
        for data in self._listings[request["listing"]].contents(request["files"]):
            self._send(data)
        return {}


def _entries(objects: Objects, oid: bytes, path: bytes) -> Mapping[bytes, TreeEntry] | None:
    """Return what is in a directory, None if that cannot be read."""
    try:
        return {entry.name: entry for entry in read_tree(objects, oid, path)}
    except StageFailed:
        return None


def _place(error: BaseException) -> str:
    """Return the last place in gitdeploy that an exception passed: "pack.py, line 12"."""
    place, trace = "?", error.__traceback__
    while trace:
        name = trace.tb_frame.f_code.co_filename
        if os.path.dirname(name) == os.path.dirname(__file__):  # noqa: PTH120
            place = f"{os.path.basename(name)}, line {trace.tb_lineno}"  # noqa: PTH119
        trace = trace.tb_next
    return place
