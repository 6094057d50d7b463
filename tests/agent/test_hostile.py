"""Whoever has broken into the Git server owns its data directory. That must not give them the agent, and with it the host."""

from __future__ import annotations

import subprocess
import time

import docker
import pytest

from tests.agent.conftest import Deployable
from tests.support.images import BaseImages
from tests.support.net import wait_until

SENTINEL = "sentinel-4711"


def as_git(app: Deployable, script: str) -> None:
    """Runs a script in the data directory as the Git server's user."""
    subprocess.run([*app.agent.gogs.as_owner(), "sh", "-euc", script], check=True, cwd=app.agent.gogs.data)


def deploys(app: Deployable, version: str) -> None:
    """Whether an honest push still does what it should."""
    app.clone.release(version)
    push = app.clone.push(app.remote)
    assert f"{version} is live at" in push.text, push.text


def is_live(app: Deployable, version: str) -> bool:
    """Whether the newest deployment is this version's, and over: what still runs would outlive the test."""
    newest = app.agent.history(app.name)[:1]
    return [(d["version"], d["status"]) for d in newest] == [(version, "succeeded")]


def cpu(app: Deployable) -> float:
    """Seconds of processor time that the agent has used."""
    stats = app.agent.container.stats(stream=False)
    return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9


def test_what_is_no_record_is_put_aside(app: Deployable) -> None:
    as_git(
        app,
        f"""cd gitdeploy/spool
        mkfifo 1-fifo.push; mkdir 2-dir.push; echo garbage >3-garbage.push; ln -s /var/lib/gitdeploy/config.toml 4-link.push
        ln -s /var/lib/gitdeploy 5-directory.push; head -c 2000000 /dev/zero >6-zero.push; : >7-empty.push
        printf 'gitdeploy-push 1\\napp devops/other\\nref {"0" * 40} {"1" * 40} refs/heads/main\\nend\\n' >8-other.push
        printf 'gitdeploy-push 1\\napp ../../x\\nend\\n' >9-up.push
        printf 'gitdeploy-push 1\\napp {app.name}\\nconsole ../../../etc/passwd\\nend\\n' >10-console.push
        printf 'gitdeploy-push 1\\napp {app.name}\\ntrigger rollback\\nrelease 99\\nend\\n' >11-rollback.push""",
    )
    deploys(app, "1.0.0")
    left = sorted(path.name for path in app.agent.spool.iterdir())
    aside = ["1-fifo", "10-console", "2-dir", "3-garbage", "4-link", "5-directory", "6-zero", "7-empty", "9-up"]
    assert left == [*(f".{name}.push.bad" for name in aside), "bell"]


def test_a_planted_home_is_not_used(app: Deployable) -> None:
    as_git(
        app,
        """mv gitdeploy old; mkdir -p gitdeploy/spool gitdeploy/elsewhere; cd gitdeploy
        printf '[apps."devops/evil"]\\nimage = "evil"\\nvolumes = ["/:/host"]\\n' >config.toml; chmod 600 config.toml
        ln -s /data/gitdeploy/elsewhere logs; : >state.db; mkdir locks""",
    )
    before = {path.name for path in (app.agent.gogs.data / "gitdeploy").iterdir()}
    deploys_without_console(app, "1.0.0")
    assert "evil" not in app.agent.run("status")
    home = app.agent.gogs.data / "gitdeploy"
    assert {path.name for path in home.iterdir()} == before
    assert list((home / "elsewhere").iterdir()) == []
    assert (home / "state.db").stat().st_size == 0


def deploys_without_console(app: Deployable, version: str) -> None:
    """The same where nobody rings the agent's bell: it looks by itself."""
    app.clone.release(version)
    app.clone.push(app.remote)
    wait_until(lambda: is_live(app, version), 30, "the deployment")


def test_a_spool_behind_a_link_is_refused_until_it_is_a_directory(app: Deployable) -> None:
    app.agent.container.stop(timeout=30)
    as_git(
        app, "mv gitdeploy/spool gitdeploy/real 2>/dev/null || { mv gitdeploy g; mkdir gitdeploy; mv g/spool gitdeploy/real; }"
    )
    as_git(app, "ln -s /var/lib/gitdeploy gitdeploy/spool")
    app.agent.container.start()
    wait_until(lambda: b"links" in app.agent.container.logs(), 20, "the agent's complaint")
    assert app.agent.shell("ls -A /var/lib/gitdeploy/bell 2>&1 || true").strip().endswith("No such file or directory")
    as_git(app, "rm gitdeploy/spool; mkdir -m 700 gitdeploy/spool")
    app.agent.wait()
    deploys(app, "1.0.0")


