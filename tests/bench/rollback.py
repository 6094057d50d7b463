"""From `gitdeploy rollback` typed to the earlier release's answer, for each strategy.

    python -m tests.bench.rollback [RUNS]

Two releases of the sample app, rolled back and forth by the command line itself; there is no registry. Prints medians, beside
`docker stop` and `docker start` of the same app's container, which is the least that a way back without gitdeploy takes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from tests.bench.ground import ground
from tests.support import apps, gogs
from tests.support.images import BaseImages
from tests.support.installed import Installed, install
from tests.support.net import free_port, get, isolate_network, wait_until

STRATEGIES = {
    "blue-green, held": 'strategy = "blue-green"\nhold = "1h"',
    "blue-green": 'strategy = "blue-green"',
    "rolling": 'strategy = "rolling"',
    "canary": 'strategy = "canary"',
    "recreate": 'strategy = "recreate"',
}
TABLE = """
[apps."{name}"]
image = "{name}"
container = "{container}"
publish = ["127.0.0.1:{port}:80"]
push = {{ enabled = false }}
router = {{ image = "{router}" }}
canary = {{ duration = "1s" }}
{strategy}
"""


def main(runs: int) -> None:
    """Runs the comparison."""
    with ground() as (directory, client):
        site = install(gogs.create(directory / "data"), {})
        for number, (title, strategy) in enumerate(STRATEGIES.items()):
            app, container, port = f"bench/app{number}", f"bench-{number}", free_port()
            site.gogs.create_repository(app)
            text = TABLE.format(name=app, container=container, port=port, router=BaseImages().haproxy, strategy=strategy)
            site.configure(text)
            site.run("enrol", app)
            clone = apps.create(directory / f"clone-{number}")
            for version in ("1", "2"):
                clone.release(version)
                push = clone.push(site.gogs.local(app), timeout=20)
                if f"{version} is live" not in push.text:
                    raise RuntimeError(push.text)
            print(f"{title:<24}{back_and_forth(site, app, port, runs):6.2f} s", flush=True)
        print(f"{'docker stop, start':<24}{stop_and_start(container, port, runs):6.2f} s")
        print(f"engine {client.version()['Version']}, medians of {runs}")


def back_and_forth(site: Installed, app: str, port: int, runs: int) -> float:
    """The median of so many rollbacks to release 1, in seconds."""
    seconds = []
    for _ in range(runs):
        seconds.append(timed(lambda: site.run("rollback", app, "1"), port, "dev-app 1"))
        site.run("rollback", app, "2")
    return statistics.median(seconds)


def stop_and_start(container: str, port: int, runs: int) -> float:
    """The median of so many restarts by the docker command, in seconds."""

    def restart() -> None:
        for verb in ("stop", "start"):
            subprocess.run(["docker", verb, container], check=True, stdout=subprocess.DEVNULL)

    def once() -> float:
        began = time.monotonic()
        restart()
        wait_until(lambda: answer(port), 60, "the app")
        return time.monotonic() - began

    return statistics.median(once() for _ in range(runs))


def timed(command: Callable[[], object], port: int, text: str) -> float:
    """Seconds until the app answers with that text, from the start of the command, which is waited for."""
    # A process of its own: a thread of this one would compete with the polling below for the interpreter.
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        try:
            command()
            os._exit(0)
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
    wait_until(lambda: text in answer(port), 60, text)
    took = time.monotonic() - began
    if os.waitpid(pid, 0)[1]:
        raise RuntimeError("the command failed")
    return took


def answer(port: int) -> str:
    """What the app says, "" if it does not."""
    try:
        return get(f"http://127.0.0.1:{port}/", timeout=1)
    except OSError:
        return ""


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
