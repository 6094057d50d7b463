"""An engine that accepts and says nothing holds nobody for ever."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitdeploy.engine import docker_engine
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.transport import Api, TimedOut
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import RegistryError
from tests.support.played_engine import OK, chunk
from tests.support.recorder import Recorder


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngine]:
    """One that falls silent, from the start or after its first words, with less patience than people have."""
    for name in ("TIMEOUT", "SLOW", "OWN_STOP"):
        for module in ("transport", "containers", "images", "registries"):
            monkeypatch.setattr(f"gitdeploy.engine.{module}.{name}", 0.3, raising=False)
    monkeypatch.setitem(Api.call.__kwdefaults__, "timeout", 0.3)
    monkeypatch.setattr(docker_engine, "PING", 0.3)
    kept: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "engine.sock"))
        listener.listen()

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:  # it was closed: the test is over
                    return
                kept.append(connection)
                if getattr(request, "param", ""):
                    connection.sendall(OK + chunk(b'{"status": "one moment"}'))

        threading.Thread(target=accept, daemon=True).start()
        api = Api(host="unix:///engine", base_url=f"unix://{tmp_path}/engine.sock", version="1.41", timeout=0.3)
        yield DockerEngine(api, buildkit=True)
        for connection in kept:
            connection.close()


CALLS: dict[str, Callable[[DockerEngine], object]] = {
    "ping": lambda engine: engine.ping(),
    "info": lambda engine: engine.info(),
    "image": lambda engine: engine.image("a:1"),
    "images": lambda engine: engine.images({}),
    "tag": lambda engine: engine.tag("a:1", "b:1"),
    "remove_image": lambda engine: engine.remove_image("a:1"),
    "push": lambda engine: engine.push("a:1", lambda host: None, Recorder()),
    "pull": lambda engine: engine.pull("a:1", lambda host: None, Recorder()),
    "prune_build_cache": lambda engine: engine.prune_build_cache(1),
    "containers": lambda engine: engine.containers({}),
    "container": lambda engine: engine.container("c"),
    "create": lambda engine: engine.create(ContainerSpec("c", "a:1")),
    "start": lambda engine: engine.start("c"),
    "stop": lambda engine: engine.stop("c", 0.1),
    "stop in its own time": lambda engine: engine.stop("c"),
    "remove": lambda engine: engine.remove("c", force=True),
    "rename": lambda engine: engine.rename("c", "d"),
    "signal": lambda engine: engine.signal("c", "HUP"),
    "logs": lambda engine: engine.logs("c", 10),
    "exec": lambda engine: engine.exec("c", ["true"]),
    "put_files": lambda engine: engine.put_files("c", "/", {"a": b"b"}),
    "set_restart": lambda engine: engine.set_restart("c", "no"),
    "ensure_network": lambda engine: engine.ensure_network("n", {}),
    "connect": lambda engine: engine.connect("n", "c"),
    "disconnect": lambda engine: engine.disconnect("n", "c"),
    "networks": lambda engine: engine.networks({}),
    "remove_network": lambda engine: engine.remove_network("n"),
    "volume": lambda engine: engine.volume("v"),
    "create_volume": lambda engine: engine.create_volume("v", {}),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_call_has_a_deadline(engine: DockerEngine, call: Callable[[DockerEngine], object]) -> None:
    began = time.monotonic()
    with pytest.raises(TimedOut, match="accepts connections and does not answer"):
        call(engine)
    assert time.monotonic() - began < 10


def test_an_engine_that_is_silent_has_not_ended(engine: DockerEngine) -> None:
    assert engine.await_end(0.3) is False


@pytest.mark.parametrize("engine", ["after its first words"], indirect=True)
@pytest.mark.parametrize("name", ["info", "push", "pull", "containers", "logs", "exec", "put_files"])
def test_one_that_has_begun_to_answer_has_a_deadline_too(engine: DockerEngine, name: str) -> None:
    call = CALLS[name]
    with pytest.raises((TimedOut, RegistryError)) as caught:
        call(engine)
    silent = isinstance(caught.value, TimedOut)
    assert ("accepts connections and does not answer" if silent else "a:1: nothing more came for") in caught.value.reason
    if isinstance(caught.value, RegistryError):
        assert call in (CALLS["push"], CALLS["pull"])
        assert caught.value.transient
