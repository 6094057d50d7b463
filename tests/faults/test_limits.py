"""One repository can neither fill the box nor keep it from the others: what is cut, ended or let go is said."""

from __future__ import annotations

import socket
import threading
import time

from tests.faults.conftest import DOCKERFILE, MakeTiny
from tests.faults.test_crash import Trial
from tests.support.net import wait_until


def test_the_size_of_a_log(make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    tiny.site.configure('[server]\nlog_size = "20KB"\n')
    tiny.release("1", Dockerfile=DOCKERFILE.replace("STOPSIGNAL", "RUN seq 20000\nSTOPSIGNAL"))
    assert "1 is live" in tiny.push().text
    log = tiny.site.home / "logs" / tiny.name / "1.log"
    assert log.stat().st_size < 21_000
    assert "the log is cut here: it reached server.log_size" in log.read_text()


def test_the_time_of_a_build(make_tiny: MakeTiny) -> None:
    tiny = make_tiny('build = { timeout = "2s" }\n')
    tiny.push("1")
    tiny.release("2", Dockerfile=DOCKERFILE.replace("STOPSIGNAL", "RUN sleep 3000\nSTOPSIGNAL"))
    text = tiny.push(timeout=30).text
    assert "FAILED at Build" in text
    assert "build.timeout" in text
    assert tiny.get() == "1"


def test_the_time_of_a_push(make_tiny: MakeTiny) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        threading.Thread(target=lambda: [silent.accept() for _ in range(100)], daemon=True).start()
        tiny = make_tiny('push = { timeout = "2s" }\n', image=f"127.0.0.1:{silent.getsockname()[1]}/never")
        text = tiny.push("1", timeout=30).text
    assert "FAILED at Push" in text
    assert "push.timeout" in text
    assert tiny.containers() == {}


def test_the_length_of_the_queue(make_tiny: MakeTiny) -> None:
    tiny = make_tiny("queue = 2\n")
    tiny.release("0", Dockerfile=DOCKERFILE.replace("STOPSIGNAL", "RUN sleep 4\nSTOPSIGNAL"))
    pushes = []
    log = tiny.site.home / "logs" / tiny.name / "1.log"
    ref = tiny.site.gogs.repository(tiny.name) / "refs/heads/main"
    for version in range(5):
        commit = tiny.release(str(version))
        pushes.append(tiny.clone.start_push(tiny.remote))
        wait_until(lambda: ref.exists() and ref.read_text().strip() == commit, 20, f"push {version}")  # noqa: B023
        wait_until(lambda: log.exists() and "==> Build" in log.read_text(), 20, "the first build")
        time.sleep(0.3)  # the watch over the spool sees one push after the other
    assert "newer pushes" in pushes[1].communicate(timeout=60)[0], "let go at once, while the first still builds"
    for push in pushes:
        push.communicate(timeout=60)
    time.sleep(0.3)
    trial = Trial(tiny, routed=False, replicas=1)
    trial.check_leftovers()
    assert not trial.wrong
    assert tiny.get() == "4"
    assert sorted(d["status"] for d in tiny.site.history(tiny.name)) == ["succeeded"] * 2 + ["superseded"] * 3
