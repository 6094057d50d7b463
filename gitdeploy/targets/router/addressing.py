"""A configuration file made ready to be read by a running HAProxy, which is not to wait for DNS. Pure."""

from __future__ import annotations

import re

from gitdeploy.targets.router.haproxycfg import Table


def addressed(file: bytes, table: Table) -> bytes:
    """Return a configuration file with the addresses of services' tasks that the table has, to be read at once. Pure."""

    def tell(found: re.Match[bytes]) -> bytes:
        server = table.get(int(found[1]))
        known = server and server.address and server.alias.encode() == found[2]
        return found[0] + (f" init-addr {server.address},none".encode() if server and known else b"")

    return re.sub(rb"^    server s(\d+) (tasks\.[^:\s]+):.*", tell, file, flags=re.MULTILINE)
