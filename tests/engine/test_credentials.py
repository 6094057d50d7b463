"""Registry logins from files and helpers of every kind that Docker knows, none of which may leak."""

from __future__ import annotations

import base64
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitdeploy.engine.credentials import Logins, load
from gitdeploy.errors import UnfitError

SECRET = "hunter2-never-shown"

HELPER = """\
#!/bin/sh
# docker-credential-helpers' protocol: the verb as argument, the server on stdin, JSON or an error on stdout
read -r server
echo "$1 $server" >>"$HOME/asked"
case $server in
    https://index.docker.io/v1/) echo '{"ServerURL":"'"$server"'","Username":"hubber","Secret":"hunter2-never-shown"}' ;;
    token.example) echo '{"ServerURL":"'"$server"'","Username":"<token>","Secret":"hunter2-never-shown"}' ;;
    broken.example) echo '{"hunter2-never-shown"' ;;
    locked.example) echo "the keychain is locked"; exit 1 ;;
    *) echo "credentials not found in native keychain"; exit 1 ;;
esac
"""


def auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    return {"HOME": str(tmp_path), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}


@pytest.fixture
def logins(tmp_path: Path, environ: dict[str, str]) -> Callable[[dict[str, Any]], Logins]:
    """Writes a config.json and loads it."""

    def write(config: dict[str, Any]) -> Logins:
        (tmp_path / ".docker").mkdir(exist_ok=True)
        path = tmp_path / ".docker" / "config.json"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        return load(environ)

    return write


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v1/", "registry.example"),
        ("http://registry.example/v2/", "registry.example"),
        ("Registry.Example", "registry.example"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("https://index.docker.io/v1/", "registry-1.docker.io"),
        ("https://index.docker.io/v1/", "index.docker.io"),
        ("docker.io", "docker.io"),
        ("docker.io", "registry-1.docker.io"),
    ],
)
def test_an_entry_is_found_by_host(logins: Callable[[dict[str, Any]], Logins], name: str, host: str) -> None:
    found = logins({"auths": {"other.example": auth("eve"), name: auth("alice")}})
    assert found(host) == ("alice", SECRET)


@pytest.mark.parametrize("host", ["registry.example:5000", "example", "sub.registry.example", "docker.io"])
def test_another_registry_gets_nothing(logins: Callable[[dict[str, Any]], Logins], host: str) -> None:
    assert logins({"auths": {"registry.example": auth("alice")}})(host) is None


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        (auth("alice", "with:colon"), ("alice", "with:colon")),
        (auth("alice", "päss"), ("alice", "päss")),
        (auth("alice", f"{SECRET}\0\0"), ("alice", SECRET)),
        ({"username": "alice", "password": SECRET}, ("alice", SECRET)),
        ({**auth("00000000-0000-0000-0000-000000000000", ""), "identitytoken": SECRET}, ("<token>", SECRET)),
        ({}, None),
        ({"email": "a@example.org"}, None),
    ],
)
def test_forms_of_an_entry(logins: Callable[[dict[str, Any]], Logins], entry: Any, login: tuple[str, str] | None) -> None:
    assert logins({"auths": {"registry.example": entry}})("registry.example") == login


def test_a_helper_for_everything(logins: Callable[[dict[str, Any]], Logins], tmp_path: Path) -> None:
    found = logins({"auths": {"registry.example": auth("not asked")}, "credsStore": "test"})
    assert found("docker.io") == found("registry-1.docker.io") == ("hubber", SECRET)
    assert found("token.example") == ("<token>", SECRET)
    assert found("registry.example") is None
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["get https://index.docker.io/v1/", "get token.example", "get registry.example"]


def test_a_helper_for_one_registry(logins: Callable[[dict[str, Any]], Logins]) -> None:
    found = logins({"auths": {"registry.example": auth("alice")}, "credHelpers": {"token.example": "test"}})
    assert found("token.example") == ("<token>", SECRET)
    assert found("registry.example") == ("alice", SECRET)


