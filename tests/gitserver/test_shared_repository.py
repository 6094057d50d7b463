"""Several apps of one repository: what their hook knows of each, and what is left when one is taken out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.errors import UsageError
from gitdeploy.gitserver.enrolment import enrol, remove
from gitdeploy.gitserver.hookconf import FILE, MAX_APPS, enrolled_apps, refs_by_app, token_of, without_app
from tests.support.enrolling import CONF, HOOK, listing
from tests.support.gogs import Gogs

ADMIN = replace(CONF, app="devops/admin", refs=("refs/heads/release/*",))


@pytest.fixture
def repository(gogs_dir: Gogs) -> Path:
    """Devops/Dev-App, not enrolled."""
    return gogs_dir.create_repository("Devops/Dev-App")


def known(repository: Path) -> dict[str, list[str]]:
    """The refs of each app, as the hook knows them."""
    return refs_by_app((repository / FILE).read_bytes())


def test_a_second_app_takes_nothing_from_the_first(gogs_dir: Gogs, repository: Path) -> None:
    enrol(gogs_dir.data, repository, CONF)
    token = token_of(repository)
    assert enrol(gogs_dir.data, repository, ADMIN).changed
    assert known(repository) == {
        "devops/admin": ["refs/heads/release/*"],
        "devops/dev-app": ["refs/heads/main", "refs/tags/v*"],
    }
    assert token_of(repository) == token
    before = listing(repository)
    assert not enrol(gogs_dir.data, repository, CONF).changed
    assert not enrol(gogs_dir.data, repository, ADMIN).changed
    assert listing(repository) == before


def test_what_the_config_says_of_the_others_is_written_with_it(gogs_dir: Gogs, repository: Path) -> None:
    """The file is as new as config.toml after that: nothing old may stay in it."""
    enrol(gogs_dir.data, repository, CONF)
    others = {"devops/dev-app": ("refs/heads/live",), "devops/elsewhere": ("refs/heads/main",)}
    enrol(gogs_dir.data, repository, replace(ADMIN, others=others))
    assert known(repository) == {"devops/admin": ["refs/heads/release/*"], "devops/dev-app": ["refs/heads/live"]}


def test_one_app_is_taken_out_and_the_other_stays(gogs_dir: Gogs, repository: Path) -> None:
    untouched = listing(repository)
    enrol(gogs_dir.data, repository, CONF)
    alone = (repository / FILE).read_bytes()
    enrol(gogs_dir.data, repository, ADMIN)
    done = remove(gogs_dir.data, repository, "devops/admin")
    assert (done.found, done.others) == (True, ("devops/dev-app",))
    assert (repository / FILE).read_bytes() == alone
    assert (repository / HOOK).exists()
    assert not remove(gogs_dir.data, repository, "devops/admin").found
    assert remove(gogs_dir.data, repository, "devops/dev-app").others == ()
    assert listing(repository) == untouched


def test_there_is_an_end_to_it(gogs_dir: Gogs, repository: Path) -> None:
    for number in range(MAX_APPS):
        enrol(gogs_dir.data, repository, replace(CONF, app=f"devops/app-{number:02}"))
    with pytest.raises(UsageError, match=f"serves {MAX_APPS} apps already"):
        enrol(gogs_dir.data, repository, CONF)
    assert len(enrolled_apps(repository)) == MAX_APPS
    enrol(gogs_dir.data, repository, replace(CONF, app="devops/app-00"))


def test_what_somebody_else_wrote() -> None:
    text = (
        b"app ../x\nref refs/heads/a\napp o/r\nref refs/heads/main\nref  refs/x\nref nothing\nref refs/\x07\nhome /h\napp o/r\n"
    )
    assert refs_by_app(text) == {"o/r": ["refs/heads/main"]}
    assert without_app(b"app a/b\nref r\nhome /h\napp c/d\nref s\n", "a/b") == b"home /h\napp c/d\nref s\n"
