"""The agent: a push to a Git server without Python or Docker deploys, live in the push; it may stop, die and be replaced."""

from __future__ import annotations

import json
import socket
import ssl
import stat
import subprocess

import docker

from tests.agent.conftest import Deployable
from tests.support.agent import Agent
from tests.support.images import BaseImages
from tests.support.net import free_port, get, wait_until

SLOW = 'FROM gitdeploy-test/python:1\nWORKDIR /app\nCOPY . .\nRUN sleep 4\nCMD ["python3", "app.py"]\n'


def test_two_pushes(app: Deployable) -> None:
    for version in ("0.0.1", "0.0.2"):
        app.clone.release(version)
        push = app.clone.push(app.remote)
        assert push.code == 0
        assert f"{version} is live at" in push.text, push.text
        assert "remote: ==> Build" in push.text
        assert get(app.url).strip() == f"dev-app {version}"
    assert [(d["status"], d["trigger"], d["pusher"]) for d in app.agent.history(app.name)] == [
        ("succeeded", "push", "alice")
    ] * 2
    assert [path.name for path in app.agent.spool.iterdir()] == ["bell"]


def test_the_git_server_can_write_the_spool_and_nothing_else(app: Deployable) -> None:
    shared = app.agent.gogs.data / "gitdeploy"
    found = {
        str(path.relative_to(shared)): (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) for path in shared.rglob("*")
    }
    assert found == {"spool": (0o700, 1000), "spool/bell": (0o600, 1000)}
    assert app.agent.shell("stat -c '%a %u' /var/lib/gitdeploy /var/lib/gitdeploy/config.toml") == "700 0\n600 0\n"
    hook = app.repository / "custom_hooks/post-receive"
    assert (stat.S_IMODE(hook.stat().st_mode), hook.stat().st_uid) == (0o755, 1000)


def test_stopped_while_it_deploys_the_next_agent_does_it(
    app: Deployable, docker_client: docker.DockerClient, engine_url: str
) -> None:
    app.clone.release("1.0.0", {"Dockerfile": SLOW})
    with app.clone.start_push(app.remote) as push:
        assert push.stdout is not None
        seen = ""
        while "==> Build" not in seen:
            seen += push.stdout.readline()
        app.agent.container.stop(timeout=30)
        app.agent.container.start()
        seen += push.stdout.read()
    wait_until(lambda: [d["status"] for d in app.agent.history(app.name)] == ["succeeded"], 60, "the deployment")
    assert get(app.url).strip() == "dev-app 1.0.0"
    assert "kept and done when it runs again" in seen
    assert "1.0.0 is live" in seen  # the hook waits for the next agent


def test_killed_while_it_deploys_it_goes_on_when_it_is_started(app: Deployable) -> None:
    app.clone.release("1.0.0", {"Dockerfile": SLOW})
    with app.clone.start_push(app.remote) as push:
        assert push.stdout is not None
        seen = ""
        while "==> Build" not in seen:
            seen += push.stdout.readline()
        app.agent.container.kill()
        app.agent.container.start()
        seen += push.stdout.read()
    wait_until(lambda: [d["status"] for d in app.agent.history(app.name)] == ["succeeded"], 60, "the deployment")
    assert get(app.url).strip() == "dev-app 1.0.0"
    assert len(app.agent.container.client.containers.list(all=True, filters={"label": f"gitdeploy.app={app.name}"})) == 1


def test_a_push_while_no_agent_runs_is_deployed_when_it_does(app: Deployable) -> None:
    app.agent.container.stop(timeout=30)
    app.clone.release("1.0.0")
    push = app.clone.push(app.remote)
    assert push.code == 0
    assert "docker ps" in push.text
    app.agent.container.start()
    wait_until(lambda: [d["status"] for d in app.agent.history(app.name)] == ["succeeded"], 60, "the deployment")
    assert get(app.url).strip() == "dev-app 1.0.0"


