"""From `git push` to the new version answering: gitdeploy against a shell hook that does the same with the docker command.

    python -m tests.bench.push_to_live [RUNS]

Both deploy the same commits of the same app to the same engine and registry, in turn. The shell hook is what people write by
hand: `git archive | docker build`, `docker push` twice, `docker stop`, `rm`, `run`; it waits for no health. gitdeploy is there
twice: in direct mode, where the hook starts a worker, and in agent mode, where one waits. Prints the medians, their ratios, and
the outage that a client saw.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.ground import ground
from tests.support import apps, gogs, registry
from tests.support.installed import install
from tests.support.net import free_port, isolate_network
from tests.support.prober import Prober

SHELL_HOOK = """\
#!/bin/sh
PATH=/usr/bin:$PATH # Debian's docker command builds with BuildKit by itself; others may want buildx beside them
while read -r old new ref; do
    [ "$ref" = refs/heads/main ] || continue
    version=$(git show "$new:VERSION")
    git archive "$new" | DOCKER_BUILDKIT={buildkit} docker build -q -t {image}:$version -t {image}:latest - || exit 1
    docker push -q {image}:$version
    docker push -q {image}:latest
    docker stop shell-app
    docker rm shell-app
    docker run -d --name shell-app --restart unless-stopped -p 127.0.0.1:{port}:80 {image}:$version
done
"""


DIRECT, AGENT = "gitdeploy", "gitdeploy, agent mode"

Way = tuple[Callable[[str], float], str]
"""What pushes a version and returns the seconds to its first answer, and where the app answers."""


def main(runs: int) -> None:
    """Runs the comparison."""
    with ground() as (directory, client):
        (directory / "registry").mkdir()
        with registry.serve(directory / "registry") as running:
            compare(directory, running.host, runs)
        print(f"engine {client.version()['Version']}, {runs} pushes each, in turn; medians")


def compare(directory: Path, host: str, runs: int) -> None:
    """Sets all of them up and measures."""
    server = gogs.create(directory / "data")
    ways: dict[str, Way] = {}
    port = free_port()
    site = install(server, {})
    site.enrol("bench/gitdeploy", f"{host}/bench/gitdeploy", port, container="gitdeploy-app")
    ways[DIRECT] = (pusher(directory / "clone-0", server.local("bench/gitdeploy"), port), f"http://127.0.0.1:{port}")
    port = free_port()
    with agent(directory, f"{host}/bench/agent", port) as remote:
        ways[AGENT] = (pusher(directory / "clone-agent", remote, port), f"http://127.0.0.1:{port}")
        add_shell_hooks(ways, directory, host)
        measure(ways, runs)


@contextmanager
def agent(directory: Path, image: str, port: int) -> Iterator[gogs.Remote]:
    """An installation whose worker waits for pushes; yields where to push its app."""
    server = gogs.create(directory / "agent-data")
    site = install(server, {})  # makes the spool, which the agent looks into
    home = directory / "agent-home"
    home.mkdir(mode=0o700)
    environ = {**os.environ, "GITDEPLOY_MODE": "agent", "GITDEPLOY_HOME": str(home), "GITDEPLOY_DATA": str(server.data)}
    command = [sys.executable, "-s", "-P", "-m", "gitdeploy"]
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    server.create_repository("bench/agent")
    options = ("--image", image, "--publish", f"127.0.0.1:{port}:80", "--container", "agent-app")
    with subprocess.Popen([*command, "worker", "--watch"], env=environ) as watching:
        try:
            time.sleep(2)  # it makes what the command line needs
            subprocess.run([*command, "enrol", "bench/agent", *options], env=environ, check=True, stdout=subprocess.DEVNULL)
            yield server.local("bench/agent")
        finally:
            watching.terminate()
            site.kill_workers()


def add_shell_hooks(ways: dict[str, Way], directory: Path, host: str) -> None:
    """Adds what people write by hand, with both builders."""
    for number, (way, buildkit) in enumerate({"shell hook, BuildKit": "1", "shell hook, classic builder": "0"}.items(), 1):
        port = free_port()
        bare = directory / f"shell-{number}.git"
        subprocess.run(["git", "init", "--quiet", "--bare", bare], check=True)
        hook = bare / "hooks" / "post-receive"
        script = SHELL_HOOK.format(buildkit=buildkit, image=f"{host}/bench/shell{number}", port=port)
        hook.write_text(script.replace("shell-app", f"shell-app-{number}"))
        hook.chmod(0o755)
        ways[way] = (pusher(directory / f"clone-{number}", gogs.Remote(str(bare)), port), f"http://127.0.0.1:{port}")


def measure(ways: Mapping[str, Way], runs: int) -> None:
    """Pushes to each in turn and prints what came of it."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    gaps: dict[str, list[float]] = {way: [] for way in ways}
    for run in range(runs + 1):
        for way, (push, url) in ways.items():
            with Prober(url, pause=0.005) as prober:
                took = push(f"1.0.{run}")
            if run:  # the first is a first deployment
                seconds[way].append(took)
                gaps[way].append(prober.findings.longest_gap)
    direct, waiting = statistics.median(seconds[DIRECT]), statistics.median(seconds[AGENT])
    for way in ways:
        median, gap = statistics.median(seconds[way]), statistics.median(gaps[way])
        ratios = f"direct / this {direct / median:5.2f}   agent / this {waiting / median:5.2f}"
        print(f"{way:<30} push to live {median:6.2f} s   {ratios}   outage {gap:5.2f} s")


def pusher(clone: Path, remote: gogs.Remote, port: int) -> Callable[[str], float]:
    """A function that releases a version and returns the seconds from the push to its first answer."""
    app = apps.create(clone)

    def push(version: str) -> float:
        app.release(version)
        started = time.monotonic()
        process = app.start_push(remote)
        while f"dev-app {version}" not in answer(port):
            if time.monotonic() - started > 120:
                raise TimeoutError(process.communicate()[0])
            time.sleep(0.005)
        took = time.monotonic() - started
        text = process.communicate()[0]
        if process.returncode:
            raise RuntimeError(text)
        return took

    return push


def answer(port: int) -> str:
    """What the app says, "" if it does not."""
    done = subprocess.run(["curl", "-s", "-m", "1", f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=False)
    return done.stdout


if __name__ == "__main__":
    isolate_network()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
