"""Connecting to the engine, and what is said to do where that fails."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gitdeploy.engine import client
from gitdeploy.engine.apiversion import at_least
from gitdeploy.engine.client import connect
from gitdeploy.errors import UnfitError
from tests.support import tcp_engine
from tests.support.net import free_port as find_free_port

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("certificates")
    tcp_engine.certificates(directory)
    return directory


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A Unix socket in a directory that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="gitdeploy-test-") as directory, socket.socket(socket.AF_UNIX) as listening:
        Path(directory).chmod(0o755)
        listening.bind(f"{directory}/engine.sock")
        listening.listen()
        yield listening


def answer(listener: socket.socket, *heads: str) -> threading.Thread:
    def serve() -> None:
        for head in heads:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(head.replace("\n", "\r\n").encode())

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def refusal(environ: dict[str, str]) -> UnfitError:
    with pytest.raises(UnfitError) as raised:
        connect(environ)
    return raised.value


def test_importing_the_client_does_not_import_docker() -> None:
    code = "import sys, gitdeploy.engine.client; print('docker' in sys.modules, 'requests' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "False False\n"


def test_the_engine_s_facts(engine_url: str) -> None:
    engine = connect({"DOCKER_HOST": engine_url})
    info = engine.info()
    engine.close()
    assert int(info.version.split(".")[0]) >= 20
    assert float(info.api_version) >= 1.41
    assert info.storage
    assert info.buildkit is True
    assert Path(info.root).is_absolute()


def test_tcp(engine_url: str) -> None:
    with tcp_engine.serve(engine_url) as port:
        engine = connect({"DOCKER_HOST": f"tcp://127.0.0.1:{port}"})
        assert engine.info().version
        engine.close()


def test_tls(engine_url: str, certificates: Path) -> None:
    with tcp_engine.serve(engine_url, certificates) as port:
        environ = {"DOCKER_HOST": f"tcp://127.0.0.1:{port}", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
        engine = connect(environ)
        assert engine.info().version
        engine.close()


def test_tls_without_being_told(listener: socket.socket) -> None:
    head = "HTTP/1.0 400 Bad Request\n\nClient sent an HTTP request to an HTTPS server.\n"  # what Go's servers answer
    thread = answer(listener, head)
    error = refusal({"DOCKER_HOST": f"unix://{listener.getsockname()}"})
    thread.join()
    assert "DOCKER_TLS_VERIFY=1" in error.hint


def test_the_environment_s_ways_to_the_web_are_not_those_to_the_engine(
    engine_url: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    test_tls(engine_url, certificates)


def test_tls_with_an_unknown_authority(engine_url: str, certificates: Path, tmp_path: Path) -> None:
    tcp_engine.certificates(tmp_path)
    environ = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    with tcp_engine.serve(engine_url, certificates) as port:
        error = refusal({"DOCKER_HOST": f"tcp://127.0.0.1:{port}", **environ})
    assert "no TLS connection to the Docker Engine at tcp://127.0.0.1" in error.reason
    assert "DOCKER_CERT_PATH" in error.hint


def test_tls_to_an_engine_without(engine_url: str, certificates: Path) -> None:
    environ = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    with tcp_engine.serve(engine_url) as port:
        error = refusal({"DOCKER_HOST": f"tcp://127.0.0.1:{port}", **environ})
    assert "no TLS connection" in error.reason


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    error = refusal({"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)})
    assert "DOCKER_CERT_PATH" in error.hint


def test_no_socket(tmp_path: Path) -> None:
    error = refusal({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    assert error.reason.startswith(f"no Docker Engine at unix://{tmp_path}/none.sock: there is no such socket")
    assert "systemctl start docker" in error.hint
    assert error.exit_code == 3


def test_a_socket_without_an_engine(listener: socket.socket) -> None:
    path = listener.getsockname()
    listener.close()
    error = refusal({"DOCKER_HOST": f"unix://{path}"})
    assert error.reason.startswith(f"no Docker Engine at unix://{path}: nothing listens there")


def test_a_port_without_an_engine() -> None:
    error = refusal({"DOCKER_HOST": f"tcp://127.0.0.1:{find_free_port()}"})
    assert "nothing listens there" in error.reason


def test_a_host_that_there_is_not() -> None:
    error = refusal({"DOCKER_HOST": "tcp://no-such-host.invalid:2375"})
    assert "no host of that name is known" in error.reason


@pytest.mark.parametrize("host", ["nonsense://x", "tcp://", "unix://", "http://[::1", "tcp://127.0.0.1:port"])
def test_an_address_that_is_none(host: str) -> None:
    error = refusal({"DOCKER_HOST": host})
    assert host in error.reason
    assert error.hint


def test_a_socket_that_this_user_may_not_use(listener: socket.socket) -> None:
    path = Path(listener.getsockname())
    os.chown(path, 0, 4242)
    path.chmod(0o660)
    error = as_nobody(f"unix://{path}")
    assert f"the user nobody may not use the Docker Engine at unix://{path}" in error
    assert "(owner root, group 4242, mode 660)" in error
    assert "`usermod -aG 4242 nobody`, or `--group-add 4242` for a container" in error


def test_a_socket_in_a_directory_that_this_user_may_not_enter(listener: socket.socket) -> None:
    path = Path(listener.getsockname())
    path.parent.chmod(0o700)
    error = as_nobody(f"unix://{path}")
    assert f"let nobody into {path.parent}" in error


def as_nobody(host: str) -> str:
    """What connecting to `host` raises for the user nobody: reason and hint."""
    code = f"""
        import os
        from gitdeploy.engine import client, docker_engine  # imported as root, who can read every virtual environment
        from gitdeploy.errors import UnfitError
        os.setgroups([]); os.setgid({NOBODY.pw_gid}); os.setuid({NOBODY.pw_uid})
        try:
            client.connect({{"DOCKER_HOST": {host!r}}})
        except UnfitError as error:
            print(error.reason, error.hint)
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)
    return run.stdout


