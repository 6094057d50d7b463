"""What the hooks cost where nothing is deployed: post-receive alone in each shell, whole pushes, and single moves of a ref.

    python -m tests.bench.hook [RUNS]

The hook alone is compared with an empty shell script, the push to an enrolled repository with pushes to one that has an empty
custom hook and to one that has none, and `git update-ref` of another branch there with one without hooks. All take turns, so
that a busy machine is busy for all of them; medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from gitdeploy.gitserver.enrolment import enrol
from gitdeploy.gitserver.hookconf import HookConf
from tests.support import apps, gogs, hooks
from tests.support.guards import GIT_CONFIG

SHELLS = {"dash": ["/bin/dash"], "bash": ["/bin/bash"], "busybox sh": ["/bin/busybox", "sh"]}
EMPTY = "#!/bin/sh\nexit 0\n"


def main(runs: int) -> None:
    """Measures both."""
    with tempfile.TemporaryDirectory(prefix="gitdeploy-bench-") as name:
        directory = Path(name)
        (directory / ".gitconfig").write_text(GIT_CONFIG)
        os.environ.update(HOME=name, GIT_CONFIG_GLOBAL=str(directory / ".gitconfig"))
        hook_alone(directory, runs * 5)
        pushes(directory, runs)
        moves(directory, runs * 5)


def hook_alone(directory: Path, runs: int) -> None:
    """The hook with a ref that is not deployed, against an empty script."""
    print(f"the hook alone, branch not deployed, {runs} runs each")
    empty = directory / "empty"
    empty.write_text(EMPTY)
    for name, shell in SHELLS.items():
        site = hooks.create(directory / name, shell)
        site.configure("refs/heads/main")
        hook = site.repository / "custom_hooks" / "post-receive"
        show(medians({"hook": partial(run, site, hook), "empty script": partial(run, site, empty)}, runs), name)


def run(site: hooks.HookSite, script: Path) -> None:
    """Runs a script as the hook of this repository."""
    update = f"{hooks.OLD} {hooks.NEW} refs/heads/feature\n".encode()
    subprocess.run([*site.shell, str(script)], input=update, cwd=site.repository, check=True)


def pushes(directory: Path, runs: int) -> None:
    """`git push` of a new branch through Gogs' delegate hooks, by path."""
    print(f"git push of a branch that is not deployed, {runs} runs each")
    server = gogs.create(directory / "data")
    clone = apps.create(directory / "clone")
    clone.release("0.0.1")
    for name in ("none", "empty", "enrolled"):
        server.create_repository(f"bench/{name}")
    custom = server.repository("bench/empty") / "custom_hooks"
    custom.mkdir()
    (custom / "post-receive").write_text(EMPTY)
    (custom / "post-receive").chmod(0o755)
    (directory / "gitdeploy").mkdir()
    conf = HookConf("bench/enrolled", [str(directory / "gitdeploy")], ["refs/heads/main"], 60)
    enrol(server.data, server.repository("bench/enrolled"), conf)
    count = 0

    def push(name: str) -> None:
        nonlocal count
        count += 1
        remote = server.local(f"bench/{name}")
        command = ["git", "-C", str(clone.path), "push", "--quiet", remote.url, f"HEAD:refs/heads/feature-{count}"]
        subprocess.run(command, env={**os.environ, **remote.environ}, check=True)

    ways = {"enrolled": "enrolled", "empty custom hook": "empty", "no custom hook": "none"}
    show(medians({label: partial(push, name) for label, name in ways.items()}, runs), "git push")


def moves(directory: Path, runs: int) -> None:
    """`git update-ref` of a branch that is not deployed; run after `pushes`, in its repositories."""
    print(f"git update-ref of a branch that is not deployed, {runs} runs each")
    count = 0

    def move(name: str) -> None:
        nonlocal count
        count += 1
        repository = directory / f"data/git/gogs-repositories/bench/{name}.git"
        command = ["git", "-C", str(repository), "update-ref", f"refs/heads/moved-{count}", "refs/heads/feature-1"]
        subprocess.run(command, check=True)

    for name in ("enrolled", "none"):
        repository = directory / f"data/git/gogs-repositories/bench/{name}.git"
        newest = subprocess.run(
            ["git", "-C", str(repository), "for-each-ref", "--count=1", "--format=%(objectname)"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        subprocess.run(["git", "-C", str(repository), "update-ref", "refs/heads/feature-1", newest], check=True)
    ways = {"enrolled": partial(move, "enrolled"), "without hooks": partial(move, "none")}
    show(medians(ways, runs), "git update-ref")


def medians(ways: Mapping[str, Callable[[], None]], runs: int) -> dict[str, float]:
    """Runs all ways in turn; the median of each in milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for run in range(runs + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if run:  # the first one warms up
                times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def show(found: Mapping[str, float], what: str) -> None:
    """Prints the medians, and the first one's against the others."""
    (name, own), *others = found.items()
    print(f"  {what}: {name} {own:.2f} ms", end="")
    for other, value in others:
        print(f"; {other} {value:.2f} ms: {own - value:+.2f} ms, {own / value:.2f} times", end="")
    print()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
