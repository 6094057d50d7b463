"""Schedules on the engine: runs in what is live, beside deployments, and after a kill of whoever looks after them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.net import wait_until

MINUTELY, YEARLY = "* * * * *", "0 0 1 1 *"
SCHEDULES = """
[apps."{app}".schedule.report]
cron = "* * * * *"
command = ["sh", "-c", "echo report of $(cat /www/VERSION) for $TOKEN"]

[apps."{app}".schedule.slow]
cron = "0 0 1 1 *"
command = ["sh", "-c", "echo began; while [ -e /data/hold ]; do sleep 0.05; done; echo done; exit $(cat /data/code)"]

[apps."{app}".schedule.long]
cron = "0 0 1 1 *"
timeout = "1s"
command = "sleep 100"
run = {{ stop_signal = "SIGKILL" }}
"""
DOCKERFILE = """\
FROM gitdeploy-test/busybox:1
COPY VERSION /www/index.html
COPY VERSION /www/
STOPSIGNAL SIGKILL
EXPOSE 80
CMD ["httpd", "-f", "-p", "80", "-h", "/www"]
"""


class Shop:
    """An app with schedules, 1.0.0 of which is live; `data` is a directory that its containers have."""

    def __init__(self, app: Deployable, data: Path, client: docker.DockerClient) -> None:
        self.app, self.site, self.name, self.data, self._client = app, app.site, app.name, data, client

    def runs(self) -> list[dict[str, Any]]:
        """Its runs, newest first."""
        found: list[dict[str, Any]] = json.loads(self.site.run("history", self.name, "--runs", "--json").stdout)
        return found

    def states(self) -> list[tuple[str, str]]:
        return [(run["name"], run["status"]) for run in self.runs()]

    def log(self, number: int) -> str:
        return self.site.run("logs", self.name, "--run", str(number)).stdout

    def containers(self) -> list[str]:
        wanted = {"label": ["gitdeploy.oneoff=schedule", f"gitdeploy.app={self.name}"]}
        return [str(c.name) for c in self._client.containers.list(all=True, filters=wanted, ignore_removed=True)]

    def as_if_minutes_had_passed(self) -> None:
        """Lets what is live be live for two minutes, in which nobody has looked."""
        with sqlite3.connect(self.site.home / "state.db") as db:
            db.execute("UPDATE deployments SET finished = finished - 120")
            db.execute("UPDATE looked SET at = at - 120")

    def begin(self) -> int:
        """Starts "slow", which ends when `hold` goes; returns the run's number."""
        (self.data / "hold").touch()
        (self.data / "code").write_text("0")
        with sqlite3.connect(self.site.home / "state.db") as db:
            row = (self.name, "slow", 1e9, "command", "queued")
            db.execute("INSERT INTO runs (app, name, due, trigger, status) VALUES (?, ?, ?, ?, ?)", row)
            db.execute("UPDATE runs SET due = strftime('%s', 'now') WHERE due = 1e9")
        self.site.run("schedule", "--tick")
        wait_until(lambda: ("slow", "running") in self.states() and "began" in self.log(self.runs()[0]["id"]), 60, "the run")
        return int(self.runs()[0]["id"])

    def replace(self, cron: str, other: str) -> None:
        """Changes when schedules of that time are due: a minute that begins must not start one where none is expected."""
        config = self.site.home / "config.toml"
        config.write_text(config.read_text().replace(f'"{cron}"', f'"{other}"'))


@pytest.fixture
def shop(app: Deployable, tmp_path: Path, docker_client: docker.DockerClient) -> Shop:
    data = tmp_path / "volume"
    data.mkdir()
    (tmp_path / "app.env").write_text("TOKEN=canary-of-the-env-file\n")
    (tmp_path / "app.env").chmod(0o600)
    app.site.configure(f'\nvolumes = ["{data}:/data"]\nenv_file = "{tmp_path}/app.env"\nhealth = {{ interval = "50ms" }}\n')
    app.site.configure(SCHEDULES.format(app=app.name))
    app.clone.release("1.0.0", {"Dockerfile": DOCKERFILE})
    assert "is live" in app.clone.push(app.remote).text
    return Shop(app, data, docker_client)


