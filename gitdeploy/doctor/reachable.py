"""Where names lead, which addresses this machine has, and which program listens on a port of it."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

Resolve = Callable[[str], Sequence[str]]
"""Returns the addresses of a name. Raises OSError."""

AT_ONCE = 16
"""Questions to DNS at the same time."""

PATIENCE = 20.0
"""Seconds for all of them: nothing here is worth more, and the system's own way to ask cannot be cut short."""


def resolve(name: str) -> list[str]:
    """Return the addresses that this machine has for a name. Raises OSError."""
    return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})


def resolve_all(names: Iterable[str], ask: Resolve, seconds: float = PATIENCE) -> dict[str, Sequence[str] | str]:
    """Return the addresses of each name, or in words why there are none."""
    waiting: SimpleQueue[str] = SimpleQueue()
    found: dict[str, Sequence[str] | str] = {}
    for name in dict.fromkeys(names):
        waiting.put(name)
        found[name] = "DNS has not answered in time"

    def work() -> None:
        with contextlib.suppress(Empty):
            while True:
                name = waiting.get_nowait()
                try:
                    found[name] = ask(name)
                except (OSError, UnicodeError) as error:
                    found[name] = getattr(error, "strerror", None) or str(error)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(found)))]
    end = time.monotonic() + seconds
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(max(0.0, end - time.monotonic()))
    return dict(found)


def own_addresses(proc: Path = Path("/proc")) -> frozenset[str]:
    """Return the addresses of this machine, as the kernel has them; none where it does not tell."""
    found = set()
    with contextlib.suppress(OSError):
        local = re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", (proc / "net/fib_trie").read_text())
        found.update(local)
    with contextlib.suppress(OSError):
        for line in (proc / "net/if_inet6").read_text().splitlines():
            found.add(str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))))
    return frozenset(found)


def listener(port: int, proc: Path = Path("/proc")) -> str:
    """Return the program that listens on a TCP port, "nginx (process 123)" where that may be seen; "" for none."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port, proc)}
    for link in proc.glob("[0-9]*/fd/*") if sockets else ():
        with contextlib.suppress(OSError):
            if str(link.readlink()) in sockets:
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return f"a program of this machine; as root, this names it: ss -lptn 'sport = :{port}'" if sockets else ""


def _listening(port: int, proc: Path) -> list[str]:
    """Return the inodes of sockets that listen there."""
    found = []
    for table in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                    found.append(words[9])
    return found
