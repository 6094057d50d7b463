"""Holds the layout: what lies where, which way imports go, how large files get; and runs the linters."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
TOP = {"README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "pyproject.toml", "install.sh"}
TOP |= {"hooks", "gitdeploy", "tests", "findings"}
MAX_LINES = 250
MAX_LINES_ELSEWHERE = 450  # tests, which read as lists; and the hook and install.sh, which have to be one file each

# Third-party package → the part of gitdeploy that may import it.
OWNERS = {
    "docker": "gitdeploy.engine",
    "requests": "gitdeploy.engine",
    "h2": "gitdeploy.engine",
    "acme": "gitdeploy.edge",
    "josepy": "gitdeploy.edge",
    "cryptography": "gitdeploy.edge",
    "dulwich": "gitdeploy.source",
    "loguru": "gitdeploy.terminal.console",
    "toml": "gitdeploy.config",
    "cronsim": "gitdeploy.config.crontimes",
}

# The rooms, from top to bottom: each imports only rooms below it. Those in one line do not import one another.
ROOMS = (
    ("cli",),
    ("doctor", "jenkinsfile"),
    ("agent",),
    ("worker",),
    ("pipeline",),
    ("targets",),
    ("edge",),
    ("intake",),
    ("releases",),
    ("gitserver", "terminal"),
    ("engine", "source"),
    ("config",),
    ("errors", "locks"),
    ("docs", "demo"),
)

# Parts that may import still less: part of gitdeploy → all that it may import of gitdeploy, its own modules aside.
LOWER_PARTS = {
    "gitdeploy.errors": (),
    "gitdeploy.locks": (),
    "gitdeploy.config": ("gitdeploy.errors",),
    "gitdeploy.engine": (
        *("gitdeploy.errors", "gitdeploy.config.imagereference", "gitdeploy.config.model", "gitdeploy.config.runoptions"),
        "gitdeploy.config.attachments",
        "gitdeploy.config.sections",
    ),
    "gitdeploy.source": ("gitdeploy.errors",),
}

# Decisions: no clock, no network, no files, no processes, no Docker. Of config, only three modules read files.
DECISIONS = (
    "gitdeploy.pipeline.buildguard",
    "gitdeploy.pipeline.signed",
    "gitdeploy.pipeline.version",
    "gitdeploy.intake.push",
    "gitdeploy.intake.choice",
    "gitdeploy.intake.moves",
    "gitdeploy.releases.imagenames",
    "gitdeploy.releases.records",
    "gitdeploy.releases.release",
    "gitdeploy.edge.certificate",
    "gitdeploy.edge.renewal",
    "gitdeploy.config",
)
READ_CONFIG_FILES = ("gitdeploy.config.configfile", "gitdeploy.config.load", "gitdeploy.config.secretfile")
EFFECTS = {
    *("asyncio", "concurrent", "fcntl", "glob", "http", "io", "multiprocessing", "os", "random", "secrets", "select"),
    *("shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time"),
    *("acme", "cryptography", "docker", "dulwich", "h2", "josepy", "loguru", "requests"),
}


def tracked() -> list[Path]:
    """Files of the checkout that git has or would add."""
    command = ["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted({path for name in names if name and (path := CHECKOUT / name).is_file() and not path.is_symlink()})


def is_shell(path: Path) -> bool:
    """Whether the file is a shell script, by its first line."""
    with path.open("rb") as file:
        return file.readline().rstrip() in (b"#!/bin/sh", b"#!/usr/bin/env sh")


FILES = tracked()
SHELL_FILES = [path for path in FILES if is_shell(path)]
SOURCES = [path for path in FILES if path.suffix == ".py" and path.is_relative_to(CHECKOUT / "gitdeploy")]


def module_of(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, ast.Module]:
    """The package's modules; parsed when a test asks, for every process of the tests imports this file."""
    return {module_of(path): ast.parse(path.read_text()) for path in SOURCES}


