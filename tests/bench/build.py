"""A build from a bare repository: gitdeploy with BuildKit against the docker command.

    python -m tests.bench.build [--runs N] [--files N] [--engine-root DIR] [--engine-feature NAME=VALUE]

The same commits are built by each in turn, on the same private engine: the installed one, or Debian's packages unpacked in DIR.
gitdeploy and `git archive` read the bare repository; `docker build DIR` gets a directory without .git that is checked out
already, and its checkout is counted only where the name says so. What starts gitdeploy's Python is not counted: its worker runs
by then. "Built all the same" is gitdeploy without its look for an image of the same tree. In the end a running step is
cancelled: counted is from the wish until the builder has returned and no process of the step is left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from gitdeploy.config.model import App
from gitdeploy.engine.client import connect
from gitdeploy.engine.protocol import Engine
from gitdeploy.engine.types import BuildRequest
from gitdeploy.errors import Cancelled
from gitdeploy.intake.cancelling import CancelFlag
from gitdeploy.pipeline import contextages
from gitdeploy.pipeline.build import Candidate, build
from gitdeploy.pipeline.plan import Running
from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.state import State
from gitdeploy.source.buildcontext import MAX_CONTEXT
from gitdeploy.worker.readers import Readers, place_of
from tests.bench.ground import ground
from tests.support.builder import MemoryContext, running
from tests.support.engine import PrivateEngine
from tests.support.images import BaseImages
from tests.support.net import isolate_network, wait_until
from tests.support.recorder import Recorder

DOCKERFILE = f"FROM {BaseImages().busybox}\nWORKDIR /app\nCOPY . /app\nRUN ls | wc -l > /count\n"
TOTAL = 53_000_000  # bytes in all files together
ENVIRONMENT = {"PATH": f"/usr/bin:{os.environ['PATH']}"}  # Debian's docker command builds with BuildKit by itself

APP = App(name="bench/app", image="bench-deployed", container="bench-app")

READERS = Readers(lambda path: place_of(path, None))

Way = Callable[[str], object]


def main(runs: int, files: int, private: PrivateEngine) -> None:
    """Runs the comparison."""
    with ground(private) as (directory, client):
        os.environ.update(ENVIRONMENT)
        repository = Repository(directory, files)
        engine = connect(os.environ)
        print(
            f"engine {client.version()['Version']}, {files} files of {TOTAL / 1e6:.0f} MB, {runs} runs each, in turn; medians"
        )
        said = subprocess.run(["docker", "--version"], check=True, capture_output=True, text=True).stdout.strip()
        print(f"the docker command: {said}")
        for change in (repository.same_commit, repository.same_files, repository.one_file):
            compare(change, ways(repository, engine), runs)
        seconds = [cancelled(engine, f"{number}.5") for number in range(10**6, 10**6 + runs)]
        print(f"\ncancelling a step: {statistics.median(seconds):.3f} s   ({min(seconds):.3f} to {max(seconds):.3f})")
        engine.close()


class Repository:
    """A bare repository, a working tree beside it without a .git that `docker build DIR` would send, a place for another."""

    def __init__(self, directory: Path, files: int, seed: str = "1") -> None:
        self.bare, self.tree, self.checkout = directory / "bare.git", directory / "tree", directory / "checkout"
        self.checkout.mkdir()
        subprocess.run(["git", "init", "--quiet", "--bare", self.bare], check=True)
        source = random.Random(seed)
        for number in range(files):
            path = self.tree / f"d{number % 100:02}" / f"file{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.randbytes(TOTAL // files))
        (self.tree / "Dockerfile").write_text(DOCKERFILE)
        self.commit("first")
        self.git("repack", "-adq")  # as a push of so many files leaves them

    def git(self, *command: str) -> str:
        where = [f"--git-dir={self.bare}", f"--work-tree={self.tree}"]
        return subprocess.run(["git", *where, *command], check=True, capture_output=True, text=True).stdout

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def same_commit(self) -> str:
        """cached"""
        return self.git("rev-parse", "HEAD").strip()

    def same_files(self) -> str:
        """new commit, same files"""
        return self.commit(f"at {time.time_ns()}")

    def one_file(self) -> str:
        """one file changed"""
        (self.tree / "d00" / "file0").write_text(str(time.time_ns()))
        return self.commit("one file")


def ways(repository: Repository, engine: Engine) -> dict[str, Way]:
    """The ways to build a commit of it."""
    state = State(repository.bare.parent / "state.db")
    at_hand = tools(engine, state)

    def deployed(commit_id: str) -> None:
        with READERS.open(repository.bare) as source:
            commit = source.resolve(commit_id)
            name, references = "gitdeploy.local/bench/app:1", ("bench-deployed:1", "bench-deployed:latest")
            candidate = Candidate(APP, commit, "1", name, references)
            build(candidate, source, at_hand, Running(Recorder(), CancelFlag()))

    def ours(commit_id: str) -> None:
        with READERS.open(repository.bare) as source:
            commit = source.resolve(commit_id)
            context = source.context(
                commit, directory=".", dockerfile="Dockerfile", lfs=None, submodules=None, limit=MAX_CONTEXT
            )
            key = contextages.begin("bench/all-the-same", commit, source, context, at_hand)
            tags = ("bench-gitdeploy:1", "bench-gitdeploy:latest")
            request = BuildRequest(
                context.dockerfile, tags, shared_key=key, ended=lambda: state.ages_known("bench/all-the-same")
            )
            engine.build(request, context, lambda host: None, Recorder())

    def command(template: str) -> Way:
        def run(commit_id: str) -> None:
            places = {"bare": repository.bare, "tree": repository.tree, "checkout": repository.checkout}
            script = template.format(**places, commit=commit_id)
            subprocess.run(script, shell=True, check=True, capture_output=True)  # noqa: S602 (our own words)

        return run

    return {
        "gitdeploy": deployed,
        "gitdeploy, built all the same": ours,
        "BuildKit, git checkout, docker build DIR": command(
            "GIT_INDEX_FILE={checkout}.index git --git-dir={bare} --work-tree={checkout} checkout -q -f {commit} -- .;"
            " DOCKER_BUILDKIT=1 docker build -q -t bench-checkout {checkout}"
        ),
        "BuildKit, docker build DIR": command("DOCKER_BUILDKIT=1 docker build -q -t bench-dir {tree}"),
        "BuildKit, git archive | docker build -": command(
            "git -C {bare} archive {commit} | DOCKER_BUILDKIT=1 docker build -q -t bench-archive -"
        ),
        "classic, docker build DIR": command("DOCKER_BUILDKIT=0 docker build -q -t bench-classic {tree}"),
    }


def tools(engine: Engine, state: State) -> Tools:
    """What a deployment has at hand for a build, as far as it uses that."""
    output = Recorder()
    used = {
        "builder": engine,
        "state": state,
        "config": SimpleNamespace(apps={APP.name: APP}),
        "console": SimpleNamespace(line=output.line, progress=output.progress, redact=set()),
        "credentials": lambda app: lambda host: None,
        "build_slot": contextlib.nullcontext,
        "lfs": lambda: None,
        "submodules": lambda: None,
        "cache_name": lambda app: "0" * 32,
        "proxies": dict,
        "require_space": lambda engine: None,
        "now": time.time,
    }
    return cast(Tools, SimpleNamespace(**used))


def cancelled(engine: Engine, mark: str) -> float:
    """Seconds from the wish to cancel a running step until it is gone and the builder has returned."""
    cancel = threading.Event()
    wished: list[float] = []

    def wish() -> None:
        wait_until(lambda: running(mark), 60, "the step")
        wished.append(time.monotonic())
        cancel.set()

    threading.Thread(target=wish).start()
    context = MemoryContext({"Dockerfile": f"FROM {BaseImages().busybox}\nRUN sleep {mark}\n"})
    with contextlib.suppress(Cancelled):
        engine.build(BuildRequest("Dockerfile", ("bench-none:1",)), context, lambda host: None, Recorder(), cancel)
    wait_until(lambda: not running(mark), 60, "the end of the step")
    return time.monotonic() - wished[0]


def compare(change: Callable[[], str], ways: dict[str, Way], runs: int) -> None:
    """Builds what `change` commits, each way in turn, and prints the medians.

    Another way comes first in every run: what one leaves the engine to write to disk is in the way of the next.
    """
    names = list(ways)
    seconds: dict[str, list[float]] = {way: [] for way in names}
    for run in range(runs + 1):
        shift = run % len(names)
        for way in names[shift:] + names[:shift]:
            commit_id = change()
            started = time.monotonic()
            ways[way](commit_id)
            if run:  # the first fills the caches
                seconds[way].append(time.monotonic() - started)
    ours = statistics.median(seconds["gitdeploy"])
    print(f"\n{change.__doc__}")
    for way, taken in seconds.items():
        median = statistics.median(taken)
        print(f"  {way:<40} {median:7.3f} s   gitdeploy / this {ours / median:5.2f}   ({min(taken):.3f} to {max(taken):.3f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--engine-root", type=Path)
    parser.add_argument("--engine-feature", action="append", default=[])
    options = parser.parse_args()
    isolate_network()
    main(options.runs, options.files, PrivateEngine(options.engine_root, tuple(options.engine_feature)))
