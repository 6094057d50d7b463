"""What keeps tests apart from the person who runs them, and from each other."""

from __future__ import annotations

import ctypes
import os
import pwd
import sys
from pathlib import Path

import docker
import pytest

REAL_HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)
PRIVATE = (".docker", ".gitconfig", ".ssh", ".netrc", ".config/git")

CLONE_NEWNS = 0x00020000  # linux/sched.h
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18  # linux/mount.h

# What Git, SSH, Docker, pip and HTTP clients would take from the person's own environment.
FOREIGN = ("GIT_", "GOGS_", "SSH_", "DOCKER_", "BUILDKIT_", "BUILDX_", "XDG_", "GITDEPLOY_", "PYTEST_ADDOPTS")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
ENGINE = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")  # the engine that was given to the tests

GIT_CONFIG = """\
[user]
    name = Alice
    email = alice@example.com
[init]
    defaultBranch = main
[safe]
    directory = *
[protocol "file"]
    allow = always
"""

SERVER_VARIABLES = ("PATH", "HOME", "LANG", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "DOCKER_CONFIG", *ENGINE)
Filter = dict[str, str | list[str] | bool]  # as docker's type stubs want it


def isolate(patch: pytest.MonkeyPatch, home: Path) -> None:
    """Gives this process and its children an empty home and an environment without the person's own settings."""
    for name in os.environ:
        if name not in ENGINE and (name.startswith(FOREIGN) or name.lower() in PROXIES):
            patch.delenv(name)
    (home / ".gitconfig").write_text(GIT_CONFIG)
    patch.setenv("HOME", str(home))
    patch.setenv("DOCKER_CONFIG", str(home / ".docker"))
    patch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("GIT_TERMINAL_PROMPT", "0")


def server_environment() -> dict[str, str]:
    """What a Git server started by a test passes on to Git and its hooks."""
    return {name: os.environ[name] for name in SERVER_VARIABLES if name in os.environ}


def forbid_reading_private_files() -> None:
    """From now on, opening one of the person's own private files in this process raises AssertionError."""
    forbidden = tuple(str(REAL_HOME / name) for name in PRIVATE)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(forbidden):
            raise AssertionError(f"a test opens {arguments[0]}, a real file of the person who runs it")

    sys.addaudithook(watch)


def hide_private_files() -> None:
    """Mount something empty over the person's own private files, for this process and its children alone.

    So they cannot be read or changed by a test, and what the person does with them meanwhile is not taken for a test's doing.
    Raises OSError where that is not permitted.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
        words = [word.encode() if word is not None else None for word in (source, target, kind)]
        if libc.mount(*words, flags, options.encode() if options else None) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)

    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    for path in (path for path in (REAL_HOME / name for name in PRIVATE) if path.exists()):
        if path.is_dir():
            mount("tmpfs", str(path.resolve()), "tmpfs", 0, "mode=700,size=1m")
        else:
            mount("/dev/null", str(path.resolve()), None, MS_BIND)


def private_files() -> dict[str, tuple[int, int]]:
    """What a test could have changed of the person's own private files: path → (mtime in ns, size)."""
    tops = [top for name in PRIVATE if (top := REAL_HOME / name).is_dir() and top.is_mount()]
    paths = [path for top in tops for path in top.rglob("*")]
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in paths}


def ours(client: docker.DockerClient) -> set[str]:
    """What tests and gitdeploy made on the engine and is still there, one description each."""
    label: Filter = {"label": "gitdeploy.app"}
    found = {f"container {container.name}" for container in client.containers.list(all=True, filters=label)}
    found |= {f"network {network.name}" for network in client.networks.list(filters=label)}
    found |= {f"image {image.id} {image.tags}" for image in client.images.list(filters=label)}
    found |= {f"image {tag}" for image in client.images.list() for tag in image.tags if tag.startswith("gitdeploy-test/")}
    return found


def remove_app(client: docker.DockerClient, app: str) -> None:
    """Removes every container, network and image of that app from the engine."""
    label: Filter = {"label": f"gitdeploy.app={app}"}
    for container in client.containers.list(all=True, filters=label):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters=label):
        network.remove()
    for image in client.images.list(filters=label):
        client.images.remove(str(image.id), force=True)
