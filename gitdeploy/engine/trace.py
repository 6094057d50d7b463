"""BuildKit's report of a running build, moby.buildkit.v1.StatusResponse, decoded. Pure.

Source: https://github.com/moby/buildkit/blob/v0.8.0/api/services/control/control.proto; later versions only add fields.
A vertex (a step) is sent again, complete, at each of its changes; statuses and logs name their vertex by its digest.
"""

from __future__ import annotations

from dataclasses import dataclass

from gitdeploy.engine.protobuf import Message


@dataclass(frozen=True)
class Vertex:
    """A step as it is now; it can start again after it completed, for example to pull what was only looked up before.

    Attributes:
        name: "[2/5] RUN make", "[internal] load build context".
        started: seconds since 1970, None before.
        completed: seconds since 1970, None before.
        error: why it failed, "" if it did not.
    """

    digest: str
    name: str
    cached: bool = False
    started: float | None = None
    completed: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Status:
    """Progress of something within a step.

    Attributes:
        id: "sha256:…" for the download of a layer, else free text such as "extracting sha256:…".
        vertex: digest of the step.
        current: bytes so far, 0 where bytes mean nothing.
        total: bytes in the end, 0 if unknown.
    """

    id: str
    vertex: str
    current: int = 0
    total: int = 0


@dataclass(frozen=True)
class Log:
    """A piece of a step's output, cut anywhere.

    Attributes:
        vertex: digest of the step.
        stream: 1 for stdout, 2 for stderr.
    """

    vertex: str
    stream: int
    data: bytes


@dataclass(frozen=True)
class Trace:
    """One StatusResponse."""

    vertexes: tuple[Vertex, ...] = ()
    statuses: tuple[Status, ...] = ()
    logs: tuple[Log, ...] = ()
    warnings: tuple[str, ...] = ()


def decode(data: bytes) -> Trace:
    """Decode one StatusResponse; raise protobuf.Malformed."""
    message = Message(data)
    return Trace(
        vertexes=tuple(_vertex(Message(part)) for part in message.repeated(1)),
        statuses=tuple(_status(Message(part)) for part in message.repeated(2)),
        logs=tuple(_log(Message(part)) for part in message.repeated(3)),
        warnings=tuple(Message(part).text(3) for part in message.repeated(4)),
    )


def _vertex(message: Message) -> Vertex:
    return Vertex(
        digest=message.text(1),
        name=message.text(3),
        cached=bool(message.number(4)),
        started=message.time(5),
        completed=message.time(6),
        error=message.text(7),
    )


def _status(message: Message) -> Status:
    return Status(id=message.text(1), vertex=message.text(2), current=message.number(4), total=message.number(5))


def _log(message: Message) -> Log:
    return Log(vertex=message.text(1), stream=message.number(3), data=message.data(4))
