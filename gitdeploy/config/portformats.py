"""Published ports as config.toml has them: one by one, and ranges of them. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

from gitdeploy.config.attachments import Publish
from gitdeploy.config.problems import BadValue
from gitdeploy.config.values import Kind, many

MAX_PORTS = 256
"""Of one app, those of its ranges counted: the engine runs a program for each where it has no other way."""

_EXPECTED = (
    '"HOST:CONTAINER", ports from 1 to 65535, such as "8080:80", "127.0.0.1:8080:80", "53:53/udp" or "8000-8010:8000-8010"'
)
_PORT = "([0-9]{1,5})"
_FORM = re.compile(
    rf"(?:(?:\[([0-9a-fA-F:.]{{2,45}})\]|([0-9.]{{7,15}})):)?{_PORT}(?:-{_PORT})?:{_PORT}(?:-{_PORT})?(?:/(tcp|udp))?"
)


def _parse_range(value: object) -> tuple[Publish, ...]:
    match = _FORM.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise BadValue(_EXPECTED, value)
    first, last, inside, inside_last = int(match[3]), int(match[4] or match[3]), int(match[5]), int(match[6] or match[5])
    ordered = 1 <= first <= last <= 65535 and 1 <= inside <= inside_last <= 65535
    if not ordered or last - first != inside_last - inside:
        raise BadValue(_EXPECTED, value)
    if last - first >= MAX_PORTS:
        raise BadValue(f"at most {MAX_PORTS} ports", value)
    try:
        host_ip = str(ipaddress.ip_address(match[1] or match[2])) if match[1] or match[2] else ""
    except ValueError:
        raise BadValue(_EXPECTED, value) from None
    protocol = cast(Literal["tcp", "udp"], match[7] or "tcp")
    return tuple(Publish(host_ip, first + n, inside + n, protocol) for n in range(last - first + 1))


_RANGES = many(Kind(_EXPECTED, _parse_range))


def _parse_ports(value: object) -> tuple[Publish, ...]:
    ports = tuple(port for ports in _RANGES.parse(value) for port in ports)
    if len(ports) > MAX_PORTS:
        raise BadValue(f"at most {MAX_PORTS} ports, those of ranges counted", value)
    return ports


def _write_ports(ports: Sequence[Publish]) -> list[str]:
    """Return them as ranges again where they follow one another."""
    runs: list[list[Publish]] = []
    for port in ports:
        last = runs[-1][-1] if runs else port
        if runs and port == replace(last, host_port=last.host_port + 1, container_port=last.container_port + 1):
            runs[-1].append(port)
        else:
            runs.append([port])
    return [_written(run[0], run[-1]) for run in runs]


def _written(first: Publish, last: Publish) -> str:
    if first == last:
        return str(first)
    before, after = str(first).rsplit(f"{first.host_port}:{first.container_port}", 1)
    return f"{before}{first.host_port}-{last.host_port}:{first.container_port}-{last.container_port}{after}"


PORTS = Kind(f"an array, each {_EXPECTED}", _parse_ports, _write_ports)
