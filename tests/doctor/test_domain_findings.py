"""What doctor says of names, certificates and ports, from what it is told."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.doctor.domains import Vantage, judge_certificate, judge_edge_ports, judge_names
from gitdeploy.doctor.reachable import listener, own_addresses, resolve_all
from gitdeploy.edge.certificate import DAY, Certificate
from gitdeploy.edge.renewal import Setback
from gitdeploy.engine.types import Container
from tests.support.net import wait_until

NOW = 1_790_000_000.0
NAME = "shop.example.com"
AUTHORITY = "https://acme.example/dir"
HERE = {
    "here.example.com": ["203.0.113.7"],
    "mixed.example.com": ["203.0.113.7", "2001:db8::1"],
    "hosts.example.com": ["127.0.1.1"],
}


def names(*asked: str, own: Sequence[str] = ("203.0.113.7", "127.0.0.1"), proxies: tuple[str, ...] = ()) -> list[str]:
    def resolve(name: str) -> Sequence[str]:
        if name not in HERE:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return HERE[name]

    at = Vantage(resolve, own, lambda port: "", NOW)
    found = judge_names(asked, EdgeSettings(trusted_proxies=proxies), at)
    return [f"{one.level} {one.found}" for one in found]


def test_names_that_do_not_lead_here() -> None:
    assert names("here.example.com", "*.here.example.com") == ["ok names that have an address of this machine: 1"]
    assert names(NAME) == [f"warning {NAME} has no address: Name or service not known"]
    (mixed,) = names("mixed.example.com")
    assert mixed.startswith("warning mixed.example.com leads to 2001:db8::1, which this machine does not have; right only if")
    (hosts,) = names("hosts.example.com")
    assert "what others are told cannot be seen from here" in hosts


def test_where_this_machines_addresses_tell_nothing() -> None:
    assert names("mixed.example.com", own=())[0].startswith("ok ")
    assert names("mixed.example.com", proxies=("10.0.0.0/8",)) == ["ok names that have an address: 1"]
    assert names(NAME, own=(), proxies=("10.0.0.0/8",))[0].startswith("warning")


def test_dns_that_does_not_answer_holds_nobody() -> None:
    found = resolve_all([NAME, "b.example.com"], lambda name: time.sleep(30) or [], 0.1)
    assert found == dict.fromkeys([NAME, "b.example.com"], "DNS has not answered in time")


def certificate(days_left: float, life: float = 90, *names: str) -> Certificate:
    end = int(NOW + days_left * DAY)
    return Certificate(names or (NAME,), int(end - life * DAY), end, "1", "ab", False, AUTHORITY, b"", b"")


REFUSED = Setback((NAME,), NOW, 1, "it was refused", NOW + 720)


@pytest.mark.parametrize(
    ("kept", "setbacks", "said"),
    [
        (certificate(89), {}, None),
        (certificate(15.1), {NAME: REFUSED}, None),
        (
            certificate(14.9),
            {NAME: REFUSED},
            f"warning the certificate of {NAME} ends in 15 days and was not renewed: it was refused",
        ),
        (certificate(8, 47), {}, None),
        (certificate(7, 47), {}, f"warning the certificate of {NAME} ends in 7 days and was not renewed"),
        (certificate(-1), {}, f"error the certificate of {NAME} ended on 2026-09-20"),
        (None, {AUTHORITY: REFUSED}, f"error {NAME} has no certificate, and browsers refuse it: it was refused"),
        (certificate(80, 90, "other.example.com"), {}, f"error {NAME} has no certificate, and browsers refuse it"),
    ],
)
def test_certificates(kept: Certificate | None, setbacks: dict[str, Setback], said: str | None) -> None:
    found = judge_certificate(NAME, kept, setbacks, AUTHORITY, NOW)
    assert (f"{found.level} {found.found}" if found else None) == said
    if found and setbacks:
        assert found.fix == "it is tried again at 2026-09-21 14:25 UTC"


def test_who_has_the_ports() -> None:
    from gitdeploy.config.attachments import Publish

    nginx = Container("id", "nginx", "sha", "nginx:1", {}, "running", publish=(Publish("", 80, 80),))
    settings = EdgeSettings()
    holder: Callable[[int], str] = {80: "?", 443: "apache2 (process 5)"}.__getitem__
    assert [one.found for one in judge_edge_ports(settings, [nginx], holder)] == [
        "host port 80 is taken by container nginx (nginx:1)",
        "host port 443 is taken by apache2 (process 5)",
    ]
    assert list(judge_edge_ports(settings, [], lambda port: "")) == []


def test_this_machine(tmp_path: Path) -> None:
    assert "127.0.0.1" in own_addresses()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert listener(port) == ""
        server.listen()
        own = Path("/proc/self/comm").read_text().strip()
        wait_until(lambda: listener(port).startswith(f"{own} (process "), 20, "the program that listens")
        unseen = tmp_path / "net"
        unseen.mkdir()
        (unseen / "tcp").write_text(Path("/proc/net/tcp").read_text())
        assert listener(port, tmp_path).startswith("a program of this machine; as root, this names it: ")