def test_nothing_is_written_through_a_link_above_the_spool(app: Deployable) -> None:
    deploys(app, "1.0.0")
    before = app.agent.shell("find /var/lib/gitdeploy -name '*.push' -o -name '*.tmp' -o -name bell")
    as_git(app, "mv gitdeploy old; mkdir gitdeploy; ln -s /var/lib/gitdeploy gitdeploy/spool")
    app.clone.release("2.0.0")
    app.clone.push(app.remote)
    wait_until(lambda: b"made by user" in app.agent.container.logs(), 20, "the agent's complaint")
    assert app.agent.shell("find /var/lib/gitdeploy -name '*.push' -o -name '*.tmp' -o -name bell") == before
    as_git(app, "rm -r gitdeploy; ln -s /var/lib gitdeploy; mkdir -p old/spool")
    time.sleep(2)  # the watcher looks once a second
    assert app.agent.shell("find /var/lib -name '*.push' -o -name bell") == before
    as_git(app, "rm gitdeploy; mv old gitdeploy")
    wait_until(lambda: is_live(app, "2.0.0"), 40, "the deployment of what was pushed meanwhile")


def test_a_bell_that_is_a_file_is_replaced_and_costs_no_processor_time(app: Deployable) -> None:
    app.agent.container.stop(timeout=30)
    as_git(app, "cd gitdeploy/spool; rm -f bell; echo noise >bell; mkdir 2-dir.push; mkfifo 1-fifo.push")
    app.agent.container.start()
    wait_until((app.agent.spool / "bell").is_fifo, 20, "the new bell")
    before = cpu(app)
    time.sleep(1)
    assert cpu(app) - before < 0.5
    deploys(app, "1.0.0")


def test_directories_sockets_and_names_in_the_spool_end_nothing(app: Deployable) -> None:
    app.agent.container.stop(timeout=30)
    as_git(
        app,
        """cd gitdeploy/spool; rm -f bell; mkdir -p bell/full 1-a.tmp/full .2-b.tmp/full 3-c.console/full .4-d.push.bad/full
        touch -d 2001-01-01 1-a.tmp .2-b.tmp 3-c.console; echo garbage >4-d.push; mkfifo 5-e.push
        touch "$(printf '6-\\377.push')" "$(printf '7-a\\nb.push')"; i=100
        while [ $i -lt 1500 ]; do echo garbage >$i-x.push; i=$((i + 1)); done""",
    )
    app.agent.container.start()
    wait_until((app.agent.spool / "bell").is_fifo, 20, "the bell")
    deploys(app, "1.0.0")
    assert (app.agent.spool / "1-a.tmp" / "full").exists(), "nothing is removed that gitdeploy did not write"
    assert list(app.agent.spool.glob("*.push")) == []
    as_git(app, "cd gitdeploy/spool; rm bell; mkdir bell; mkfifo 9-j.push; mkdir 10-k.push")
    app.clone.release("2.0.0")
    app.clone.push(app.remote)
    wait_until(lambda: is_live(app, "2.0.0"), 30, "a deployment without a bell")
    audit = app.agent.shell("cat /var/lib/gitdeploy/audit.jsonl")
    assert '"verdict": "succeeded"' in audit
    assert not list(app.agent.gogs.data.rglob("audit.jsonl"))


def test_a_ref_that_is_a_link_to_a_secret_does_not_tell_it(app: Deployable) -> None:
    deploys(app, "1.0.0")
    app.agent.shell(f"echo {SENTINEL} >/var/lib/gitdeploy/secret")
    ref = app.repository / "refs/heads/main"
    as_git(app, f"rm '{ref}'; ln -s /var/lib/gitdeploy/secret '{ref}'")
    record = f"gitdeploy-push 1\\napp {app.name}\\nref {'0' * 40} {'1' * 40} refs/heads/main\\nend\\n"
    as_git(app, f"printf '{record}' >gitdeploy/spool/12-secret.push")
    wait_until(lambda: not (app.agent.spool / "12-secret.push").exists(), 20, "the forged record's end")
    everything = app.agent.run("history", app.name, "--json") + app.agent.shell("cat /var/lib/gitdeploy/logs/gitdeploy.log")
    assert SENTINEL not in everything + app.agent.container.logs().decode()


