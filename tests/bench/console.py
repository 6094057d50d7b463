"""How long a line of the console takes to the pusher: python -m tests.bench.console

A worker that does nothing but write a line ten times a second, each with the time in it, through gitdeploy's own relay and
hook, is pushed to over SSH and over HTTP, as gitdeploy does it and without its filling ("bare"). Through a real Gogs where
GITDEPLOY_GOGS_BIN names one, else through servers that buffer as Gogs does.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.gitserver.enrolment import enrol
from gitdeploy.gitserver.hookconf import HookConf
from tests.support import apps, gogs, guards, realserver, smart_http, sshd
from tests.support.gogs import Remote
from tests.support.real_gogs import RealGogs

LINES = 50
WORKER = """\
#!{python}
import sys, time
sys.path.insert(0, {checkout!r})
from pathlib import Path
from gitdeploy.terminal.relay import Relay
from gitdeploy.intake.spool import Spool
spool = Spool(Path({home!r}))
(record,), _ = spool.pending()
relay = Relay(spool.consoles.take(record), held_back=record.held_back and not {bare})
for _ in range({lines}):
    relay.send(f"at {{time.monotonic()}}\\n")
    time.sleep(0.1)
spool.done(record.name)
relay.close()
"""


def install(data: Path, repository: Path, app: str, bare: bool) -> None:
    """Puts the hook into the repository, and the worker where it looks for it."""
    home = data / "gitdeploy"
    for name in ("bin", "spool", "logs"):
        (home / name).mkdir(parents=True, exist_ok=True)
    program = home / "bin" / "gitdeploy"
    checkout = str(Path(__file__).parents[2])
    text = WORKER.format(python=sys.executable, checkout=checkout, home=str(home), bare=bare, lines=LINES)
    program.write_text(text)
    program.chmod(0o755)
    enrol(data, repository, HookConf(app, (str(home),), ("refs/heads/main",), 3600))


def measure(clone: apps.SampleApp, remote: Remote) -> list[float]:
    """Pushes a new commit; returns each line's delay in seconds."""
    clone.release(str(time.time()))
    delays = []
    with clone.start_push(remote) as push:
        assert push.stdout is not None
        for line in push.stdout:
            if line.startswith("remote: at "):
                delays.append(time.monotonic() - float(line.split()[2]))
    assert len(delays) == LINES, f"{len(delays)} lines of {LINES}"
    return delays


@contextmanager
def servers(directory: Path) -> Iterator[tuple[str, Path, str, dict[str, Remote]]]:
    """What is pushed to: its name, data directory and repository, and where to push."""
    binary = os.environ.get("GITDEPLOY_GOGS_BIN")
    if binary:
        data = gogs.Gogs(directory / "data", os.geteuid(), directory / "data", Path(binary))
        with realserver.serve(RealGogs, data, {}) as real:
            name = real.create_repository("bench")
            yield "a real Gogs", data.data, name, {"ssh": real.ssh(name), "http": real.http(name)}
        return
    made, name = gogs.create(directory / "data"), "devops/bench"
    made.create_repository(name)
    (directory / "sshd").mkdir()
    environment = guards.server_environment()
    with sshd.serve(made, directory / "sshd", environment) as ssh, smart_http.serve(made, environment) as http:
        yield "servers that buffer as Gogs does", made.data, name, {"ssh": ssh.remote(name), "http": http.remote(name)}


def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as directory, servers(Path(directory)) as (what, data, name, remotes):
        repository = data / "git/gogs-repositories" / f"{name}.git"
        clone = apps.create(Path(directory) / "clone")
        print(f"delay of {LINES} lines, ten a second, through {what}:")
        for way, remote in remotes.items():
            for bare in (True, False):
                install(data, repository, name, bare)
                delays = [delay * 1000 for delay in measure(clone, remote)]
                kind = "bare" if bare else "gitdeploy"
                print(f"  {way:<5} {kind:<10} median {statistics.median(delays):7.0f} ms   longest {max(delays):7.0f} ms")


if __name__ == "__main__":
    main()