def imports(tree: ast.AST) -> Iterator[str]:
    """What a module imports, also inside functions: dotted names, `from a import b` as a.b if that is a module, else as a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where things come from"
            assert node.module
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules() else node.module


def within(module: str, *parts: str) -> bool:
    """Whether a module is one of these, or in one of these packages."""
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def edges() -> list[tuple[str, str]]:
    """Every (importing module, imported module) of gitdeploy."""
    return sorted({(module, name) for module, tree in modules().items() for name in imports(tree)})


def test_top_level_entries() -> None:
    entries = {path.relative_to(CHECKOUT).parts[0] for path in FILES}
    assert {entry for entry in entries if not entry.startswith(".")} - TOP == set()


def test_file_sizes() -> None:
    sources = [path for path in FILES if path.suffix == ".py" or path in SHELL_FILES]
    lines = {str(path.relative_to(CHECKOUT)): len(path.read_text().splitlines()) for path in sources}
    limits = {n: MAX_LINES if n.startswith("gitdeploy/") and n.endswith(".py") else MAX_LINES_ELSEWHERE for n in lines}
    too_long = {name: count for name, count in lines.items() if count > limits[name]}
    assert not too_long, f"split by topic, {MAX_LINES} lines at most: {too_long}"


def test_no_two_files_have_one_name() -> None:
    """But for a verb of the command line, which is called what it is about."""
    names = Counter(path.name for path in SOURCES if path.name != "__init__.py" and "cli" not in path.parts)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_classes_have_one_name() -> None:
    classes = [node.name for tree in modules().values() for node in tree.body if isinstance(node, ast.ClassDef)]
    assert [name for name, count in Counter(classes).items() if count > 1] == []


def test_no_file_names_this_machine() -> None:
    here = str(CHECKOUT).encode()
    assert [path for path in FILES if here in path.read_bytes()] == []


@pytest.mark.parametrize("package", OWNERS)
def test_third_party_package_has_one_importer(package: str) -> None:
    importers = [module for module, name in edges() if within(name, package)]
    assert [module for module in importers if not within(module, OWNERS[package])] == []


def test_no_other_third_party_package() -> None:
    known = sys.stdlib_module_names | OWNERS.keys() | {"gitdeploy"}
    stub_only = {"_typeshed"}  # known to type checkers alone
    assert [edge for edge in edges() if edge[1].partition(".")[0] not in known | stub_only] == []


def test_only_the_command_line_reads_arguments_and_environment() -> None:
    readers = {
        module
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if (node.value.id, node.attr) in {("sys", "argv"), ("os", "environ"), ("os", "environb"), ("os", "getenv")}
    }
    readers |= {
        module for module, tree in modules().items() for name in _from_imports(tree) if name in {"argv", "environ", "getenv"}
    }
    assert {module for module in readers if not within(module, "gitdeploy.cli")} == set()


def _from_imports(tree: ast.AST) -> Iterator[str]:
    """The names that a module takes `from os` or `from sys`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("os", "sys"):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("part", LOWER_PARTS)
def test_lower_part_imports_nothing_from_above(part: str) -> None:
    allowed = (part, *LOWER_PARTS[part])
    upward = [edge for edge in edges() if within(edge[0], part) and within(edge[1], "gitdeploy")]
    assert [edge for edge in upward if edge[1] != "gitdeploy" and not within(edge[1], *allowed)] == []


def room_of(module: str) -> str:
    """The room that a module is in; "" for the package itself and its entry."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def test_rooms_import_downwards_only() -> None:
    floor = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
    rooms = [(edge, room_of(edge[0]), room_of(edge[1])) for edge in edges() if within(edge[1], "gitdeploy")]
    assert {room for _, *pair in rooms for room in pair if room} - floor.keys() == set()
    upwards = [edge for edge, user, used in rooms if user and used and user != used and floor[user] >= floor[used]]
    assert upwards == []


def test_every_room_says_what_it_is_for() -> None:
    rooms = {module: tree for module, tree in modules().items() if module.count(".") == 1 and module != "gitdeploy.__main__"}
    assert [module for module, tree in rooms.items() if not ast.get_docstring(tree)] == []


def test_nothing_is_outside_of_a_room() -> None:
    assert {module for module in modules() if module.count(".") == 1} == {
        *(f"gitdeploy.{room}" for rooms in ROOMS for room in rooms if f"gitdeploy.{room}" in modules()),
        "gitdeploy.__main__",
    }


def test_nobody_above_the_targets_knows_how_one_works() -> None:
    """The doctor does, who looks at what they have made."""
    inside = ("gitdeploy.targets.docker",)
    above = ("gitdeploy.cli", "gitdeploy.agent", "gitdeploy.worker", "gitdeploy.pipeline", "gitdeploy.releases")
    assert [edge for edge in edges() if within(edge[0], *above) and within(edge[1], *inside)] == []


def test_decisions_have_no_effects() -> None:
    deciding = [edge for edge in edges() if within(edge[0], *DECISIONS) and edge[0] not in READ_CONFIG_FILES]
    assert [edge for edge in deciding if edge[1].partition(".")[0] in EFFECTS] == []


def test_only_the_command_line_is_wired_to_the_engine() -> None:
    """Everything else knows the engine by modules that import no SDK, `engine.protocol` and `engine.types` above all."""
    texts = ("election", "dockerfile", "directives", "groups", "growth", "imagefaults", "proxies")
    names = ("protocol", "types", "scope", "lines", "cutting", "madewith", "ports", "cluster", "serviceoptions", *texts)
    pure = tuple(f"gitdeploy.engine.{name}" for name in names)
    users = [edge for edge in edges() if within(edge[1], "gitdeploy.engine") and not within(edge[0], "gitdeploy.engine")]
    assert [edge for edge in users if edge[1] not in pure and not within(edge[0], "gitdeploy.cli")] == []


def test_nothing_imports_the_command_line() -> None:
    users = [module for module, name in edges() if within(name, "gitdeploy.cli")]
    assert [module for module in users if not within(module, "gitdeploy.cli", "gitdeploy.__main__")] == []


def test_starting_the_command_line_imports_no_package() -> None:
    """The first thing a push waits for; docker alone would take 0.15 s."""
    script = f"import sys; import gitdeploy.cli; print({set(OWNERS)} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, check=True, capture_output=True, text=True).stdout
    assert loaded == "set()\n"


@pytest.mark.parametrize("checker", ["ruff check --quiet", "mypy --no-error-summary"])
def test_python(checker: str) -> None:
    command = [sys.executable, "-m", *checker.split()]
    checked = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", SHELL_FILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
@pytest.mark.parametrize("checker", ["dash -n", "bash --posix -n", "busybox sh -n", "shellcheck --shell=sh"])
def test_shell_script(checker: str, path: Path) -> None:
    checked = subprocess.run([*checker.split(), path], check=False, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
