"""The proxies that Docker's own config.json has for builds and containers."""

from __future__ import annotations

import pytest

from gitdeploy.engine.proxies import passwords, proxies

HOST = "unix:///var/run/docker.sock"
ONE = {"httpProxy": "http://a:3128", "noProxy": "localhost,.lan"}
VARIABLES = {
    "HTTP_PROXY": "http://a:3128",
    "http_proxy": "http://a:3128",
    "NO_PROXY": "localhost,.lan",
    "no_proxy": "localhost,.lan",
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"proxies": {"default": ONE}}, VARIABLES),
        ({"proxies": {"default": {"httpProxy": "x"}, HOST: ONE}}, VARIABLES),
        ({"proxies": {"default": ONE, HOST: {}}}, {}),
        ({"proxies": {"default": ONE, "tcp://other": {"httpProxy": "x"}}}, VARIABLES),
        ({"proxies": {"default": {"ftpProxy": "f", "allProxy": "", "httpsProxy": 3}}}, {"FTP_PROXY": "f", "ftp_proxy": "f"}),
        *(({"proxies": wrong}, {}) for wrong in (None, [], "x", {}, {"default": None}, {"default": []}, {"default": "x"})),
        ({}, {}),
    ],
)
def test_what_docker_gives_to_every_build_and_container(config: dict[str, object], expected: dict[str, str]) -> None:
    assert proxies(config, HOST) == expected


def test_their_passwords_are_known() -> None:
    found = passwords({"A": "http://me:p%40ss@a:3128", "B": "me:two@b", "C": "http://a:3128", "D": "localhost,a:b"})
    assert list(found) == ["p%40ss", "p@ss", "two", "two"]
