"""From `gitdeploy run` and `gitdeploy exec` typed to the first word of the command, beside `docker run` and `docker exec`.

    python -m tests.bench.oneoff [RUNS]

The four take turns, so that what else the machine does meets all of them. Prints medians: seconds to the first byte of output,
to the end of the whole, and of processor time that the command line itself took.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from tests.bench.ground import ground
from tests.support import apps, gogs
from tests.support.installed import install
from tests.support.net import free_port, isolate_network

APP, CONTAINER = "bench/app", "bench-app"
TABLE = """
[apps."{name}"]
image = "{name}"
container = "{container}"
publish = ["127.0.0.1:{port}:80"]
push = {{ enabled = false }}
"""


def main(runs: int) -> None:
    """Runs the comparison."""
    with ground() as (directory, client):
        site = install(gogs.create(directory / "data"), {})
        site.gogs.create_repository(APP)
        site.configure(TABLE.format(name=APP, container=CONTAINER, port=free_port()))
        site.run("enrol", APP)
        clone = apps.create(directory / "clone")
        clone.release("1")
        push = clone.push(site.gogs.local(APP), timeout=60)
        if "1 is live" not in push.text:
            raise RuntimeError(push.text)
        image = client.containers.get(CONTAINER).image.id
        gitdeploy, word = str(site.home / "bin" / "gitdeploy"), ["echo", "x"]
        commands = {
            "gitdeploy run": [gitdeploy, "run", APP, *word],
            "docker run": ["docker", "run", "--rm", image, *word],
            "gitdeploy exec": [gitdeploy, "exec", APP, *word],
            "docker exec": ["docker", "exec", CONTAINER, *word],
        }
        taken: dict[str, list[tuple[float, float, float]]] = {title: [] for title in commands}
        for _ in range(runs + 1):
            for title, command in commands.items():
                taken[title].append(timed(command))
        for title, times in taken.items():
            first, whole, cpu = (statistics.median(column) for column in zip(*times[1:], strict=True))
            print(f"{title:<16}{first:6.3f} s to its first word {whole:7.3f} s in all {cpu:7.3f} s of processor time")
        print(f"engine {client.version()['Version']}, medians of {runs}")


def timed(command: list[str]) -> tuple[float, float, float]:
    """Seconds to the first byte of output, to the end, and of processor time."""
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as program:
        assert program.stdout
        if program.stdout.read(1) != b"x":
            raise RuntimeError(f"{command} said nothing")
        first = time.monotonic() - began
        _, status, usage = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        raise RuntimeError(f"{command}: exit status {program.returncode}")
    return first, time.monotonic() - began, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
