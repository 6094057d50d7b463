"""Builds that send only what changed: gitdeploy with BuildKit against `docker build DIR` of the same commit.

    python -m tests.bench.sync [--runs N] [--files N]… [--engine-root DIR] [--engine-feature NAME=VALUE]

For each number of files, of 53 MB in all: the first build, and builds after one file has changed. Both build the same commits
in turn, on the same private engine; `docker build DIR` gets a directory without .git, into which `git checkout` brings the
commit: the time is told with that and without. Sent bytes are those that leave gitdeploy for the session with the engine. Peak
memory is that of a process that does nothing but one such build, and of its children: two Python interpreters.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.engine import dial, sessionopening
from tests.bench.build import ENVIRONMENT, Repository
from tests.bench.export import peak
from tests.bench.ground import ground
from tests.bench.one_build import Ours
from tests.support.engine import PrivateEngine
from tests.support.net import isolate_network

LARGE = 1_000_000_000
FIRSTS = 3


def main(runs: int, sizes: list[int], private: PrivateEngine) -> None:
    """Runs the comparison."""
    with ground(private) as (directory, client):
        os.environ.update(ENVIRONMENT)
        print(f"engine {client.version()['Version']}, {runs} runs each, in turn; medians")
        print(subprocess.run(["docker", "--version"], check=True, capture_output=True, text=True).stdout.strip())
        for size in sizes:
            with tempfile.TemporaryDirectory(dir=directory) as place:
                compare(Path(place), size, runs)
        large(directory)


def compare(directory: Path, size: int, runs: int) -> None:
    """Builds commits of one size, a new one for each build: an engine finds what it has built for anybody."""
    sent = counted()
    seconds: dict[str, list[float]] = defaultdict(list)
    for run in range(FIRSTS):
        for who in ("gitdeploy", "docker") if run % 2 else ("docker", "gitdeploy"):
            with tempfile.TemporaryDirectory(dir=directory) as place:
                Pair(Path(place), size, f"{run} {who}").timed(who, "first", seconds)
    pair, amounts = Pair(directory, size, "changed"), []
    for run in range(runs + 1):
        for who in ("gitdeploy", "docker") if run % 2 else ("docker", "gitdeploy"):
            pair.repository.one_file()
            before = sent[0]
            pair.timed(who, "changed" if run else "to fill the caches", seconds)
            amounts += [sent[0] - before] if run and who == "gitdeploy" else []
    print(f"\n{size:,} files")
    for what in ("first", "changed"):
        ours = statistics.median(seconds[f"{what}, gitdeploy"])
        print(f"  {what:<8} gitdeploy {ours:.2f} s ({_span(seconds[f'{what}, gitdeploy'])})")
        for other in ("docker", "checkout and docker"):
            taken = seconds[f"{what}, {other}"]
            median = statistics.median(taken)
            print(f"  {what:<8} {other} {median:.2f} s ({_span(taken)}): gitdeploy / this {ours / median:.2f}")
    print(
        f"  sent for one changed file: {statistics.median(amounts):,.0f} bytes, {statistics.median(amounts) / size:.0f} a file"
    )
    print(f"  peak memory: {peak_of(pair.repository.bare, pair.app) / 1e3:.0f} MB", flush=True)
    pair.ours.close()


def _span(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f}"


class Pair:
    """A repository, and both ways of building its newest commit."""

    def __init__(self, directory: Path, size: int, name: str) -> None:
        self.repository = Repository(directory, size, seed=name)
        self.app = f"bench/{size} {name}"
        self.ours = Ours(self.repository.bare, self.app)

    def timed(self, who: str, what: str, seconds: dict[str, list[float]]) -> None:
        """Builds it in one of the two ways, and notes how long that takes."""
        commit, checkout = self.repository.same_commit(), self.repository.checkout
        begun = time.monotonic()
        git = ["git", f"--git-dir={self.repository.bare}", f"--work-tree={checkout}", "checkout", "-q", "-f", commit, "--", "."]
        subprocess.run(git, check=True, env={**os.environ, "GIT_INDEX_FILE": f"{checkout}.index"})
        command = ["docker", "build", "-q", "-t", "bench-dir", str(checkout)]
        there = time.monotonic()
        if who == "gitdeploy":
            self.ours.build(commit)
        else:
            subprocess.run(command, check=True, capture_output=True, env={**os.environ, "DOCKER_BUILDKIT": "1"})
            seconds[f"{what}, checkout and docker"].append(time.monotonic() - begun)
        seconds[f"{what}, {who}"].append(time.monotonic() - there)


def counted() -> list[int]:
    """Counts the bytes that sessions send from now on, into the list's only number."""
    total = [0]
    plain = dial.upgrade

    class Counting:
        def __init__(self, connection: object) -> None:
            self.connection = connection

        def sendall(self, data: bytes) -> None:
            total[0] += len(data)
            self.connection.sendall(data)  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> object:
            return getattr(self.connection, name)

    @contextmanager
    def upgrade(*arguments: object, **options: object):  # type: ignore[no-untyped-def]
        with plain(*arguments, **options) as connection:  # type: ignore[arg-type]
            yield Counting(connection)

    sessionopening.upgrade = upgrade  # type: ignore[assignment]
    return total


def large(directory: Path) -> None:
    """Builds one file of a gigabyte that nothing can compress."""
    repository = Repository(directory, 1)
    (repository.tree / "d00" / "file0").write_bytes(b"".join(random.Random(1).randbytes(1 << 20) for _ in range(LARGE >> 20)))
    repository.commit("large")
    print(f"\none file of {LARGE / 1e9:.0f} GB: peak memory {peak_of(repository.bare, 'bench/large') / 1e3:.0f} MB")


def peak_of(bare: Path, app: str) -> int:
    """The most memory, in KB, of a process that builds HEAD once, and of its children together."""
    return peak([sys.executable, "-m", "tests.bench.one_build", str(bare), app])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--files", type=int, action="append")
    parser.add_argument("--engine-root", type=Path)
    parser.add_argument("--engine-feature", action="append", default=[])
    options = parser.parse_args()
    isolate_network()
    engine = PrivateEngine(options.engine_root, tuple(options.engine_feature))
    main(options.runs, options.files or [5000, 50_000], engine)
