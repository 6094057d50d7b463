"""Domains from the person's side: a push, and the app answers at https://NAME with a certificate of a real authority."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from gitdeploy.edge import pem
from tests.e2e.conftest import Deployable
from tests.support.acme_authority import Authority, serve
from tests.support.gogs import Remote
from tests.support.images import BaseImages
from tests.support.net import free_port, is_isolated, wait_until
from tests.support.prober import Prober
from tests.support.smart_http import HttpServer

NAME, WWW, SECOND = "shop.example.test", "www.shop.example.test", "other.example.test"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """Caddy, which asks port 80 of names that lead to this machine."""
    if not is_isolated():
        pytest.skip("port 80, and names that only the authority knows, need root and a network of the tests' own")
    with serve(tmp_path_factory.mktemp("authority") / "caddy", names=(NAME, WWW, SECOND)) as running:
        yield running


@pytest.fixture
def https_port(
    app: Deployable, authority: Authority, base_images: BaseImages, docker_client: docker.DockerClient
) -> Iterator[int]:
    """The edge's port for TLS, with the authority of the tests."""
    port = free_port()
    app.site.configure(
        f'\n[edge]\nimage = "{base_images.haproxy}"\nhttps_port = {port}\nacme = "{authority.directory}"\n'
        f'acme_root = "{authority.root}"\n'
    )
    yield port
    for container in docker_client.containers.list(all=True, filters={"label": "gitdeploy.role=edge"}):
        container.remove(force=True)
    for network in docker_client.networks.list(filters={"label": "gitdeploy.role=edge"}):
        network.remove()


def table(app: Deployable, text: str) -> None:
    """Give the app's table in config.toml these keys in place of its ports."""
    path = Path(app.site.home, "config.toml")
    lines = [line for line in path.read_text().splitlines() if not line.startswith("publish")]
    at = lines.index(f'[apps."{app.name}"]') + 1
    router = f'router.image = "{BaseImages().haproxy}"'
    path.write_text("\n".join([*lines[:at], router, *text.splitlines(), *lines[at:], ""]))


def https(port: int, name: str, root: Path | None, path: str = "/", *headers: str) -> tuple[int, str, dict[str, str]]:
    """Ask for a path of a name over TLS; root None takes any certificate."""
    context = ssl.create_default_context(cafile=str(root) if root else None)
    if root is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 20) as raw, context.wrap_socket(raw, server_hostname=name) as tls:
        lines = (f"GET {path} HTTP/1.1", f"Host: {name}", "Connection: close", *headers, "", "")
        tls.sendall("\r\n".join(lines).encode())
        answer = http.client.HTTPResponse(tls)  # type: ignore[arg-type]
        answer.begin()
        return answer.status, answer.read().decode().strip(), {key.lower(): value for key, value in answer.getheaders()}


def test_from_the_first_push_to_a_move_between_strategies(app: Deployable, https_port: int, authority: Authority) -> None:
    table(app, f'domains = ["{NAME}", "{WWW}"]\nport = 80\nproxy.canonical = "{NAME}"\nproxy.hsts = "1d"')
    app.clone.release("1")
    pushed = app.clone.push(app.remote).text
    assert f"1 is live at https://{NAME}" in pushed, pushed
    assert f"{NAME}: has a certificate from {authority.directory}" in pushed
    assert "warning" not in pushed
    status, text, headers = https(https_port, NAME, authority.root)
    assert (status, text, headers["strict-transport-security"]) == (200, "dev-app 1", "max-age=86400")
    status, _, headers = https(https_port, WWW, authority.root, "/a?b")
    assert (status, headers["location"]) == (308, f"https://{NAME}/a?b")
    assert f"{app.name}: https://{NAME}\n" in app.site.run("status").stdout
    assert f"{app.name} is at https://{NAME}\n" in app.site.run("history", app.name).stdout
    shown = app.site.run("edge").stdout
    assert f"{NAME}" in shown
    assert app.container in shown

    asked = authority.asked("new-order")
    with Prober(f"http://127.0.0.1/{'.well-known/acme-challenge/x'}") as prober:  # what the edge answers itself, all the while
        for version, strategy in (("2", "rolling"), ("3", "rolling"), ("4", "recreate")):
            app.clone.release(version, {"gitdeploy.toml": f'strategy = "{strategy}"\n'})
            pushed = app.clone.push(app.remote).text
            assert f"{version} is live at https://{NAME}" in pushed, pushed
            assert ("==> Routes" in pushed) is (version != "3"), pushed
            assert https(https_port, NAME, authority.root)[:2] == (200, f"dev-app {version}")
    assert prober.findings.errors.keys() <= {"HTTP 404"}  # the name 127.0.0.1 is nobody's
    assert authority.asked("new-order") == asked


