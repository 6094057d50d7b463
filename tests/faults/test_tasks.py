"""kill -9 around a task: a migration runs once, whatever the moment; where nobody knows its end, a person is asked."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.conftest import MakeTiny, Tiny
from tests.faults.faulty import Point
from tests.faults.test_crash import Trial
from tests.support.engine import PrivateEngine
from tests.support.net import wait_until

SCRIPT = "echo began >>/data/{name}; while [ -e /data/hold ]; do sleep 0.05; done; echo done >>/data/{name}; echo it said this"


@dataclass(frozen=True)
class Shop:
    """An app with a migration, which writes into a directory of this machine, and a task behind the switch.

    Attributes:
        data: that directory; while it has a file `hold`, no task ends.
    """

    tiny: Tiny
    data: Path

    @property
    def hold(self) -> Path:
        return self.data / "hold"

    def ran(self, name: str) -> list[str]:
        """What a task has written: "began", and "done" if it came to its end."""
        path = self.data / name
        return path.read_text().split() if path.exists() else []

    def begin(self, version: str) -> subprocess.Popen[str]:
        """Pushes a version, whose migration has begun and does not end yet; returns the push."""
        self.hold.touch()
        self.tiny.release(version)
        push = self.tiny.clone.start_push(self.tiny.remote)
        wait_until(lambda: self.ran("migrate") == ["began"], 30, "the migration")
        return push

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the worker and its supervisor."""
        for process in self.tiny.site.workers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def end_when_taken_up(self) -> None:
        """Lets tasks come to their end as soon as a later attempt says that it has found one."""
        log = self.tiny.site.home / "logs" / self.tiny.name / "latest.log"

        def wait() -> None:
            wait_until(lambda: "it still runs since an earlier attempt was cut off" in log.read_text(), 60, "a later attempt")
            self.hold.unlink()

        threading.Thread(target=wait, daemon=True).start()

    def let_retry(self) -> None:
        """Allows the migration to run again."""
        config = self.tiny.site.home / "config.toml"
        config.write_text(config.read_text().replace('when = "before-switch"', 'when = "before-switch"\nretry = true'))

    def lose_the_container(self, engine_url: str) -> str:
        """Pushes 1; the container of its migration and the worker go before the end of that is on record."""
        wanted = f"filters={{'label': ['gitdeploy.task', 'gitdeploy.app={self.tiny.name}']}}"
        script = f"import docker, os; client = docker.DockerClient({engine_url!r})\n"
        script += f"for found in client.containers.list(all=True, {wanted}): found.remove(force=True)\n"
        script += "os.kill(os.getppid(), 9)"
        self.tiny.kill_at(Point("state.end_task", 1, "before"), "other", [sys.executable, "-c", script])
        text = self.tiny.push("1").text
        assert self.tiny.fired.exists()
        self.tiny.kill_no_more()
        return text

    def check(self, version: str) -> None:
        trial = Trial(self.tiny, routed=False, replicas=1)
        trial.check(version)
        assert not trial.wrong


@pytest.fixture
def shop(make_tiny: MakeTiny, tmp_path: Path) -> Shop:
    data = tmp_path / "volume"
    data.mkdir()
    tiny = make_tiny(f'volumes = ["{data}:/data"]\n')
    for name, when in (("migrate", "before-switch"), ("warm", "after-switch")):
        command = f'["sh", "-c", "{SCRIPT.format(name=name)}"]'
        tiny.site.configure(f'\n[apps."{tiny.name}".tasks.{name}]\nwhen = "{when}"\ncommand = {command}\n')
    return Shop(tiny, data)


MOMENTS = [
    Point("engine.create", 1, "after"),
    Point("state.end_task", 1, "before"),
    Point("state.end_task", 1, "after"),
    Point("state.begin_task", 2, "after"),
    Point("state.end_task", 2, "before"),
    Point("state.end_task", 2, "after"),
]
SAMPLE = (1, 4)


EACH = [pytest.param(point, marks=() if n in SAMPLE else pytest.mark.exhaustive) for n, point in enumerate(MOMENTS)]