@pytest.mark.parametrize("place", ["gitdeploy.conf", "custom_hooks/post-receive"])
def test_nothing_is_written_through_a_link_in_a_repository(app: Deployable, place: str) -> None:
    app.agent.shell(f"echo {SENTINEL} >/var/lib/gitdeploy/target")
    path = app.repository / place
    as_git(app, f"rm '{path}'; ln -s /var/lib/gitdeploy/target '{path}'")
    app.agent.run("enrol", app.name, "--strategy", "recreate")
    assert app.agent.shell("cat /var/lib/gitdeploy/target").strip() == SENTINEL
    assert not path.is_symlink()


def test_nothing_is_written_through_a_linked_directory(app: Deployable) -> None:
    hooks = app.repository / "custom_hooks"
    as_git(app, f"rm -r '{hooks}'; ln -s /var/lib/gitdeploy '{hooks}'")
    app.agent.run("enrol", app.name, "--strategy", "recreate", check=3)
    assert "post-receive" not in app.agent.shell("ls /var/lib/gitdeploy")


def test_the_git_servers_container_keeps_its_place(
    app: Deployable, base_images: BaseImages, docker_client: docker.DockerClient
) -> None:
    """The agent sees the data at another path than the engine: it knows them by what is mounted into its own container."""
    name, data = app.name.replace("/", "-"), {str(app.agent.gogs.data): {"bind": "/data", "mode": "rw"}}
    canary = docker_client.containers.create(base_images.busybox, ["true"], name=name, volumes=data)
    try:
        app.clone.release("1.0.0")
        push = app.clone.push(app.remote)
        assert f"the container {name} has data of gitdeploy or the Git server ({app.agent.gogs.data})" in push.text
        assert docker_client.containers.get(name).id == canary.id
    finally:
        canary.remove()
    deploys(app, "1.0.1")


PLACES = ["config", "packed-refs", "objects/info/alternates", "shallow", "info/grafts", "commondir", "HEAD"]


def test_nothing_in_a_repository_tells_what_the_agent_has(app: Deployable) -> None:
    deploys(app, "1.0.0")
    app.agent.shell(f"printf '{SENTINEL}\\n[core]\\n' >/var/lib/gitdeploy/secret; chmod 600 /var/lib/gitdeploy/secret")
    everything = ""
    for number, place in enumerate(PLACES):
        as_git(
            app,
            f"""cd '{app.repository}'; mkdir -p info objects/info; mv '{place}' saved 2>/dev/null || :
            ln -s /var/lib/gitdeploy/secret '{place}'""",
        )
        everything += app.agent.shell(f"gitdeploy deploy {app.name} v0 2>&1 || true")
        as_git(
            app,
            f"""cd '{app.repository}'; rm '{place}'; mv saved '{place}' 2>/dev/null || :
            printf '[include]\\n\\tpath = /var/lib/gitdeploy/secret\\n' >>config; cp config config.{number}""",
        )
        everything += app.agent.shell(f"gitdeploy deploy {app.name} 2>&1 || true")
        as_git(app, f"cd '{app.repository}'; git config --file config --remove-section include")
    everything += app.agent.run("history", app.name, "--json") + app.agent.shell("cat /var/lib/gitdeploy/logs/*.log")
    assert SENTINEL not in everything + app.agent.container.logs().decode()
    assert "includes another file" in everything
    deploys(app, "1.0.1")


def test_repositories_are_read_by_the_git_servers_user(app: Deployable) -> None:
    deploys(app, "1.0.0")
    script = "for p in /proc/[0-9]*; do grep -q 'source[.]child' $p/cmdline && cat $p/status; done 2>/dev/null"
    found = app.agent.shell(f"{script} | grep -E '^(Uid|NoNew)'")
    assert "Uid:\t1000\t1000\t1000\t1000" in found, "the watcher's at least"
    assert "Uid:\t0" not in found
    assert "NoNewPrivs:\t1" in found


def test_a_root_in_the_agents_home_is_refused(app: Deployable) -> None:
    app.agent.container.stop(timeout=30)
    ini = app.agent.gogs.data / "gogs/conf/app.ini"
    good = ini.read_text()
    ini.write_text("[repository]\nROOT = /var/lib/gitdeploy\n")
    app.agent.container.start()
    wait_until(lambda: b"is in the agent's directory" in app.agent.container.logs(), 20, "the agent's complaint")
    ini.write_text(good)
    app.agent.wait()
    deploys(app, "1.0.0")
