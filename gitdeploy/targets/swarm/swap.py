"""recreate on a cluster: the old service gives way, the new one takes its ports; the old one comes back if the new one fails.

For what cannot run twice: a volume that one may write, ports of the machines themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from gitdeploy.engine.cluster import ClusterService
from gitdeploy.engine.types import Container
from gitdeploy.releases.release import address
from gitdeploy.targets.docker.probe import OutOfReachError, ask_http, ask_tcp, engine_host
from gitdeploy.targets.router.container import find
from gitdeploy.targets.router.haproxycfg import published
from gitdeploy.targets.strategies.together import left_to_the_next
from gitdeploy.targets.swarm.clusterrollout import ClusterRollout
from gitdeploy.targets.swarm.entryservice import EntryService
from gitdeploy.targets.swarm.gateway import close_gateway, require_ports
from gitdeploy.targets.swarm.services import DIRECT, live_labels, look, version_of_service
from gitdeploy.targets.swarm.shrinking import end_release, put_back, remove_release, stand_aside
from gitdeploy.targets.target import Outcome
from gitdeploy.targets.undo import Undo


def swap(r: ClusterRollout) -> Outcome:
    """Bring the release live with an outage. On any failure the old service serves again before the error leaves."""
    app = r.release.app
    live = look(r.cluster, app).live
    live = live if live and live.replicas else None
    routers = find(r.engine, app)
    require_ports(r.engine, app, {router.id for router in routers})
    undo = Undo(r.output)
    with undo.on_failure():
        undo.add(f"removing {r.name}", partial(remove_release, r.cluster, app, r.name))
        service = r.create(0, publish=bool(app.publish))
        r.require_published()
        outage = _exchange(r, live, routers, service, undo)
        r.committed()
        direct = {DIRECT: "1"} if app.publish else {}
        r.cluster.label_service(service, {**direct, **live_labels(r.release.id, r.now())})
    with left_to_the_next(r.output):
        for other in look(r.cluster, app).services:
            if other.id != service:
                remove_release(r.cluster, app, other.name)
        close_gateway(r)
    return Outcome(outage, place=_place(r, service))


def _place(r: ClusterRollout, service: str) -> str:
    """Return where the new release answers, "" for ports of this machine."""
    if not r.release.app.publish:
        return f"service {r.name}"
    here, addresses = r.cluster.membership().node, {node.id: node.address for node in r.cluster.nodes()}
    on = next((task.node for task in r.cluster.tasks([service]) if task.running), here)
    return "" if on == here or not addresses.get(on) else address(r.release.app, addresses[on])


def _exchange(
    r: ClusterRollout, live: ClusterService | None, routers: Sequence[Container], service: str, undo: Undo
) -> float | None:
    """Let the old tasks end and the new ones begin; return the outage in seconds, None if nothing served."""
    app = r.release.app
    entries = EntryService(r.cluster, app)
    undo.add("starting the routers of other machines again", entries.restore, traffic=True)
    for router in routers:
        undo.add(f"starting {router.name} again", partial(r.engine.start, router.id), traffic=True)
    undo.add("starting the old release again", partial(put_back, r.cluster, live, r.credentials, r.patient), traffic=True)
    ending = partial(end_release, r.cluster, app, r.name, r.credentials, r.patient)
    undo.add("ending the new release", ending, traffic=True)
    began = r.clock()
    if live:
        r.output.line(f"stopping {app.container} {version_of_service(live)}")
    for router in routers:
        r.engine.stop(router.id, 0)
    entries.pause()
    stand_aside(r.cluster, live, r.credentials, r.patient, app.stop_timeout)
    replicas = 1 if app.publish else app.replicas
    r.output.line(f"starting {app.container} {r.release.version}" + (f" (x{replicas})" if replicas > 1 else ""))
    r.cluster.resize_service(service, replicas, r.credentials)
    asked = r.check.kind in ("http", "tcp") and published(app)
    reached = partial(_answering, r, service) if asked else None
    r.waiter.wait(service, replicas, app.health.patience, steady=0.0 if asked else r.steady, reached=reached)
    return r.clock() - began if live else None


def _answering(r: ClusterRollout, service: str) -> int:
    """Return how many tasks pass the health check at the ports that their machines publish."""
    app, check = r.release.app, r.check
    port = next((p.host_port for p in app.publish if p.container_port == check.port), 0)
    addresses = {node.id: node.address for node in r.cluster.nodes()}
    count = 0
    for task in r.cluster.tasks([service]):
        if not (task.running and port):
            continue
        known = addresses.get(task.node, "")
        address = (known if known not in ("", "0.0.0.0", "127.0.0.1") else engine_host(), port)
        try:
            answer = ask_http(address, app.health) if check.kind == "http" else ask_tcp(address, app.health, published=True)
        except OutOfReachError:
            answer = ""  # a firewall between machines does not make it unhealthy
        count += not answer
    return count


def leave_cluster(r: ClusterRollout) -> Outcome:
    """Let a process end with the switch that the new release does not have; it is removed once all others run."""
    live = look(r.cluster, r.release.app).live
    undo = Undo(r.output)
    with undo.on_failure():
        r.require_published()
        undo.add("starting it again", partial(put_back, r.cluster, live, r.credentials, r.patient), traffic=True)
        if live and live.replicas:
            r.output.line(f"stopping {live.name}: there is to be none of it")
        stand_aside(r.cluster, live, r.credentials, r.patient, r.release.app.stop_timeout)
        r.committed()
    return Outcome(None)


def take_process_away(r: ClusterRollout) -> None:
    """Remove all of a process: services, secrets, router and network. Raises EngineError."""
    app = r.release.app
    for service in look(r.cluster, app).services:
        remove_release(r.cluster, app, service.name)
    close_gateway(r)
