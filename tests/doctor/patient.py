"""An installation with one app, and what doctor finds in it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gitdeploy.doctor.finding import Finding
from tests.support.installed import Installed

APP = "devops/dev-app"
NO_ENGINE = "unix:///nonexistent/docker.sock"


# Those columns of Gogs' tables that matter here, as its SQLite has them (internal/database: webhook.go, repo.go, users.go).
SCHEMA = """
CREATE TABLE user (id INTEGER PRIMARY KEY AUTOINCREMENT, lower_name TEXT NOT NULL, name TEXT NOT NULL);
CREATE TABLE repository (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner_id INTEGER NULL, lower_name TEXT NOT NULL, name TEXT NOT NULL
);
CREATE TABLE webhook (
    id INTEGER PRIMARY KEY AUTOINCREMENT, repo_id INTEGER NULL, org_id INTEGER NULL, url TEXT NULL, content_type INTEGER NULL,
    secret TEXT NULL, events TEXT NULL, is_ssl INTEGER NULL, is_active INTEGER NULL, hook_task_type INTEGER NULL,
    meta TEXT NULL, last_status INTEGER NULL, created_unix INTEGER NULL, updated_unix INTEGER NULL
);
"""


@dataclass(frozen=True)
class Patient:
    """An installation to be examined."""

    site: Installed

    @property
    def home(self) -> Path:
        """DIR/gitdeploy."""
        return self.site.home

    @property
    def repository(self) -> Path:
        """The app's repository."""
        return self.site.gogs.repository(APP)

    @property
    def hook(self) -> Path:
        """The app's hook."""
        return self.repository / "custom_hooks" / "post-receive"

    @property
    def moves(self) -> Path:
        """The hook that tells of merges."""
        return self.repository / "hooks" / "reference-transaction"

    @property
    def conf(self) -> Path:
        """The app's gitdeploy.conf."""
        return self.repository / "gitdeploy.conf"

    @property
    def database(self) -> Path:
        """Gogs' database."""
        return self.site.gogs.data / "gogs/data/gogs.db"

    def create_database(self) -> None:
        """Makes Gogs' database, with nothing in it."""
        with contextlib.closing(sqlite3.connect(self.database)) as db:
            db.executescript(SCHEMA)

    def examine(self, **environ: str) -> list[Finding]:
        """All findings of `gitdeploy doctor --json`, run within this process; its exit status must be that of the worst."""
        status, said = self.site.within("doctor", "--json", **environ)
        report = json.loads(said)
        findings = [Finding(**finding) for finding in report["findings"]]
        broken = any(finding.level == "error" for finding in findings)
        assert (status, report["healthy"]) == ((3, False) if broken else (0, True))
        return findings

    def faults(self, **environ: str) -> list[Finding]:
        """What is not as it should be, but for the engine, which the installation has only where a test gives it one."""
        without_engine = [f for f in self.examine(**environ) if f.check != "engine" or "nonexistent" not in f.found]
        return [finding for finding in without_engine if finding.level != "ok"]

    def follow(self, fix: str) -> None:
        """Runs the command line of a fix."""
        path = f"{self.home / 'bin'}:{os.environ['PATH']}"
        subprocess.run(["sh", "-euc", fix], env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True)
