"""`docker run` as keys of an app's table. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields

from gitdeploy.config.runoptions import Run, option
from gitdeploy.jenkinsfile.dockercli import Parsed
from gitdeploy.jenkinsfile.draft import Draft
from gitdeploy.jenkinsfile.mounts import take_mount

_OTHERS = {
    **{"publish": "publish", "volume": "volumes", "name": "container", "restart": "restart", "env-file": "env_file"},
    **{"stop-timeout": "stop_timeout", "entrypoint": ""},
}
"""Options whose keys are not in `[apps.X.run]`, or that are read by themselves."""

_KEYS = {**{option(field.name): f"run.{field.name}" for field in fields(Run) if field.name != "command"}, **_OTHERS}
"""Option → key."""

_ARRAYS = {
    *(
        "publish",
        "volume",
        "tmpfs",
        "cap-add",
        "cap-drop",
        "group-add",
        "device",
        "add-host",
        "dns",
        "dns-search",
        "dns-option",
    ),
    "network-alias",
}
_TABLES = {"ulimit", "sysctl", "label", "log-opt"}
_SIZES = {"memory", "memory-swap", "memory-reservation", "shm-size"}
_FLAGS = {"init", "read-only", "privileged"}
_SECRET = {"label", "log-opt"}
"""Tables whose values are not shown."""

_UNITS = {"": "B", "b": "B", "k": "KiB", "m": "MiB", "g": "GiB"}
"""Of --memory: https://docs.docker.com/engine/containers/resource_constraints/."""
_LEFT_OUT = ("detach", "interactive", "tty", "quiet", "rm", "pull", "sig-proxy")

_FIXES = {
    "health-cmd": "a HEALTHCHECK in the Dockerfile, or health.path, says when a release serves",
    "publish-all": "name the ports in publish",
    "expose": "put it into the Dockerfile: EXPOSE",
    "volumes-from": "a release shares no other container's volumes, which go with it: name the volumes in volumes",
    "link": "put both on a network and name it in networks: there containers know each other by name",
    "cidfile": "containers come and go with each release: docker ps --filter label=gitdeploy.app=… finds them",
    "platform": "the image is built for the engine's own machine",
    "attach": "gitdeploy logs and docker logs show what it says",
    "oom-kill-disable": "set run.oom_score_adj, or run.memory",
}


def take_run(draft: Draft, line: int, parsed: Parsed) -> None:
    """Carry over the options of a `docker run` that begins in `line` of the Jenkinsfile."""
    take_options(draft, line, parsed)
    if not parsed.all("restart"):
        draft.note(line, 'docker run has no --restart, which means "no" there; here the default is "always"')
    _take_words(draft, line, "run.command", parsed.rest[1:], "the command after the image")


def take_options(draft: Draft, line: int, parsed: Parsed) -> None:
    """Carry over its options alone."""
    for name, value in parsed.options:
        _take(draft, line, name, value)


def _take(draft: Draft, line: int, name: str, value: str) -> None:
    written = f"--{name} {value}"
    if name == "env":
        _take_env(draft, line, value)
    elif name == "mount":
        take_mount(draft, line, value, written)
    elif name == "network":
        _take_network(draft, line, value, written)
    elif name == "security-opt":
        _take_security(draft, line, value, written)
    elif name == "entrypoint":
        _take_words(draft, line, "run.entrypoint", [value], written)
    elif name in _KEYS:
        _take_key(draft, line, name, value, written)
    elif name not in _LEFT_OUT:
        shown = f"--{name}" if value == "true" else written
        draft.note(line, f"{shown}: not carried over: {_FIXES.get(name, 'gitdeploy has no key for it')}")


def _take_key(draft: Draft, line: int, name: str, value: str, written: str) -> None:
    key = _KEYS[name]
    if name in _ARRAYS:
        draft.add(line, key, value, written)
    elif name in _TABLES:
        entry, _, text = value.partition("=")
        draft.put(line, key, entry, text, f"--{name} {entry}=…" if name in _SECRET else written)
    elif name in _FLAGS:
        draft.set(line, key, value == "true", written)
    elif name in _SIZES and (match := re.fullmatch(r"([0-9]{1,15})([bkmg]?)b?", value.lower())):
        draft.set(line, key, match[1] + _UNITS[match[2]], written)
    elif re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", value) and name not in _TEXTS:
        draft.set(line, key, float(value) if "." in value else int(value), written)
    else:
        draft.set(line, key, value, written)


_TEXTS = {"name", "user", "workdir", "hostname", "stop-signal", "cpuset-cpus", "gpus"}
"""Options whose values are texts even where they are numbers."""


def _take_words(draft: Draft, line: int, key: str, words: Sequence[str], written: str) -> None:
    if words and all(draft.known(line, written, word) for word in words):
        draft.set(line, key, list(words), written)


def _take_security(draft: Draft, line: int, value: str, written: str) -> None:
    name, _, state = value.replace("=", ":", 1).partition(":")
    if name == "no-new-privileges":
        draft.set(line, "run.no_new_privileges", state != "false", written)
    else:
        draft.add(line, "run.security_opt", re.sub(":", "=", value, count=1) if "=" not in value else value, written)


def _take_network(draft: Draft, line: int, value: str, written: str) -> None:
    """--network NAME, or name=NAME,alias=A,ip=…; host and none are told by the kind."""
    if "=" not in value:
        draft.add(line, "networks", value, written)
        return
    keys = {
        "name": "networks",
        "alias": "run.network_aliases",
        "ip": "run.ip",
        "ip6": "run.ip6",
        "mac-address": "run.mac_address",
    }
    for name, _, text in (part.partition("=") for part in value.split(",")):
        key = keys.get(name)
        if name in ("name", "alias"):
            draft.add(line, keys[name], text, written)
        elif key:
            draft.set(line, key, text, written)
        else:
            draft.note(line, f"{written}: not carried over: gitdeploy has no key for {name} of a network")


def _take_env(draft: Draft, line: int, value: str) -> None:
    name, equals, text = value.partition("=")
    if not equals:
        draft.note(line, f"--env {value}: takes its value from Jenkins' own environment: set it in env or env_file")
        return
    draft.put(line, "env", name, text, f"--env {name}=…")
