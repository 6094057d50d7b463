"""Doctor reads Gogs' database of webhooks and its log of hooks, and believes neither."""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gitdeploy.doctor import webhooks
from gitdeploy.doctor.hooklog import HookError, judge_hook_log, look_at_hook_log
from gitdeploy.doctor.webhooks import judge_webhooks, read_webhooks
from tests.doctor.patient import APP, Patient

PUSH_ONLY = json.dumps({"push_only": True, "send_everything": False, "choose_events": False, "events": {"push": False}})
ISSUES = json.dumps({"push_only": False, "send_everything": False, "choose_events": True, "events": {"issues": True}})
CHOSEN = json.dumps({"push_only": False, "send_everything": False, "choose_events": True, "events": {"push": True}})
JENKINS = "http://ci:swordfish@jenkins.example:8080/gogs-webhook/?job=dev-app&token=swordfish"


@pytest.fixture
def database(patient: Patient) -> Iterator[sqlite3.Connection]:
    """Gogs' database, with Devops/Dev-App and Devops/Other in it."""
    with closing(sqlite3.connect(patient.database, isolation_level=None)) as db:
        db.execute("INSERT INTO user (id, lower_name, name) VALUES (7, 'devops', 'Devops')")
        for number, name in ((1, "dev-app"), (2, "other")):
            db.execute("INSERT INTO repository (id, owner_id, lower_name, name) VALUES (?, 7, ?, ?)", (number, name, name))
        yield db


def add(db: sqlite3.Connection, url: str, events: str = PUSH_ONLY, repo: int = 1, org: int = 0, active: int = 1) -> None:
    db.execute(
        "INSERT INTO webhook (repo_id, org_id, url, events, is_active) VALUES (?, ?, ?, ?, ?)", (repo, org, url, events, active)
    )


def test_webhook_that_calls_jenkins(patient: Patient, database: sqlite3.Connection) -> None:
    add(database, JENKINS)

    (fault,) = patient.faults()

    assert (fault.level, fault.check, fault.app) == ("warning", "webhook", APP)
    assert "http://jenkins.example:8080/gogs-webhook/:" in fault.found
    assert "swordfish" not in str(fault)
    assert fault.fix == "remove it in Gogs: devops/dev-app, Settings, Webhooks"


def test_webhook_of_a_renamed_repository(patient: Patient, database: sqlite3.Connection) -> None:
    add(database, JENKINS)
    database.execute("UPDATE repository SET lower_name = 'renamed' WHERE id = 1")
    patient.repository.rename(patient.repository.with_name("renamed.git"))

    (fault,) = patient.faults()

    assert (fault.check, fault.app) == ("webhook", APP)
    assert "devops/renamed, Settings" in fault.fix


def test_webhook_of_an_organization(patient: Patient, database: sqlite3.Connection) -> None:
    add(database, JENKINS, repo=0, org=7)

    (fault,) = patient.faults()

    assert (fault.check, fault.app) == ("webhook", "")
    assert "all of devops" in fault.found


@pytest.mark.parametrize(
    "hook",
    [
        {"url": JENKINS, "active": 0},
        {"url": JENKINS, "events": ISSUES},
        {"url": JENKINS, "repo": 2},
        {"url": JENKINS, "repo": 99},
        {"url": JENKINS, "events": "]"},
        {"url": "http://chat.example/hook"},
    ],
)
def test_webhook_that_deploys_nothing(patient: Patient, database: sqlite3.Connection, hook: dict[str, object]) -> None:
    add(database, **hook)  # type: ignore[arg-type]

    assert patient.faults() == []


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.5:8080/gogs-webhook/?job=dev-app",
        "https://ci.example/generic-webhook-trigger/invoke?token=x",
        "https://ci.example/job/dev-app/build?token=x",
        "https://ci.example/git/notifyCommit?url=x",
        "http://JENKINS/",
    ],
)
def test_addresses_of_jenkins(patient: Patient, database: sqlite3.Connection, url: str) -> None:
    add(database, url, CHOSEN)

    assert [webhook.jenkins for webhook in read_webhooks(patient.database)] == [True]