def test_healthy(app: Deployable) -> None:
    test = app.agent.container.image.attrs["Config"]["Healthcheck"]["Test"]
    app.agent.shell(test[1])
    assert app.agent.shell("cat /var/lib/gitdeploy/agent.version")
    app.agent.shell("touch -t 202001010000 /var/lib/gitdeploy/agent.version")
    code, _ = app.agent.container.exec_run(["sh", "-c", test[1]])
    assert code == 1
    wait_until(lambda: app.agent.container.exec_run(["sh", "-c", test[1]])[0] == 0, 15, "the next sign of life")


def test_doctor_finds_nothing_wrong_until_there_is(app: Deployable) -> None:
    def broken(check: int | None = 3) -> list[tuple[str, str]]:
        findings = json.loads(app.agent.run("doctor", "--json", check=check))
        return [(f["check"], f["found"]) for f in findings["findings"] if f["level"] == "error"]

    assert broken(check=0) == []
    app.agent.shell("echo 0.0.0 >/var/lib/gitdeploy/agent.version")
    ((check, found),) = broken()
    assert check == "agent"
    assert "0.0.0" in found


def test_a_ref_that_moves_without_a_push_with_and_without_a_hook_to_tell(app: Deployable) -> None:
    """As at a merge in the web page, and as at a restored backup."""
    app.clone.release("1.0.0")
    assert "1.0.0 is live" in app.clone.push(app.remote).text
    git = [*app.agent.gogs.as_owner(), "git", "-C", str(app.repository)]
    for version, options in (("1.0.1", []), ("1.0.2", ["-c", "core.hooksPath=/dev/null"])):
        commit = app.clone.release(version)
        assert app.clone.push(app.remote, "HEAD:refs/heads/feature").code == 0
        subprocess.run([*git, *options, "update-ref", "refs/heads/main", commit], check=True)
        expected = ("move", "succeeded", version)
        wait_until(lambda: _newest(app) == expected, 60, f"{version}, after {_newest(app)}")  # noqa: B023
    assert len(app.agent.history(app.name)) == 3


def _newest(app: Deployable) -> tuple[str, str, str]:
    newest = app.agent.history(app.name)[0]
    return newest["trigger"], newest["status"], newest["version"]


def test_deploy_and_roll_back_by_hand(app: Deployable) -> None:
    for version in ("1.0.0", "1.0.1"):
        app.clone.release(version)
        app.clone.push(app.remote)
    assert "1.0.0 is live" in app.agent.run("rollback", app.name)
    assert "1.0.1 is live" in app.agent.run("deploy", app.name)


def test_domains(app: Deployable, docker_client: docker.DockerClient, base_images: BaseImages) -> None:
    http_port, https_port = free_port(), free_port()
    edge = f'[edge]\nimage = "{base_images.haproxy}"\nhttp_port = {http_port}\nhttps_port = {https_port}\n'
    table = r'domains = ["shop.example.test"]\ntls = "internal"'
    app.agent.shell(f"sed -i '/^publish/i {table}' /var/lib/gitdeploy/config.toml")
    app.agent.shell(f"cat >>/var/lib/gitdeploy/config.toml <<'END'\n{edge}END")
    try:
        app.clone.release("1")
        pushed = app.clone.push(app.remote).text
        assert "1 is live at https://shop.example.test" in pushed, pushed
        assert "warning" not in pushed
        assert "90 days" in app.agent.run("edge")
        context = ssl.create_default_context(cadata=app.agent.shell("cat /var/lib/gitdeploy/edge/internal.pem"))
        with socket.create_connection(("127.0.0.1", https_port), 20) as raw:
            context.wrap_socket(raw, server_hostname="shop.example.test").close()
    finally:
        for container in docker_client.containers.list(all=True, filters={"label": "gitdeploy.role=edge"}):
            container.remove(force=True)
        for network in docker_client.networks.list(filters={"label": "gitdeploy.role=edge"}):
            network.remove()


def test_its_image_has_what_certificates_need(agent: Agent) -> None:
    said = agent.shell("python3 -s -P -c 'import gitdeploy.edge.authority as it; print(it.pem.new_key()[:27].decode())'")
    assert said == "-----BEGIN PRIVATE KEY-----\n"
