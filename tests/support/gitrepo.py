"""Real repositories for tests, made with the git binary: any names, any modes, any history."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class File:
    """A file of a commit; an executable one, a symlink and a submodule differ in their mode."""

    data: bytes
    mode: str = "100644"


def executable(data: bytes) -> File:
    """An executable file."""
    return File(data, "100755")


def symlink(target: bytes) -> File:
    """A symlink."""
    return File(target, "120000")


def submodule(commit: str) -> File:
    """A gitlink to a commit."""
    return File(commit.encode(), "160000")


Tree = Mapping[str | bytes, "bytes | File"]

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "Ann"), ("EMAIL", "ann@x"))},
    **{f"GIT_{who}_DATE": "1700000000 +0000" for who in ("AUTHOR", "COMMITTER")},
}


class GitRepo:
    """A bare repository."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", "main", *options, ".")

    def git(self, *args: str | bytes, stdin: bytes = b"") -> bytes:
        """Runs git in it; returns its output."""
        command = ["git", *args]
        return subprocess.run(command, cwd=self.path, env=ENVIRONMENT, input=stdin, check=True, stdout=subprocess.PIPE).stdout

    def id(self, *args: str, stdin: bytes = b"") -> str:
        """Runs git; returns the object id that it prints."""
        return self.git(*args, stdin=stdin).decode().strip()

    def commit(self, files: Tree, message: str = "change", branch: str = "main") -> str:
        """Adds a commit whose tree is exactly `files`; returns its id. Objects go into a pack."""
        out = io.BytesIO()
        ref = f"refs/heads/{branch}"
        parent = self.git("for-each-ref", ref)
        out.write(b"commit %b\ncommitter Ann <ann@x> 1700000000 +0000\ndata %d\n" % (ref.encode(), len(message.encode())))
        out.write(message.encode() + b"\n" + (b"from %b^0\n" % ref.encode() if parent else b"") + b"deleteall\n")
        for name, file in files.items():
            _write(out, name.encode() if isinstance(name, str) else name, file if isinstance(file, File) else File(file))
        self.git("-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--force", stdin=out.getvalue())
        return self.id("rev-parse", ref)

    def unpack(self) -> None:
        """Turns all packs into loose objects."""
        for pack in [*(self.path / "objects" / "pack").glob("*.pack")]:
            data = pack.read_bytes()
            for file in pack.parent.glob(f"{pack.stem}.*"):
                file.unlink()
            self.git("unpack-objects", "-q", stdin=data)

    def tree_of(self, entries: Iterable[tuple[str, bytes, str]]) -> str:
        """Writes a tree object of (mode, name, id) as they are, however wrong; returns its id."""
        data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
        return self.id("hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=data)

    def commit_of(self, tree: str, branch: str = "main") -> str:
        """Makes a commit of a tree object, however wrong, the tip of a branch; returns its id."""
        data = f"tree {tree}\nauthor Ann <ann@x> 1700000000 +0000\ncommitter Ann <ann@x> 1700000000 +0000\n\nmade\n".encode()
        commit = self.id("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=data)
        self.git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def blob(self, data: bytes) -> str:
        """Writes a loose blob; returns its id."""
        return self.id("hash-object", "-w", "--stdin", stdin=data)

    def loose(self, oid: str) -> Path:
        """The file of a loose object."""
        return self.path / "objects" / oid[:2] / oid[2:]

    def archive(self, rev: str) -> dict[str, Member]:
        """What `git archive` makes of a commit."""
        return members(self.git("-c", "tar.umask=0022", "archive", "--format=tar", rev))


def _write(out: io.BytesIO, name: bytes, file: File) -> None:
    quoted = b'"' + b"".join(b"\\%03o" % c if c < 33 or c > 126 or c in b'"\\' else bytes([c]) for c in name) + b'"'
    if file.mode == "160000":
        out.write(b"M 160000 %b %b\n" % (file.data, quoted))
    else:
        out.write(b"M %b inline %b\ndata %d\n%b\n" % (file.mode.encode(), quoted, len(file.data), file.data))


@dataclass(frozen=True)
class Member:
    """An entry of a tar stream: kind "file", "directory" or "symlink"; SHA-1 of a file's content or a symlink's target."""

    kind: str
    mode: int
    content: str


def members(stream: bytes | Iterable[bytes], below: str = "") -> dict[str, Member]:
    """The entries of a tar stream in their order, those whose name begins with `below`, without it."""
    data = stream if isinstance(stream, bytes) else b"".join(stream)
    found: dict[str, Member] = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for entry in tar:
            name = entry.name.removeprefix(below)
            assert name not in found, f"{name} is there twice"
            if not entry.name.startswith(below):
                continue
            if entry.isdir():
                found[name] = Member("directory", entry.mode & 0o7777, "")
            elif entry.issym():
                found[name] = Member("symlink", 0o777, entry.linkname)
            else:
                file = tar.extractfile(entry)
                assert file is not None
                found[name] = Member("file", entry.mode & 0o7777, hashlib.sha1(file.read()).hexdigest())
    return found


def sha1(data: bytes) -> str:
    """What `Member.content` is for a file."""
    return hashlib.sha1(data).hexdigest()