def test_something_else_answers(listener: socket.socket) -> None:
    thread = answer(listener, "HTTP/1.1 200 OK\nContent-Length: 0\n\n")
    error = refusal({"DOCKER_HOST": f"unix://{listener.getsockname()}"})
    thread.join()
    assert "is not a Docker Engine" in error.reason


def test_an_engine_that_is_too_old(listener: socket.socket) -> None:
    thread = answer(listener, "HTTP/1.1 200 OK\nApi-Version: 1.40\nContent-Length: 0\n\n")
    error = refusal({"DOCKER_HOST": f"unix://{listener.getsockname()}"})
    thread.join()
    assert "too old (API 1.40)" in error.reason


def test_a_newer_engine_is_spoken_to_as_the_newest_tested(listener: socket.socket) -> None:
    versions = '{"ApiVersion": "1.99", "MinAPIVersion": "1.56"}'
    greeting = "HTTP/1.1 200 OK\nApi-Version: 1.99\nBuilder-Version: 1\nConnection: close\nContent-Length: 0\n\n"
    thread = answer(listener, greeting, f"HTTP/1.1 200 OK\nContent-Length: {len(versions)}\n\n{versions}")
    engine = connect({"DOCKER_HOST": f"unix://{listener.getsockname()}"})
    thread.join()
    assert engine._api.api_version == "1.56"
    assert engine._buildkit is False
    engine.close()


def test_an_engine_that_speaks_newer_versions_only(listener: socket.socket) -> None:
    versions = '{"ApiVersion": "1.99", "MinAPIVersion": "1.57"}'
    greeting = "HTTP/1.1 200 OK\nApi-Version: 1.99\nConnection: close\nContent-Length: 0\n\n"
    thread = answer(listener, greeting, f"HTTP/1.1 200 OK\nContent-Length: {len(versions)}\n\n{versions}")
    host = f"unix://{listener.getsockname()}"
    error = refusal({"DOCKER_HOST": host})
    thread.join()
    spoken = "it speaks API 1.57 to 1.99, and this gitdeploy 1.41 to 1.56"
    assert error.reason == f"the Docker Engine at {host} is too new: {spoken}"
    assert error.hint.startswith("upgrade gitdeploy; until then set DOCKER_MIN_API_VERSION=1.56")
    assert error.exit_code == 3


def test_an_engine_s_least_version_is_respected(engine_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine 29 speaks 1.40 and newer, the older ones older versions, too."""
    monkeypatch.setattr(client, "NEWEST", "1.39")
    monkeypatch.setattr(client, "OLDEST", "1.39")
    with contextlib.closing(docker.DockerClient(base_url=engine_url)) as direct:
        least = direct.version()["MinAPIVersion"]
    if at_least("1.39", least):
        connect({"DOCKER_HOST": engine_url}).close()
    else:
        assert f"too new: it speaks API {least} to " in refusal({"DOCKER_HOST": engine_url}).reason


def test_podman_has_no_buildkit(listener: socket.socket) -> None:
    thread = answer(listener, "HTTP/1.1 200 OK\nApi-Version: 1.41\nBuilder-Version: \nContent-Length: 0\n\n")
    engine = connect({"DOCKER_HOST": f"unix://{listener.getsockname()}"})
    thread.join()
    assert engine._buildkit is False
    engine.close()


def test_a_context_is_not_passed_over() -> None:
    error = refusal({"DOCKER_CONTEXT": "remote"})
    assert "DOCKER_CONTEXT is 'remote'" in error.reason
    assert "DOCKER_HOST" in error.hint


@pytest.mark.parametrize("content", ["[]", '{"auths": {"a": {"auth": "hunter2"}}}', '{"auths": {"a": 1}}', '{"proxies": []}'])
def test_a_broken_docker_config_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    error = refusal({"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "DOCKER_CONFIG": str(tmp_path)})
    assert str(tmp_path) in error.reason
    assert "hunter2" not in f"{error!r} {error.__cause__!r} {error.hint}"
