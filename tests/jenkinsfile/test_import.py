"""`gitdeploy import-jenkinsfile` on the command line; and no file does harm."""

from __future__ import annotations

import io
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitdeploy.cli import main
from gitdeploy.errors import UsageError
from gitdeploy.jenkinsfile.convert import MAX_SIZE, Converter
from tests.jenkinsfile.reading import convert

SEED = Path(__file__).parent / "Jenkinsfile"


def test_file_that_is_too_large() -> None:
    with pytest.raises(UsageError, match="at most"):
        Converter("x" * (MAX_SIZE + 1))


HOSTILE = {
    "values within values": "\n".join(f'v{n} = "$v{n - 1}$v{n - 1}"' for n in range(1, 2000)) + "\nsh 'docker run $v1999'",
    "long values": 'v = "' + "x" * 999 + '"\n' + "sh '''\n" + "$v\n" * 20_000 + "'''",
    "one long line": 'v = "' + "x" * 999 + '"\n' + "sh '''docker run " + "$v" * 31_000 + "'''",
    "open quotations": "'" * 63_000,
    "open strings": "sh '''" * 10_000,
    "open calls": "sh(" * 21_000,
    "nested lists": "a = " + "[" * 63_000,
    "open substitutions": "sh '''" + "$(" * 31_000 + "'''",
    "backquotes": "sh '''" + "`" * 63_000 + "'''",
    "comments": "/*" * 31_000,
    "dots": "a." * 31_000,
    "options": "sh '''docker run " + "-e A=1 " * 9_000 + "x/y'''",
    "many options": "sh '''\n" + "docker run -d -e A=1 x/y\n" * 2_500 + "'''",
    "binary": "".join(chr(n % 256) for n in range(63_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.timeout(120)
def test_hostile_file_comes_to_an_end(name: str) -> None:
    assert len(HOSTILE[name]) <= MAX_SIZE
    try:
        converted = Converter(HOSTILE[name]).convert("devops/dev-app")
    except UsageError:
        return
    tomllib.loads(converted.toml)


PIECES = [
    "sh ",
    "'",
    '"',
    "'''",
    "$",
    "{",
    "}",
    "(",
    ")",
    "docker run ",
    "docker build ",
    "-t ",
    "x/y",
    ":",
    "=",
    "\n",
    "\\",
    "env",
    ",",
    "\x00",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200))
@example("sh 'docker run -d x/y -e'")
@example("sh 'docker'")
@example("docker.build()")
@example("sh '''docker build -t'''")
def test_no_file_is_too_odd(text: str) -> None:
    for source in (text, f"sh 'docker build -t x/y .'\n{text}", f"sh '''docker run {text} x/y'''"):
        try:
            converted = Converter(source).convert("devops/dev-app")
        except UsageError:
            continue
        tomllib.loads(converted.toml)


def test_nothing_is_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    text = f"sh 'docker build -t x/y:$(touch {trap}) .'\nsh 'touch {trap}'\nx = new File('{trap}').createNewFile()\n"

    convert(text)

    assert not trap.exists()


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "Jenkinsfile"
    file.write_bytes(b"\xef\xbb\xbfsh 'docker build -t x/y:$VERSION .'\r\nsh 'make \x1b[31m \xff'\r\n")

    status = main(["import-jenkinsfile", str(file), "--app", "Devops/Dev-App"])

    out, err = capsys.readouterr()
    assert (status, out) == (0, '[apps."devops/dev-app"]\nimage = "x/y"\npush.enabled = false\n')
    assert err.startswith(f'{file}: line 2: "make ')
    assert "\x1b" not in err


def test_standard_input() -> None:
    command = [sys.executable, "-m", "gitdeploy", "import-jenkinsfile", "-"]
    done = subprocess.run(command, input=SEED.read_bytes(), capture_output=True, check=True)

    assert tomllib.loads(done.stdout.decode())["apps"]["devops/dev-app"]["image"] == "6ain/dev-app"
    assert done.stderr.decode().startswith("-: line ")


@pytest.mark.parametrize("arguments", [["/nonexistent/Jenkinsfile"], ["/"], ["-", "--app", "no app"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))

    assert main(["import-jenkinsfile", *arguments]) == 2
    assert "Traceback" not in capsys.readouterr().err