def test_no_request_is_lost_by_pushes(app: Deployable, https_port: int) -> None:
    table(app, 'domains = ["127-0-0-1.example.test"]\nport = 80\ntls = "off"\nstrategy = "rolling"')
    app.clone.release("1")
    assert "is live at http://127-0-0-1.example.test" in app.clone.push(app.remote).text
    findings = []
    for version in ("2", "3"):
        app.clone.release(version)
        with _asking("127-0-0-1.example.test") as failed:
            assert f"{version} is live" in app.clone.push(app.remote).text
        findings += failed
    assert not findings


@contextlib.contextmanager
def _asking(name: str) -> Iterator[list[str]]:
    """Ask for a name on port 80 again and again; what goes wrong is in the list in the end."""
    import threading

    failed: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.005):
            connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
            try:
                connection.request("GET", "/", headers={"Host": name})
                status = connection.getresponse().status
                if status != 200:
                    failed.append(str(status))
            except (OSError, http.client.HTTPException) as error:
                failed.append(repr(error))
            finally:
                connection.close()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join()


def test_domains_that_change_without_a_push(app: Deployable, https_port: int, authority: Authority) -> None:
    table(app, f'domains = ["{NAME}"]\nport = 80\ntls = "internal"')
    app.clone.release("1")
    assert f"{NAME}: has a certificate from internal:" in app.clone.push(app.remote).text
    assert https(https_port, NAME, None)[:2] == (200, "dev-app 1")
    path = Path(app.site.home, "config.toml")
    path.write_text(path.read_text().replace(NAME, SECOND))
    app.site.run("schedule", "--tick")
    wait_until(lambda: https(https_port, SECOND, None)[0] == 200, 60, "the new name")
    assert https(https_port, NAME, None)[0] == 404
    wait_until(lambda: "90 days" in app.site.run("edge").stdout, 60, "its certificate")
    path.write_text(path.read_text().replace(f'domains = ["{SECOND}"]', "domains = []"))
    assert "no app has domains" in app.site.run("edge", "apply").stdout


def test_what_an_authority_refuses_fails_no_deployment(
    app: Deployable, https_port: int, docker_client: docker.DockerClient
) -> None:
    table(app, 'domains = ["unknown.example.test"]\nport = 80')
    app.clone.release("1")
    pushed = app.clone.push(app.remote).text
    assert "1 is live at https://unknown.example.test" in pushed, pushed
    assert "warning: unknown.example.test has no certificate yet" in pushed
    assert https(https_port, "unknown.example.test", None)[:2] == (200, "dev-app 1")
    assert "none yet" in app.site.run("edge").stdout

    def findings() -> list[str]:
        report = json.loads(app.site.run("doctor", "--json", check=3).stdout)
        return [f"{one['level']} {one['found']} ({one['fix']})" for one in report["findings"] if one["check"] == "domains"]

    nowhere, edge, missing = findings()
    assert nowhere.startswith("warning unknown.example.test has no address: ")
    assert edge.startswith("ok the edge gitdeploy.edge does what is on record")
    assert missing.startswith("error unknown.example.test has no certificate, and browsers refuse it: ")
    assert "is tried again at 20" in missing
    (container,) = docker_client.containers.list(filters={"label": "gitdeploy.role=edge"})
    container.exec_run(["sh", "-c", 'printf "clear map /etc/gitdeploy-edge.routes\n" | nc 127.0.0.1 7999'])
    assert any(one.startswith("error the edge does not do what is on record: routes") for one in findings())
    container.stop(timeout=0)
    with socket.create_server(("127.0.0.1", https_port)):
        down, taken = (one for one in findings() if "edge" in one or "port" in one)
    assert down.startswith("error the edge's container gitdeploy.edge is exited: no domain answers (gitdeploy edge apply)")
    assert f"host port {https_port} is taken by python" in taken
    assert "none yet" in app.site.run("edge", "apply").stdout
    assert any("does what is on record" in one for one in findings())