def test_database_is_read_only(patient: Patient, database: sqlite3.Connection) -> None:
    before = patient.database.read_bytes()
    read_webhooks(patient.database)

    assert patient.database.read_bytes() == before
    assert [path.name for path in patient.database.parent.glob("gogs.db*")] == ["gogs.db"]


def test_endless_database_is_given_up(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever broke into Gogs can make its tables views."""
    monkeypatch.setattr(webhooks, "LIMIT", 0.2)
    with closing(sqlite3.connect(patient.database)) as db:
        endless = (
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS url, x AS events, x < 0 AS is_active"
        )
        db.execute("DROP TABLE webhook")
        db.execute(f"CREATE VIEW webhook AS {endless}, 0 AS repo_id, 0 AS org_id FROM n")
    began = time.monotonic()

    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        read_webhooks(patient.database)

    assert time.monotonic() - began < 20  # and not for ever


def test_odd_rows_are_harmless(patient: Patient, database: sqlite3.Connection) -> None:
    for url in (None, b"\xff\xfejenkins", 5, "http://[jenkins", "\x1b[31mjenkins", "x" * 100_000 + "jenkins"):
        add(database, url)  # type: ignore[arg-type]
    for events in (None, "[]", "{}", '{"choose_events": true, "events": [1]}', "[" * 100_000, b"\xff"):
        add(database, JENKINS, events)  # type: ignore[arg-type]

    found = read_webhooks(patient.database)

    assert all(len(webhook.url) <= 200 for webhook in found)
    assert list(judge_webhooks(found, {}, "Gogs")) == []


@pytest.mark.parametrize("content", [b"", b"no database", None])
def test_no_database(patient: Patient, content: bytes | None) -> None:
    if content is None:
        patient.database.unlink()
    else:
        patient.database.write_bytes(content)

    (fault,) = patient.faults()

    assert (fault.level, fault.check) == ("warning", "webhook")
    assert "cannot be read" in fault.found
    assert "Settings, Webhooks" in fault.fix


def test_database_elsewhere_is_told(patient: Patient) -> None:
    ini = patient.site.gogs.data / "gogs/conf/app.ini"
    ini.write_text(ini.read_text().replace("sqlite3", "postgres"))

    (finding,) = [finding for finding in patient.examine() if finding.check == "webhook"]

    assert finding.level == "ok"
    assert "postgres" in finding.found


def log_of(patient: Patient) -> Path:
    return patient.site.gogs.data / "gogs/log/hooks/post-receive.log"


def stamp(age: float) -> str:
    return time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(time.time() - age))


def test_last_error_of_a_hook(patient: Patient) -> None:
    head = "[...gogs/hook.go:268 runHookPostReceive()]"
    log_of(patient).write_text(
        f"{stamp(90)} [ERROR] {head} Failed to execute custom post-receive hook: exit status 2\n"
        f"{stamp(60)} [ERROR] {head} Failed to execute custom post-receive hook: fork/exec /x: permission denied\n"
        f"{stamp(30)} [TRACE] Trigger task: http://localhost:3000/?secret=swordfish\n"
        f"{stamp(9)} [ERROR] {head} PushUpdate: GetCommit [commit_id: {'a' * 40}]: exit status 128 - "
        f"fatal: git cat-file {'a' * 40}: bad file\n"  # a push to the wiki
    )

    (fault,) = patient.faults()

    assert (fault.level, fault.check) == ("warning", "hook log")
    assert fault.found.endswith("Failed to execute custom post-receive hook: fork/exec /x: permission denied")
    assert "not executable" in fault.fix


def test_secret_in_the_log_is_not_shown(patient: Patient) -> None:
    url = "http://localhost:3000/devops/dev-app/tasks/trigger?branch=main&secret=swordfish&pusher=1"
    log_of(patient).write_text(f'{stamp(5)} [ERROR] [hook.go] Failed to trigger task: Get "{url}": connection refused\n')

    (fault,) = patient.faults()

    assert "swordfish" not in fault.found
    assert "secret=***&pusher=1" in fault.found
    assert "LOCAL_ROOT_URL" in fault.fix


def test_old_error_is_history(patient: Patient) -> None:
    log_of(patient).write_text(f"{stamp(8 * 86400)} [ERROR] [hook.go] exit status 1\n")

    assert patient.faults() == []


def test_last_error_of_a_large_log(tmp_path: Path) -> None:
    log = tmp_path / "post-receive.log"
    log.write_bytes(b"\xff" * 1_000_000 + b"\n2026/01/02 03:04:05 [ERROR] [x.go:1 f()] the last\nand more\n")

    error = look_at_hook_log(log)

    assert error is not None
    assert (error.text, time.strftime("%Y%m%d%H%M%S", time.localtime(error.time))) == ("the last", "20260102030405")


def test_impossible_time_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "post-receive.log"
    log.write_text("2026/13/02 03:04:05 [FATAL] ouch\n")

    assert look_at_hook_log(log) == HookError(log, None, "ouch")
    assert [finding.level for finding in judge_hook_log(look_at_hook_log(log), 0.0)] == ["warning"]


def no_settings(home: Path) -> None:
    (home / ".gitconfig").unlink()
    (home / ".gitconfig").touch()


def no_template(home: Path) -> None:
    shutil.rmtree(home / "gitdeploy-template")


def stale_hook(home: Path) -> None:
    (home / "gitdeploy-template/custom_hooks/post-receive").write_text("#!/bin/sh\n")


@pytest.mark.parametrize("damage", [no_settings, no_template, stale_hook])
def test_new_repositories_would_not_be_enrolled(patient: Patient, damage: Callable[[Path], None]) -> None:
    patient.site.run("enrol", "--all", "--image", "6ain/{repo}")
    (fine,) = [finding for finding in patient.examine() if finding.check == "new ones"]
    assert fine.level == "ok"
    damage(patient.site.gogs.data / "git")
    (fault,) = [fault for fault in patient.faults() if fault.check == "new ones"]
    assert fault.level == "warning"
    patient.follow(fault.fix.partition(";")[0])
    assert [fault for fault in patient.faults() if fault.check == "new ones"] == []


def test_all_leaves_forks_out_and_images_as_they_are(patient: Patient) -> None:
    gogs = patient.site.gogs
    with (gogs.create_repository("ann/dev-app") / "config").open("a") as file:  # before its original, in order
        file.write('[remote "origin"]\n\turl = /data/git/gogs-repositories/devops/dev-app.git\n')
    gogs.create_repository("devops/new")
    before = patient.site.run("config", "show", APP).stdout
    told = patient.site.run("enrol", "--all", "--image", "elsewhere/{owner}-{repo}").stdout
    assert "ann/dev-app: left out, a fork or mirror\n" in told
    assert patient.site.run("config", "show", APP).stdout == before
    config = (patient.home / "config.toml").read_text()
    assert 'image = "elsewhere/devops-new"' in config
    assert "ann/dev-app" not in config
    assert not (gogs.repository("ann/dev-app") / "gitdeploy.conf").exists()


def test_refused_settings_leave_the_config(patient: Patient) -> None:
    home = patient.site.gogs.data / "git"
    (home / ".gitconfig").symlink_to("elsewhere")
    refused = patient.site.run("enrol", "--all", "--image", "6ain/{repo}", check=3)
    assert ".gitconfig: expected a regular file" in refused.stderr
    assert "new_repositories" not in (patient.home / "config.toml").read_text()
    patient.site.run("enrol", "--later")  # nothing is to be done
    patient.site.configure('[server]\nnew_repositories = "6ain/{repo}"\n')
    patient.site.run("enrol", "--later", check=3)
    (home / ".gitconfig").unlink()
    patient.site.run("enrol", "--later")
    assert [finding.level for finding in patient.examine() if finding.check == "new ones"] == ["ok"]
