"""`require_signed`: only what one of the server's keys signed is deployed. Looked at by ssh-keygen and gpgv.

Both get a fixed list of arguments, no configuration of the repository or of a user, and copies of files in a directory that
only this process can read. A branch needs a signed commit at its tip; a tag needs a signature of its own or of its commit.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gitdeploy.config.secretfile import require_own_place
from gitdeploy.config.sections import RequireSigned
from gitdeploy.errors import StageFailed
from gitdeploy.pipeline.programs import environment, find_program
from gitdeploy.pipeline.signed import NotSigned, Signed, split_commit, split_tag, tree_of

LIMIT = 20.0
"""Seconds for one run of a program: both answer at once."""

MAX_FILE = 5_000_000
"""Bytes of a file with keys."""

MAX_PRINCIPALS = 20

SSH, OPENPGP = "ssh-keygen", "gpgv"
PACKAGES = {SSH: "openssh-client (Alpine: openssh-keygen)", OPENPGP: "gpgv"}

STRONG_HASHES = {"8", "9", "10", "11", "12", "14"}
"""SHA-2 and SHA-3 of https://www.iana.org/assignments/openpgp/: gpgv still takes SHA-1."""

_GOOD_SSH = re.compile(r'Good "git" signature .*with (\S+) key (SHA256:\S+)')
_TROUBLE = {
    "BADSIG": "the signature does not fit its content",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key was revoked",
    "ERRSIG": "the key is not in require_signed.keyring",
}


class RawObjects(Protocol):
    """What is asked of a repository."""

    def raw(self, name: str) -> tuple[str, bytes]:
        """Kind ("commit", "tag") and bytes of the object of an id, or of what a full ref name holds. Raises StageFailed."""


@dataclass(frozen=True)
class Accepted:
    """A commit that may be deployed.

    Attributes:
        tree: that it names, in the bytes that were signed for.
        signer: who signed what with which key, for people.
    """

    tree: str
    signer: str


def require_signature(rule: RequireSigned, repository: RawObjects, commit: str, ref: str) -> Accepted:
    """Find a good signature for a commit.

    Args:
        commit: its full id.
        ref: through which it is deployed, a full name; that of an annotated tag counts if it is of this very commit.

    Raises:
        StageFailed: it has none, or a program or file of the server is missing.
    """
    kind, data = repository.raw(commit)
    if kind != "commit" or hashlib.sha1(b"commit %d\0" % len(data) + data, usedforsecurity=False).hexdigest() != commit:
        raise StageFailed(f"object {commit} is not the commit of that id", "the repository is damaged, or was tampered with")
    refused = []
    if ref.startswith("refs/tags/"):
        try:
            return Accepted(tree_of(data), f"tag {_verify_tag(rule, repository, commit, ref)}")
        except NotSigned as reason:
            refused.append(f"tag {ref.removeprefix('refs/tags/')}: {reason}")
    try:
        signed = split_commit(data)
        return Accepted(signed.target, f"commit {verify(signed, rule)}")
    except NotSigned as reason:
        refused.append(f"commit {commit[:12]}: {reason}")
    hint = "sign it with a key that the server lists: git commit -S (or git commit --amend -S), then push again"
    raise StageFailed(f"require_signed: {'; '.join(refused)}", hint)


def _verify_tag(rule: RequireSigned, repository: RawObjects, commit: str, ref: str) -> str:
    """Return who signed an annotated tag, with what. Raises NotSigned."""
    try:
        kind, data = repository.raw(ref)
    except StageFailed as error:
        raise NotSigned(error.reason) from None
    if kind != "tag":
        raise NotSigned("it is no annotated tag")
    signed = split_tag(data)
    if (signed.kind, signed.target) != ("commit", commit):
        raise NotSigned(f"it is not of commit {commit[:12]}")
    if b"refs/tags/" + signed.name != ref.encode("utf-8", "surrogateescape"):
        raise NotSigned("it was signed under another name")
    return verify(signed, rule)


def verify(signed: Signed, rule: RequireSigned) -> str:
    """Return who signed it, with which key. Raises NotSigned; StageFailed if a program or a file of the server is missing."""
    key, path = {
        "ssh": ("require_signed.allowed_signers", rule.allowed_signers),
        "openpgp": ("require_signed.keyring", rule.keyring),
    }[signed.format]
    if path is None:
        kind = {"ssh": "an SSH", "openpgp": "an OpenPGP"}[signed.format]
        raise NotSigned(f"it is signed with {kind} key, and config.toml has no {key}")
    keys = read_keys(path, key)
    with tempfile.TemporaryDirectory(prefix="gitdeploy-signature-") as made:
        directory = Path(made)
        for name, content in (("keys", keys), ("signature", signed.signature)):
            (directory / name).write_bytes(content)
        check = _ssh if signed.format == "ssh" else _openpgp
        return check(directory, signed.payload)


