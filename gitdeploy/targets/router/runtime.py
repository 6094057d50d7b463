"""HAProxy's runtime API: the commands that bring its servers to a wanted state, and what its answers mean. Pure.

Commands and columns: https://docs.haproxy.org/2.6/management.html#9.3 ("set server", "show servers state", "show stat").
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from gitdeploy.errors import StageFailed
from gitdeploy.targets.router.haproxycfg import ALIAS, Backend, Table

STATE = "show servers state"
STATISTICS = "show stat -1 4 -1"

NOWHERE = "255.255.255.255"
"""Stands for an address that Docker's DNS is yet to tell: what the slot had last could answer the checks in its place."""

LINE = 8000
"""Bytes of commands in one line: HAProxy takes less than tune.bufsize."""

_MAINTENANCE = 0x01 | 0x02
"""Bits of srv_admin_state: by command, inherited. Without an address (0x20) a server is still in its slot."""


@dataclass(frozen=True)
class Counts:
    """What one container does and has done since HAProxy was started.

    Attributes:
        up: whether HAProxy's checks of it pass.
        current: requests, connections or WebSockets in progress.
        answers: complete answers of any status; connections where there is no HTTP.
        bad: answers with a status of 500 or more.
        errors: connections that failed, and answers that broke off.
        check: the last answer to HAProxy's check, in words.
        passed: whether a check has passed since the server last came up.
    """

    up: bool = False
    current: int = 0
    answers: int = 0
    bad: int = 0
    errors: int = 0
    check: str = ""
    passed: bool = False

    @property
    def reached(self) -> bool:
        """Whether a check of HAProxy's own has passed: a server counts as up before its first one, and until then `check` is
        what was answered by whoever had its slot before.
        """
        return self.up and self.passed and self.check.startswith(("L4OK", "L6OK", "L7OK"))

    def __add__(self, other: Counts) -> Counts:
        """Both together; state and check are those of the first."""
        numbers = (self.current + other.current, self.answers + other.answers, self.bad + other.bad)
        return Counts(self.up, *numbers, self.errors + other.errors, self.check, self.passed)

    def since(self, earlier: Counts) -> Counts:
        """Return the same without what had been counted earlier."""
        answers, bad, errors = self.answers - earlier.answers, self.bad - earlier.bad, self.errors - earlier.errors
        return replace(self, answers=answers, bad=bad, errors=errors)


def place(table: Table, servers: Iterable[Backend], slots: int) -> dict[int, Backend]:
    """Return the wanted servers in slots: each keeps its own, new ones take free ones. Raises StageFailed for too many."""
    wanted: dict[str, list[Backend]] = {}
    for server in servers:
        wanted.setdefault(server.alias, []).append(server)
    # Of several slots with one alias, those that have nobody are given up first.
    kept = sorted(table.items(), key=lambda item: not item[1].address)
    placed = {slot: wanted[server.alias].pop(0) for slot, server in kept if wanted.get(server.alias)}
    free = (slot for slot in range(1, slots + 1) if slot not in table)
    freed = (slot for slot in range(1, slots + 1) if slot in table and slot not in placed)
    new = list(chain.from_iterable(wanted.values()))
    asked = len(placed) + len(new)
    for server in new:
        slot = next(free, None) or next(freed, None)
        if slot is None:
            raise StageFailed(f"the router has room for {slots} containers, {asked} were asked for")
        placed[slot] = server
    return placed


def changes(ports: Mapping[str, int], now: Mapping[str, Table], wanted: Table) -> list[str]:
    """Commands that bring the servers of every backend (name → port) from `now` to `wanted`; more traffic comes before less."""
    more: list[str] = []
    less: list[str] = []
    for name, port in ports.items():
        table = now.get(name, {})
        for slot in sorted({*table, *wanted}):
            before, after = table.get(slot), wanted.get(slot)
            gains = after is not None and after.weight > (before.weight if before else 0)
            (more if gains else less).extend(_change(f"{name}/s{slot}", port, before, after))
    return more + less


def _change(name: str, port: int, now: Backend | None, wanted: Backend | None) -> Iterator[str]:
    if wanted is None:
        yield f"set server {name} state maint"
        yield f"set server {name} fqdn {ALIAS}"
        return
    if now is None or now.alias != wanted.alias:
        yield f"set server {name} weight 0"
        yield f"set server {name} addr {wanted.address or NOWHERE} port {port}"
        yield f"set server {name} fqdn {wanted.alias}"
        yield f"set server {name} state ready"
        if wanted.weight == 0:  # who is not needed yet is down until a check of HAProxy's own has passed
            yield f"set server {name} health down"
    if now is None or now.alias != wanted.alias or now.weight != wanted.weight:
        yield f"set server {name} weight {wanted.weight}"


def servers_state(text: str) -> dict[str, dict[int, Backend]]:
    """Backend → slot → server, from the answer to `show servers state`; empty slots are left out."""
    header: list[str] = []
    found: dict[str, dict[int, Backend]] = {}
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["#", "be_id"]:
            header = words[1:]
        elif header and len(words) >= len(header):
            row = dict(zip(header, words, strict=False))
            slots = found.setdefault(row["be_name"], {})
            if row["srv_fqdn"] not in ("-", ALIAS) and not int(row["srv_admin_state"]) & _MAINTENANCE:
                slot = int(row["srv_name"].removeprefix("s"))
                address = row["srv_addr"] if row["srv_addr"] not in ("-", NOWHERE) else ""
                slots[slot] = Backend(row["srv_fqdn"], address, int(row["srv_uweight"]))
    return found


def statistics(text: str) -> dict[str, dict[int, Counts]]:
    """Backend → slot → counts, from the answer to `show stat` (CSV)."""
    found: dict[str, dict[int, Counts]] = {}
    for row in csv.DictReader(text.lstrip("# \n").splitlines()):
        name = row.get("svname") or ""
        if not (name.startswith("s") and name[1:].isdigit()):
            continue
        http = [_number(row, f"hrsp_{kind}") for kind in ("1xx", "2xx", "3xx", "4xx", "5xx", "other")]
        found.setdefault(row["pxname"], {})[int(name[1:])] = Counts(
            up=row["status"].startswith(("UP", "DRAIN", "no check")),
            current=_number(row, "scur"),
            answers=sum(http) if row.get("mode") == "http" else _number(row, "stot"),
            bad=http[4],
            errors=_number(row, "econ") + _number(row, "eresp"),
            check=" ".join(filter(None, ((row.get("check_status") or "").removeprefix("* "), row.get("last_chk")))),
            passed=_number(row, "check_health") > _number(row, "check_rise"),  # has no more than that without a check
        )
    return found


def essence(table: Mapping[int, Backend]) -> dict[int, tuple[str, int]]:
    """Return a table without addresses, which Docker's DNS may have corrected meanwhile."""
    return {slot: (server.alias, server.weight) for slot, server in table.items()}


def digest(text: bytes) -> str:
    """Return the digest of a configuration file, or of an answer to `show info`."""
    found = re.search(rb"^\s*description:? ([0-9a-f]+)$", text, re.MULTILINE)
    return found[1].decode() if found else ""


def lines(commands: Sequence[str]) -> list[str]:
    """Return the commands in lines short enough for HAProxy."""
    found = [""]
    for command in commands:
        if found[-1] and len(found[-1]) + len(command) > LINE:
            found.append("")
        found[-1] += f"{';' if found[-1] else ''}{command}"
    return found


def _number(row: Mapping[str, str], column: str) -> int:
    return int(row.get(column) or 0)
