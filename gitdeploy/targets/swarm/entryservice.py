"""An app's routers on several machines, as a service: one task on each machine with the label that `router.nodes` names."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gitdeploy.config.dnsname import dns_name
from gitdeploy.config.model import App
from gitdeploy.config.runoptions import Run
from gitdeploy.engine.cluster import Cluster, ClusterService, Node, SecretFile, ServiceSpec, ServiceTask
from gitdeploy.engine.types import NEVER, Credentials
from gitdeploy.releases.release import APP, ROLE, SERVICE, process_label, process_of, target_label
from gitdeploy.targets.router.container import router_names
from gitdeploy.targets.router.haproxycfg import ALIAS, FILE, GIVE_UP, Settings, published, render, shape
from gitdeploy.targets.router.preamble import CONTROL_PORT
from gitdeploy.targets.swarm.readiness import TICK, TaskWaiter
from gitdeploy.targets.swarm.services import ENTRY, overlay_name, secret_name
from gitdeploy.targets.swarm.shrinking import ENDING

UNCHANGED = object()
"""Stands for what the service was before it was changed; None: there was none."""

NOWHERE = "node.id==none"
"""A constraint that no machine fulfils."""

GRACE = 5.0
"""Seconds for requests in progress when a router is replaced: its machine takes no others until they have ended."""

BEGIN = f"""\
ask() {{
    if command -v nc >/dev/null; then printf '%s\\n' "$2" | nc -w 3 "$1" {CONTROL_PORT}
    else timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/{CONTROL_PORT}" && printf "%s\\n" "$2" >&3 && cat <&3' bash "$1" "$2"
    fi
}}
learn() {{
    while :; do
        for router; do
            ask "$router" 'show servers state' >/tmp/servers 2>/dev/null
            if grep -q ' tasks[.]' /tmp/servers; then return; fi
        done
        sleep 0.5
    done
}}
learn "$@"
awk '
    NR == FNR && $1 == "#" {{ for (i = 2; i <= NF; i++) at[$i] = i - 1 }}
    NR == FNR && NF > 15 && $at["srv_fqdn"] ~ /^tasks[.]/ && $at["srv_admin_state"] % 4 == 0 {{
        name = $at["be_name"] "/" $at["srv_name"]
        host[name] = $at["srv_fqdn"]
        rest[name] = " init-addr " ($at["srv_addr"] == "-" ? "" : $at["srv_addr"] ",") "none weight " $at["srv_uweight"]
    }}
    NR == FNR {{ next }}
    $1 == "backend" {{ backend = $2 }}
    $1 == "server" && backend "/" $2 in host {{
        sub(/127[.]0[.]0[.]1/, host[backend "/" $2])
        sub(/ disabled$/, rest[backend "/" $2])
    }}
    {{ print }}' /tmp/servers /run/secrets/{FILE} >/tmp/{FILE}
exec haproxy -W -db -f /tmp/{FILE}"""
"""Learns of another router of the app which servers there are, and then starts HAProxy with them: so it comes back as it was
where a machine or the cluster starts it again, whoever is away then, and answers nothing before."""


def entry_name(app: App) -> str:
    """Return the name of the service."""
    return dns_name(app.container, "-entry")


def control_network(app: App) -> str:
    """Return the network on which there are the app's routers alone."""
    return dns_name(f"gitdeploy-{app.container}", "-control")


def constraint(app: App) -> str:
    """Return which machines have a router."""
    return f"node.labels.{app.router.nodes}"


def entry_nodes(app: App, nodes: Sequence[Node]) -> list[Node]:
    """Return the machines that are there and are to have a router. Pure."""
    label, _, value = app.router.nodes.partition("==")
    return [n for n in nodes if n.there and n.availability == "active" and n.labels.get(label) == value]


