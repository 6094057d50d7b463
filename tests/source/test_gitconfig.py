"""git's config syntax: read as git reads it, and no file of the server through a file of the tree."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitdeploy.errors import StageFailed
from gitdeploy.source.gitconfig import MAX_ENTRIES, MAX_LINES, BadConfig, read_config
from gitdeploy.source.sameserver import SameServer
from tests.source.reading import context, opened
from tests.support.gitrepo import ENVIRONMENT, GitRepo, members, submodule

CHECKOUT = Path(__file__).parents[2]
CANARY = "canary-4711"
DOCKERFILE = b"FROM scratch\n"

PIECES = [
    *("[a]", "[A]", "[a.B]", '[a "B.c"]', '[s "x\\"y\\\\"]', "[a]k=v\n", "[a] ; c", "# c\n", "; c\n"),
    *("\n", " ", "\t", "=", "\\\n", "\\n", "\\t", "\\\\", '\\"', '"', ";", "#", "key", "Key-2", "key = value", "k=v\n", "é"),
    *("\\", "[", "]", "\r\n", "1", "_", 'k = "a b " c ; d\n', "k = a\\\n  b\n", "\x01", "[a b]", "\ufeff"),
]


def as_git_reads(data: bytes) -> list[tuple[str, bytes | None]] | None:
    """Full names and values of all settings as git lists them; None if it refuses the file."""
    command = ["git", "config", "--no-includes", "--file", "-", "--list", "--null"]
    done = subprocess.run(command, input=data, env=ENVIRONMENT, cwd="/", capture_output=True, check=False)
    if done.returncode:
        return None
    names = (item.partition(b"\n") for item in done.stdout.split(b"\0")[:-1])
    return [(name.decode("utf-8", "surrogateescape"), value if newline else None) for name, newline, value in names]


def as_we_read(data: bytes) -> list[tuple[str, bytes | None]]:
    found = []
    for entry in read_config(data):
        middle = [] if entry.subsection is None else [entry.subsection.decode("utf-8", "surrogateescape")]
        found.append((".".join([entry.section, *middle, entry.key]), entry.value))
    return found


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(lambda pieces: "[s]\n" + "".join(pieces)))
def test_what_git_reads_is_read_the_same(text: str) -> None:
    expected = as_git_reads(text.encode())
    try:
        found = as_we_read(text.encode())
    except BadConfig:
        assert expected is None
        return
    assert expected is None or without_tabs(found) == without_tabs(expected)


def without_tabs(settings: list[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """Git before 2.45 makes a space of a tab within a value, and later ones do not."""
    return [(name, value and value.replace(b"\t", b" ")) for name, value in settings]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[core", "line 1: expected a section"),
        (b"\n\nkey = 1", "line 3: expected a section such as [core] before the first key"),
        (b"[a]\n1 = 2", "line 2: expected a key"),
        (b"[a]\nb c", "line 2: expected '=' behind a key"),
        (b'[a]\nb = "c', "line 2: expected a closing quote"),
        (b"[a]\nb = \\c", "line 2: expected one of"),
        (b"[a]\n" * (MAX_LINES + 1), f"expected at most {MAX_LINES:,} lines"),
        (b"[a]" + b"b\n" * (MAX_ENTRIES + 1), f"expected at most {MAX_ENTRIES:,} settings"),
    ],
)
def test_a_wrong_file_is_told_by_its_place_alone(data: bytes, reason: str) -> None:
    with pytest.raises(BadConfig) as caught:
        read_config(data)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 200_000, b"[a]" + b"k=" * 100_000, b'[a "' + b"\\x" * 100_000, b"[a]k=" + b'"' * 200_001, b" " * 200_000 + b"!",
        b"[a]k=" + b" ;" * 100_000, b"[a]k=" + b"\\\n" * 15_000, b"[a]k=" + b"x " * 100_000 + b"\\q", b"[a]\n" + b"k\n" * 9_000,
    ],
)  # fmt: skip
def test_it_takes_time_in_proportion_to_the_size(data: bytes) -> None:
    started = time.process_time()
    try:
        read_config(data)
    except BadConfig as bad:
        assert len(str(bad)) < 200
    assert time.process_time() - started < 1


def included(target: Path) -> bytes:
    return (
        f'[include]\n\tpath = {target}\n[includeIf "gitdir:/"]\n\tpath = {target}\n'
        f'[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n'
    ).encode()


@pytest.mark.parametrize("kind", ["file", "pipe", "endless device", "environment"])
def test_gitmodules_includes_nothing(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "root"
    lib = GitRepo(root / "devops" / "lib.git").commit({"x": b"1"})
    app = GitRepo(root / "devops" / "app.git")
    target = {"endless device": Path("/dev/zero"), "environment": Path("/proc/self/environ")}.get(kind, tmp_path / "canary")
    if kind == "file":
        target.write_text(f"{CANARY}\n")
    elif kind == "pipe":
        os.mkfifo(target)
    app.commit({"Dockerfile": DOCKERFILE, "lib": submodule(lib), ".gitmodules": included(target)})
    started = time.monotonic()
    with opened(app.path, root=root) as repository:
        found = members(context(repository, submodules=SameServer(root, "devops", frozenset())))
    assert "lib/x" in found
    assert time.monotonic() - started < 5


def test_an_error_in_gitmodules_quotes_nothing(tmp_path: Path) -> None:
    app = GitRepo(tmp_path / "app.git")
    app.commit({"Dockerfile": DOCKERFILE, "lib": submodule("1" * 40), ".gitmodules": f"[a]\n= {CANARY}\n".encode()})
    with opened(app.path) as repository, pytest.raises(StageFailed) as caught:
        context(repository)
    assert ".gitmodules cannot be read: line 2: expected a key" in caught.value.reason
    assert CANARY not in caught.value.reason


DULWICH = {"errors", "object_format", "objects", "pack", "refs", "reftable"}
"""Modules of dulwich that may be used. Others read git's config, which opens what a file names, or run what it says."""


def uses_of_dulwich(tree: ast.AST) -> set[str]:
    """The modules of dulwich that a module imports, and names of its readers of config files that occur."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "dulwich"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dulwich":
            modules = [f"dulwich.{alias.name}" for alias in node.names] if node.module == "dulwich" else [node.module or ""]
            found |= set(modules)
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name in ("ConfigFile", "StackedConfig", "parse_submodules", "configparser", "__import__"):
            found.add(name)
    return found


def test_nothing_reads_gits_config_with_includes() -> None:
    allowed = {f"dulwich.{name}" for name in DULWICH}
    for path in sorted((CHECKOUT / "gitdeploy").rglob("*.py")):
        assert uses_of_dulwich(ast.parse(path.read_text())) - allowed == set(), path


def test_the_guard_sees_such_uses() -> None:
    for use in (
        "from dulwich.config import ConfigFile", "import dulwich.config", "from dulwich import config", "x.ConfigFile",
        "from dulwich.repo import Repo", "import dulwich", "parse_submodules(x)", "configparser.ConfigParser()",
    ):  # fmt: skip
        assert uses_of_dulwich(ast.parse(use)) - {f"dulwich.{name}" for name in DULWICH}, use


def test_the_process_that_reads_has_no_reader_of_config_files(tmp_path: Path) -> None:
    script = (
        "import sys, gitdeploy.source.child, dulwich.reftable; print({'dulwich.config', 'dulwich.repo'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    assert loaded == "set()\n"
