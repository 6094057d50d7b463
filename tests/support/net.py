"""The network of the tests, their ports and daemons, and waiting for them."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable

CLONE_NEWNET = 0x40000000  # linux/sched.h; os.unshare came with Python 3.12

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""In front of a daemon's command: the kernel ends it when the test process ends, however that comes."""

_machine_network: list[int] = []


def isolate_network() -> bool:
    """Moves this process, while it has only one thread, into a network namespace with nothing but a loopback interface.

    Returns False where that is not permitted (not root, or a container without CAP_SYS_ADMIN).
    """
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        os.close(before)
        return False
    _machine_network.append(before)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return True


def is_isolated() -> bool:
    """Whether this process has a network of its own, in which every port is free."""
    return bool(_machine_network)


def in_machine_network(*command: str) -> list[str]:
    """The command, to be run in the network that this process had before `isolate_network`."""
    if not _machine_network:
        return list(command)
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{_machine_network[0]}", "--", *command]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Returns once `condition()` is true; raises TimeoutError naming `what` after `timeout` seconds.

    It looks every 10 ms, and more seldom where a look takes long: what is waited for needs the processor itself.
    """
    began = time.monotonic()
    end = began + timeout
    while not condition():
        now = time.monotonic()
        if now > end:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(max(0.01, 2 * (now - began)))
        began = time.monotonic()


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Whether something accepts TCP connections on that port of an address."""
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def get(url: str, timeout: float = 5.0) -> str:
    """The body of a GET of `url` as text; raises OSError (urllib.error.URLError) for anything but a 2xx answer."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        body: bytes = answer.read()
        return body.decode()
