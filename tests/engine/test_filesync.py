"""Files over BuildKit's session, asked for by an engine that keeps to the rules, and by engines that don't."""

from __future__ import annotations

import socket
import stat
import struct
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import pytest
from h2.errors import ErrorCodes

from gitdeploy.engine import packets, protobuf
from gitdeploy.engine.answering import HEALTH, Service
from gitdeploy.engine.contexts import FileEntry
from gitdeploy.engine.filesync import DIFF_COPY, IGNORED_ALREADY, Sources, shown_name
from gitdeploy.engine.protobuf import Message
from gitdeploy.engine.session import Session
from gitdeploy.errors import EngineError, GitdeployError, StageFailed
from tests.support.builder import MemoryContext, MemoryFiles
from tests.support.session_engine import Engine, framed

LARGE = bytes(range(256)) * 4000  # 1 MB, sixteen times what HTTP/2 lets pass at once
FILES = {"Dockerfile": b"FROM x\n", "a.b": b"1", "a/x": b"2", "a/large": LARGE, "empty": b"", "é": b"3"}
ORDER = [b"Dockerfile", b"a", b"a/large", b"a/x", b"a.b", b"empty", b"\xc3\xa9"]

CONTEXT = [("dir-name", "context")]


@dataclass
class Offered:
    """A session that offers files, and the engine at its other end."""

    engine: Engine
    context: MemoryContext

    def open(self, more: Sequence[tuple[str, str]] = CONTEXT) -> int:
        """Begins a transfer; returns its stream."""
        return self.engine.start(DIFF_COPY, b"", end=False, more=more)

    def received(self, stream: int) -> list[Message]:
        """The packets that have come by now and are whole."""
        data, found = self.engine.data[stream], []
        while len(data) >= 5 and len(data) >= 5 + (size := struct.unpack(">I", data[1:5])[0]):
            found.append(Message(data[5 : 5 + size]))
            data = data[5 + size :]
        return found

    def wait(self, stream: int, condition: Callable[[list[Message]], bool]) -> list[Message]:
        """Reads until a condition holds for the packets."""
        while not condition(found := self.received(stream)):
            data = self.engine.socket.recv(65536)
            assert data, "the session ended"
            for event in self.engine.http.receive_data(data):
                self.engine.take(event)
            self.engine.flush()
        return found

    def listed(self, stream: int) -> list[Message]:
        """The list, as Stat messages."""
        found = self.wait(stream, lambda packets: any(is_end_of_list(packet) for packet in packets))
        return [Message(packet.data(2)) for packet in found if packet.data(2)]

    def say(self, stream: int, *said: bytes, end: bool = False) -> None:
        """Sends packets, each in a frame."""
        self.engine.http.send_data(stream, b"".join(map(framed, said)), end_stream=end)
        self.engine.flush()

    def contents(self, stream: int) -> dict[int, bytes]:
        """What has come of the files that were asked for."""
        found: dict[int, bytes] = {}
        for packet in self.received(stream):
            if packet.number(1) == packets.DATA:
                found[packet.number(3)] = found.get(packet.number(3), b"") + packet.data(4)
        return found

    def error(self) -> GitdeployError:
        """What the session says went wrong."""
        with pytest.raises(GitdeployError) as caught:
            self.engine.session.check()
        return caught.value


def is_end_of_list(packet: Message) -> bool:
    return packet.number(1) == packets.STAT and not packet.data(2)


def ask(number: int) -> bytes:
    return b"\x08\x01\x18" + protobuf.varint(number)


FIN = b"\x08\x03"


def session(files: dict[str, bytes], context: MemoryContext | None = None) -> Iterator[Offered]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    context = context or MemoryContext(dict(files))
    service = Service(lambda host: None, {}, print, Sources(context, "Dockerfile"))
    engine = Engine(theirs, Session(ours, service, "id"), [])
    engine.http.initiate_connection()
    engine.flush()
    with ours, theirs:
        yield Offered(engine, context)
        engine.session.close()
    assert not {thread.name for thread in threading.enumerate()} & {"session", "transfer"}


@pytest.fixture
def offered() -> Iterator[Offered]:
    yield from session(FILES)


def test_all_files_are_listed_in_the_order_that_the_engine_takes(offered: Offered) -> None:
    found = offered.listed(offered.open())
    assert [each.data(1) for each in found] == ORDER
    by_path = {each.data(1): each for each in found}
    assert by_path[b"a"].number(2) == 1 << 31 | 0o755
    assert (by_path[b"a/x"].number(2), by_path[b"a/x"].number(5), by_path[b"a/large"].number(5)) == (0o644, 1, len(LARGE))
    assert by_path[b"a/x"].number(6) % 10**9 == 0
    assert 1577836800 <= by_path[b"a/x"].number(6) // 10**9 < 1577836800 + 2**24
    assert {each.number(3) for each in found} == {0}


def test_a_link_and_its_target() -> None:
    entry = (stat.S_IFLNK | 0o777, b"l", 3, 7, b"a/x")
    packet = Message(b"".join(packets.listed([entry]))[5:-5])
    link = Message(packet.data(2))
    assert (link.number(2), link.data(7), link.number(5), link.number(6)) == (1 << 27 | 0o777, b"a/x", 3, 7 * 10**9)