@pytest.mark.parametrize(
    ("config", "host", "reason"),
    [
        ({"credsStore": "test"}, "locked.example", "docker-credential-test failed for locked.example: the keychain is locked"),
        ({"credsStore": "test"}, "broken.example", "docker-credential-test answered something else"),
        ({"credsStore": "absent"}, "any.example", "docker-credential-absent, which is not on the PATH"),
        ({"credsStore": "../bin/docker-credential-test"}, "any.example", "which is not on the PATH"),
        ({"auths": {"any.example": {"auth": SECRET}}}, "any.example", "expected the base64 of user:password"),
        (
            {"auths": {"any.example": {"auth": base64.b64encode(SECRET.encode()).decode()}}},
            "any.example",
            "expected the base64",
        ),
        ({"auths": {"any.example": {"auth": [SECRET]}}}, "any.example", "expected the base64"),
    ],
)
def test_what_cannot_be_had_is_an_error_without_the_secret(
    logins: Callable[[dict[str, Any]], Logins], config: dict[str, Any], host: str, reason: str
) -> None:
    found = logins(config)
    with pytest.raises(UnfitError, match=reason) as raised:
        found(host)
    shown = "".join(traceback.format_exception(raised.value)) + raised.value.hint + repr(found)
    assert SECRET not in shown
    assert base64.b64encode(SECRET.encode()).decode() not in shown


@pytest.mark.parametrize(
    "content", ["", "{", f'{{"{SECRET}', "[]", '{"auths": [1]}', '{"auths": {"a": "b"}}', '{"credHelpers": 1}']
)
def test_a_broken_file_is_named(logins: Callable[[dict[str, Any]], Logins], environ: dict[str, str], content: str) -> None:
    logins({})
    path = Path(environ["HOME"], ".docker/config.json")
    path.write_text(content)
    with pytest.raises(UnfitError, match=f"{path}: expected JSON") as raised:
        load(environ)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_no_config_is_nobody(environ: dict[str, str]) -> None:
    assert load(environ)("docker.io") is None


def test_docker_config_names_the_directory(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "config.json"
    path.write_text(json.dumps({"auths": {"registry.example": auth("alice")}}))
    path.chmod(0o600)
    assert load({**environ, "DOCKER_CONFIG": str(path.parent)})("registry.example") == ("alice", SECRET)


def test_an_auth_file_takes_the_place_of_docker_s(logins: Callable[[dict[str, Any]], Logins], environ: dict[str, str]) -> None:
    logins({"auths": {"registry.example": auth("of docker"), "other.example": auth("of docker")}})
    path = Path(environ["HOME"], "own.json")
    path.write_text(json.dumps({"auths": {"registry.example": auth("own")}}))
    path.chmod(0o400)
    found = load(environ, path)
    assert found("registry.example") == ("own", SECRET)
    assert found("other.example") is None


def test_an_auth_file_has_to_be_there(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match=r"own\.json \(push\.auth_file\): there is no such file"):
        load(environ, tmp_path / "own.json")


def test_a_directory_is_no_auth_file(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match="cannot be read: Is a directory"):
        load(environ, tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_passwords_that_others_can_read_are_refused(
    logins: Callable[[dict[str, Any]], Logins], environ: dict[str, str], mode: int
) -> None:
    logins({"auths": {"registry.example": auth("alice")}})
    path = Path(environ["HOME"], ".docker/config.json")
    path.chmod(mode)
    with pytest.raises(UnfitError, match=f"other users can read .* \\(mode {mode:o}\\)") as raised:
        load(environ)
    assert raised.value.hint == f"chmod 600 {path}"


def test_a_file_without_passwords_may_be_read_by_all(
    logins: Callable[[dict[str, Any]], Logins], environ: dict[str, str]
) -> None:
    logins({"auths": {"docker.io": {}}, "credsStore": "test"})
    Path(environ["HOME"], ".docker/config.json").chmod(0o644)
    assert load(environ)("docker.io") == ("hubber", SECRET)
