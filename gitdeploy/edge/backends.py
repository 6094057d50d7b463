"""Which app is in which of the edge's backends, and the commands that bring HAProxy there. Pure.

Commands and columns: https://docs.haproxy.org/2.6/management.html#9.3 ("set server", "show servers state").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gitdeploy.edge.edgecfg import PLACES
from gitdeploy.edge.edgemaps import Backends, Servers
from gitdeploy.edge.route import Route

NOWHERE = "255.255.255.255"
"""Stands for an address that Docker's DNS is yet to tell."""

UNUSED = "edge.gitdeploy"
"""The edge's own name, which an empty place resolves: any other name would be asked of outside servers."""

_MAINTENANCE = 0x01 | 0x02
"""Bits of srv_admin_state: by command, inherited."""


def assigned(now: Backends, routes: Iterable[Route]) -> dict[int, Servers]:
    """Return what is to be in each backend: what is there already stays where it is, what is new takes a free one.

    Upstreams of one route are in one backend; so are those of two routes that share one.
    """
    wanted: dict[int, Servers] = {}
    for group in _groups(routes):
        mine = [number for number, servers in now.items() if number not in wanted and group & set(servers.values())]
        number = mine[0] if mine else next(n for n in range(1, len(now) + len(wanted) + 2) if n not in now and n not in wanted)
        wanted[number] = _places(now.get(number, {}) if mine else {}, group)
    return wanted


def _groups(routes: Iterable[Route]) -> list[set[tuple[str, int]]]:
    groups: list[set[tuple[str, int]]] = []
    for route in routes:
        group = {upstream.server for upstream in route.upstreams}
        for other in [other for other in groups if other & group]:
            groups.remove(other)
            group |= other
        if group:
            groups.append(group)
    return groups


def _places(now: Servers, group: set[tuple[str, int]]) -> dict[int, tuple[str, int]]:
    placed = {place: server for place, server in now.items() if server in group}
    free = sorted(set(range(1, PLACES + 1)) - placed.keys(), key=lambda place: place in now)  # what goes is kept for a moment
    placed.update(zip(free, sorted(group - set(placed.values())), strict=False))
    return placed


def additions(now: Backends, wanted: Backends) -> Iterator[str]:
    """Yield the commands for what is in `wanted` and not yet there."""
    for number, servers in wanted.items():
        for place, (name, port) in servers.items():
            if now.get(number, {}).get(place) != (name, port):
                server = f"r{number}/s{place}"
                yield f"set server {server} state maint"
                yield f"set server {server} addr {NOWHERE} port {port}"
                yield f"set server {server} fqdn {name}"
                yield f"set server {server} state ready"


def removals(now: Backends, wanted: Backends) -> Iterator[str]:
    """Yield the commands that take out what is in `now` and not in `wanted`: what runs there goes on."""
    for number, servers in now.items():
        for place in servers.keys() - wanted.get(number, {}).keys():
            yield f"set server r{number}/s{place} state maint"
            yield f"set server r{number}/s{place} fqdn {UNUSED}"


def to_be_up(now: Backends, wanted: Backends) -> set[tuple[str, int]]:
    """Return the servers that are to be up before they have a backend alone: what is new, what stays where another goes."""
    changed = [number for number, servers in wanted.items() if now.get(number) != servers]
    return {server for number in changed for server in wanted[number].values()}


def found_in(answer: str) -> dict[int, Servers]:
    """Return what is in each backend, from the answer to `show servers state`."""
    found: dict[int, dict[int, tuple[str, int]]] = {}
    for row in _rows(answer):
        used = row["srv_fqdn"] not in ("-", UNUSED) and not int(row["srv_admin_state"]) & _MAINTENANCE
        if used and row["be_name"][1:].isdigit():
            place = int(row["srv_name"].removeprefix("s"))
            found.setdefault(int(row["be_name"][1:]), {})[place] = _server(row)
    return dict(found)


def rooms_in(answer: str) -> int:
    """Return how many backends there are, from the answer to `show servers state`."""
    return max((int(row["be_name"][1:]) for row in _rows(answer) if row["be_name"][1:].isdigit()), default=0)


def up_in(answer: str) -> dict[tuple[str, int], str]:
    """Return the address of each server that HAProxy's checks pass for, from the answer to `show servers state`."""
    known = (row for row in _rows(answer) if row["srv_op_state"] == "2" and row["srv_addr"] not in ("-", NOWHERE))
    return {_server(row): row["srv_addr"] for row in known}


def _rows(answer: str) -> Iterator[dict[str, str]]:
    header: list[str] = []
    for line in answer.splitlines():
        words = line.split()
        if words[:2] == ["#", "be_id"]:
            header = words[1:]
        elif header and len(words) >= len(header):
            yield dict(zip(header, words, strict=False))


def _server(row: dict[str, str]) -> tuple[str, int]:
    return row["srv_fqdn"], int(row["srv_port"])