@pytest.mark.parametrize("name", ["\udcff", "a\udcc3"])
def test_names_that_are_no_text_are_told_apart(name: str) -> None:
    """Engines from 29 on refuse them in a session, and every engine takes them in a stream."""
    for offered in session({"Dockerfile": b"FROM x\n", name: b"1"}):
        assert offered.engine.finish(offered.open())[0] == 2
        assert isinstance(offered.error(), packets.OddName)


def test_files_are_sent_that_are_asked_for_and_no_others(offered: Offered) -> None:
    stream = offered.open()
    offered.listed(stream)
    offered.say(stream, ask(2), ask(5))
    offered.wait(stream, lambda found: sum(p.number(1) == packets.DATA and not p.data(4) for p in found) == 2)
    assert offered.contents(stream) == {2: LARGE, 5: b""}
    offered.say(stream, ask(6))
    offered.say(stream, FIN)
    assert offered.engine.finish(stream)[0] == 0
    assert offered.contents(stream)[6] == b"3"
    assert offered.received(stream)[-1].number(1) == packets.FIN
    offered.engine.session.check()


def test_questions_that_come_in_one_byte_each(offered: Offered) -> None:
    stream = offered.open()
    offered.listed(stream)
    for byte in framed(ask(3)) + framed(FIN):
        offered.engine.http.send_data(stream, bytes([byte]))
        offered.engine.flush()
    assert offered.engine.finish(stream)[0] == 0
    assert offered.contents(stream) == {3: b"2"}


def test_an_engine_that_ends_its_side_with_the_last_packet(offered: Offered) -> None:
    stream = offered.open()
    offered.listed(stream)
    offered.say(stream, FIN, end=True)
    assert offered.engine.finish(stream)[0] == 0


def test_other_questions_are_answered_meanwhile(offered: Offered) -> None:
    stream = offered.open()
    offered.listed(stream)
    offered.say(stream, ask(2))
    assert offered.engine.call(HEALTH, b"")[0] == 0
    offered.say(stream, FIN)
    assert offered.engine.finish(stream)[0] == 0


@pytest.mark.parametrize(
    ("follow", "expected"),
    [
        (["Dockerfile", "Dockerfile.dockerignore", "dockerfile"], [b"Dockerfile", b"Dockerfile.dockerignore"]),
        (["Dockerfile"], [b"Dockerfile"]),
        ([], [b"Dockerfile", b"Dockerfile.dockerignore"]),
        (["../etc/passwd", "/etc/passwd"], []),
    ],
)
def test_the_dockerfile_comes_apart_and_with_nothing_left_to_ignore(
    offered: Offered, follow: list[str], expected: list[bytes]
) -> None:
    stream = offered.open([("dir-name", "dockerfile"), *(("followpaths", path) for path in follow)])
    found = offered.listed(stream)
    assert [each.data(1) for each in found] == expected
    offered.say(stream, *(ask(number) for number in range(len(found))), FIN)
    assert offered.engine.finish(stream)[0] == 0
    assert list(offered.contents(stream).values()) == [b"FROM x\n", IGNORED_ALREADY][: len(expected)]


def test_another_dockerfile_has_another_time() -> None:
    """Engine 20.10 takes a Dockerfile of equal size and time for the one that it has."""
    times = []
    for content in (b"FROM x\n", b"FROM y\n", b"FROM x\n"):
        options = {"dir-name": ["dockerfile"], "followpaths": ["Dockerfile"]}
        files = Sources(MemoryContext({"Dockerfile": content}), "Dockerfile").files(options, lambda: False)
        assert files
        packet = Message(b"".join(packets.listed(files.entries()))[5:-5])
        times.append(Message(packet.data(2)).number(6))
    assert times[0] == times[2] != times[1]
    assert all(0 < time < 1 << 62 for time in times)


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/web.Dockerfile", "web.Dockerfile"), ("Dockerfile", "Dockerfile"), ("a b", "Dockerfile"), (".x", "Dockerfile")],
)
def test_odd_names_of_dockerfiles_are_not_told(path: str, name: str) -> None:
    assert shown_name(path) == name


def test_patterns_are_passed_on_encoded_or_not(offered: Offered) -> None:
    headers = [
        ("followpaths", "a b"),
        ("followpaths", "c"),
        ("exclude-patterns", "%C3%A9+%2B"),
        ("exclude-patterns-encoded", "1"),
    ]
    offered.listed(offered.open([*CONTEXT, *headers, ("include-patterns", "%41")]))
    assert offered.context.asked == [(["a b", "c"], ["%41"], ["é +"])]


def test_the_paths_of_a_huge_dockerfile_fit_into_the_headers(offered: Offered) -> None:
    paths = [("followpaths", f"directory/with/a/long/name/{number:08}") for number in range(20_000)]
    offered.engine.http.max_outbound_frame_size = 16_384
    offered.listed(offered.open([*CONTEXT, *paths]))
    assert len(offered.context.asked[0][0]) == 20_000


