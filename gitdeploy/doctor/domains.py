"""The domains of apps: whether they lead here, their certificates, and whether the edge does what is on record."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gitdeploy.config.domainchecks import edge_ports
from gitdeploy.config.edgesections import EdgeSettings
from gitdeploy.config.fronted import fronted
from gitdeploy.config.model import App
from gitdeploy.doctor.finding import Finding, from_error
from gitdeploy.doctor.reachable import Resolve, listener, own_addresses, resolve, resolve_all
from gitdeploy.edge.applied import read_applied
from gitdeploy.edge.boxedge import BoxEdge
from gitdeploy.edge.certificate import DAY, Certificate, day, moment
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.edgecontainer import NAME, find_edge
from gitdeploy.edge.extra import HINT, lacking
from gitdeploy.edge.fronting import secured
from gitdeploy.edge.given import given_certificate
from gitdeploy.edge.renewal import Setback
from gitdeploy.engine.ports import port_holder
from gitdeploy.engine.types import Container
from gitdeploy.errors import GitdeployError, StageFailed

CHECK = "domains"

APPLY = "gitdeploy edge apply"

SOON = 14 * DAY
"""Seconds before the end of a certificate that nobody renews by himself."""


@dataclass(frozen=True)
class Vantage:
    """What can be seen from here.

    Attributes:
        resolve: returns the addresses of a name. Raises OSError.
        own: addresses of this machine; () where the engine is on another.
        holder: the program that listens on a port of this machine, in words; "" for none.
        now: seconds since the epoch.
    """

    resolve: Resolve
    own: Collection[str]
    holder: Callable[[int], str]
    now: float


def vantage(here: bool, now: float) -> Vantage:
    """Return what can be seen from this process; `here`: whether the engine is on this machine."""
    return Vantage(resolve, own_addresses() if here else (), listener if here else lambda port: "", now)


class _Unheard:
    """An `Output` for what says nothing."""

    def line(self, text: str, *, detail: bool = False) -> None:
        """Do nothing."""

    def progress(self, key: str, text: str) -> None:
        """Do nothing."""


def examine_domains(edge: BoxEdge, at: Vantage) -> Iterator[Finding]:
    """Look at all domains; there is nothing to say where no app has any, and no edge runs."""
    live, config = edge.live(), edge.config
    apps = [found for app in config.apps.values() if (found := fronted(config, live.get(app.name, app))).domains]
    container = find_edge(edge.engine())
    if not apps and not config.edge.git and container is None:
        return
    wants_tls = [app for app in apps if secured(app)]
    missing = list(lacking()) if wants_tls or config.edge.git else []
    if missing:
        yield Finding("error", CHECK, f"certificates need Python packages: {', '.join(missing)}", HINT)
    names = [name for app in apps for name in app.domains] + [config.edge.git] * bool(config.edge.git)
    yield from judge_names(names, config.edge, at)
    routes = edge.routes(live)
    for app in apps:
        if lost := sorted({route.key.rstrip("/") for route in routes if route.domain in app.domains and not route.upstreams}):
            where = f"{', '.join(lost)}: nothing answers, for what is live was released before it had domains"
            yield Finding("warning", CHECK, where, f"gitdeploy deploy {app.name}", app.name)
    if routes or container:
        yield from _examine_container(edge, container, at)
    if not missing:
        yield from _examine_certificates(edge, [app for app in wants_tls if app.name in live], at.now)


def judge_names(names: Sequence[str], settings: EdgeSettings, at: Vantage) -> Iterator[Finding]:
    """Yield which names do not lead to this machine, as far as that can be seen; a wildcard cannot be asked for."""
    found = resolve_all([name for name in names if not name.startswith("*.")], at.resolve)
    wrong = []
    for name, addresses in found.items():
        text = _elsewhere(addresses, at.own, behind=bool(settings.trusted_proxies))
        if text:
            wrong.append(name)
            fix = "let its A and AAAA records lead to this machine, where an authority and browsers look for it"
            yield Finding("warning", CHECK, f"{name} {text}", fix)
    if right := len(found) - len(wrong):
        yield Finding(
            "ok", CHECK, f"names that have an address{'' if settings.trusted_proxies else ' of this machine'}: {right}"
        )


def _elsewhere(addresses: Sequence[str] | str, own: Collection[str], *, behind: bool) -> str:
    """Return what is wrong with where a name leads, "" for nothing. Pure.

    Args:
        addresses: its own, or why it has none.
        behind: whether a load balancer stands in front, whose address it has.
    """
    if isinstance(addresses, str):
        return f"has no address: {addresses}"
    inner = [address for address in addresses if ipaddress.ip_address(address.partition("%")[0]).is_loopback]
    if inner:
        return f"leads to {inner[0]} on this machine (/etc/hosts?); what others are told cannot be seen from here"
    strange = [address for address in addresses if address not in own]
    if not own or behind or not strange:
        return ""
    text = f"leads to {', '.join(strange)}, which this machine does not have"
    return f"{text}; right only if a router passes ports 80 and 443 of it on to this machine"


def _examine_container(edge: BoxEdge, container: Container | None, at: Vantage) -> Iterator[Finding]:
    """Yield whether the edge runs and does what is on record, and who is in its way if it does not run."""
    if container is None or not container.running:
        state = f"is {container.state}" if container else "is not there"
        yield Finding("error", CHECK, f"the edge's container {NAME} {state}: no domain answers", APPLY)
        yield from judge_edge_ports(edge.config.edge, edge.engine().containers({}, all=False), at.holder)
        return
    try:
        wrong = edge.differences(_Unheard())
    except StageFailed as error:
        yield from_error(CHECK, error)
        return
    if wrong and not read_applied(edge.home).digest:
        found = f"a change of the edge goes on, as in a deployment, or was cut off: {', '.join(wrong)}"
        yield Finding("warning", CHECK, found, f"{APPLY}, if no deployment goes on")
    elif wrong:
        yield Finding("error", CHECK, f"the edge does not do what is on record: {', '.join(wrong)}", APPLY)
    else:
        yield Finding("ok", CHECK, f"the edge {NAME} does what is on record")


def judge_edge_ports(
    settings: EdgeSettings, containers: Sequence[Container], holder: Callable[[int], str]
) -> Iterator[Finding]:
    """Yield which container or program has a port of the edge's, which does not run.

    Args:
        containers: all that run.
    """
    for port in edge_ports(settings):
        other = port_holder(containers, port)
        found = f"container {other.name} ({other.image_ref})" if other else holder(port.host_port)
        if found:
            fix = "stop it or give it another port; what answers for names there could be an app with domains"
            yield Finding("error", CHECK, f"host port {port.host_port} is taken by {found}", fix)


def _examine_certificates(edge: BoxEdge, apps: Sequence[App], now: float) -> Iterator[Finding]:
    store = CertificateStore(edge.home, lambda text: None)
    kept, setbacks = store.certificates(), store.setbacks()
    good = 0
    for app in apps:
        if app.tls.certificate:
            found = list(_judge_given(app, now))
            good += not found
            yield from found
            continue
        for name in app.domains:
            authority = edge.config.edge.acme if app.tls.mode == "auto" else ""
            finding = judge_certificate(name, kept.get(name), setbacks, authority, now)
            good += finding is None
            if finding:
                yield Finding(finding.level, CHECK, finding.found, finding.fix, app.name)
    if (git := edge.config.edge.git) and (
        finding := judge_certificate(git, kept.get(git), setbacks, edge.config.edge.acme, now)
    ):
        yield finding
    if good:
        yield Finding("ok", CHECK, f"certificates in order: {good}")


def _judge_given(app: App, now: float) -> Iterator[Finding]:
    """Yield that a certificate of config.toml ends soon; what is wrong with its files is another check's."""
    try:
        given = given_certificate(app, now)
    except GitdeployError:
        return
    if given and given.not_after < now + SOON:
        found = f"{app.tls.certificate} ends in {_days(given.not_after - now)}, on {day(given.not_after)}"
        yield Finding("warning", CHECK, found, "put a newer one in its place: it is served within a minute", app.name)


def judge_certificate(
    name: str, certificate: Certificate | None, setbacks: Mapping[str, Setback], authority: str, now: float
) -> Finding | None:
    """Return what is wrong with the certificate that gitdeploy keeps for a name, None for nothing. Pure."""
    setback = setbacks.get(name) or setbacks.get(authority)
    why = f": {setback.reason}" if setback else ""
    fix = f"it is tried again at {moment(setback.next_at)}" if setback else APPLY
    if certificate is None or not certificate.covers(name):
        return Finding("error", CHECK, f"{name} has no certificate, and browsers refuse it{why}", fix)
    left = certificate.not_after - now
    if left <= 0:
        return Finding("error", CHECK, f"the certificate of {name} ended on {day(certificate.not_after)}{why}", fix)
    if left < (certificate.not_after - certificate.not_before) / 6:
        return Finding("warning", CHECK, f"the certificate of {name} ends in {_days(left)} and was not renewed{why}", fix)
    return None


def _days(seconds: float) -> str:
    return f"{seconds / DAY:.0f} days" if seconds >= 2 * DAY else f"{seconds / 3600:.0f} hours"
