"""Processes, tasks and schedules of an app: `[apps.X.processes.NAME]`, `[apps.X.tasks.NAME]`, `[apps.X.schedule.NAME]`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitdeploy.config import snapshot
from gitdeploy.config.load import apply_tree, parse_config
from gitdeploy.config.model import App, Config
from gitdeploy.config.runoptions import Run
from gitdeploy.config.show import show
from gitdeploy.errors import ConfigError

SOURCE = Path("config.toml")
APP = """
[apps."o/shop"]
publish = "80:80"
container = "shop"
stop_timeout = "3s"
command = "web --port 80"
run.memory = "100MB"
env.A = "1"
"""


def config(text: str) -> Config:
    return parse_config((APP + text).encode(), SOURCE)


def app(text: str) -> App:
    return config(text).apps["o/shop"]


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config(text)
    return str(caught.value)


def test_a_process_is_the_app_with_its_own_command_ports_and_container() -> None:
    worker = app("processes.worker = { command = \"work 'a b' $X\", replicas = 3, run.cpus = 2 }").of_process("worker")
    assert (worker.container, worker.process, worker.publish, worker.replicas) == ("shop-worker", "worker", (), 3)
    assert worker.run.command == ("work", "a b", "$X")  # no shell has seen it
    assert (worker.run.memory, worker.run.cpus, worker.stop_timeout, worker.env) == (10**8, 2.0, 3.0, {"A": "1"})


def test_no_proxy_takes_a_process_for_the_app() -> None:
    found = app('run.hostname = "shop"\nrun.labels."traefik.enable" = "true"\nprocesses.w.command = "x"').of_process("w")
    assert (found.run.labels, found.run.hostname, found.run.memory) == ({}, "", 10**8)


def test_the_flat_keys_are_those_of_web() -> None:
    found = app('processes.worker.command = ["work"]')
    assert found.of_process("web") is found
    assert found.run.command == ("web", "--port", "80")


def test_without_overlap_the_old_one_ends_first() -> None:
    assert app('processes.w = { command = "x", overlap = false }').of_process("w").strategy == "recreate"


def test_a_task_has_a_command_of_its_own_and_the_limits_of_the_app() -> None:
    task = app('tasks.migrate = { command = "flask db upgrade", timeout = "2m" }').tasks["migrate"]
    assert (task.run.command, task.run.memory, task.timeout) == (("flask", "db", "upgrade"), 10**8, 120.0)
    assert (task.when, task.retry) == ("before-switch", False)


def test_a_schedule_is_read_by_utc_unless_it_says_otherwise() -> None:
    job = app('schedule.nightly = { command = "./report", cron = "30 3 * * *" }').schedule["nightly"]
    assert (job.cron, job.timezone, job.timeout, job.overlap) == ("30 3 * * *", "UTC", 3600.0, False)
    assert (job.run.command, job.run.memory) == (("./report",), 10**8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processes.worker = {}", "processes.worker: expected keys in it, found none"),
        ("processes = 3", "processes: expected a table of tables"),
        ("processes.w = 3", "processes.w: expected a table, found an integer"),
        ('processes.router.command = "x"', 'processes.router: expected a name such as "worker"'),
        ('tasks.UP.command = "x"', 'tasks.UP: expected a name such as "worker"'),
        ('processes.w.comand = "x"', "processes.w.comand: unknown key; did you mean"),
        ('tasks.t.when = "after-build"', "tasks.t: expected a command"),
        (
            'tasks.t = { command = "x", when = "never" }',
            'tasks.t.when: expected "after-build", "before-switch" or "after-switch"',
        ),
        ('schedule.s.cron = "0 3 * * *"', "schedule.s: expected a command"),
        ('schedule.s.command = "x"', "schedule.s: expected a time, such as cron ="),
        ('schedule.S = { cron = "0 3 * * *", command = "x" }', 'schedule.S: expected a name such as "worker"'),
        ('schedule.s.cron = "0 0 30 2 *"', 'schedule.s.cron: expected a cron line that is due some day, found "0 0 30 2 *"'),
        ('schedule.s.cron = "* * */31 2 MON#5"', "schedule.s.cron: expected a cron line that is due some day"),
        ('schedule.s.cron = "0 3 * *"', "schedule.s.cron: expected five fields of cron"),
        ('schedule.s.cron = "* 61 * * *"', "schedule.s.cron: expected five fields of cron"),
        ('schedule.s.cron = "* * * * * *"', "schedule.s.cron: expected five fields of cron"),
        ('schedule.s.timezone = "Europe/Berlyn"', 'schedule.s.timezone: expected a time zone such as "UTC"'),
        ('schedule.s.timezone = "../../etc/passwd"', 'schedule.s.timezone: expected a time zone such as "UTC"'),
        ('schedule.s.cronn = "0 3 * * *"', "schedule.s.cronn: unknown key; did you mean"),
        ('tasks.t.command = "a \'b"', "tasks.t.run.command: expected a string in which each quotation ends"),
        ('processes.w = { command = "x", publish = "80:81" }', "processes.w.publish: port 80:81 of the host is already web's"),
        ('processes.w = { command = "x", publish = "53:53/udp" }', "processes.w.publish"),
        ("".join(f'\nprocesses.w{n}.command = "x"' for n in range(21)), "processes: expected at most 20 names, found 21"),
    ],
)
def test_what_is_wrong_with_a_part(text: str, expected: str) -> None:
    assert expected in problems(text)


def test_a_tree_may_set_parts_within_limits_and_the_server_has_the_last_word() -> None:
    served = config('processes.worker.replicas = 5\nprocesses.worker.command = "old"\nallow = "run.memory"\n')
    tree = b'[processes.worker]\ncommand = "new"\nreplicas = 2\n[tasks.t]\ncommand = "t"\nrun.memory = "1GB"\n'
    merged = apply_tree(served, served.apps["o/shop"], tree, "gitdeploy.toml")
    assert merged.processes["worker"].replicas == 5
    assert merged.processes["worker"].run.command == ("old",)
    assert merged.tasks["t"].run.memory == 10**9


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ('processes.w = { command = "x", publish = "81:80" }', "processes.w.publish: only the server may set it"),
        (
            'processes.w = { command = "x", run.log_driver = "syslog" }',
            "processes.w.run.log_driver: only the server may set it",
        ),
        ('processes.w = { command = "x", run.memory = 0 }', 'allow = ["run.memory"]'),
        (
            'processes.w = { command = "x", replicas = 32 }',
            "processes.w.replicas: expected at most 32 replicas of all processes",
        ),
        ('schedule.s = { command = "x", cron = "1 1 * * *", timeout = "2h" }', "schedule.s.timeout: expected at most 1h"),
        ('tasks.t = { command = "x", timeout = "2h" }', "tasks.t.timeout: expected at most 1h"),
        ('processes.w = { command = "x", health.start_period = "1h" }', "processes.w.health.start_period: expected at most 1h"),
    ],
)
def test_what_a_tree_may_not_set(tree: str, expected: str) -> None:
    served = config("")
    with pytest.raises(ConfigError) as caught:
        apply_tree(served, served.apps["o/shop"], tree.encode(), "gitdeploy.toml")
    assert expected in str(caught.value)


def test_parts_come_back_from_a_snapshot_and_from_what_is_shown() -> None:
    found = app("""processes.w = { command = "x", overlap = false }\ntasks.t = { command = ["a", "$b"], retry = true }
