"""The one HAProxy for ports 80 and 443, brought to do what is wanted of it; nothing here knows of apps and releases."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.edge import edgecfg
from gitdeploy.edge.backends import additions, assigned, removals, to_be_up, up_in
from gitdeploy.edge.edgecontainer import (
    NAME,
    NETWORK,
    NEXT,
    edge_spec,
    fits,
    join,
    leave,
    make,
    require_edge_image,
    settled_edge,
)
from gitdeploy.edge.edgemaps import DIRECTORY, FILE, Backends, path_of
from gitdeploy.edge.haproxystate import HaproxyState, see, wanted_of
from gitdeploy.edge.route import Traffic
from gitdeploy.edge.runtimeapi import FILE_MODE, RuntimeApi, map_commands
from gitdeploy.edge.servedcertificates import certificate_commands, stale_commands
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Container, Credentials, Output
from gitdeploy.errors import EngineError, StageFailed
from gitdeploy.releases.release import ROLE

READY = 20.0
"""Seconds in which HAProxy has to answer after a start or a reload."""

TRY = 5.0
"""Seconds for HAProxy's first checks of what is new; after that requests come all the same, and get the page for it."""

TICK = 0.05

Files = Mapping[str, bytes]
"""By name, what is in them."""


@dataclass(frozen=True)
class HaproxyEdge:
    """The edge on one engine; its lock keeps others from it meanwhile.

    Attributes:
        settings: `[edge]`.
        away: the page for what does not serve, b"" for a line of text.
        expected: whether what is new is yet to come, so that there is no use in waiting for it.
        credentials: for its image.
        clock: seconds, monotonic.
    """

    engine: Engine
    settings: EdgeSettings
    credentials: Credentials
    output: Output
    clock: Callable[[], float] = time.monotonic
    away: bytes = b""
    expected: bool = False

    def apply(self, traffic: Traffic) -> None:
        """Make these routes true, and look whether they are; without any the edge goes.

        What is new comes before what is old goes. Raises StageFailed and EngineError; another `apply` puts it right.
        """
        container = settled_edge(self.engine)
        if not traffic.routes:
            self.remove()
        elif container is None or not fits(container, self.settings):
            self._make(container, traffic)
        elif not container.running or not (now := self._look(container)):
            self._start(container, traffic)
        else:
            self._change(container, traffic, now)

    def differences(self, traffic: Traffic) -> list[str]:
        """Return what of a HAProxy that runs is not as this wants it, in words. Raises StageFailed if it does not answer."""
        now = see(self._api(NAME))
        return now.unlike(self._wanted(traffic, now))

    def _wanted(self, traffic: Traffic, now: HaproxyState) -> HaproxyState:
        """Return what a HAProxy in this state is to say when it does what is wanted."""
        backends = assigned(now.backends, traffic.routes)
        rooms = edgecfg.rooms_for(backends, now.rooms)
        return wanted_of(traffic, backends, rooms, edgecfg.shape(self.settings, traffic, rooms, self.away))

    def remove(self) -> None:
        """Remove the edge and its network, if there is one."""
        for container in self.engine.containers({ROLE: "edge"}):
            self.engine.remove(container.id, force=True)
        if self.engine.networks({ROLE: "edge"}):
            self.engine.remove_network(NETWORK)

    def _make(self, old: Container | None, traffic: Traffic) -> None:
        """Make a container, and let it take the ports; if it cannot, the old one has them again."""
        image = require_edge_image(self.engine, self.settings.image, self.credentials, self.output)
        seen = self._look(old) if old and old.running else None
        backends = assigned({}, traffic.routes)
        spec = edge_spec(self.settings, image, traffic.networks, NEXT if old else NAME)
        new = make(self.engine, spec, self._files(traffic, backends, seen.up if seen else {}))
        self.output.line(f"making the edge {NAME}: {self.settings.image} on ports {_ports(self.settings)}")
        if old and old.running:
            self.engine.stop(old.id, 0)
        try:
            self.engine.start(new)
            self._await(new, traffic, backends)
        except (EngineError, StageFailed):
            self.engine.remove(new, force=True)
            if old and seen:
                self.engine.start(old.id)
                with suppress(StageFailed):  # what has failed is told
                    self._api(old.id).await_digest(seen.digest, READY)
            elif old and old.running:
                self.engine.start(old.id)
            raise
        settled_edge(self.engine)

    def _start(self, container: Container, traffic: Traffic) -> None:
        self.output.line(f"starting the edge {container.name}, which is {container.state}")
        backends = assigned({}, traffic.routes)
        self.engine.put_files(container.id, DIRECTORY, self._files(traffic, backends, {}), FILE_MODE)
        self.engine.stop(container.id, 0)
        join(self.engine, container, traffic.networks)
        self.engine.start(container.id)
        self._await(container.id, traffic, backends)

    def _await(self, container: str, traffic: Traffic, backends: Backends) -> None:
        """Wait until HAProxy has started, and for a moment for the apps; leave its file as the next start is to find it."""
        api = self._api(container)
        api.await_digest(edgecfg.shape(self.settings, traffic, edgecfg.rooms_for(backends, 0), self.away), READY)
        self._await_up(api, _servers(backends))
        self.engine.put_files(container, DIRECTORY, {FILE: self._files(traffic, backends, {})[FILE]}, FILE_MODE)

    def _look(self, container: Container) -> HaproxyState | None:
        """Return what a running HAProxy says of itself, None if it does not answer."""
        try:
            return see(self._api(container.id))
        except StageFailed as error:
            self.output.line(f"the edge does not answer: {error.reason}")
            return None

    def _change(self, container: Container, traffic: Traffic, now: HaproxyState) -> None:
        wanted = self._wanted(traffic, now)
        join(self.engine, container, traffic.networks)
        files = edgecfg.files(self.settings, traffic, wanted.backends, wanted.rooms, self.away)
        api = self._api(container.id)
        if now.digest != wanted.digest:
            self.output.line("the edge reads its new configuration; what runs goes on in its old process")
            known = edgecfg.addressed(files[FILE], now.up)
            self.engine.put_files(container.id, DIRECTORY, {**files, FILE: known}, FILE_MODE)  # it is not to wait for DNS
            self.engine.signal(container.id, "HUP")
            api.await_digest(wanted.digest, READY)
            self.engine.put_files(container.id, DIRECTORY, {FILE: files[FILE]}, FILE_MODE)
            then = see(api)
        else:
            then = self._tell(api, traffic, now, wanted, files)
        if wrong := then.unlike(wanted):
            raise StageFailed(f"the edge's HAProxy did not take over what it was told: {', '.join(wrong)}", "try again")
        leave(self.engine, container, traffic.networks)

    def _tell(self, api: RuntimeApi, traffic: Traffic, now: HaproxyState, wanted: HaproxyState, files: Files) -> HaproxyState:
        """Bring HAProxy there command by command, what is new before what goes; return what it says then."""
        if added := list(additions(now.backends, wanted.backends)):
            api.ask(added, files)
        if not self.expected:
            self._await_up(api, to_be_up(now.backends, wanted.backends) - now.up.keys())
        commands = list(certificate_commands(traffic.certificates, now.certificates))
        for name, entries in wanted.maps.items():
            commands += map_commands(path_of(name), now.maps[name], entries)
        commands += removals(now.backends, wanted.backends)
        commands += stale_commands(traffic.certificates, now.certificates)
        return see(api, commands, files)

    def _await_up(self, api: RuntimeApi, servers: set[tuple[str, int]]) -> None:
        end = self.clock() + TRY
        while servers and self.clock() < end and not servers <= up_in(api.ask(["show servers state"])[0]).keys():
            time.sleep(TICK)

    def _files(self, traffic: Traffic, backends: Backends, known: Mapping[tuple[str, int], str]) -> dict[str, bytes]:
        """Return all files of a new HAProxy. Takes the addresses of servers that are known already."""
        files = edgecfg.files(self.settings, traffic, backends, edgecfg.rooms_for(backends, 0), self.away)
        return {**files, FILE: edgecfg.addressed(files[FILE], known)}

    def _api(self, container: str) -> RuntimeApi:
        return RuntimeApi(self.engine, container, self.clock)


def _servers(backends: Backends) -> set[tuple[str, int]]:
    return {server for servers in backends.values() for server in servers.values()}


def _ports(settings: EdgeSettings) -> str:
    return f"{settings.http_port} and {settings.https_port}"
