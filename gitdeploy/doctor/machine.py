"""The machine below: Python, packages, disk space."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gitdeploy import __version__
from gitdeploy.doctor.finding import Finding

PACKAGES = ("docker", "dulwich", "toml", "loguru", "h2")
COMFORTABLE = 5
"""How many times the least free space there should be."""


def examine_disks(home: Path | None, engine_root: Path | None, minimum: int) -> Iterator[Finding]:
    """Look for room; `engine_root`: the engine's data root if it is on this machine; `minimum`: see `judge_disk`."""
    disk = look_at_disk(home) if home else None
    if disk:
        yield from judge_disk(disk, minimum, "the records")
    engine = look_at_disk(engine_root) if engine_root else None
    if engine and (not disk or engine.device != disk.device):
        yield from judge_disk(engine, minimum, "images and containers")


def look_at_packages() -> dict[str, str | None]:
    """Return the version of each package that gitdeploy needs, None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def judge_packages(packages: Mapping[str, str | None]) -> Finding:
    """Return whether all are there. Pure but for the versions of gitdeploy and Python."""
    own = f"gitdeploy {__version__}, Python {platform.python_version()}"
    missing = [name for name, version in packages.items() if version is None]
    if missing:
        return Finding("error", "versions", f"{own}; not installed: {', '.join(missing)}", "run install.sh again")
    return Finding("ok", "versions", ", ".join([own, *(f"{name} {version}" for name, version in packages.items())]))


@dataclass(frozen=True)
class Disk:
    """The file system of a directory; bytes.

    Attributes:
        device: tells file systems apart.
        files: how many files it can hold, 0 if it has no such limit.
        free_files: how many more.
    """

    path: Path
    device: int
    size: int
    free: int
    files: int
    free_files: int


def look_at_disk(path: Path) -> Disk | None:
    """None if there is no such directory here, or it may not be looked at."""
    try:
        facts, device = os.statvfs(path), path.stat().st_dev
    except OSError:
        return None
    return Disk(path, device, facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize, facts.f_files, facts.f_favail)


def judge_disk(disk: Disk, minimum: int, what: str) -> Iterator[Finding]:
    """Yield whether there is room; `minimum`: bytes without which no deployment starts; `what` the directory is. Pure."""
    fix = "free some: gitdeploy prune; docker system df"
    room = f"{disk.free / 1e9:.1f} of {disk.size / 1e9:.1f} GB free for {what}, {disk.path}"
    if disk.free < minimum:
        yield Finding("error", "disk", f"{room}: less than server.min_free, {minimum / 1e9:.1f} GB", fix)
    elif disk.free < COMFORTABLE * minimum:
        yield Finding("warning", "disk", room, fix)
    else:
        yield Finding("ok", "disk", room)
    if disk.files and disk.free_files * 100 < disk.files:
        left = f"{disk.free_files} of {disk.files} files can still be made on the disk of {what}, {disk.path}"
        yield Finding("error" if disk.free_files == 0 else "warning", "disk", left, fix)
