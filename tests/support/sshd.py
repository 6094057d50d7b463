"""An SSH server in front of a Gogs data directory: OpenSSH with the authorized_keys line that Gogs writes."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.gogs import Gogs, Remote
from tests.support.net import DIES_WITH_US, free_port, listens, wait_until

PRIVILEGE_SEPARATION = Path("/run/sshd")  # built into Debian's sshd; made by its service, which does not run here

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin forced-commands-only
PermitUserEnvironment yes
"""

# The line of internal/database/ssh_key.go.
KEY = (
    "command=\"{command} serv key-1 --config='{config}'\",no-port-forwarding,no-X11-forwarding,no-agent-forwarding,no-pty {key}"
)

CLIENT = (
    "ssh -F /dev/null -i {directory}/user -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR "
    "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
)


@dataclass(frozen=True)
class Sshd:
    """A running SSH server. It logs in as the user of the tests and runs Git as the data directory's owner."""

    port: int
    directory: Path

    def remote(self, name: str) -> Remote:
        """Where to push "Owner/Name", as typed by a user."""
        user = pwd.getpwuid(os.geteuid()).pw_name
        return Remote(
            f"ssh://{user}@127.0.0.1:{self.port}/{name}.git", {"GIT_SSH_COMMAND": CLIENT.format(directory=self.directory)}
        )


@contextlib.contextmanager
def serve(gogs: Gogs, directory: Path, environment: Mapping[str, str]) -> Iterator[Sshd]:
    """Runs the server with its files in `directory` until the context ends.

    `environment`: what sessions get on top of sshd's own few variables, as by ~git/.ssh/environment in Gogs' images.
    """
    server = Sshd(free_port(), directory)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True)
    variables = "".join(f'environment="{name}={value}",' for name, value in environment.items())
    command = shlex.join([*gogs.as_owner(), str(gogs.binary)])
    key = KEY.format(command=command, config=gogs.app_ini, key=(directory / "user.pub").read_text())
    (directory / "authorized_keys").write_text(variables + key)
    (directory / "sshd_config").write_text(CONFIG.format(port=server.port, directory=directory))
    make_privilege_separation()
    with (directory / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            [*DIES_WITH_US, "/usr/sbin/sshd", "-D", "-e", "-f", str(directory / "sshd_config")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            wait_until(lambda: listens(server.port) or process.poll() is not None, 10, "sshd")
            if process.returncode is not None:
                raise RuntimeError((directory / "sshd.log").read_text())
            yield server
        finally:
            process.terminate()
            process.wait()


def make_privilege_separation() -> None:
    """Makes the directory that sshd wants to exist. It stays, for another test process may run an sshd, too."""
    PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