def test_the_git_server_behind_the_edge(app: Deployable, https_port: int, http_server: HttpServer) -> None:
    """A push through the edge reads each line while the deployment runs."""
    bridge = json.loads(subprocess.run(["ip", "-j", "-4", "addr", "show", "docker0"], capture_output=True, check=True).stdout)
    address = f"{bridge[0]['addr_info'][0]['local']}:{http_server.port}"
    path = Path(app.site.home, "config.toml")
    path.write_text(path.read_text().replace("[edge]\n", f'[edge]\ngit = "{SECOND}"\ngit_address = "{address}"\n'))
    assert f"{SECOND}: has a certificate from" in app.site.run("edge", "apply").stdout
    url = http_server.remote(app.name).url.replace(f"127.0.0.1:{http_server.port}", f"{SECOND}:{https_port}")
    git = {"GIT_SSL_NO_VERIFY": "1", "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.curloptResolve"}
    remote = Remote(url.replace("http:", "https:"), {**git, "GIT_CONFIG_VALUE_0": f"{SECOND}:{https_port}:127.0.0.1"})
    app.clone.release("1", {"big": os.urandom(3_000_000)})
    with app.clone.start_push(remote) as push:
        assert push.stdout is not None
        first = next(line for line in push.stdout if "==> Checkout" in line)
        assert push.poll() is None, first
        assert "1 is live" in push.stdout.read()


API = """\
FROM gitdeploy-test/busybox:1
COPY VERSION /www/index.html
COPY VERSION /www/api/index.html
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
"""


def test_files_of_the_server_and_a_path_of_its_own(app: Deployable, https_port: int, tmp_path: Path) -> None:
    """A certificate and users that config.toml names, and a process behind a path; what does not fit is refused early."""

    def give(*names: str, key: bytes = b"") -> None:
        made = pem.self_made(names, time.time())
        (tmp_path / "shop.pem").write_bytes(made.chain)
        (tmp_path / "shop.key").write_bytes(key or made.key)

    for name, content in (("shop.key", b""), ("users", b"ann:s3cret pass\n# nobody\n")):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    give("*.example.test")
    table(
        app,
        f'domains = ["*.example.test"]\nport = 80\nproxy.basic_auth = "{tmp_path}/users"\nproxy.routes = {{ "/api" = "api" }}\n'
        f'tls = {{ certificate = "{tmp_path}/shop.pem", key = "{tmp_path}/shop.key" }}\n'
        'processes.api = { command = "httpd -f -p 9000 -h /www", port = 9000 }',
    )
    app.clone.release("1", {"Dockerfile": API})
    pushed = app.clone.push(app.remote).text
    assert "1 is live at https://*.example.test" in pushed, pushed
    credentials = base64.b64encode(b"ann:s3cret pass").decode()
    assert https(https_port, NAME, tmp_path / "shop.pem")[0] == 401
    for path in ("/", "/api/"):
        assert https(https_port, NAME, tmp_path / "shop.pem", path, f"Authorization: Basic {credentials}")[:2] == (200, "1")
    assert "s3cret" not in pushed

    for give_wrong, expected in (
        (lambda: give("other.test"), "expected a certificate for *.example.test, found one for other.test"),
        (lambda: give("*.example.test", key=pem.new_key()), "expected the certificate of the key in"),
        (lambda: (tmp_path / "shop.pem").write_text("rubbish"), "expected a certificate in PEM"),
        (lambda: (give("*.example.test"), (tmp_path / "users").write_text("ann\n")), "line 1: expected USER:PASSWORD"),
    ):
        give_wrong()
        app.clone.release("2")
        pushed = app.clone.push(app.remote).text
        assert "FAILED at Build" in pushed, pushed
        assert expected in pushed, pushed
        assert "1 still serves" in pushed
    context_free = https(https_port, NAME, None, "/", f"Authorization: Basic {credentials}")
    assert context_free[:2] == (200, "1")
