"""What a release is called: labels, container names, and the recipe that says whether an image exists already.

Pure. Containers are found by label, never by parsing names; the names are for people. Names of images: `imagenames`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gitdeploy.config.checks import processes
from gitdeploy.config.model import WEB, App
from gitdeploy.config.sections import Build

APP = "gitdeploy.app"
INSTALLATION = "gitdeploy.installation"
RELEASE = "gitdeploy.release"
VERSION = "gitdeploy.version"
COMMIT = "gitdeploy.commit"
ROLE = "gitdeploy.role"
SERVICE = "service"
"""The role of containers that a cluster makes and removes as it sees fit."""

REPLICA = "gitdeploy.replica"
PROCESS = "gitdeploy.process"
TARGET = "gitdeploy.target"
"""With the target of what another one than the engine itself has made."""

TREE = "gitdeploy.tree"
RECIPE = "gitdeploy.recipe"
ONE_OFF = "gitdeploy.oneoff"
"""With the kind of a container for one command: no strategy, router or recovery takes it for one of a release."""

TASK = "gitdeploy.task"
"""With the name of the task that such a container is for."""

SCHEDULED = "gitdeploy.run"
"""With the number of the run of a schedule that such a container is for."""

ACCESSORY = "gitdeploy.accessory"
"""With the name of an accessory, of which such a container is: it belongs to no release."""

ADOPTED = ".before-gitdeploy"
"""Suffix of a container that somebody else made and whose place gitdeploy took; kept stopped, to be put back by hand."""

TOP_LEVEL = ("com", "dev", "io", "net", "org")
"""With one of these begin labels that are named after a domain."""

DESCRIBING = frozenset({"org.opencontainers.image", "org.label-schema", "maintainer"})
"""Families of labels that no proxy goes by."""


@dataclass(frozen=True)
class Release:
    """One version of one app, built and ready to run.

    Attributes:
        id: of the deployment that made it.
        app: the configuration it runs with.
        version: from VERSION.
        commit: full commit id, "" if it is not known.
        image: id of the image on the engine.
    """

    id: int
    app: App
    version: str
    commit: str
    image: str


def container_labels(release: Release, role: str = "app") -> dict[str, str]:
    """Labels of a release's containers: enough to know everything that runs without state.db."""
    return {
        APP: release.app.name,
        RELEASE: str(release.id),
        VERSION: release.version,
        COMMIT: release.commit,
        ROLE: role,
        **process_label(release.app),
        **target_label(release.app),
    }


def process_label(app: App) -> dict[str, str]:
    """Return what tells the containers of this process of an app from those of "web", which have no such label."""
    return {} if app.process == WEB else {PROCESS: app.process}


def target_label(app: App) -> dict[str, str]:
    """Return what tells what an app's target makes from what the engine itself runs, which has no such label."""
    return {} if app.target == "docker" else {TARGET: app.target}


def process_of(labels: Mapping[str, str]) -> str:
    """Return which process of its app a container with these labels is, "worker"."""
    return labels.get(PROCESS, WEB)


def container_name(release: Release, replica: int = 1) -> str:
    """Return the name of a container while it does not bear the app's own name."""
    return f"{release.app.container}.{release.id}.{replica}"


def image_labels(app: App, *, commit: str, version: str, tree: str, recipe: str, now: float) -> dict[str, str]:
    """OCI labels (image-spec annotations.md) and gitdeploy's own; `now` in seconds since the epoch."""
    return {
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.source": app.name,
        "org.opencontainers.image.created": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        APP: app.name,
        TREE: tree,
        RECIPE: recipe,
    }


def recipe(tree: str, build: Build, bases: Sequence[tuple[str, str]]) -> str:
    """Return names everything that decides an image: two builds of one recipe give the same software.

    Args:
        tree: id of the whole tree (so VERSION, Dockerfile and .dockerignore are in it).
        bases: base image and its id on the engine, "" where the engine does not list it.
    """
    decides = [
        tree,
        build.dockerfile,
        build.context,
        build.target,
        sorted(build.args.items()),
        sorted(build.secrets),
        list(bases),
    ]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def label_number(labels: Mapping[str, str], label: str) -> int:
    """Return the number in a label, 0 for anything else: an image may have brought a label along."""
    text = labels.get(label, "")
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def label_problem(app: App, labels: Collection[str]) -> str:
    """Return why no container may be made of an image with these labels, "" if one may.

    Containers inherit labels, and a pusher writes the Dockerfile: it must not speak in gitdeploy's name, nor,
    where a proxy goes by labels, tell that proxy what is the server's to tell (router.labels, run.labels).
    """
    return next(filter(None, (_label_problem(part, labels) for part in processes(app))), "")


def _label_problem(app: App, labels: Iterable[str]) -> str:
    """Return the same of one process."""
    own = {*app.router.labels, *app.run.labels}
    families = {proxy_family(label.lower()) for label in own} - DESCRIBING  # in any case: to Traefik, all are the same
    for label in sorted(labels):
        if label.lower().startswith("gitdeploy.") and label not in (APP, INSTALLATION, TREE, RECIPE):
            return f"the image has the label {label!r}: labels that begin with gitdeploy. are gitdeploy's own"
        if label in own or label.startswith("org.opencontainers.image."):
            continue
        plain = re.sub(r"_\d+(?=\.|$)", "", label.lower())  # caddy_1 is a site of its own
        for family in families:
            if plain == family or plain.startswith(f"{family}."):
                by = "router.labels or run.labels of config.toml alone"
                return f"the image has the label {label!r}: those of {family} are set by {by}"
    return ""


def proxy_family(label: str) -> str:
    """Return what all labels of a proxy begin with, from one of them: "traefik", or a reverse domain name but its last part."""
    parts = label.split(".")
    return ".".join(parts[:-1]) if parts[0] in TOP_LEVEL and len(parts) > 2 else re.sub(r"_\d+$", "", parts[0])


def address(app: App, host: str) -> str:
    """Return where the app answers: "https://DOMAIN", "http://HOST:PORT", or "container NAME" if it publishes nothing."""
    if app.domains:
        scheme = "http" if app.tls.mode == "off" and not app.tls.certificate else "https"
        named = [name for name in app.domains if not name.startswith("*.")]
        return f"{scheme}://{app.proxy.canonical or (named or app.domains)[0]}"
    ports = [p for p in app.publish if p.protocol == "tcp"]
    if not ports:
        return f"container {app.container}"
    shown = ports[0].host_ip if ports[0].host_ip not in ("", "0.0.0.0", "::") else host
    shown = f"[{shown}]" if ":" in shown else shown
    scheme = "https" if ports[0].container_port == 443 else "http"
    return f"{scheme}://{shown}:{ports[0].host_port}"
