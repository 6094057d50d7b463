"""`docker run --mount` as keys of an app's table. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gitdeploy.jenkinsfile.draft import Draft

_TRUE = ("", "true", "1")
_KNOWN = {
    *("type", "source", "src", "target", "destination", "dst", "readonly", "ro", "bind-propagation", "volume-nocopy"),
    *("volume-driver", "volume-opt", "tmpfs-size", "tmpfs-mode", "consistency"),
}


def take_mount(draft: Draft, line: int, value: str, written: str) -> None:
    """--mount type=bind,source=/a,target=/b,readonly (docs.docker.com/engine/storage/bind-mounts/, …/volumes/, …/tmpfs/)."""
    given = dict(part.partition("=")[::2] for part in value.split(","))
    source = given.get("source") or given.get("src") or ""
    target = given.get("target") or given.get("destination") or given.get("dst") or ""
    kind = given.get("type", "volume")
    for name in given.keys() - _KNOWN:
        draft.note(line, f"{written}: gitdeploy has nothing for its {name}")
    if kind == "tmpfs":
        options = [f"{name}={given[f'tmpfs-{name}']}" for name in ("size", "mode") if f"tmpfs-{name}" in given]
        draft.add(line, "run.tmpfs", ":".join([target, *([",".join(options)] if options else [])]), written)
    elif kind not in ("bind", "volume"):
        draft.note(line, f"{written}: not carried over: gitdeploy has no key for it")
    elif "volume-opt" in given:
        draft.note(
            line, f"{written}: not carried over: make the volume once, by hand (docker volume create), and name it in volumes"
        )
    else:
        modes = [*(["ro"] if _flag(given, "readonly") or _flag(given, "ro") else []), *_options(given)]
        draft.add(line, "volumes", ":".join([source, target, *([",".join(modes)] if modes else [])]), written)
        if driver := given.get("volume-driver"):
            draft.set(line, "run.volume_driver", driver, written)


def _options(given: Mapping[str, str]) -> list[str]:
    propagation = given.get("bind-propagation")
    return [*(["nocopy"] if _flag(given, "volume-nocopy") else []), *([propagation] if propagation else [])]


def _flag(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "false") in _TRUE