schedule.s = { command = "x", cron = "1 2 3 4 *", timezone = "Europe/Berlin", overlap = true }""")
    assert snapshot.load(snapshot.dump(found)) == found
    again = parse_config(show(found).replace('A = "…"', 'A = "1"').encode(), SOURCE).apps["o/shop"]
    assert (again.processes, again.tasks, again.schedule) == (found.processes, found.tasks, found.schedule)
    old = {key: value for key, value in json.loads(snapshot.dump(found)).items() if key != "schedule"}
    loaded = snapshot.load(json.dumps(old))
    assert loaded
    assert loaded.schedule == {}


def test_an_accessory_is_none_of_the_apps_own_containers() -> None:
    found = app('accessories.db = { image = "postgres:17", publish = "127.0.0.1:5432:5432", env.POSTGRES_DB = "shop" }')
    database = found.accessories["db"]
    assert (database.run, database.env, database.stop_timeout) == (Run(), {"POSTGRES_DB": "shop"}, 60.0)
    assert found.joined == ("gitdeploy-shop",)
    assert snapshot.load(snapshot.dump(found)) == found
    again = parse_config(show(found).replace('"…"', '"shop"').encode(), SOURCE).apps["o/shop"]
    assert again.accessories == found.accessories


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('accessories.db.env.A = "1"', "accessories.db: expected an image, such as"),
        ('accessories.web.image = "x"', 'accessories.web: "web" is what a process of the app is known by'),
        ('accessories.shop.image = "x"', 'accessories.shop: "shop" is what a process of the app is known by'),
        ('accessories.w.image = "x"\nprocesses.w.command = "x"', 'accessories.w: "w" is what a process'),
        ('accessories.db.image = "Bad Image"', "accessories.db.image: expected an image"),
        ('accessories.db = { image = "x", networks = ["a"] }', "accessories.db.networks: unknown key"),
        (
            'accessories.db = { image = "x", publish = "80:5432" }',
            "accessories.db.publish: port 80:5432 of the host is already",
        ),
        ('accessories.db = { image = "x", volumes = ["a:/d", "b:/d"] }', 'accessories.db.volumes: two mounts at "/d"'),
        ('accessories.db = { image = "x", run.memory = "1MB" }', "accessories.db.run.memory: expected at least 6MiB"),
        ('accessories.db = { image = "x", backup_hint = "a\\nb" }', "accessories.db.backup_hint: expected one line of text"),
        (
            'accessories.db.image = "x"\n[apps."o/other"]\ncontainer = "shop-db"',
            '"shop-db" is what containers of o/shop\'s db are called',
        ),
        (
            'accessories.db = { image = "x", publish = "81:1" }\n[apps."o/other"]\npublish = "81:2"',
            "port 81:2 of the host is already o/shop's",
        ),
    ],
)
def test_what_is_wrong_with_an_accessory(text: str, expected: str) -> None:
    assert expected in problems(text)


def test_accessories_are_the_servers_alone() -> None:
    served = config("")
    with pytest.raises(ConfigError) as caught:
        apply_tree(served, served.apps["o/shop"], b'[accessories.db]\nimage = "x"\nrun.user = "1"\n', "gitdeploy.toml")
    assert "accessories.db.image: only the server may set it" in str(caught.value)
    assert "accessories.db.run.user: only the server may set it" in str(caught.value)


@pytest.mark.parametrize("source", ["shop-db-var-lib-postgresql-data", "shop_pgdata"])
def test_a_tree_may_not_mount_the_data_of_an_accessory(source: str) -> None:
    table = 'accessories.db = { image = "x", volumes = ["shop_pgdata:/old"] }\nallow = ["volumes"]'
    served = config(table)
    tree = f'volumes = ["{source}:/x"]\n'.encode()
    with pytest.raises(ConfigError, match="that is the data of an accessory"):
        apply_tree(served, served.apps["o/shop"], tree, "gitdeploy.toml")
