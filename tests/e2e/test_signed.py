"""`require_signed` in whole deployments: over a push, a merge in the web page, by hand, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitdeploy.intake.push import PushRecord, RefUpdate, render_record
from gitdeploy.intake.spool import new_name
from tests.e2e.conftest import Deployable
from tests.support.keys import Keys, key_directory


@dataclass(frozen=True)
class Signing:
    """An app with an unsigned release live, whose server knows one key from now on."""

    app: Deployable
    key: Path
    keys: Keys

    def signed(self, version: str) -> str:
        """Commits a signed release; returns the commit id."""
        self.app.clone.release(version)
        self.app.clone.git(*self.keys.git(self.key), "commit", "--quiet", "--amend", "-S", "--no-edit")
        return self.app.clone.git("rev-parse", "HEAD")


@pytest.fixture
def signing(app: Deployable) -> Iterator[Signing]:
    with key_directory() as keys:
        key = keys.ssh("alice")
        app.site.configure("\npush.enabled = false\n")
        app.clone.release("1.0.0")
        assert "1.0.0 is live" in app.clone.push(app.remote).text
        app.site.configure(f'require_signed.allowed_signers = "{keys.allowed(("alice", key))}"\n')
        yield Signing(app, key, keys)


def test_only_signed_pushes_are_deployed(signing: Signing) -> None:
    app = signing.app
    app.clone.release("1.0.1")
    text = app.clone.push(app.remote).text
    assert "FAILED at Verify signature" in text
    assert "it is not signed" in text
    assert "git commit -S" in text
    assert app.get() == "dev-app 1.0.0"
    commit = signing.signed("1.0.2")
    text = app.clone.push(app.remote).text
    assert "commit signed by alice (ED25519 SHA256:" in text
    assert "1.0.2 is live" in text
    assert app.site.history(app.name)[0]["commit_id"] == commit

    before = app.site.run("rollback", app.name, check=1)
    assert "ran before require_signed was asked for" in before.stdout + before.stderr
    assert app.get() == "dev-app 1.0.2"
    signing.signed("1.0.3")
    app.clone.push(app.remote)
    app.site.run("rollback", app.name)
    assert app.get() == "dev-app 1.0.2"


def test_a_signed_tag_deploys_and_a_merge_in_the_web_page_does_not(signing: Signing) -> None:
    app = signing.app
    app.clone.release("1.0.1")
    app.clone.git(*signing.keys.git(signing.key), "tag", "-s", "-m", "v1", "v1")
    app.clone.push(app.remote, "refs/tags/v1")
    done = app.site.run("deploy", app.name, "v1")
    assert "tag signed by alice" in done.stdout + done.stderr
    assert app.get() == "dev-app 1.0.1"

    merged = app.clone.release("1.0.2")
    app.clone.push(app.remote, "HEAD:refs/heads/feature")
    app.site.gogs.repository(app.name).joinpath("refs/heads/main").write_text(f"{merged}\n")
    ref = RefUpdate("0" * 40, merged, "refs/heads/main")
    record = PushRecord(new_name(time.time()), app.name, str(app.site.gogs.repository(app.name)), (ref,), trigger="move")
    (app.site.home / "spool" / f"{record.name}.push").write_bytes(render_record(record))
    app.site.run("worker", "--once", check=None)
    newest = app.site.history(app.name)[0]
    assert (newest["trigger"], newest["status"], newest["stage"]) == ("move", "failed", "Verify signature")
    done = app.site.run("deploy", app.name, "main", check=1)
    assert "it is not signed" in done.stdout + done.stderr
    assert app.get() == "dev-app 1.0.1"
