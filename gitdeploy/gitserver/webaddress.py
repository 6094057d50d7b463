"""Where a Git server says in app.ini that it is reached. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitdeploy.gitserver.appini import Ini

MAX_NAME = 1000
"""Characters of an address in app.ini that are read."""


@dataclass(frozen=True)
class Address:
    """Where a Git server says that it is reached.

    Attributes:
        hosts: names in the URLs of its repositories, lower case, over HTTP or SSH.
        prefix: path of its web address: "gogs" for https://example.com/gogs/.
    """

    hosts: frozenset[str]
    prefix: str = ""


def address(sections: Ini) -> Address:
    """Return where app.ini says the server is reached: [server] EXTERNAL_URL (ROOT_URL in older ones and in Gitea), DOMAIN and
    SSH_DOMAIN, which may refer to one another as "%(DOMAIN)s". Pure."""
    server = {"PROTOCOL": "http", "DOMAIN": "localhost", "HTTP_PORT": "3000", **sections.get("server", {})}

    def value(key: str) -> str:
        return re.sub(r"%\((\w+)\)s", lambda found: server.get(found[1], "")[:MAX_NAME], server.get(key, "")[:MAX_NAME])

    url = re.match(r"\w+://(?:[^/@]*@)?(\[[^]/]*\]|[^/:]*)(?::\d*)?/*(.*)", value("EXTERNAL_URL") or value("ROOT_URL"))
    names = (value("DOMAIN"), value("SSH_DOMAIN"), url[1] if url else "")
    return Address(frozenset(name.lower() for name in names if name), url[2].strip("/") if url else "")
