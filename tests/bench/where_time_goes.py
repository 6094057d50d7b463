"""Where the time between `git push` and the first answer of the new version goes.

    python -m tests.bench.where_time_goes [RUNS]

A push of the sample app, one line of which has changed, to a Gogs-shaped directory, with a private engine and registry; the
strategy is `recreate`. The moments come from outside of gitdeploy where that is possible: from a line that is put in front of
bin/gitdeploy, from the engine's events, and from a client that asks the app again and again; the others from state.db and from
the times in the deployment's log (`--log` shows it). Prints the median of each part, from one moment to the next.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import docker

from tests.bench.ground import ground
from tests.bench.push_to_live import answer
from tests.support import apps, gogs, registry
from tests.support.installed import Installed, install
from tests.support.net import free_port, isolate_network

APP, CONTAINER = "bench/app", "bench-app"
TRACED = "#!/bin/sh\n[ \"$1\" != worker ] || date +%s.%N >'{trace}'\n"

PARTS = (
    ("git push, the hook, the push record", "worker"),
    ("worker: Python, imports, config, which push", "opened"),
    ("Checkout, Read VERSION", "Build"),
    ("Build: images, files' times, POST /session", "solving"),
    ("the engine's steps", "exporting"),
    ("the engine's export, the end of Build", "Push"),
    ("Push, beside it the new container is made", "kill"),
    ("the old container stops", "die"),
    ("the engine tidies up after it", "starting"),
    ("the new container starts", "start"),
    ("its first good answer", "answer"),
)
"""What a part is, and the moment that ends it."""


def main(runs: int) -> None:
    """Prints the table."""
    with ground() as (directory, client):
        (directory / "registry").mkdir()
        with registry.serve(directory / "registry") as running:
            server, port = gogs.create(directory / "data"), free_port()
            site = install(server, {})
            site.enrol(APP, f"{running.host}/bench/app", port, container=CONTAINER)
            program, trace = site.home / "bin" / "gitdeploy", directory / "trace"
            program.write_text(TRACED.format(trace=trace) + program.read_text().removeprefix("#!/bin/sh\n"))
            clone = apps.create(directory / "clone")
            found = [pushed(site, client, clone, port, f"1.0.{run}", trace) for run in range(runs + 1)][1:]
        total = statistics.median(moments["answer"] for moments in found)
        print(
            f"engine {client.version()['Version']}, {runs} pushes; medians of {total:.3f} s from git push to the first answer"
        )
        before = "pushed"
        for part, moment in PARTS:
            took = [moments[moment] - moments[before] for moments in found]
            print(f"  {part:<46} {statistics.median(took):6.3f} s   ({min(took):.3f} to {max(took):.3f})")
            before = moment


def pushed(
    site: Installed, client: docker.DockerClient, clone: apps.SampleApp, port: int, version: str, trace: Path
) -> dict[str, float]:
    """Pushes a version and waits for its answer; returns the moments in seconds since the push began."""
    clone.release(version)
    with events(client) as seen:
        began = time.time()
        process = clone.start_push(site.gogs.local(APP))
        while f"dev-app {version}" not in answer(port):
            if time.time() - began > 60:
                raise TimeoutError(process.communicate()[0])
        answered = time.time()
        text = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(text)
    row = site.history(APP)[0]
    log = (site.home / "logs" / APP / f"{row['id']}.log").read_text()
    if "--log" in sys.argv:
        print(log, json.dumps(row["stages"], indent=1), seen)
    moments = {stage["name"]: stage["started"] for stage in row["stages"]}
    moments |= {"worker": float(trace.read_text()), "opened": row["started"], "answer": answered}
    moments |= {"solving": said(log, r"\[\d+/\d+\] "), "exporting": said(log, "exporting to image")}
    moments |= {"starting": said(log, f"starting {CONTAINER}")}
    moments |= {kind: at for kind, at in seen if kind in ("kill", "die", "start")}
    return {"pushed": 0.0} | {name: moment - began for name, moment in moments.items()}


def said(log: str, what: str) -> float:
    """When the first such line was written, in seconds since the epoch."""
    found = re.search(rf"^(\S+ \S+) +(?:{what})", log, re.MULTILINE)
    return datetime.fromisoformat(found[1]).timestamp() if found else float("nan")


@contextmanager
def events(client: docker.DockerClient) -> Iterator[list[tuple[str, float]]]:
    """What happens to containers while the block runs, and when."""
    seen: list[tuple[str, float]] = []
    stream = client.events(decode=True, filters={"type": "container"})

    def read() -> None:
        for event in stream:
            seen.append((event["Action"], event["timeNano"] / 1e9))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
        time.sleep(0.3)
    finally:
        stream.close()
        thread.join()


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