def _ssh(directory: Path, payload: bytes) -> str:
    """ssh-keygen(1), -Y: first whose key it may be, then whether that one signed this for git."""
    keys, signature = str(directory / "keys"), str(directory / "signature")
    principals = _run(directory, b"", SSH, "-Y", "find-principals", "-f", keys, "-s", signature)
    for principal in principals.stdout.splitlines()[:MAX_PRINCIPALS] if principals.returncode == 0 else ():
        asked = ("-Y", "verify", "-f", keys, "-I", principal, "-n", "git", "-s", signature)
        verified = _run(directory, payload, SSH, *asked)
        if verified.returncode == 0 and (good := _GOOD_SSH.search(verified.stdout)):
            return f"signed by {principal} ({good[1]} {good[2]})"
    anyone = _run(directory, payload, SSH, "-Y", "check-novalidate", "-n", "git", "-s", signature)
    good = _GOOD_SSH.search(anyone.stdout) if anyone.returncode == 0 else None
    if good is None:
        raise NotSigned("the signature does not fit its content, or was not made for git")
    raise NotSigned(f"signed with {good[1]} {good[2]}, which require_signed.allowed_signers does not allow for git today")


def _openpgp(directory: Path, payload: bytes) -> str:
    """gpgv(1). Its exit code is 0 for an expired key, too: only the status lines tell (doc/DETAILS in GnuPG's source)."""
    asked = ("--homedir", str(directory), "--keyring", str(directory / "keys"), "--status-fd", "1")
    run = _run(directory, payload, OPENPGP, *asked, str(directory / "signature"), "-")
    status = [line.removeprefix("[GNUPG:] ").split(" ") for line in run.stdout.splitlines() if line.startswith("[GNUPG:] ")]
    said = [words[0] for words in status]
    for word, trouble in _TROUBLE.items():
        if word in said:
            raise NotSigned(f"signed with OpenPGP key {(status[said.index(word)] + ['?'])[1]}: {trouble}")
    if run.returncode != 0 or any(said.count(word) != 1 for word in ("NEWSIG", "GOODSIG", "VALIDSIG")):
        raise NotSigned("expected one good OpenPGP signature, found something else")
    # VALIDSIG: fingerprint, date, time, expiry, version, reserved, algorithm, hash, class, primary key's fingerprint
    valid = [*status[said.index("VALIDSIG")], *[""] * 10][1:11]
    if valid[7] not in STRONG_HASHES or valid[8] not in ("00", "01"):
        raise NotSigned(f"signed with OpenPGP key {valid[0]}: by an old hash, or not as a document: sign it with SHA-256")
    name = " ".join(status[said.index("GOODSIG")][2:])
    return f"signed by {name} (OpenPGP {valid[9] or valid[0]})"


def _run(directory: Path, data: bytes, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = require_program(program)
    try:
        run = subprocess.run(
            [path, *arguments],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(str(directory)),
            cwd=directory,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StageFailed(f"{program} did not answer in {LIMIT:.0f} s", "is the machine overloaded? push again") from None
    except OSError as error:
        raise StageFailed(f"{path} cannot be run: {error.strerror}", f"reinstall {PACKAGES[program]}") from None
    return subprocess.CompletedProcess([], run.returncode, run.stdout.decode("utf-8", "replace"), "")


def require_program(name: str) -> str:
    """Return the path of ssh-keygen or gpgv. Raises StageFailed if it is not installed."""
    path = find_program(name)
    if path is None:
        reason = f"{name}, which looks at signatures, is not installed where gitdeploy runs"
        raise StageFailed(reason, f"install {PACKAGES[name]}; for the agent's image: --build-arg SIGNATURES=1")
    return path


def read_keys(path: Path, key: str) -> bytes:
    """Return the contents of a file with keys, `key` being its name in config.toml.

    Raises:
        StageFailed: it is missing, empty, too large, no regular file, or others than root and gitdeploy's user can change it.
    """
    require_own_place(path, key)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise StageFailed(f"{key}: {path} cannot be read: {error.strerror}", "correct the path in config.toml") from None
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise StageFailed(f"{key}: {path} is not a regular file", "name a file in config.toml")
        if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o022:
            found = f"{stat.filemode(facts.st_mode)}, user {facts.st_uid}"
            raise StageFailed(
                f"{key}: others can change {path} ({found})", f"run: chown {os.geteuid()} {path}; chmod 644 {path}"
            )
        data = file.read(MAX_FILE + 1)
    if not data.strip() or len(data) > MAX_FILE:
        raise StageFailed(f"{key}: {path} has {len(data)} bytes, expected 1 to {MAX_FILE}", "put the keys into it")
    if data.startswith(b"-----BEGIN"):
        raise StageFailed(f"{key}: {path} is armored text", f"convert it: gpg --dearmor < {path} > FILE; or gpg --export")
    return data
