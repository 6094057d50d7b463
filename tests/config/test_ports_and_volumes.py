"""Published ports and mounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.config import formats, portformats
from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.problems import BadValue


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ("8080:80", Publish("", 8080, 80)),
        ("127.0.0.1:8080:80", Publish("127.0.0.1", 8080, 80)),
        ("0.0.0.0:1:65535", Publish("0.0.0.0", 1, 65535)),
        ("[::1]:8080:80", Publish("::1", 8080, 80)),
        ("[0:0::1]:8080:80/tcp", Publish("::1", 8080, 80)),
        ("53:53/udp", Publish("", 53, 53, "udp")),
    ],
)
def test_ports(written: str, port: Publish) -> None:
    assert portformats.PORTS.parse(written) == (port,)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "80",
        "8080:",
        ":80",
        "0:80",
        "80:0",
        "65536:80",
        "80:65536",
        "1-2:3",
        "1:3-4",
        "1-2:3-5",
        "2-1:4-3",
        "0-1:1-2",
        "65535-65536:1-2",
        "a:b",
        "localhost:80:80",
        "::1:80:80",
        "256.0.0.1:80:80",
        "[::1%eth0]:80:80",
        "[::g]:80:80",
        "010.0.0.1:80:80",
        "80:80/sctp",
        "80:80 ",
        "80:80\n",
        "٨٠:80",
        "9" * 9999 + ":80",
        80,
        True,
        [[]],
    ],
)
def test_what_is_no_port(written: object) -> None:
    with pytest.raises(BadValue, match="HOST:CONTAINER"):
        portformats.PORTS.parse(written)


def test_ranges() -> None:
    ports = portformats.PORTS.parse(["127.0.0.1:8000-8002:9000-9002/udp", "80:80", "81:81", "[::1]:7000-7001:7000-7001"])
    assert [str(port) for port in ports] == [
        *(f"127.0.0.1:{8000 + n}:{9000 + n}/udp" for n in range(3)),
        *("80:80", "81:81", "[::1]:7000:7000", "[::1]:7001:7001"),
    ]
    assert portformats.PORTS.format(ports) == ["127.0.0.1:8000-8002:9000-9002/udp", "80-81:80-81", "[::1]:7000-7001:7000-7001"]
    assert portformats.PORTS.parse(portformats.PORTS.format(ports)) == ports


@pytest.mark.parametrize("written", ["1-257:1-257", ["1-200:1-200", "1001-1200:1001-1200"]])
def test_so_many_ports_that_an_engine_would_suffer(written: object) -> None:
    with pytest.raises(BadValue, match="at most 256 ports"):
        portformats.PORTS.parse(written)


@given(
    st.builds(
        Publish,
        st.just("") | st.ip_addresses().map(str).filter(lambda ip: "%" not in ip),
        st.integers(1, 65535),
        st.integers(1, 65535),
        st.sampled_from(["tcp", "udp"]),
    )
)
def test_ports_are_written_as_they_are_read(port: Publish) -> None:
    assert portformats.PORTS.parse(str(port)) == (port,)


@pytest.mark.parametrize(
    ("written", "volume"),
    [
        ("/srv/data:/data", Volume("/srv/data", "/data")),
        ("name:/data:ro", Volume("name", "/data", True)),
        ("name:/data:rw", Volume("name", "/data")),
        ("name:/data:ro,nocopy", Volume("name", "/data", True, ("nocopy",))),
        ("/srv/data:/data:Z,rslave", Volume("/srv/data", "/data", False, ("Z", "rslave"))),
    ],
)
def test_volumes(written: str, volume: Volume) -> None:
    assert volume == formats.VOLUME.parse(written)
    assert volume == formats.VOLUME.parse(str(volume))


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/data",
        "name",
        "name:data",
        "../x:/data",
        "./x:/data",
        "/a/../b:/data",
        "a:/x/..",
        "a:/",
        "a:///",
        "a:/x:",
        "a:/x:ro,rw",
        "a:/x:z,Z",
        "a:/x:rslave",
        "/a:/x:nocopy",
        "/a:/x:shared,rslave",
        "a:/x:z,",
        "a:/x:U",
        "a:/x:ro:ro",
        "a b:/x",
        "a:/x\n",
        "a:/\0",
        1,
        [],
    ],
)
def test_what_is_no_volume(written: object) -> None:
    with pytest.raises(BadValue, match="/path/in/the/container"):
        formats.VOLUME.parse(written)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("80:80", "80:8080", True),
        ("80:80", "127.0.0.1:80:80", True),
        ("0.0.0.0:80:80", "10.0.0.1:80:80", True),
        ("127.0.0.1:80:80", "127.0.0.1:80:1", True),
        ("127.0.0.1:80:80", "127.0.0.2:80:80", False),
        ("80:80", "81:80", False),
        ("53:53/udp", "53:53", False),
        ("80:80", "[::1]:80:80", True),
        ("[::]:80:80", "[::1]:80:80", True),
        ("[::]:80:80", "127.0.0.1:80:80", False),
        ("0.0.0.0:80:80", "[::]:80:80", False),
    ],
)
def test_ports_that_clash(one: str, other: str, clash: bool) -> None:
    (first,), (second,) = portformats.PORTS.parse(one), portformats.PORTS.parse(other)
    assert (clash, clash) == (first.clashes(second), second.clashes(first))