@dataclass
class EntryService:
    """The routers' service of one app. What it was before the first change that was asked for here can be brought back.

    Attributes:
        credentials: with which machines pull the image; only making the service needs them.
        image: "repository@sha256:…", which every machine can pull.
    """

    cluster: Cluster
    app: App
    credentials: Credentials = lambda _: None
    image: str = ""
    _before: object = UNCHANGED

    def find(self) -> ClusterService | None:
        """Return it as it is now, None if there is none."""
        found = self.cluster.services({APP: self.app.name, ENTRY: ""})
        return next((service for service in found if process_of(service.labels) == self.app.process), None)

    def fits(self, settings: Settings) -> bool:
        """Return whether it is what the app asks for."""
        found = self.find()
        return found is not None and found.labels[ENTRY] == self._made_by(settings)

    def bring_up(self, settings: Settings) -> None:
        """Make it what the app asks for, without waiting for its tasks; those that are so already stay. Raises EngineError."""
        found = self.find()
        self._remember(found)
        if not self.app.router.nodes or (found and found.labels[ENTRY] == self._made_by(settings)):
            return
        spec = self._spec(settings)
        if found:
            self.cluster.replace_service(found.id, spec, self.credentials)
        else:
            self.cluster.create_service(spec, self.credentials)

    def pause(self) -> None:
        """End its tasks, wherever they are, and wait for that: their machines' ports are needed. Raises EngineError."""
        found = self.find()
        self._remember(found)
        if found is None:
            return
        spec = ServiceSpec(
            found.name, found.image, labels={**found.labels, ENTRY: "paused"}, constraints=(NOWHERE,), everywhere=True
        )
        self.cluster.replace_service(found.id, spec, self.credentials)
        TaskWaiter(self.cluster, NEVER.wait, time.monotonic, lambda _: None).await_end(found.id, ENDING)

    def _remember(self, found: ClusterService | None) -> None:
        if self._before is UNCHANGED:
            self._before = self.cluster.kept_service(found.id) if found else None

    def restore(self) -> bool:
        """Make it what it was, and wait until its tasks run; return whether anything had been changed. Raises EngineError."""
        if self._before is UNCHANGED:
            return False
        found = self.find()
        if found and self._before is None:
            self.remove()
        elif found:
            self.cluster.restore_service(found.id, self._before)
            end = time.monotonic() + ENDING
            while self.lacking() and time.monotonic() < end:
                time.sleep(TICK)
        self._before = UNCHANGED
        return True

    def remove(self) -> None:
        """Remove it with what it has; its ports may be held for a moment longer. Raises EngineError."""
        found = self.find()
        if found:
            self.pause()
            self.cluster.remove_service(found.id)
            self._drop_files(None)

    def drop_files(self) -> None:
        """Remove the files of routers that are no more."""
        self._drop_files(self.find())

    def _drop_files(self, found: ClusterService | None) -> None:
        for secret in self.cluster.secrets({APP: self.app.name, ENTRY: ""}):
            own = process_of(secret.labels) == self.app.process
            if own and not (found and secret.id in found.secrets):
                self.cluster.remove_secret(secret.id)

    def tasks(self) -> list[ServiceTask]:
        """Return the tasks that run on machines that are there."""
        found = self.find()
        there = {node.id for node in self.cluster.nodes() if node.there}
        return [task for task in self.cluster.tasks([found.id] if found else []) if task.running and task.node in there]

    def lacking(self) -> list[Node]:
        """Return machines that are there and are to have a router, and do not run one."""
        have = {task.node for task in self.tasks()}
        return [node for node in entry_nodes(self.app, self.cluster.nodes()) if node.id not in have]

    def _made_by(self, settings: Settings) -> str:
        parts = (shape(settings), self.image, constraint(self.app), *map(str, published(self.app)))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _spec(self, settings: Settings) -> ServiceSpec:
        app, name, made_by = self.app, entry_name(self.app), self._made_by(settings)
        own = {APP: app.name, ROLE: SERVICE, ENTRY: made_by, **process_label(app), **target_label(app)}
        called = secret_name(name, made_by)
        secret = self.cluster.create_secret(called, render(settings, {}), own)
        others = (*router_names(app), f"tasks.{name}")
        begin = Run(
            entrypoint=("sh", "-c", BEGIN, "sh"),
            command=others,
            sysctls=GIVE_UP,
            stop_signal="SIGUSR1",
            no_new_privileges=app.run.no_new_privileges,
        )
        return ServiceSpec(
            name=name,
            image=self.image,
            networks=(overlay_name(app), control_network(app)),
            aliases=(ALIAS,),
            publish=published(app),
            labels=own,
            healthcheck=False,
            stop_timeout=GRACE,
            run=begin,
            secrets=(SecretFile(secret, called, FILE),),
            constraints=(constraint(app),),
            everywhere=True,
        )
