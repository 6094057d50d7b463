"""The edge of this box: reads the records, brings HAProxy to what follows from them, has certificates ordered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gitdeploy.config import snapshot
from gitdeploy.config.fronted import fronted
from gitdeploy.config.model import App, Config
from gitdeploy.edge.applied import Applied, digest_of_traffic, read_applied, write_applied
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.edgecontainer import NAME, find_edge
from gitdeploy.edge.extra import require_extra
from gitdeploy.edge.fronting import Upstreams, app_routes, git_route, secured, wanted_names
from gitdeploy.edge.given import given_certificate, users
from gitdeploy.edge.handshake import served_fingerprint
from gitdeploy.edge.haproxyedge import HaproxyEdge
from gitdeploy.edge.material import Material
from gitdeploy.edge.route import Route, Traffic
from gitdeploy.edge.standingnames import StandingName, standing
from gitdeploy.edge.turned import Turned, read_turned, write_turned
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import Cancel, Credentials, Output
from gitdeploy.errors import StageFailed
from gitdeploy.locks import lock_within
from gitdeploy.releases.state import State

LOCK = "edge.lock"
PATIENCE = 120.0
"""Seconds to wait for another process that has the edge: a start may take 20, an app's checks 5."""

DAY = 86400.0

Live = Mapping[str, App]
"""The configuration of the release of each app that serves, or is taken to serve, by the app's name."""


