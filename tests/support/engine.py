"""A Docker Engine for the tests alone: own network, own mounts, own processes, nothing left when it ends.

A second dockerd on a machine rewrites the first one's iptables chains and finds its containerd under /run. So this one gets
namespaces of its own: the test process first moves into a new network namespace (`isolate_network`), which also keeps its ports
apart from the machine's, and the engine lives in new mount and process namespaces within. When the first process of a process
namespace dies, the kernel ends all others, and the mounts and bridges go with their namespaces: nothing survives even kill -9.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.net import DIES_WITH_US, wait_until

PREFIX = "gitdeploy-engine-"
"""Of the names of their directories."""

PLACES = ("usr/bin", "usr/sbin", "usr/libexec/docker", "")
"""Where programs are in a directory that Debian's packages were unpacked in, and in one of Docker's static archives."""

# What another Docker on this machine keeps in /run and /etc/docker must be neither seen nor touched. The first process of the
# namespace ignores SIGCHLD, which makes the kernel reap what a killed dockerd leaves: it takes a zombie for a live containerd.
NAMESPACE_INIT = """
mount -t tmpfs tmpfs /run
if [ -d /etc/docker ]; then mount -t tmpfs tmpfs /etc/docker; fi
echo ready
exec env --ignore-signal=CHLD sleep infinity
"""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Connects to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class PrivateEngine:
    """A dockerd of its own. Call `isolate_network` first; needs root.

    Attributes:
        url: for DOCKER_HOST.
        directory: holds the socket, the data root and `dockerd.log`.
        namespaces: that it has for itself, as unshare(1) and nsenter(1) call them.
    """

    namespaces: tuple[str, ...] = ("mount", "pid")

    def __init__(self, root: Path | None = None, features: tuple[str, ...] = ()) -> None:
        """`root`: a directory with an engine's programs, None for the installed ones; `features`: for `--feature`."""
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.directory.chmod(0o711)
        self.socket = self.directory / "docker.sock"
        self.url = f"unix://{self.socket}"
        self._root = root.resolve() if root else None  # nsenter changes the directory
        self._features = features
        self._cgroup = f"/{self.directory.name}"
        self._namespace: subprocess.Popen[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        (self.directory / "daemon.json").write_text("{}\n")
        try:
            self.open_namespaces()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def open_namespaces(self) -> None:
        """Makes the namespaces in which dockerd and all its containers are to live."""
        flags = [f"--{name}" for name in self.namespaces]
        self._namespace = subprocess.Popen(
            [*DIES_WITH_US, "unshare", "--fork", "--kill-child", "--mount-proc", *flags, "sh", "-euc", NAMESPACE_INIT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._namespace.stdout is not None
        if self._namespace.stdout.readline() != "ready\n":
            hint = "run as root with CAP_SYS_ADMIN, or give an engine in DOCKER_HOST"
            raise RuntimeError(f"no namespaces for a private Docker Engine: {hint}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self) -> None:
        """Starts dockerd and waits until it answers; on the same data root after `kill` or `stop`."""
        self.launch()
        self.await_answer()

    def launch(self) -> None:
        """Starts dockerd."""
        with (self.directory / "dockerd.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self.enter(), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,  # Ctrl-C reaches pytest only, which ends the engine in order
            )

    def await_answer(self) -> None:
        """Waits until the dockerd that was launched answers."""
        assert self._daemon is not None
        try:
            wait_until(self._answers_or_died, 60, "the private Docker Engine")
        except TimeoutError:
            self._fail("does not answer")
        if self._daemon.poll() is not None:
            self._fail("ended at once")

    def kill(self) -> None:
        """kill -9 to dockerd alone; containers stay as a crash leaves them."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ends dockerd in order, which stops its containers."""
        self._signal(signal.SIGTERM)

    def close(self) -> None:
        """Ends everything and removes its files. Containers get no time to stop: they are the tests'."""
        self.end_namespaces()
        for controller in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*/")):
            _remove_cgroup(controller / self._cgroup[1:])
        shutil.rmtree(self.directory, ignore_errors=True)

    def end_namespaces(self) -> None:
        """Ends dockerd and all that runs in its containers at once, as a loss of power does; the files stay."""
        if self._namespace is not None:
            self._namespace.kill()
            self._namespace.wait()
            self._namespace = None
        if self._daemon is not None:
            self._daemon.wait()
            self._daemon = None

    def kill_command(self) -> list[str]:
        """A command that does what `kill` does; call `killed` after it."""
        pid = (self.directory / "dockerd.pid").read_text()
        return [*self.enter(), "kill", "-9", pid]

    def killed(self) -> None:
        """To be called after `kill_command` has run: the daemon can be started again."""
        assert self._daemon is not None
        self._daemon.wait()
        self._daemon = None
        self.remove_stale()

    def configure(self, **settings: object) -> None:
        """Sets what is in daemon.json, for the next start."""
        (self.directory / "daemon.json").write_text(json.dumps(settings))

    def enter(self) -> list[str]:
        """The prefix of a command that is to run in the engine's namespaces."""
        return ["nsenter", "--target", str(self.first()), *(f"--{name}" for name in self.namespaces), "--"]

    def first(self) -> int:
        """The process id, as the tests see it, of the first process in the namespaces."""
        assert self._namespace is not None
        unshare = self._namespace.pid
        return int(Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()[0])

    def _command(self) -> list[str]:
        directory = self.directory
        return [
            self._dockerd(),
            f"--config-file={directory}/daemon.json",
            f"--data-root={directory}/data",
            f"--exec-root={directory}/exec",
            f"--pidfile={directory}/dockerd.pid",
            f"--host={self.url}",
            f"--cgroup-parent={self._cgroup}",
            "--exec-opt=native.cgroupdriver=cgroupfs",  # systemd's needs its bus in /run
            *(f"--feature={name}" for name in self._features),
        ]

    def _dockerd(self) -> str:
        if self._root is None:
            return "dockerd"
        found = shutil.which("dockerd", path=self._own_path())
        if found is None:
            raise RuntimeError(f"--engine-root {self._root}: no dockerd there, nor in {', '.join(PLACES[:-1])} below")
        return found

    def _own_path(self) -> str:
        return ":".join(str(self._root / place) for place in PLACES) if self._root else ""

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": ":".join(filter(None, [self._own_path(), os.environ["PATH"]]))}

    def _answers_or_died(self) -> bool:
        assert self._daemon is not None
        if self._daemon.poll() is not None:
            return True
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._daemon is not None
        pid = (self.directory / "dockerd.pid").read_text()
        subprocess.run([*self.enter(), "kill", f"-{number.value}", pid], check=True)
        self.killed()

    def remove_stale(self) -> None:
        """Removes what a dockerd that was killed has left, and what the next one would take for one that runs."""
        for stale in ("dockerd.pid", "docker.sock"):
            (self.directory / stale).unlink(missing_ok=True)

    def _fail(self, what: str) -> None:
        tail = (self.directory / "dockerd.log").read_text(errors="replace").splitlines()[-15:]
        raise RuntimeError("\n".join([f"the private Docker Engine {what}:", *tail]))


def _remove_cgroup(top: Path) -> None:
    """Removes an emptied control group with its children; the kernel may need a moment to see that it is empty."""
    for name, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(TimeoutError):
            wait_until(partial(_removed, Path(name)), 1, name)


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError as error:
        return error.errno == errno.ENOENT
    return True
