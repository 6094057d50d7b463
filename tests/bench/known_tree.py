"""A push of a tree that was built before: how long until the Deploy stage begins.

    python -m tests.bench.known_tree [--runs N] [--files N] [--engine-root DIR] [--engine-feature NAME=VALUE]

Two trees of N files (53 MB together) are pushed in turn, each time as a new commit, to a Gogs-shaped directory on this disk;
both were built before. Counted is everything from the start of `git push`: git itself, the hook, the start of the worker and
of Python, Checkout, Read VERSION and Build. The same pushes to a repository without a hook show git's own part.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import time
from pathlib import Path

from tests.bench.ground import ground
from tests.support import apps, gogs
from tests.support.engine import PrivateEngine
from tests.support.installed import Installed, install
from tests.support.net import free_port, isolate_network

APP = "bench/known"
TOTAL = 53_000_000  # bytes in all files together


def main(runs: int, files: int, private: PrivateEngine) -> None:
    """Runs the measurement."""
    with ground(private) as (directory, client):
        server = gogs.create(directory / "data")
        site = install(server, {})
        site.enrol(APP, "bench/known", free_port(), "push = { enabled = false }\n", container="known")
        plain = directory / "plain.git"
        subprocess.run(["git", "init", "--quiet", "--bare", plain], check=True)
        clone = fill(directory / "clone", files)
        bare, ours, stages = measure(clone, site, server.local(APP), gogs.Remote(str(plain)), runs)
        version = client.version()["Version"]
        print(f"engine {version}, {files} files of {TOTAL / 1e6:.0f} MB, {runs} pushes; median (least to most)")
        print(f"  git push to a repository without a hook   {shown(bare)}")
        print(f"  git push to the begin of Deploy           {shown(ours)}")
        print(f"  of that Checkout, Read VERSION and Build  {shown(stages)}")


def shown(seconds: list[float]) -> str:
    """Their median and range."""
    return f"{statistics.median(seconds):6.3f} s   ({min(seconds):.3f} to {max(seconds):.3f})"


def fill(path: Path, files: int) -> apps.SampleApp:
    """A clone with so many files, and two releases as the branches one and two."""
    clone = apps.create(path)
    source = random.Random(1)
    for number in range(files):
        file = path / f"d{number % 100:02}" / f"file{number}"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(source.randbytes(TOTAL // files))
    for branch in ("one", "two"):
        clone.release(branch)
        clone.git("branch", branch)
    return clone


def measure(
    clone: apps.SampleApp, site: Installed, remote: gogs.Remote, plain: gogs.Remote, runs: int
) -> tuple[list[float], list[float], list[float]]:
    """Seconds of a push without a hook; from a push to the begin of Deploy; and of the stages in between."""
    bare: list[float] = []
    ours: list[float] = []
    stages: list[float] = []
    for run in range(-2, runs):  # the first two build
        tree = clone.git("rev-parse", ("one", "two")[run % 2] + "^{tree}")
        commit = clone.git("commit-tree", tree, "-p", "main", "-m", f"at {time.time_ns()}")
        clone.git("update-ref", "refs/heads/main", commit)
        taken = clone.push(plain).seconds
        started = time.time()
        push = clone.push(remote)
        assert "is live" in push.text, push.text
        if run >= 0:
            assert "this tree is already built" in push.text, push.text
            begun = {stage["name"]: stage["started"] for stage in site.history(APP)[0]["stages"]}
            bare.append(taken)
            ours.append(begun["Deploy"] - started)
            stages.append(begun["Deploy"] - begun["Checkout"])
    return bare, ours, stages


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--engine-root", type=Path)
    parser.add_argument("--engine-feature", action="append", default=[])
    options = parser.parse_args()
    isolate_network()
    main(options.runs, options.files, PrivateEngine(options.engine_root, tuple(options.engine_feature)))
