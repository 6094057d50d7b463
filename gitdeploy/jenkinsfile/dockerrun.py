"""`docker run` as keys of an app's table. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gitdeploy.config.problems import quoted
from gitdeploy.jenkinsfile.dockercli import Parsed
from gitdeploy.jenkinsfile.draft import Draft

_ARRAYS = {"publish": "publish", "volume": "volumes", "network": "networks"}
_VALUES = {"name": "container", "restart": "restart", "env-file": "env_file", "log-driver": "run.log_driver"}
_NUMBERS = {"cpus": "run.cpus", "pids-limit": "run.pids_limit"}
_UNITS = {"": "B", "b": "B", "k": "KiB", "m": "MiB", "g": "GiB"}
"""Of --memory: https://docs.docker.com/engine/containers/resource_constraints/."""
_LEFT_OUT = ("detach", "interactive", "tty", "quiet", "rm", "pull", "sig-proxy")

_FIXES = {
    "health-cmd": "a HEALTHCHECK in the Dockerfile, or health.path, says when a release serves",
    "publish-all": "name the ports in publish",
    "privileged": "gitdeploy runs nothing privileged",
    "entrypoint": "put it into the Dockerfile: ENTRYPOINT",
    "user": "put it into the Dockerfile: USER",
    "workdir": "put it into the Dockerfile: WORKDIR",
    "label": "put it into the Dockerfile: LABEL; for Traefik or Caddy there is router.labels",
    "expose": "put it into the Dockerfile: EXPOSE",
}


def take_run(draft: Draft, line: int, parsed: Parsed) -> None:
    """Carry over the options of a `docker run` that begins in `line` of the Jenkinsfile."""
    for name, value in parsed.options:
        _take(draft, line, name, value)
    if not parsed.all("restart"):
        draft.note(line, 'docker run has no --restart, which means "no" there; here the default is "always"')
    if parsed.rest[1:]:
        command = quoted(" ".join(parsed.rest[1:]))
        draft.note(line, f"the command {command} after the image: put it into the Dockerfile: CMD")


def _take(draft: Draft, line: int, name: str, value: str) -> None:
    written = f"--{name} {value}"
    if name in _ARRAYS:
        draft.add(line, _ARRAYS[name], value, written)
    elif name in _VALUES:
        draft.set(line, _VALUES[name], value, written)
    elif name == "stop-timeout" and value.isdecimal() and len(value) < 6:
        draft.set(line, "stop_timeout", int(value), written)
    elif name in _NUMBERS and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        draft.set(line, _NUMBERS[name], float(value) if "." in value else int(value), written)
    elif name == "memory" and (match := re.fullmatch(r"([0-9]{1,15})([bkmg]?)b?", value.lower())):
        draft.set(line, "run.memory", match[1] + _UNITS[match[2]], written)
    elif name == "log-opt" and "=" in value:
        option, _, text = value.partition("=")
        draft.put(line, "run.log_opts", option, text, f"--log-opt {option}=…")
    elif name == "env":
        _take_env(draft, line, value)
    elif name == "mount":
        _take_mount(draft, line, value.split(","), written)
    elif name not in _LEFT_OUT:
        shown = f"--{name}" if value == "true" else written
        draft.note(line, f"{shown}: not carried over: {_FIXES.get(name, 'gitdeploy has no key for it')}")


def _take_env(draft: Draft, line: int, value: str) -> None:
    name, equals, text = value.partition("=")
    if not equals:
        draft.note(line, f"--env {value}: takes its value from Jenkins' own environment: set it in env or env_file")
        return
    draft.put(line, "env", name, text, f"--env {name}=…")


def _take_mount(draft: Draft, line: int, parts: Sequence[str], written: str) -> None:
    """--mount type=bind,source=/a,target=/b,readonly (docs.docker.com/engine/storage/bind-mounts/)."""
    given = dict(part.partition("=")[::2] for part in parts)
    source = given.get("source") or given.get("src") or ""
    target = given.get("target") or given.get("destination") or given.get("dst") or ""
    if given.get("type") not in ("bind", "volume", None):
        draft.note(line, f"{written}: not carried over: gitdeploy has no key for it")
        return
    read_only = ":ro" if given.get("readonly", given.get("ro", "false")) in ("", "true", "1") else ""
    draft.add(line, "volumes", f"{source}:{target}{read_only}", written)
