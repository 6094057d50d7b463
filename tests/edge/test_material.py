"""Files that config.toml names: what is wrong with them is one app's trouble, and what was served before is served on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.config.load import parse_config
from gitdeploy.config.model import App, Config
from gitdeploy.edge import pem
from gitdeploy.edge.certstore import CertificateStore
from gitdeploy.edge.fronting import user_digests
from gitdeploy.edge.material import Material
from gitdeploy.edge.route import Rules, Traffic
from tests.edge.stage import Stage, route
from tests.edge.test_routes import ask

NOW = 1_790_000_000.0
NAME = "shop.example.com"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One app with files of its own, which are in order, and one without."""
    (tmp_path / "shop.pem").write_bytes(pem.self_made((NAME,), NOW).pem)
    (tmp_path / "users").write_text("# who may\n\nann:s3cret\n")
    for path in tmp_path.iterdir():
        path.chmod(0o600)
    files = (
        f'tls = {{ certificate = "{tmp_path}/shop.pem", key = "{tmp_path}/shop.pem" }}\nproxy.basic_auth = "{tmp_path}/users"'
    )
    text = f'[apps."o/r"]\nport = 80\ndomains = ["{NAME}"]\n{files}\n[apps."o/s"]\nport = 80\ndomains = ["other.example.com"]\n'
    return parse_config(f'{text}[edge]\nerror_page = "{tmp_path}/page"\n'.encode(), Path("/c.toml"))


@pytest.fixture
def material(config: Config, store: CertificateStore, said: list[str]) -> Material:
    """Of these."""
    return Material(config, store, said.append, NOW)


def apps(config: Config) -> list[App]:
    return list(config.apps.values())


def test_a_certificate_that_breaks_is_served_as_it_was(
    material: Material, config: Config, tmp_path: Path, said: list[str]
) -> None:
    names = [certificate.names for certificate in material.certificates(apps(config))]
    assert names == [(), (NAME,)]  # o/s has none yet
    good = material.certificates(apps(config))[1].fingerprint
    file = tmp_path / "shop.pem"
    for rubbish in (
        b"",
        b"rubbish",
        pem.self_made(("www.example.com",), NOW).pem,
        pem.self_made((NAME,), NOW - 11 * 365 * 86400).pem,
    ):
        said.clear()
        file.write_bytes(rubbish)
        assert material.certificates(apps(config))[1].fingerprint == good
        assert len(said) == 1
        assert said[0].startswith("o/r: ")
        assert said[0].endswith("; the one before is served")
    file.write_bytes(pem.self_made((NAME,), NOW).pem)
    assert material.certificates(apps(config))[1].fingerprint != good


def test_where_there_was_none_before_a_self_made_one_stands_in(
    material: Material, config: Config, tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "shop.pem").unlink()
    assert [certificate.names for certificate in material.certificates(apps(config))] == [()]
    assert said[0].endswith("; a self-made one is served")


def test_users_and_the_page(material: Material, config: Config, tmp_path: Path, said: list[str]) -> None:
    app = config.apps["o/r"]
    assert material.users(app) == user_digests({"ann": "s3cret"})
    assert material.page() == b""
    assert "edge.error_page: " in said.pop()
    (tmp_path / "page").write_bytes(b"<h1>Soon</h1>")
    assert material.page() == b"<h1>Soon</h1>"
    (tmp_path / "page").write_bytes(b"x" * 16_001)
    assert material.page() == b""
    for wrong in ("ann\n", ":x\n", "ann:\n", "# nobody\n"):
        (tmp_path / "users").write_text(wrong)
        assert material.users(app) == ()
        assert "s3cret" not in said[-1]
        assert said[-1].endswith("; nobody is let in")


def test_another_page_is_shown_at_once(stage: Stage, new_name: Callable[[], str]) -> None:
    app = stage.start(new_name())
    traffic = Traffic((route("a.example", app, rules=Rules(secure=False, maintenance=True)),))
    for page in (b"<h1>Back soon</h1>", b"<h1>Back at nine</h1>"):
        replace(stage.edge, away=page).apply(traffic)
        status, text, headers = ask(stage, "a.example")
        assert (status, text.encode(), headers["retry-after"]) == (503, page, "10")


def test_what_has_ended_and_is_for_no_name_goes(material: Material, store: CertificateStore) -> None:
    ended = pem.self_made(("old.example.com",), NOW - 11 * 365 * 86400)
    for name, certificate in (("old.example.com", ended), (NAME, ended), ("kept.example.com", pem.self_made((NAME,), NOW))):
        store.keep(name, certificate)
    material.forget_ended([NAME])
    assert store.certificates().keys() == {NAME, "kept.example.com"}
