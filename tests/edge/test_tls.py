"""TLS on the edge: which certificate is served for which name, changed without a reload; HTTP/2; WebSockets."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from gitdeploy.edge import pem
from gitdeploy.edge.edgecontainer import NAME
from gitdeploy.edge.handshake import served_fingerprint
from gitdeploy.edge.route import Route, Rules, ServedCertificate, Traffic, Upstream
from gitdeploy.errors import StageFailed
from tests.edge.stage import Stage, route

SECURE = Rules()


def made(*names: str) -> ServedCertificate:
    """A certificate for these names; () for whatever has no other."""
    certificate = pem.self_made(names or ("stand-in.example",), time.time())
    return ServedCertificate(names, certificate.fingerprint, certificate.pem)


def secure(name: str, app: Upstream) -> Route:
    return route(name, app, rules=SECURE)


def served(stage: Stage, name: str) -> str:
    """SHA-256 of the certificate that a client gets for a name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", stage.settings.https_port), 20) as raw,
        context.wrap_socket(raw, server_hostname=name) as tls,
    ):
        return hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()


def test_certificates_come_change_and_go_without_a_reload(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    stand_in, first, wild = made(), made("a.example"), made("*.wild.example")
    routes = (secure("a.example", app), secure("*.wild.example", app))
    stage.edge.apply(Traffic(routes, (stand_in,)))
    assert served(stage, "a.example") == stand_in.fingerprint
    stage.edge.apply(Traffic(routes, (stand_in, first, wild)))
    assert served(stage, "a.example") == first.fingerprint
    assert served(stage, "b.wild.example") == wild.fingerprint
    assert served(stage, "other.example") == stand_in.fingerprint
    second, two_names = made("a.example"), made("b.example", "c.example")
    stage.edge.apply(Traffic(routes, (stand_in, second, two_names)))
    assert served(stage, "a.example") == second.fingerprint
    assert served(stage, "c.example") == two_names.fingerprint
    assert served(stage, "b.wild.example") == stand_in.fingerprint
    assert served_fingerprint(stage.engine, NAME, "a.example", time.monotonic) == second.fingerprint
    assert not any("reads its new configuration" in line for line in stage.said.lines)
    stage.client.containers.get(NAME).restart(timeout=0)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert served(stage, "a.example") == second.fingerprint
            break
        except OSError:
            time.sleep(0.1)
    assert served(stage, "b.example") == two_names.fingerprint


def test_keys_are_for_root_alone_and_in_no_command(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    stage.edge.apply(Traffic((secure("a.example", app),), (made(), made("a.example"))))
    stage.edge.apply(Traffic((secure("a.example", app),), (made(), made("a.example"))))
    container = stage.client.containers.get(NAME)
    modes = container.exec_run(["sh", "-c", "ls -ln /etc/gitdeploy-edge.*"]).output.decode().splitlines()
    assert modes
    assert all(line.startswith("-rw-------") for line in modes), modes
    assert b"PRIVATE" not in container.exec_run(["cat", "/etc/gitdeploy-edge.words"]).output
    attrs = container.attrs
    assert "PRIVATE" not in str(attrs)
    assert attrs["HostConfig"]["CapDrop"] == ["ALL"]
    assert "no-new-privileges" in attrs["HostConfig"]["SecurityOpt"]


def test_a_certificate_that_haproxy_cannot_take(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    good = made("a.example")
    traffic = Traffic((secure("a.example", app),), (made(), good))
    stage.edge.apply(traffic)
    other = made("a.example")
    mixed = replace(
        other, pem=good.pem[: good.pem.index(b"-----BEGIN PRIVATE")] + other.pem[other.pem.index(b"-----BEGIN PRIVATE") :]
    )
    broken = ServedCertificate(("b.example",), "00", mixed.pem)
    with pytest.raises(StageFailed, match="certificates"):
        stage.edge.apply(replace(traffic, certificates=(*traffic.certificates, broken)))
    assert served(stage, "a.example") == good.fingerprint
    stage.edge.apply(traffic)
    assert served(stage, "a.example") == good.fingerprint


def test_http_2(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    stage.edge.apply(Traffic((secure("a.example", app),), (made(), made("a.example"))))
    address = f"a.example:{stage.settings.https_port}:127.0.0.1"
    command = ["curl", "-sk", "--http2", "--resolve", address, "-w", " %{http_version}"]
    done = subprocess.run(
        [*command, f"https://a.example:{stage.settings.https_port}/"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == f"{app.host} 2"


def test_http_3_needs_an_image_that_has_it(stage: Stage, new_name: Callable[[], str]) -> None:
    """Debian's HAProxy 2.6 has none; what serves goes on."""
    app = stage.start(new_name())
    traffic = Traffic((secure("a.example", app),), (made(), good := made("a.example")))
    stage.edge.apply(traffic)
    stage.settings = replace(stage.settings, http3=True)
    try:
        stage.edge.apply(traffic)
    except StageFailed as error:
        assert "quic" in "\n".join(error.tail).lower(), error.tail
    assert served(stage, "a.example") == good.fingerprint