def test_what_is_due_runs_once(shop: Shop) -> None:
    shop.site.run("schedule", "--tick")
    assert shop.runs() == []  # it was not live yet when the minute began
    shop.as_if_minutes_had_passed()
    shop.site.run("schedule", "--tick")
    wait_until(lambda: shop.states() == [("report", "succeeded")], 30, "the run")
    (run,) = shop.runs()
    assert (run["version"], run["exit_code"], run["trigger"]) == ("1.0.0", 0, "schedule")
    assert "report of 1.0.0 for ***" in shop.log(run["id"])
    assert "canary" not in (shop.site.home / "logs" / shop.name / f"run-{run['id']}.log").read_text()
    assert " report " in shop.site.run("history", shop.name).stdout
    wait_until(lambda: shop.containers() == [], 10, "the end of the container")
    wait_until(lambda: not list((shop.site.home / "locks").glob("run-*")), 10, "the end of its process")
    with sqlite3.connect(shop.site.home / "state.db") as db:
        db.execute("UPDATE looked SET at = ?", (run["due"] - 1,))
    shop.site.run("schedule", "--tick")
    assert [one["due"] for one in shop.runs()].count(run["due"]) == 1
    assert (shop.site.home / "schedules").exists()


def test_a_person_runs_one(shop: Shop) -> None:
    (shop.data / "code").write_text("3")
    done = shop.site.run("schedule", shop.name, "slow", check=3)
    assert "began" in done.stdout
    assert "done" in done.stdout
    assert shop.states() == [("slow", "failed")]
    done = shop.site.run("schedule", shop.name, "long", check=1)
    assert "run long was not done within 1s (schedule.long.timeout), and was stopped" in done.stdout
    assert shop.states()[0] == ("long", "failed")
    assert shop.containers() == []
    listed = shop.site.run("schedule", shop.name).stdout
    assert "failed (run 2)" in listed
    assert '"how": "schedule"' in (shop.site.home / "audit.jsonl").read_text()
    assert "has no schedule 'other'" in shop.site.run("schedule", shop.name, "other", check=2).stderr


def test_a_deployment_leaves_a_run_alone_and_so_does_a_kill(shop: Shop) -> None:
    shop.replace(MINUTELY, YEARLY)
    number = shop.begin()
    assert "slow does not run now: run 1 is not over" in shop.site.run("schedule", shop.name, "slow", check=2).stderr
    shop.app.clone.release("1.0.1")
    assert "1.0.1 is live" in shop.app.clone.push(shop.app.remote).text
    shop.site.run("cancel", shop.name, check=None)
    shop.site.run("prune", shop.name)
    assert ("slow", "running") in shop.states()
    shop.site.kill_workers()
    (name,) = shop.containers()
    assert name.endswith(f".slow.{number}")
    shop.site.run("schedule", "--tick")
    wait_until(lambda: "it still runs since" in shop.log(number), 30, "another process")
    (shop.data / "hold").unlink()
    wait_until(lambda: ("slow", "succeeded") in shop.states(), 30, "its end")
    assert shop.runs()[-1]["version"] == "1.0.0"
    wait_until(lambda: shop.containers() == [], 10, "the end of the container")


def test_what_ended_while_nobody_looked_is_told_and_remove_ends_all(shop: Shop) -> None:
    shop.replace(MINUTELY, YEARLY)
    number = shop.begin()
    shop.site.kill_workers()
    (shop.data / "code").write_text("7")
    (shop.data / "hold").unlink()
    shop.site.run("schedule", "--tick")
    wait_until(lambda: shop.states() == [("slow", "failed")], 30, "its end")
    assert (shop.runs()[0]["exit_code"], shop.log(number).count("began") > 0) == (7, True)
    wait_until(lambda: shop.containers() == [], 10, "the end of the container")
    shop.begin()
    shop.site.run("remove", shop.name)
    assert shop.containers() == []
    assert shop.runs()[0]["error"] == "ended by gitdeploy remove"
    shop.replace(YEARLY, MINUTELY)
    shop.as_if_minutes_had_passed()
    shop.site.run("schedule", "--tick")
    assert len(shop.runs()) == 2


@pytest.mark.exhaustive  # a minute has to begin
def test_an_agent_starts_what_is_due(shop: Shop) -> None:
    environ = {**os.environ, **shop.site.environ, "GITDEPLOY_MODE": "agent"}
    shop.as_if_minutes_had_passed()
    with subprocess.Popen([shop.site.home / "bin/gitdeploy", "worker", "--watch"], env=environ) as agent:
        try:
            wait_until(lambda: ("report", "succeeded") in shop.states(), 90, "the run")
        finally:
            agent.terminate()
