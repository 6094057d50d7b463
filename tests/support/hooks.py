"""A bare repository with gitdeploy's hook and a gitdeploy directory whose worker is a script of the test."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitdeploy.gitserver.hookconf import FILE, HookConf, Mode
from gitdeploy.intake.push import PushRecord, parse_record
from tests.support.net import wait_until

HOOK = Path(__file__).parents[2] / "hooks" / "post-receive"
ZERO, OLD, NEW = "0" * 40, "1" * 40, "2" * 40
MAIN = f"{OLD} {NEW} refs/heads/main"

# What every stub worker begins with: $1 is "worker", $2 "--once".
PRELUDE = """\
#!/bin/sh
cd "${0%/*}/../spool" || exit 1
echo "$$ $*" >>../started
waiting() { for push in *.push; do [ ! -f "$push" ] || echo "${push%.push}"; done; }
open_console() { if [ -p "$1.console" ]; then exec 5<>"$1.console"; else exec 5>/dev/null; fi; } # never waits for a reader
"""

# Keeps a copy of every push, says two lines to its pusher, and is done with it before it ends the console, as the real one is.
DEPLOYS = """
for name in $(waiting); do
    cp -p "$name.push" ../seen
    open_console "$name"
    echo "deploying $name" >&5
    rm "$name.push"
    echo "live" >&5
    exec 5>&-
done
sleep 0.1
"""


@dataclass(frozen=True)
class Result:
    """What a hook did: its exit status, and all it said."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.text.rstrip("\n").split("\n") if self.text else []


@dataclass(frozen=True)
class HookSite:
    """The repository, its gitdeploy directory, and the shell that runs the hook."""

    repository: Path
    home: Path
    shell: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})

    @property
    def spool(self) -> Path:
        """HOME/spool."""
        return self.home / "spool"

    def configure(self, *refs: str, wait: float = 60, mode: Mode = "direct", homes: Sequence[str] = ()) -> None:
        """Enrols the repository for these refs; config.toml is older than that."""
        conf = HookConf("devops/dev-app", homes or ("/nonexistent/gitdeploy", str(self.home)), refs, wait, mode)
        (self.repository / FILE).write_bytes(conf.render())
        config = self.home / "config.toml"
        config.touch()
        os.utime(config, (1, 1))

    def worker(self, script: str) -> None:
        """Makes this shell script the worker."""
        path = self.home / "bin" / "gitdeploy"
        path.write_text(PRELUDE + script)
        path.chmod(0o755)

    def start(
        self, *updates: str, environ: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Starts the hook with these lines ("old new ref") as its input."""
        hook = self.repository / "custom_hooks" / "post-receive"
        process = subprocess.Popen(
            ["/usr/bin/env", "--default-signal", *prefix, *self.shell, str(hook)],  # whatever is ignored here: nohup, say
            cwd=self.repository,
            env={**self.environ, "GIT_DIR": ".", **(environ or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write("".join(f"{update}\n" for update in updates).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, *updates: str, environ: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Result:
        """Runs the hook to its end, which is when nothing holds its output open any more."""
        process = self.start(*updates, environ=environ, prefix=prefix)
        text, _ = process.communicate(timeout=60)
        return Result(process.returncode, text.decode())

    def push(self, *, environ: Mapping[str, str] | None = None, prefix: Sequence[str] = ()) -> Result:
        """Runs the hook for one update of main."""
        return self.run(MAIN, environ=environ, prefix=prefix)

    def seen(self) -> list[PushRecord]:
        """All records that the worker DEPLOYS has seen, oldest first."""
        paths = sorted((self.home / "seen").glob("*.push"))
        return [parse_record(path.name.removesuffix(".push"), path.read_bytes()) for path in paths]

    def waiting(self) -> list[str]:
        """The names of what is in the spool."""
        return sorted(path.name for path in self.spool.iterdir())

    def workers(self) -> list[str]:
        """The arguments of every worker that was started."""
        started = self.home / "started"
        return [line.partition(" ")[2] for line in started.read_text().splitlines()] if started.exists() else []

    def leftovers(self) -> list[str]:
        """What there should be nothing of once a hook has ended: its own files, and processes that know its directories."""
        files = [path.name for path in self.spool.iterdir() if not path.name.endswith(".push") and path.name != "bell"]
        return files + processes(str(self.repository))


def processes(cwd: str) -> list[str]:
    """Command lines of the live processes whose current directory this is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            if state != "Z" and (entry / "cwd").readlink() == Path(cwd):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended, or is not ours
    return found


def create(directory: Path, shell: Sequence[str]) -> HookSite:
    """Makes a repository that is not enrolled yet, with the hook in place, and a worker that deploys at once."""
    repository = directory / "repositories" / "devops" / "dev-app.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository], check=True)
    (repository / "custom_hooks").mkdir()
    (repository / "custom_hooks" / "post-receive").write_bytes(HOOK.read_bytes())
    (repository / "custom_hooks" / "post-receive").chmod(0o755)
    home = directory / "gitdeploy"
    for name in ("bin", "spool", "logs", "seen"):
        (home / name).mkdir(parents=True)
    site = HookSite(repository, home, shell)
    site.worker(DEPLOYS)
    return site


def first_line(process: subprocess.Popen[bytes]) -> str:
    """Reads one line of what the hook says."""
    assert process.stdout is not None
    return process.stdout.readline().decode()


def assert_clean(site: HookSite) -> None:
    """Nothing of the hook is left; its sleeps may take a second to end."""
    try:
        wait_until(lambda: site.leftovers() == [], 10, "an end of the hook without leftovers")
    except TimeoutError:
        assert site.leftovers() == []


SIGNALS = {"HUP": signal.SIGHUP, "INT": signal.SIGINT, "TERM": signal.SIGTERM, "PIPE": signal.SIGPIPE, "QUIT": signal.SIGQUIT}
"""What may reach the hook when its pusher goes away."""
