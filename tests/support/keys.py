"""Keys to sign commits and tags with, made for one test by ssh-keygen and gpg."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GPG = ("gpg", "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", "")


@dataclass(frozen=True)
class Keys:
    """A directory with keys; its path is short, for gpg-agent has its socket in it."""

    directory: Path

    def ssh(self, name: str) -> Path:
        """A new SSH key; returns the private one's path."""
        path = self.directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def openpgp(self, user: str, expire: str = "never", *options: str) -> str:
        """A new OpenPGP key; returns its fingerprint."""
        self.gpg(*options, "--quick-gen-key", user, "ed25519", "sign", expire)
        listed = self.gpg("--with-colons", "--list-keys", f"={user}").decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def revoke(self, fingerprint: str) -> None:
        """Imports the revocation that gpg wrote when it made the key."""
        text = (self.directory / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        self.gpg("--import", stdin=text.replace(":-----BEGIN", "-----BEGIN").encode())

    def allowed(self, *lines: tuple[str, Path]) -> Path:
        """An allowed_signers file; each line is principals with options, and a key."""
        path = self.directory / "allowed_signers"
        texts = [f"{who} {' '.join(key.with_suffix('.pub').read_text().split()[:2])}\n" for who, key in lines]
        path.write_text("".join(texts))
        path.chmod(0o644)
        return path

    def ring(self, *fingerprints: str) -> Path:
        """A keyring with these keys."""
        path = self.directory / "ring.gpg"
        path.write_bytes(self.gpg("--export", *fingerprints))
        path.chmod(0o644)
        return path

    def sign(self, key: Path | str, data: bytes) -> bytes:
        """An armored signature for git."""
        if isinstance(key, str):
            return self.gpg("-u", key, "--armor", "--detach-sign", stdin=data)
        command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(key)]
        return subprocess.run(command, input=data, check=True, capture_output=True).stdout

    def gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Runs gpg; returns its output."""
        command = [*GPG, "--homedir", str(self.directory), *arguments]
        return subprocess.run(command, input=stdin, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def git(self, key: Path | str) -> list[str]:
        """The options with which git signs with a key."""
        if isinstance(key, Path):
            return ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"]
        program = self.directory / "gpg"
        program.write_text(f"#!/bin/sh\nexec {' '.join(GPG[:-1])} '' --homedir {self.directory} \"$@\"\n")
        program.chmod(0o755)
        return ["-c", "gpg.format=openpgp", "-c", f"gpg.program={program}", "-c", f"user.signingkey={key}"]


@contextmanager
def key_directory() -> Iterator[Keys]:
    """An empty one; gpg's agent ends with it."""
    with tempfile.TemporaryDirectory(prefix="keys-", dir="/tmp") as made:
        directory = Path(made)
        directory.chmod(0o700)
        yield Keys(directory)
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": made}, check=True)
