"""The proxies of Docker's own config.json, which the docker command gives to every build and container. Pure.

Source: docker/cli, cli/config/configfile/file.go (ParseProxyConfig), and https://docs.docker.com/engine/cli/proxy/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

NAMES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}


def proxies(config: Mapping[str, object], host: str) -> dict[str, str]:
    """Return the variables, each in capitals and in small letters.

    Args:
        config: the file's content.
        host: of the engine, "unix:///…", for which the file may have settings of its own.
    """
    every = config.get("proxies")
    found = every.get(host, every.get("default")) if isinstance(every, dict) else None
    if not isinstance(found, dict):
        return {}
    given = {name: value for key, name in NAMES.items() if isinstance(value := found.get(key), str) and value}
    return {spelling: value for name, value in given.items() for spelling in (name, name.lower())}


def passwords(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield the passwords in them, as they are written and as they are meant."""
    for value in variables.values():
        if found := re.match(r"(?:\w+://)?[^/@:]*:([^/]*)@", value):
            yield from (found[1], unquote(found[1]))
