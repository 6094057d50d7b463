"""The scene of the worker's tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gitdeploy.cli.installation import make_site
from gitdeploy.terminal import console
from tests.support.apps import SampleApp
from tests.support.fake_engine import FakeEngine
from tests.support.gogs import Gogs
from tests.support.installed import install
from tests.worker.scene import APP, EXTRA, Scene


@pytest.fixture
def scene(gogs_dir: Gogs, sample_app: SampleApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr("gitdeploy.targets.docker.health.Waiter.wait", lambda *_: None)  # nothing listens there

    installed = install(gogs_dir, {})
    before = os.umask(0o077)
    installed.enrol(APP, "registry.example/dev-app", 8080, EXTRA)
    engine = FakeEngine()
    engine.add_image("gitdeploy-test/busybox:1")
    site = replace(
        make_site({"GITDEPLOY_HOME": str(installed.home)}),
        connect=lambda: engine,
        refresh_hook=lambda app, config, path: None,
    )
    console.setup(site.home / "logs" / "gitdeploy.log")
    with site.open_state() as state:
        yield Scene(installed, site, state, sample_app, engine)
    console.setup(None)
    os.umask(before)
