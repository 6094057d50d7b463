"""What HAProxy says of itself, in one answer, and what it is to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitdeploy.edge.backends import found_in, rooms_in, up_in
from gitdeploy.edge.edgemaps import (
    CRT_LIST,
    ROUTES,
    SETTINGS,
    USERS,
    Backends,
    certificate_file,
    path_of,
    route_map,
    setting_map,
    user_map,
)
from gitdeploy.edge.route import Traffic
from gitdeploy.edge.runtimeapi import NO_FILES, RuntimeApi, digest_of, entries
from gitdeploy.edge.servedcertificates import listed_in

MAPS = (SETTINGS, USERS, ROUTES)
"""In the order in which they change: who is let in is known before what for."""

_QUESTIONS = (
    "show info",
    "show servers state",
    f"show ssl crt-list {path_of(CRT_LIST)}",
    *(f"show map {path_of(name)}" for name in MAPS),
)


@dataclass(frozen=True)
class HaproxyState:
    """HAProxy's state, as it is or as it is wanted.

    Attributes:
        digest: of its configuration.
        rooms: how many backends there are.
        up: the address of each server that its checks pass for.
        certificates: the files of those that it serves.
        maps: by the name of the file.
    """

    digest: str
    rooms: int
    backends: Backends
    up: Mapping[tuple[str, int], str]
    certificates: Sequence[str]
    maps: Mapping[str, Mapping[str, str]]

    def unlike(self, wanted: HaproxyState) -> list[str]:
        """Return in what it is not as wanted, [] if it is."""
        pairs = {
            "configuration": (self.digest, wanted.digest),
            "servers": (self.backends, wanted.backends),
            "certificates": (sorted(self.certificates), sorted(wanted.certificates)),
            "routes": (self.maps, wanted.maps),
        }
        return [what for what, (found, expected) in pairs.items() if found != expected]


def see(api: RuntimeApi, commands: Sequence[str] = (), files: Mapping[str, bytes] = NO_FILES) -> HaproxyState:
    """Return HAProxy's state once these files are there and it has done these commands. Raises StageFailed."""
    info, servers, listed, *maps = api.ask([*commands, *_QUESTIONS], files)[len(commands) :]
    found = {name: entries(answer) for name, answer in zip(MAPS, maps, strict=True)}
    return HaproxyState(digest_of(info), rooms_in(servers), found_in(servers), up_in(servers), listed_in(listed), found)


def wanted_of(traffic: Traffic, backends: Backends, rooms: int, digest: str) -> HaproxyState:
    """Return what HAProxy is to say when it does what is wanted. Pure."""
    maps = (setting_map(traffic), user_map(traffic), route_map(traffic.routes, backends))
    files = [path_of(certificate_file(certificate)) for certificate in traffic.certificates]
    return HaproxyState(digest, rooms, backends, {}, files, dict(zip(MAPS, maps, strict=True)))