@dataclass(frozen=True)
class BoxEdge:
    """See `Edge`.

    Attributes:
        home: its directory, of gitdeploy's own user alone.
        config: the server's.
        upstreams: where one process of a release answers.
        make_ready: makes the networks on which a release will answer.
        now: seconds since the epoch.
        clock: seconds, monotonic.
    """

    home: Path
    config: Config
    state: State
    engine: Callable[[], Engine]
    credentials: Callable[[], Credentials]
    upstreams: Upstreams
    make_ready: Callable[[Engine, App], None]
    now: Callable[[], float]
    clock: Callable[[], float]

    def require_fit(self, app: App) -> None:
        """See `Edge`."""
        mine = fronted(self.config, app)
        if mine.domains:
            self._require_free(mine)
            if secured(mine):
                require_extra()
            given_certificate(mine, self.now())
            users(mine)

    def _require_free(self, mine: App) -> None:
        """Raise StageFailed if a domain is that of another app, whose own tree named it."""
        for name, release in self.live().items():
            if name != mine.name and (both := set(mine.domains).intersection(fronted(self.config, release).domains)):
                hint = "take it out of one of the two, or out of `allow` in config.toml"
                raise StageFailed(f"{min(both)} is already a domain of {name}", hint)

    def concerns(self, app: App) -> bool:
        """See `Edge`."""
        applied, named = read_applied(self.home), (app, *self.config.apps.values())
        if not applied.digest and not self.config.edge.git and not any(one.domains for one in named):
            return False  # without reading what is live of all apps
        live = {**self.live(), app.name: app}
        if not self.routes(live) and not applied.digest:
            return False
        return applied.digest != self._digest(live) or applied.look_at == 0.0

    def admit(self, app: App, output: Output) -> bool:
        """See `Edge`."""
        serves = app_routes(self.config, self.live().get(app.name), None, self.upstreams)
        if not any(route.upstreams for route in serves):
            return False
        self.make_ready(self.engine(), app)
        self._apply(output, coming=app)
        return True

    def turn(self, number: int, app: App, output: Output) -> None:
        """See `Edge`."""
        self._apply(output, Turned(number, app.name, snapshot.dump(app)))

    def go_back(self, app: App, output: Output) -> None:
        """See `Edge`."""
        self._apply(output, Turned(0, app.name, ""))

    def settle(self, number: int, app: App, output: Output, cancel: Cancel) -> None:
        """See `Edge`."""
        self.turn(number, app, output)
        self._order(output, cancel, fronted(self.config, app).domains)

    def refresh(self, output: Output, cancel: Cancel, *, anyway: bool = False) -> None:
        """See `Edge`."""
        if anyway or self.is_due():
            self._apply(output)
            self._order(output, cancel, ())

    def is_due(self) -> bool:
        """See `Edge`."""
        live, applied = self.live(), read_applied(self.home)
        return applied.digest != self._digest(live) or self.now() >= applied.look_at or not self._runs(live)

    def names(self) -> tuple[StandingName, ...]:
        """See `Edge`."""
        live, store = self.live(), self._store()
        setbacks = store.setbacks()
        found = []
        for name in ("", *self.config.apps):
            app = fronted(self.config, live[name]) if name in live else self.config.apps.get(name)
            routes = app_routes(self.config, live.get(name, app), None, self.upstreams) if app else git_route(self.config)
            said: list[str] = []
            given = self._material(said.append).given(app) if app and app.tls.certificate else None
            for route in routes:
                kept = given or (store.certificate(route.domain) if route.rules.secure else None)
                stands = standing(route, name, kept.not_after if kept else 0.0, setbacks, self.config.edge.acme)
                found.append(replace(stands, trouble=said[0]) if said else stands)
        return tuple(found)

    def differences(self, output: Output) -> list[str]:
        """Return what of the edge, which runs, is not as it is on record, in words. Raises StageFailed."""
        return self._haproxy(output).differences(self._traffic(self.live(), None, output))

    def live(self) -> dict[str, App]:
        """Return what serves of each app by the records, by name; while a deployment is not over, what it was turned to."""
        turned = read_turned(self.home)
        found: dict[str, App] = {}
        for name in self.config.apps:
            row, newer = self.state.live(name), turned.get(name)
            under_way = self.state.deployment(newer.number) if newer else None
            config = newer.config if newer and under_way and under_way.status == "running" else row.config if row else ""
            if config and (app := snapshot.load(config)):
                found[name] = app
        return found

    def routes(self, live: Live, coming: App | None = None) -> tuple[Route, ...]:
        """Return the routes of all apps, and of the Git server."""
        routes, owners = list(git_route(self.config)), dict[str, str]()
        for name in self.config.apps:
            new = coming if coming and coming.name == name else None
            mine = app_routes(self.config, live.get(name), new, self.upstreams)
            routes += [route for route in mine if owners.setdefault(route.domain, name) == name]
        return tuple(routes)

    def _digest(self, live: Live) -> str:
        return digest_of_traffic(self.config.edge, self.routes(live), [fronted(self.config, app) for app in live.values()])

    def _runs(self, live: Live) -> bool:
        container = find_edge(self.engine())
        return (container is not None and container.running) if self.routes(live) else container is None

    def _apply(self, output: Output, turned: Turned | None = None, coming: App | None = None) -> None:
        with self._locked():
            if turned:
                write_turned(self.home, turned)
            live = self.live()  # under the lock: another deployment may have turned to its release meanwhile
            write_applied(self.home, Applied())
            traffic = self._traffic(live, coming, output)
            self._haproxy(output, expected=coming is not None).apply(traffic)
            if coming is None:
                write_applied(self.home, Applied(self._digest(live)))

    def _haproxy(self, output: Output, *, expected: bool = False) -> HaproxyEdge:
        page = self._material(output.line).page()
        settings, credentials = self.config.edge, self.credentials()
        return HaproxyEdge(self.engine(), settings, credentials, output, self.clock, away=page, expected=expected)

    def _traffic(self, live: Live, coming: App | None, output: Output) -> Traffic:
        """Return what the edge is to do; what is wrong with files of config.toml is told."""
        newest = {**live, coming.name: coming} if coming else live
        apps = [app for release in newest.values() if (app := fronted(self.config, release)).domains]
        material = self._material(output.line)
        thumbprint = material.thumbprint(apps)
        allowed = {app.name: material.users(app) for app in apps if app.proxy.basic_auth}
        return Traffic(self.routes(live, coming), material.certificates(apps), thumbprint, allowed)

    def _material(self, say: Callable[[str], None]) -> Material:
        return Material(self.config, self._store(), say, self.now())

    def _order(self, output: Output, cancel: Cancel, must: Sequence[str]) -> None:
        """Order what is due, and look whether it is served. Raises StageFailed, too, if one of `must` has none in the end."""
        apps = [fronted(self.config, app) for app in self.live().values()]
        names = {mode: wanted_names(self.config, apps, mode) for mode in ("auto", "internal")}
        look_at, fresh = self.now() + DAY, list[str]()
        if any(names.values()):
            from gitdeploy.edge.ordering import order  # noqa: PLC0415 - needs the extra, and time

            look_at, fresh = order(self._store(output.line), self.config.edge, names, output, cancel=cancel, now=self.now)
            self._material(output.line).forget_ended([name for some in names.values() for name in some])
        if fresh:
            self._apply(output)
            self._require_served(fresh)
        with self._locked():
            write_applied(self.home, Applied(read_applied(self.home).digest, look_at))
        store = self._store()
        for name in must:
            if name in (*names["auto"], *names["internal"]) and store.certificate(name) is None:
                setback = store.setbacks().get(name) or store.setbacks().get(self.config.edge.acme)
                raise StageFailed(f"{name} has no certificate yet: {setback.reason if setback else 'none came'}", "see above")

    def _require_served(self, names: Sequence[str]) -> None:
        """Raise StageFailed unless HAProxy serves the certificates of these names over TLS."""
        for name in names:
            kept = self._store().certificate(name)
            if kept and (served := served_fingerprint(self.engine(), NAME, name, self.clock)) != kept.fingerprint:
                raise StageFailed(f"{name}: the edge serves another certificate ({served[:16]}…)", "run gitdeploy edge apply")

    def _store(self, say: Callable[[str], None] = lambda text: None) -> CertificateStore:
        return CertificateStore(self.home, say)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.home.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(self.home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if not lock_within(fd, PATIENCE):
                raise StageFailed(f"another process has had the edge for {PATIENCE:.0f} s", "run gitdeploy edge apply later")
            yield
        finally:
            os.close(fd)