@pytest.mark.parametrize(
    "more", [[("dir-name", "home")], [], [*CONTEXT, ("dir-name", "dockerfile")], [("dir-name", "../context")]]
)
def test_what_is_not_offered_cannot_be_had(offered: Offered, more: list[tuple[str, str]]) -> None:
    stream = offered.open(more)
    assert offered.engine.finish(stream)[0] == 5
    assert offered.engine.call(HEALTH, b"")[0] == 0


WRONG = {
    "a file that is not there": (framed(ask(7)), "asked for file 7 "),
    "a huge number": (framed(ask((1 << 64) - 1)), "asked for file -1 "),
    "a directory": (framed(ask(1)), "asked for file 1 "),
    "one twice": (framed(ask(3)) * 2, "asked for file 3 "),
    "a packet of another type": (framed(b"\x08\x07"), "a packet of type 7"),
    "data": (framed(b"\x08\x02\x22\x01x"), "a packet of type 2"),
    "no message": (framed(b"\x0a\xff"), "is cut off"),
    "a compressed packet": (b"\x01\0\0\0\x02\x08\x03", "compressed or too long"),
    "a packet of 4 GB": (b"\0\xff\xff\xff\xff", "compressed or too long"),
}


@pytest.mark.parametrize(("said", "message"), WRONG.values(), ids=WRONG)
def test_an_engine_that_breaks_the_rules_is_told_and_gets_no_more(offered: Offered, said: bytes, message: str) -> None:
    stream = offered.open()
    offered.listed(stream)
    offered.engine.http.send_data(stream, said)
    offered.engine.flush()
    status, reason, _ = offered.engine.finish(stream)
    assert status == 2
    assert reason
    error = offered.error()
    assert isinstance(error, EngineError)
    assert message in error.reason
    assert error.reason.startswith("the Docker Engine ")
    assert offered.engine.call(HEALTH, b"")[0] == 0


def test_a_packet_that_is_cut_off(offered: Offered) -> None:
    stream = offered.open()
    offered.listed(stream)
    offered.engine.http.send_data(stream, framed(ask(3))[:-1], end_stream=True)
    offered.engine.flush()
    assert offered.engine.finish(stream)[0] == 2
    assert "a packet is cut off" in offered.error().reason


@pytest.mark.parametrize("how", ["end", "reset", "error", "hang up"])
def test_an_engine_that_stops_in_the_middle_leaves_nothing(offered: Offered, how: str) -> None:
    stream = offered.open()
    offered.listed(stream)
    offered.say(stream, ask(2))
    if how == "end":
        offered.say(stream, end=True)
    elif how == "error":
        offered.say(stream, b"\x08\x04" + protobuf.field(4, b"no space left on device"))
    elif how == "reset":
        offered.engine.http.reset_stream(stream, ErrorCodes.CANCEL)
        offered.engine.flush()
    else:
        offered.engine.socket.close()
        offered.engine.session._thread.join(10)
        assert "ended its session" in offered.error().reason
        return
    assert offered.engine.call(HEALTH, b"")[0] == 0
    offered.engine.session.check()


def test_an_engine_that_reads_no_more_does_not_hold_up_the_end(offered: Offered) -> None:
    stream = offered.open()
    offered.listed(stream)
    for number in (2, 3, 4):
        offered.say(stream, ask(number))
    offered.engine.session.close()  # nobody makes room any more: the large file is not sent


class Failing(MemoryContext):
    """Files that cannot be read, or never come to an end."""

    def __init__(self, where: str) -> None:
        super().__init__(FILES)  # type: ignore[arg-type]
        self.where = where

    def files_for(
        self, follow: Sequence[str], include: Sequence[str], exclude: Sequence[str], cancelled: Callable[[], bool]
    ) -> MemoryFiles:
        where = self.where

        class FailingFiles(MemoryFiles):
            def entries(self) -> Generator[FileEntry]:
                for entry in super().entries():
                    yield entry
                    if where == "the list":
                        raise StageFailed("tree 1234 is missing")
                    while where == "an endless wait" and not cancelled():
                        threading.Event().wait(0.01)

            def contents(self, numbers: Sequence[int]) -> Generator[tuple[int, bytes]]:
                yield numbers[0], b"half"
                if where == "nothing expected":
                    raise KeyError
                raise StageFailed("object 1234 is damaged")

        return FailingFiles(self.files)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("the list", "tree 1234 is missing"),
        ("a file", "object 1234 is damaged"),
        ("nothing expected", "gitdeploy itself failed (KeyError)"),
    ],
)
def test_what_cannot_be_read_fails_the_build_with_its_own_reason(where: str, reason: str) -> None:
    for offered in session({}, Failing(where)):
        stream = offered.open()
        if where != "the list":
            offered.listed(stream)
            offered.say(stream, ask(0))
        assert offered.engine.finish(stream)[:2] == (2, reason.replace("(", "%28").replace(")", "%29"))
        assert offered.error().reason == reason


def test_waiting_for_the_repository_ends_with_the_session() -> None:
    for offered in session({}, Failing("an endless wait")):
        offered.open()
        assert offered.engine.call(HEALTH, b"")[0] == 0