@pytest.mark.parametrize("point", EACH, ids=str)
def test_a_task_runs_once_whenever_the_worker_is_killed(point: Point, shop: Shop) -> None:
    tiny = shop.tiny
    tiny.kill_at(point, "child")
    text = tiny.push("1").text
    assert tiny.fired.exists()
    tiny.kill_no_more()
    assert (shop.ran("migrate"), tiny.get()) == (["began", "done"], "1"), text
    if point == MOMENTS[3]:  # the deployment had succeeded: what had not begun behind the switch is not done, and said
        assert "task warm" in tiny.site.history(tiny.name)[0]["error"]
        return
    shop.check("1")
    assert shop.ran("warm") == ["began", "done"]


def test_a_migration_that_runs_on_is_taken_up(shop: Shop) -> None:
    push = shop.begin("1")
    shop.signal(signal.SIGKILL)
    shop.end_when_taken_up()
    shop.tiny.site.run("worker", "--once")
    push.communicate(timeout=60)
    assert shop.ran("migrate") == ["began", "done"]
    assert "it said this" in shop.tiny.site.run("logs", shop.tiny.name).stdout
    shop.check("1")


def test_a_newer_push_waits_for_the_migration_of_the_one_before(shop: Shop) -> None:
    push = shop.begin("1")
    shop.signal(signal.SIGTERM)
    assert "The push is recorded, and deployed as soon as one runs." in push.communicate(timeout=60)[0]
    shop.end_when_taken_up()
    text = shop.tiny.push("2").text
    assert "==> Task migrate of deployment 1" in text
    assert text.index("Task migrate of deployment 1: ") < text.index("==> Task migrate  "), text
    assert shop.ran("migrate") == ["began", "done"] * 2
    shop.check("2")


def test_a_migration_whose_end_nobody_knows_stops_the_deployment_once(shop: Shop, engine_url: str) -> None:
    tiny = shop.tiny
    assert "1 FAILED at Task migrate: task migrate of deployment 1 began at" in shop.lose_the_container(engine_url)
    (failed,) = tiny.site.history(tiny.name)
    assert (failed["status"], failed["stage"]) == ("failed", "Task migrate")
    assert "was cut off; whether it finished is not known" in failed["error"]
    assert f"gitdeploy deploy {tiny.name}, which runs it anew" in failed["hint"]
    assert tiny.get() == ""
    tiny.site.run("deploy", tiny.name)
    assert shop.ran("migrate") == ["began", "done"] * 2
    assert tiny.get() == "1"


@pytest.mark.exhaustive
def test_a_migration_that_may_have_begun_is_not_begun_again(shop: Shop) -> None:
    shop.tiny.kill_at(Point("state.begin_task", 1, "after"), "child")
    assert "FAILED at Task migrate: task migrate of deployment 1 began at" in shop.tiny.push("1").text
    shop.tiny.kill_no_more()
    assert shop.ran("migrate") == []
    assert shop.tiny.containers() == {}
    shop.tiny.site.run("deploy", shop.tiny.name)
    assert (shop.ran("migrate"), shop.tiny.get()) == (["began", "done"], "1")


def test_one_that_may_run_again_does(shop: Shop, engine_url: str) -> None:
    shop.let_retry()
    assert "it was cut off in an earlier attempt, and runs again (retry)" in shop.lose_the_container(engine_url)
    assert shop.ran("migrate") == ["began", "done"] * 2
    shop.check("1")


@pytest.mark.parametrize("retry", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_a_migration_that_the_engine_takes_along_has_failed_or_runs_again(
    retry: bool, shop: Shop, private_engine: PrivateEngine
) -> None:
    if retry:
        shop.let_retry()
    push = shop.begin("1")
    private_engine.kill()
    private_engine.start()
    shop.hold.unlink()
    text, _ = push.communicate(timeout=60)
    if retry:
        assert "1 is live" in text
        assert shop.ran("migrate")[-2:] == ["began", "done"]
        shop.check("1")
    else:
        assert "1 FAILED at Task migrate: task migrate" in text  # with an exit code, if the engine had noted its start
        assert shop.ran("migrate").count("began") == 1
        assert shop.tiny.get() == ""
