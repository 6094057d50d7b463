"""The rarer forms of what engines say of containers and images; the common ones are in the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.engine import mapping
from gitdeploy.engine.types import ContainerSpec


def inspected(**sections: Mapping[str, Any]) -> dict[str, Any]:
    """The least that an engine says of a container."""
    found: dict[str, Any] = {
        "Id": "0123",
        "Name": "/dev-app",
        "Image": "sha256:4567",
        "State": {"Status": "running"},
        "Config": {"Image": "dev-app:1.0"},
    }
    return {**found, **{key: {**found.get(key, {}), **value} for key, value in sections.items()}}


def ports(bindings: Mapping[str, Any], actual: Mapping[str, Any], *, everything: bool = False) -> set[str]:
    host = {"PortBindings": bindings, "PublishAllPorts": everything}
    container = mapping.container(inspected(HostConfig=host, NetworkSettings={"Ports": actual}))
    return {str(port) for port in container.publish}


def at(port: str, ip: str = "") -> dict[str, str]:
    return {"HostIp": ip, "HostPort": port}


BOTH = [at("49153", "0.0.0.0"), at("49153", "::")]


@pytest.mark.parametrize(
    ("bindings", "actual", "published"),
    [
        ({"80/tcp": [at("8080")]}, {}, {"8080:80"}),
        ({"80/tcp": [at("8080", "0.0.0.0"), at("8080", "::")]}, {}, {"0.0.0.0:8080:80", "[::]:8080:80"}),
        ({"80/tcp": [at("8080"), at("8081", "127.0.0.1")]}, {}, {"8080:80", "127.0.0.1:8081:80"}),
        ({"53/udp": [at("53")], "53/tcp": [at("53")]}, {}, {"53:53/udp", "53:53"}),
        ({"80/tcp": [at("")]}, {"80/tcp": BOTH}, {"49153:80"}),
        ({"80/tcp": [at("0")]}, {"80/tcp": BOTH}, {"49153:80"}),
        ({"80/tcp": [at("49150-49160")]}, {"80/tcp": BOTH}, {"49153:80"}),
        ({"80/tcp": [at("")]}, {}, set()),
        ({"80/tcp": None}, {"80/tcp": None}, set()),
        ({}, {"80/tcp": None}, set()),
    ],
)
def test_published_ports(bindings: Mapping[str, Any], actual: Mapping[str, Any], published: set[str]) -> None:
    assert ports(bindings, actual) == published


def test_all_exposed_ports_published() -> None:
    both = {"0.0.0.0:49153:81", "[::]:49153:81"}
    assert ports({}, {"80/tcp": None, "81/tcp": BOTH}, everything=True) == both
    assert ports({"80/tcp": [at("8080")]}, {"80/tcp": BOTH, "81/tcp": BOTH}, everything=True) == {"8080:80", *both}


def test_the_least_an_engine_says() -> None:
    container = mapping.container(inspected())
    assert (container.name, container.state, container.restart) == ("dev-app", "running", "no")
    assert (container.labels, container.publish, container.mounts, container.addresses) == ({}, (), (), {})


def test_health() -> None:
    log = [{"Output": "refused\n"}, {"Output": " 200 OK "}]
    container = mapping.container(inspected(State={"Status": "running", "Health": {"Status": "unhealthy", "Log": log}}))
    assert (container.health, container.health_log) == ("unhealthy", ("refused", "200 OK"))
    none = mapping.container(inspected(State={"Status": "running", "Health": {"Status": "none", "Log": None}}))
    assert (none.health, none.health_log) == ("", ())


def test_the_end_of_a_run() -> None:
    state = {"Status": "exited", "ExitCode": 137, "OOMKilled": True, "StartedAt": "2026-01-01T00:00:00Z"}
    networks = {"bridge": {"IPAddress": "172.17.0.2"}}
    found = {**inspected(State=state, NetworkSettings={"Networks": networks}), "RestartCount": 4}
    container = mapping.container(found)
    assert (container.exit_code, container.oom_killed, container.restarts) == (137, True, 4)
    assert (container.started, container.addresses) == ("2026-01-01T00:00:00Z", {})


def test_addresses() -> None:
    networks = {
        "one": {"IPAddress": "172.18.0.2"},
        "six": {"IPAddress": "", "GlobalIPv6Address": "fd00::2"},
        "none": {"IPAddress": ""},
    }
    container = mapping.container(inspected(NetworkSettings={"Networks": networks}))
    assert container.addresses == {"one": "172.18.0.2", "six": "fd00::2"}


def test_mounts_are_volumes_and_binds_in_order() -> None:
    mounts = [
        {"Type": "tmpfs", "Source": "", "Destination": "/run"},
        {"Type": "volume", "Name": "data", "Source": "/var/lib/docker/volumes/data/_data", "Destination": "/z", "RW": True},
        {"Type": "bind", "Source": "/srv", "Destination": "/a", "RW": False},
    ]
    container = mapping.container({**inspected(), "Mounts": mounts})
    assert container.mounts == (Volume("/srv", "/a", read_only=True), Volume("data", "/z"))


@pytest.mark.parametrize(
    ("config", "healthcheck"),
    [
        (None, False),
        ({"Healthcheck": None}, False),
        ({"Healthcheck": {"Test": ["NONE"]}}, False),
        ({"Healthcheck": {"Test": []}}, False),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "true"]}}, True),
    ],
)
def test_an_image_s_healthcheck(config: Mapping[str, Any] | None, healthcheck: bool) -> None:
    image = mapping.image({"Id": "sha256:01", "Config": config, "RepoTags": None, "Created": None})
    assert (image.healthcheck, image.tags, image.ports, image.created) == (healthcheck, (), (), "")


def test_a_spec_becomes_a_request() -> None:
    spec = ContainerSpec(
        "dev-app",
        "sha256:01",
        env={"A": "b=c"},
        publish=(Publish("", 8080, 80), Publish("127.0.0.1", 8081, 80)),
        volumes=(Volume("/srv", "/data", read_only=True),),
        networks=("one", "two"),
        aliases=("web",),
        stop_timeout=0.5,
        restart="on-failure:3",
    )
    body = mapping.creation(spec)
    assert body["Env"] == ["A=b=c"]
    assert body["StopTimeout"] == 1
    assert "Cmd" not in body
    assert body["HostConfig"] == {
        "Binds": ["/srv:/data:ro"],
        "PortBindings": {"80/tcp": [at("8080"), at("8081", "127.0.0.1")]},
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "NetworkMode": "one",
        "LogConfig": {"Type": "", "Config": {}},
        "PidsLimit": 4096,
        "SecurityOpt": ["no-new-privileges"],
    }
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"one": {"Aliases": ["web"]}}}
