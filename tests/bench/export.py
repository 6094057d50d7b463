"""The export of a commit as a build context, against `git archive` of the same commit.

    python -m tests.bench.export [SIZE...]

A SIZE is a number of files (text, 6 KB on average, in one pack) or, with an M, the megabytes of one incompressible file; 300,
5000, 50000 and 500M if none is given. Both write to /dev/null, in turn, and the medians are compared. The process that
reads for the export runs already, as gitdeploy's worker has one; opening the repository is counted. Peak memory is that of a
process that does nothing else and of its children: two Python interpreters for the export.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from gitdeploy.source.buildcontext import MAX_CONTEXT
from gitdeploy.worker.readers import Readers, place_of
from tests.support.gitrepo import GitRepo

READERS = Readers(lambda path: place_of(path, None))
RUNS = 7
AVERAGE = 6000  # bytes of a file
DOCKERFILE = b"FROM scratch\nCOPY . /\n"


def main(sizes: list[str]) -> None:
    """Runs the comparison."""
    version = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"medians of {RUNS} runs each, in turn; {version}")
    print(f"{'':>12} {'export':>9} {'git archive':>12} {'ratio':>6}   {'peak memory':>11} {'git archive':>12}")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="gitdeploy-bench-") as directory:
            repository = make(Path(directory) / "x.git", size)
            ours, theirs = measure(partial(export, repository), partial(archive, repository))
            memory = peak([sys.executable, "-m", "tests.bench.export", str(repository)])
            plain = peak(archive_command(repository))
            label = f"{size}B" if size.endswith("M") else f"{int(size):,} files"
            times = f"{ours * 1000:6.0f} ms {theirs * 1000:9.0f} ms {ours / theirs:6.2f}"
            print(f"{label:>12} {times}   {memory / 1e3:8.0f} MB {plain / 1e3:9.0f} MB", flush=True)


def make(path: Path, size: str) -> Path:
    """A bare repository with one commit, in one pack."""
    repository = GitRepo(path)
    source = random.Random(1)
    if size.endswith("M"):
        data = b"".join(source.randbytes(1 << 20) for _ in range(int(size[:-1])))
        repository.commit({"Dockerfile": DOCKERFILE, "file": data})
        return path
    words = [bytes(source.choices(b"abcdefghijklmnopqrstuvwxyz_", k=6)) for _ in range(2000)]
    files = {"Dockerfile": DOCKERFILE}
    for number in range(int(size) - 1):
        length = int(source.expovariate(1 / AVERAGE)) + 1
        name = f"dir{number // 500}/sub{number // 25 % 20}/file{number}.txt"
        files[name] = b" ".join(source.choices(words, k=length // 7 + 1))[:length]
    repository.commit(files)
    repository.git("repack", "-adq")
    return path


def export(repository: Path) -> None:
    """gitdeploy's way."""
    with READERS.open(repository) as opened, Path(os.devnull).open("wb", buffering=0) as out:
        commit = opened.resolve("main")
        for chunk in opened.context(
            commit, directory=".", dockerfile="Dockerfile", lfs=None, submodules=None, limit=MAX_CONTEXT
        ):
            out.write(chunk)


def archive_command(repository: Path) -> list[str]:
    return ["git", "-C", str(repository), "archive", "--format=tar", "main"]


def archive(repository: Path) -> None:
    """The plain tool's way."""
    subprocess.run(archive_command(repository), check=True, stdout=subprocess.DEVNULL)


def measure(*ways: Callable[[], None]) -> list[float]:
    """The median time of each, in seconds; each is warmed up once."""
    times: list[list[float]] = [[] for _ in ways]
    for run in range(RUNS + 1):
        for way, taken in zip(ways, times, strict=True):
            started = time.perf_counter()
            way()
            if run:
                taken.append(time.perf_counter() - started)
    return [statistics.median(taken) for taken in times]


def peak(command: list[str]) -> int:
    """The peak memory of a command in KiB: what the kernel says just before it ends (rusage would count this process too)."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, sum(high_water(pid) for pid in (process.pid, *children(process.pid))))
        time.sleep(0.001)
    assert process.returncode == 0
    return most


def children(pid: int) -> list[int]:
    """The processes that one has started, but for those that are still its copy."""
    with suppress(OSError):
        found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [child for child in found if command_line(child) != command_line(pid)]
    return []


def command_line(pid: int) -> bytes:
    """What a process was started with."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def high_water(pid: int) -> int:
    """The peak memory of one process in KiB, 0 once it is gone."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 2 and Path(sys.argv[1]).is_dir():
        export(Path(sys.argv[1]))
    else:
        main(sys.argv[1:] or ["300", "5000", "50000", "500M"])
