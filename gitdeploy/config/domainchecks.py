"""Domains that are right by themselves and wrong together, within one app and between apps. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gitdeploy.config.attachments import Publish
from gitdeploy.config.edgesections import HTTP_INSIDE, HTTPS_INSIDE, EdgeSettings
from gitdeploy.config.model import WEB, App
from gitdeploy.config.partchecks import holders
from gitdeploy.config.problems import nearest, quoted

Problem = tuple[str, str]
"""Key path and what is wrong with it."""

NOT_PROVED = (
    'an authority gives no certificate for it by HTTP: expected [tls] certificate and key, or tls = "internal" or "off"'
)


def domain_problems(app: App) -> Iterator[Problem]:
    """Yield what contradicts itself in the domains of one app."""
    if (app.tls.certificate is None) is not (app.tls.key is None):
        missing = "certificate" if app.tls.certificate is None else "key"
        yield f"tls.{missing}", "expected both certificate and key, or neither"
    for name, process in app.proxy.routes.items():
        if process not in (WEB, *app.processes):
            close = nearest(process, list(app.processes))
            meant = f"; did you mean {quoted(close)}?" if close else ""
            yield "proxy.routes", f"{name}: the app has no process {quoted(process)}{meant}"
        elif app.domains and not app.of_process(process).led_to:
            yield "proxy.routes", f"{name}: process {process} publishes nothing: expected its port, such as port = 8000"
    if app.proxy.canonical and app.proxy.canonical not in app.domains:
        yield "proxy.canonical", f"expected one of domains, found {quoted(app.proxy.canonical)}"
    if not app.domains:
        return
    if not app.led_to:
        yield "domains", "the app publishes nothing that they could lead to: expected its port, such as port = 80"
    wild = [name for name in app.domains if name.startswith("*.")]
    if wild and app.tls.mode == "auto" and app.tls.certificate is None:
        yield "domains", f"{quoted(wild[0])}: {NOT_PROVED}"
    yield from _unreachable(app)


def _unreachable(app: App) -> Iterator[Problem]:
    """Yield why the edge could not reach the app."""
    if app.router.mode == "tcp":
        yield "router.mode", 'domains are told apart by HTTP: expected "http"'
    if app.router.kind == "external" and app.strategy != "recreate":
        yield "domains", 'with router = "external" your own proxy leads them: leave them out, or leave router out'
    if app.target == "swarm" and app.strategy == "recreate":
        yield "strategy", 'domains lead to a router on a cluster, and "recreate" has none: expected another strategy'
    if app.router.nodes and app.target == "swarm":
        yield "router.nodes", "domains lead to the router on gitdeploy's own machine: leave one of the two out"


def domains_taken(apps: Sequence[App]) -> Iterator[tuple[App, str, str]]:
    """Yield domains that two apps have, as (the later app, key, what is wrong)."""
    owners: dict[str, App] = {}
    for app in apps:
        for name in app.domains:
            if (owner := owners.setdefault(name, app)) is not app:
                yield app, "domains", f"{quoted(name)} is already a domain of {owner.name}"


def taken_from_others(edge: EdgeSettings, app: App, others: Sequence[App]) -> Iterator[Problem]:
    """Yield what an app with the values of a tree takes of another app, of the Git server or of the edge."""
    yield from ((key, text) for owner, key, text in domains_taken([*others, app]) if owner is app)
    if edge.git in app.domains:
        yield "domains", f"{quoted(edge.git)} is the Git server's domain"
    if edge.git or any(one.domains for one in (*others, app)):
        for key, text in _ports_taken(edge, [app]):
            yield key.removeprefix(f'apps."{app.name}".'), text


def edge_ports(edge: EdgeSettings) -> tuple[Publish, ...]:
    """Return the ports of this machine that the edge holds."""
    tcp = ((edge.http_port, HTTP_INSIDE), (edge.https_port, HTTPS_INSIDE))
    ports = [Publish(address, port, inside) for address in edge.listen or ("",) for port, inside in tcp]
    return (*ports, *(replace(port, protocol="udp") for port in ports if edge.http3 and port.host_port == edge.https_port))


def edge_problems(edge: EdgeSettings, apps: Sequence[App]) -> Iterator[Problem]:
    """Yield what is wrong between `[edge]` and the apps, by the key of the whole file."""
    if edge.http_port == edge.https_port:
        yield "edge.https_port", f"expected another port than http_port, found {edge.https_port} twice"
    if bool(edge.git) is not bool(edge.git_address):
        yield "edge.git_address" if edge.git else "edge.git", "expected both git and git_address, or neither"
    if bool(edge.eab_id) is not bool(edge.eab_key):
        yield "edge.eab_key" if edge.eab_id else "edge.eab_id", "expected both eab_id and eab_key, or neither"
    if edge.git.startswith("*."):
        yield "edge.git", f"{quoted(edge.git)}: {NOT_PROVED}"
    if edge.proxy_protocol and not edge.trusted_proxies:
        yield "edge.proxy_protocol", "expected trusted_proxies with the addresses of the load balancer"
    if owner := next((app for app in apps if edge.git in app.domains), None):
        yield "edge.git", f"{quoted(edge.git)} is already a domain of {owner.name}"
    if edge.git or any(app.domains for app in apps):
        yield from _ports_taken(edge, apps)


def _ports_taken(edge: EdgeSettings, apps: Sequence[App]) -> Iterator[Problem]:
    held = edge_ports(edge)
    for app in apps:
        published = ((table, port) for table, holder in holders(app) for port in holder.publish)
        for table, port in published:
            if any(port.clashes(taken) for taken in held):
                key = ".".join(filter(None, (table, "publish")))
                text = f"port {port} is the edge's, for domains: take it out, and set port = {port.container_port}"
                yield f'apps."{app.name}".{key}', text
