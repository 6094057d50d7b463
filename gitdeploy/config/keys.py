"""Every key of config.toml in one table: what it takes, what it is for, and who may set it.

The validator, `config show` and the reference in docs/configuration.md all come from here; defaults come from the model.

Who may set a key (`Key.tree`) is decided by what a pusher could do with it who wants more than his own app:

- "yes": concerns this app's own containers, and the Dockerfile of the same tree could do it anyway.
- "allow": reaches beyond that (a port of the host, a network with other containers on it, tags that others pull, disk), in a
  way that can be checked against the other apps. The server's `allow` list hands it out, app by app.
- "no": paths on the server, names and images by which other apps are known, what may be deployed and what guards the
  box. Whoever sets these can reach another app or the host, so no list can hand them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from gitdeploy.config import formats as f
from gitdeploy.config.edgekeys import EDGE_APP_KEYS
from gitdeploy.config.key import Key
from gitdeploy.config.portformats import PORTS
from gitdeploy.config.runkeys import RUN_KEYS
from gitdeploy.config.values import FLAG, SETTING, SHARE, choice, duration, many, named, size, whole

MAX_REPLICAS = 32
"""Of one app: a tree may set it, and one box has to carry it."""


def _table(keys: Iterable[Key]) -> Mapping[str, Key]:
    return MappingProxyType({key.path: key for key in keys})


_APP = (
    Key("image", f.templated(f.IMAGE, "127.0.0.1:5000/{owner}/{repo}"), "repository of the image, any registry; no tag"),
    Key("container", f.templated(f.CONTAINER, "{owner}-{repo}"), "name of the container that runs"),
    Key(
        "adopt",
        FLAG,
        "take over a container and tags of before; unset: if no option is lost",
        example=True,
    ),
    Key("branch", many(f.BRANCH, at_least=1), 'what is deployed when it is pushed; also patterns and "refs/tags/v*"'),
    Key("publish", PORTS, "ports: HOST:CONTAINER, IP:HOST:CONTAINER, 8000-8010:8000-8010, …/udp", "allow", ["8080:80"]),
    Key(
        "strategy",
        choice("recreate", "rolling", "blue-green", "canary"),
        "recreate | rolling | blue-green | canary; only recreate has an outage",
        "yes",
        option="strategy",
    ),
    Key("target", choice("docker", "swarm"), "docker | swarm: containers of this engine, or services of its cluster"),
    Key("replicas", whole(1, MAX_REPLICAS), "containers that serve at the same time", "yes"),
    Key("max_surge", whole(1, MAX_REPLICAS), "rolling: how many replicas above that may run for a moment", "yes"),
    Key(
        "hold", duration("0s", "1d"), "blue-green: how long the old release waits for an instant rollback", "yes", option="hold"
    ),
    Key("env", named(f.NAME, SETTING), "environment of the container", "yes", {"GREETING": "hi"}, secret=True),
    Key("env_file", f.PATH, "NAME=VALUE lines, mode 0600; wins over env", example="/var/lib/gitdeploy/secrets/dev-app.env"),
    Key("volumes", many(f.VOLUME), "mounts: /path:/path, name:/path, …:ro,z", "allow", ["dev-app-data:/data"]),
    Key("networks", many(f.NETWORK), "networks to join, the first as the container's own", "allow", ["backend"]),
    Key("restart", f.RESTART, "always | unless-stopped | on-failure:N | no", "allow"),
    Key("stop_timeout", duration("0s", "1h"), "from the stop signal to SIGKILL", "yes"),
    Key("on_new_push", choice("finish", "cancel"), "finish | cancel the running deployment when a newer push comes"),
    Key("queue", whole(1, 1000), "pushes that may wait; the oldest beyond that are superseded"),
    Key("version_file", f.TREE_PATH, "path in the tree of the file whose first line is the version", "yes"),
    Key(
        "paths",
        many(f.FILES),
        "files that concern this app: a push that changes none deploys nothing",
        example=["admin/**"],
    ),
    Key(
        "formerly",
        many(f.APP_NAME),
        "names that its containers and images still bear; by gitdeploy rename",
        example=["o/r"],
    ),
    Key(
        "taken_from",
        many(f.INSTALLATION),
        "ids of gitdeploys that had this app before; by enrol --take-over",
        example=["0123456789abcdef"],
    ),
    Key("repository", f.REPOSITORY, "another repository of the Git server, or the path of a bare one", example="devops/shop"),
    Key(
        "verify",
        f.COMMAND,
        "program that judges the image before anything of it runs; 0 goes on",
        example=["trivy", "image", "{image}"],
    ),
    Key("verify_timeout", duration("1s", "1d"), "limit of that program"),
    Key("require_signed.allowed_signers", f.PATH, "SSH keys: ssh-keygen's file", example="/etc/gitdeploy/allowed_signers"),
    Key("require_signed.keyring", f.PATH, "OpenPGP keys: what gpg --export wrote", example="/etc/gitdeploy/signers.gpg"),
    *EDGE_APP_KEYS,
    *RUN_KEYS,
    Key("build.dockerfile", f.TREE_PATH, "path in the tree", "yes"),
    Key("build.context", f.TREE_PATH, "directory of the tree that is sent to the build", "yes"),
    Key("build.target", f.STAGE, "stage of the Dockerfile, empty for the last", "yes", "runtime"),
    Key(
        "build.args",
        named(f.NAME, SETTING),
        "build arguments; *_PROXY and BUILDKIT_* by the server alone",
        "yes",
        {"PYTHON": "3.12"},
        secret=True,
    ),
    Key(
        "build.secrets",
        named(f.SECRET_ID, f.PATH),
        "for RUN --mount=type=secret: id = file, mode 0600",
        example={"npmrc": "/var/lib/gitdeploy/secrets/npmrc"},
    ),
    Key("build.engine", choice("auto", "buildkit", "classic"), "auto | buildkit | classic", "allow"),
    Key("build.output", choice("short", "full"), "short | full: what the pusher sees; the log has all", "yes", option="output"),
    Key(
        "build.cache_from",
        many(f.IMAGE_WITH_TAG),
        "images whose inline cache may be used; a tree names the app's own",
        "yes",
        ["6ain/dev-app:latest"],
    ),
    Key("build.frontends", many(f.IMAGE), "what `# syntax=` of a Dockerfile may name, any tag"),
    Key("build.bases", many(f.IMAGE), "images of other apps that FROM may name, any tag", example=["6ain/python-base"]),
    Key("build.inline_cache", FLAG, "write cache metadata into the image", "yes"),
    Key("build.pull", FLAG, "ask the registry for newer base images", "yes", option="pull"),
    Key("build.no_cache", FLAG, "build every step, and a known tree again", "yes", option="no-cache"),
    Key("build.timeout", duration("1s", "1d"), "limit of a build"),
    Key("build.max_context", size(10_000, 10**15), "limit of the build context, uncompressed"),
    Key("push.enabled", FLAG, "false: images stay on this engine, no registry is needed", "allow"),
    Key("push.tags", many(f.TAG_TEMPLATE), "{version}, {commit} and {branch} are filled in", "allow"),
    Key(
        "push.on_reused_version",
        choice("overwrite", "refuse", "skip"),
        "overwrite | refuse | skip, if VERSION is that of another tree",
        "allow",
    ),
    Key(
        "push.auth_file",
        f.PATH,
        "like Docker's config.json, mode 0600; none: Docker's own",
        example="/var/lib/gitdeploy/secrets/registry.json",
    ),
    Key("push.timeout", duration("1s", "1d"), "limit for all tags together"),
    Key("health.path", f.HTTP_PATH, "HTTP GET; none: the image's HEALTHCHECK, else TCP, else min_uptime", "yes", "/health"),
    Key("health.port", whole(0, 65535), "container port, 0 for the first published one", "yes"),
    Key("health.status", many(f.STATUS, at_least=1), "accepted HTTP statuses", "yes"),
    Key("health.headers", named(f.HEADER, f.HEADER_VALUE), "sent with the check", "yes", {"Host": "app.example"}, secret=True),
    Key("health.interval", duration("10ms", "1h"), "between two checks", "yes"),
    Key("health.timeout", duration("10ms", "10m"), "limit of one check", "yes"),
    Key("health.retries", whole(1, 1000), "failures in a row, after start_period, that end the wait", "yes"),
    Key(
        "health.start_period",
        duration("0s", "1h"),
        "failures do not count yet; a tree: 1h at most with retries x (interval + timeout)",
        "yes",
    ),
    Key("health.min_uptime", duration("0s", "1h"), "how long it must stay up where nothing can be asked", "yes"),
    Key("canary.weight", many(f.WEIGHT, at_least=1), "percent of the traffic, ascending steps", "yes", option="canary.weight"),
    Key(
        "canary.duration",
        duration("100ms", "1d"),
        "of each step; a tree and push options: 1d at most for all",
        "yes",
        option="canary.duration",
    ),
    Key("canary.max_5xx_rate", SHARE, "above the old release's own rate: undone", "yes"),
    Key("canary.min_requests", whole(0, 10**9), "fewer answers in a step are not judged", "yes"),
    Key("router.kind", choice("haproxy", "external"), 'haproxy | external (your own proxy); or router = "external"'),
    Key("router.image", f.IMAGE_WITH_TAG, "of the HAProxy container"),
    Key("router.mode", choice("http", "tcp"), "http | tcp", "allow"),
    Key("router.proxy_protocol", FLAG, "send the PROXY protocol to the app (tcp mode)", "allow"),
    Key("router.drain_timeout", duration("0s", "1d"), "what running requests get after the switch", "allow"),
    Key("router.nodes", f.NODE_LABEL, "swarm: each machine with this label has a router", example="entry==yes"),
    Key(
        "router.labels",
        named(f.LABEL, SETTING),
        "on the app's containers, for Traefik or Caddy",
        example={"traefik.enable": "true"},
        secret=True,
    ),
    Key("swarm.constraints", many(f.CONSTRAINT), "which machines may run it; all must hold", example=["node.labels.zone==a"]),
    Key("swarm.spread", many(f.SPREAD), "labels over whose values its tasks are spread", example=["node.labels.zone"]),
    Key(
        "swarm.secret_files",
        many(f.NAME),
        "names of env_file that become files in /run/secrets, not variables",
        example=["DB_PASSWORD"],
    ),
    Key(
        "swarm.files",
        named(f.INNER_PATH, f.PATH),
        "path in the containers = file of the server",
        example={"/etc/shop.conf": "/srv/shop.conf"},
    ),
    Key("retain.releases", whole(1, 1000), "releases kept for a rollback, the running one included", "allow"),
    Key("retain.build_cache", size(0, 10**15), "build cache kept at a prune, 0 to leave the cache alone"),
)

_ALLOWABLE = tuple(key.path for key in _APP if key.tree == "allow")

APP_KEYS = _table(
    [*_APP, Key("allow", many(choice(*_ALLOWABLE)), "keys that the tree's gitdeploy.toml may set, too", example=["publish"])]
)

SERVER_KEYS = _table(
    [
        Key("host", f.HOST, 'shown in "is live at http://HOST:PORT"; empty: this machine\'s own name'),
        Key("parallel", whole(1, 64), "deployments that may build at the same time"),
        Key("relay_timeout", duration("1s", "1d"), "the hook lets the pusher go after that; the deployment goes on"),
        Key("log_size", size(10_000, 10**9), "of one deployment's log, the rest is cut"),
        Key("log_keep", whole(1, 100_000), "logs kept for each app"),
        Key("min_free", size(0, 10**15), "free disk space without which no deployment starts"),
        Key(
            "new_repositories",
            f.or_none(f.templated(f.IMAGE, "127.0.0.1:5000/{owner}/{repo}")),
            "image of repositories made later: their first push enrols them; by enrol --all",
            example="6ain/{repo}",
        ),
    ]
)

NOTIFY_KEYS = _table(
    [
        Key(
            "url",
            f.URL,
            "gets an HTTP POST of how a deployment ended, as JSON; of no refused push",
            example="https://chat.example/hook",
            secret=True,
        ),
        Key("events", many(choice("succeeded", "failed"), at_least=1), "what is told"),
    ]
)

PUSH_OPTIONS: Mapping[str, Key] = MappingProxyType({key.option: key for key in _APP if key.option})
