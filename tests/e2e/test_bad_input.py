"""What goes wrong before the switch: one clear error each, the running app untouched, nothing lost, nothing half done."""

from __future__ import annotations

import subprocess
from pathlib import Path

import docker
import pytest

from tests.e2e.conftest import Deployable
from tests.support.gogs import Remote
from tests.support.net import free_port, wait_until
from tests.support.params import sample


def answers(app: Deployable) -> str:
    """What the app says, "" while it says nothing."""
    try:
        return app.get()
    except OSError:
        return ""


def failing_push(app: Deployable, *expected: str, remote: Remote | None = None) -> str:
    """Pushes; the push itself must succeed, with these texts, no traceback, and the old version serving after it."""
    push = app.clone.push(remote or app.remote)
    assert push.code == 0, push.text
    for text in expected:
        assert text in push.text, push.text
    assert "Traceback" not in push.text
    assert "still serves" in push.text
    wait_until(lambda: answers(app) == "dev-app 1.0.0", 20, "the old version")
    assert list((app.site.home / "spool").iterdir()) == []
    assert app.site.history(app.name)[0]["status"] == "failed"
    return push.text


CANARY = "canary-4711"


def test_gitmodules_that_include_a_file_of_the_server(running: Deployable, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text(f"{CANARY}\n")
    commit = running.clone.git("rev-parse", "HEAD")
    modules = f'[include]\n\tpath = {tmp_path}/canary\n[submodule "x"]\n\tpath = x\n\turl = https://github.com/x/y\n'
    running.clone.release("1.0.1", {".gitmodules": modules})
    running.clone.git("update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    running.clone.git("commit", "--quiet", "--amend", "--no-edit")
    said = failing_push(running, "FAILED at Build", "submodule x: https://github.com/x/y is not")
    running.clone.release("1.0.1", {".gitmodules": f"[include]\n\tpath = {tmp_path}/canary\n= {CANARY}\n"})
    running.clone.git("update-index", "--add", "--cacheinfo", f"160000,{commit},x")
    running.clone.git("commit", "--quiet", "--amend", "--no-edit")
    said += failing_push(running, "FAILED at Build", ".gitmodules cannot be read: line 3: expected a key")
    log = (running.site.home / "logs/gitdeploy.log").read_text()
    said = "".join(line for line in said.splitlines() if line.startswith("remote:"))
    assert CANARY not in said + log + running.site.run("history", running.name, "--json").stdout


HEADERS = {
    "an encoding that is none of text": "encoding zlib",
    "an encoding with a NUL": "encoding utf-8\0x",
    "a time of 5,000 digits": f"committer A <a@b> {'9' * 5000} +0000",
    "a NUL in a name": "author A\0B <a@b> 1 +0000",
    "headers that are none": "\x1b[31m",
}


@pytest.mark.parametrize("case", sample(HEADERS, "an encoding with a NUL"))
def test_a_commit_whose_headers_git_would_not_write(running: Deployable, case: str) -> None:
    """It is deployed all the same, for its tree is good; or fails by itself. Either way the next push is deployed."""
    running.clone.release("1.0.1")
    tree, parent = running.clone.git("rev-parse", "HEAD^{tree}"), running.clone.git("rev-parse", "HEAD")
    text = f"tree {tree}\nparent {parent}\n{HEADERS[case]}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nodd\n"
    command = ["git", "-C", str(running.clone.path), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    made = subprocess.run(command, input=text.encode(), check=True, capture_output=True).stdout.decode().strip()
    running.clone.git("update-ref", "refs/heads/main", made)
    push = running.clone.push(running.remote)
    assert "1.0.1 is live" in push.text, push.text
    assert "\x1b" not in "".join(line for line in push.text.splitlines() if line.startswith("remote:"))
    running.clone.release("1.0.2")
    assert "1.0.2 is live" in running.clone.push(running.remote).text


def test_a_context_above_its_limit(running: Deployable) -> None:
    config = running.site.home / "config.toml"
    config.write_text(config.read_text() + "build.max_context = 100_000\n")
    running.clone.release("1.0.1", {"data/large.bin": "x" * 200_000})
    failing_push(running, "FAILED at Build", "build.max_context", "data/large.bin with 200,000 bytes", ".dockerignore")


def test_a_missing_dockerfile(running: Deployable) -> None:
    running.clone.release("1.0.1", {"Dockerfile": None})
    failing_push(running, "FAILED at Build", "Dockerfile")


def test_a_dockerfile_that_does_not_parse(running: Deployable) -> None:
    running.clone.release("1.0.1", {"Dockerfile": "FROM gitdeploy-test/python:1\nRUNN echo hi\n"})
    failing_push(running, "FAILED at Build", "RUNN")


def test_a_dockerfile_that_fails_at_its_third_step(running: Deployable) -> None:
    dockerfile = "FROM gitdeploy-test/python:1\nRUN true\nRUN echo about to fail; exit 7\n"
    running.clone.release("1.0.1", {"Dockerfile": dockerfile})
    failing_push(running, "FAILED at Build", "about to fail", "7")


def test_a_base_image_that_does_not_exist(running: Deployable) -> None:
    running.clone.release("1.0.1", {"Dockerfile": "FROM gitdeploy-test/no-such-image:1\n"})
    failing_push(running, "FAILED at Build", "no-such-image")


def test_a_container_that_exits_at_once(running: Deployable) -> None:
    dockerfile = 'FROM gitdeploy-test/python:1\nCMD ["python3", "-c", "print(\'no database\'); raise SystemExit(3)"]\n'
    running.clone.release("1.0.1", {"Dockerfile": dockerfile})
    failing_push(running, "FAILED at Deploy", "the new container exited", "no database", "serves again")


def test_a_container_that_is_never_healthy(running: Deployable) -> None:
    running.site.configure('health = { path = "/broken", start_period = "1s", interval = "100ms" }\n')
    running.clone.release("1.0.1")
    failing_push(running, "FAILED at Deploy", "not healthy", "GET /broken: answered 404", "serves again")


def test_a_tree_config_with_what_it_may_not_set(running: Deployable) -> None:
    running.clone.release("1.0.1", {"gitdeploy.toml": 'container = "victim"\nvolumes = ["/:/host"]\n[build]\ntarget = 3\n'})
    failing_push(running, "FAILED at Checkout", "gitdeploy.toml", "container", "volumes", "build.target")


def test_a_submodule_that_cannot_be_had(running: Deployable, tmp_path: Path) -> None:
    other = tmp_path / "library"
    subprocess.run(["git", "init", "--quiet", other], check=True)
    subprocess.run(["git", "-C", other, "commit", "--quiet", "--allow-empty", "-m", "x"], check=True)
    running.clone.git("submodule", "add", "--quiet", str(other), "lib/library")
    running.clone.release("1.0.1")
    failing_push(running, "FAILED at Build", "lib/library")


def test_a_registry_that_does_not_answer_is_given_up_in_time(running: Deployable) -> None:
    config = running.site.home / "config.toml"
    table = f'[apps."{running.name}".push]\ntimeout = "3s"\n'
    config.write_text(f"{config.read_text().replace(running.image, f'127.0.0.1:{free_port()}/gone')}\n{table}")
    running.clone.release("1.0.1")
    failing_push(running, "FAILED at Push", "longer than 3 s (push.timeout)")


def test_a_server_config_in_error_is_told_whole(running: Deployable) -> None:
    config = running.site.home / "config.toml"
    good = config.read_text()
    config.write_text(good.replace(f'image = "{running.image}"', 'image = 5\nreplicas = "two"\nstratgy = "rolling"'))
    running.clone.release("1.0.1")
    push = running.clone.push(running.remote)
    for text in ("image", "replicas", "strategy"):
        assert text in push.text
    assert running.get() == "dev-app 1.0.0"
    assert running.site.run("config", "check", check=2).stderr.count("config.toml") >= 3


def test_another_apps_mistake_is_nothing_to_this_one(running: Deployable) -> None:
    table = f'[apps."devops/other"]\nimage = 5\npublish = ["99999:80"]\nstratgy = "x"\ncontainer = "{running.container}"\n'
    running.site.configure(table + '[apps."devops/empty"]\n')
    running.clone.release("1.0.1")
    assert "1.0.1 is live" in running.clone.push(running.remote).text
    assert running.site.run("config", "check", check=2).stderr.count("config.toml") >= 3
    assert "1.0.0 is live" in running.site.run("rollback", running.name).stdout


def test_an_app_without_a_table(running: Deployable) -> None:
    (running.site.home / "config.toml").write_text("")
    running.clone.release("1.0.1")
    push = running.clone.push(running.remote)
    assert "expected a table" in push.text
    assert "install.sh" in push.text


def test_a_repository_that_was_never_enrolled(running: Deployable) -> None:
    running.site.gogs.create_repository("devops/stranger")
    running.clone.release("1.0.1")
    push = running.clone.push(running.site.gogs.local("devops/stranger"))
    assert push.code == 0
    assert "gitdeploy" not in push.text


def test_a_deleted_branch_and_ten_refs_at_once(running: Deployable) -> None:
    running.clone.release("1.0.1")
    refs = [f"HEAD:refs/heads/b{i}" for i in range(9)]
    push = running.clone.push(running.remote, "HEAD:refs/heads/main", *refs)
    assert "1.0.1 is live" in push.text
    assert len(running.site.history(running.name)) == 2
    running.clone.git("-C", str(running.site.gogs.repository(running.name)), "symbolic-ref", "HEAD", "refs/heads/b0")
    gone = running.clone.push(running.remote, ":refs/heads/main")
    assert "keeps running" in gone.text
    assert running.get() == "dev-app 1.0.1"


def test_no_engine(running: Deployable) -> None:
    running.clone.release("1.0.1")
    env = {**running.remote.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    text = failing_push(running, "FAILED at", "/nonexistent/docker.sock", remote=Remote(running.remote.url, env))
    assert "what to do" in text
    assert running.site.history(running.name)[0]["exit_code"] == 3


def test_no_space(running: Deployable) -> None:
    running.site.configure('[server]\nmin_free = "900000GB"\n')
    running.clone.release("1.0.1")
    failing_push(running, "MB free", "min_free", "free some space")


def test_garbage_in_the_spool_stops_nobody(running: Deployable) -> None:
    (running.site.home / "spool" / "1-garbage.push").write_bytes(b"\xff\0garbage")
    running.clone.release("1.0.1")
    assert "1.0.1 is live" in running.clone.push(running.remote).text
    assert (running.site.home / "spool" / ".1-garbage.push.bad").exists()


def test_a_tag_on_a_file_is_no_release(app: Deployable) -> None:
    config = app.site.home / "config.toml"
    config.write_text(config.read_text().replace("image = ", 'branch = ["refs/tags/v*"]\nimage = ', 1))
    app.clone.release("1")
    app.clone.git("tag", "v1", "HEAD:VERSION")
    push = app.clone.push(app.remote, "refs/tags/v1")
    assert "gitdeploy: refs/tags/v1 does not lead to a commit but to blob" in push.text, push.text


def test_a_port_that_the_image_does_not_expose(app: Deployable) -> None:
    dockerfile = (app.clone.path / "Dockerfile").read_text().replace("EXPOSE 80", "EXPOSE 3000")
    app.site.configure("health = { start_period = 0.2, retries = 1 }\n")
    program = (app.clone.path / "app.py").read_text().replace('"", 80', '"", 3000')
    app.clone.release("1", {"Dockerfile": dockerfile, "app.py": program})
    push = app.clone.push(app.remote)
    assert "not healthy after" in push.text
    assert "(TCP connect to port 80); its image EXPOSEs 3000: does publish or health.port name the wrong one?" in push.text


def test_adopts_the_container_of_that_name_and_puts_it_back(app: Deployable, docker_client: docker.DockerClient) -> None:
    port = int(app.url.rpartition(":")[2])
    server = ["sh", "-c", "mkdir /w; echo jenkins >/w/index.html; exec busybox httpd -f -p 80 -h /w"]
    stranger = docker_client.containers.run(
        "gitdeploy-test/busybox:1",
        server,
        name=app.container,
        detach=True,
        ports={"80/tcp": ("127.0.0.1", port)},
        mem_limit="128m",
        environment={"TOKEN": "hunter2"},
    )
    try:
        bad = 'FROM gitdeploy-test/python:1\nCMD ["python3", "-c", "raise SystemExit(1)"]\n'
        good = (app.clone.path / "Dockerfile").read_text()
        app.clone.release("1.0.0", {"Dockerfile": bad})
        push = app.clone.push(app.remote)
        assert "and would lose its --memory 134217728, -e TOKEN, a command of its own" in push.text, push.text
        assert (
            "set what is needed in config.toml: run.memory = 134217728, env or env_file, run.command; or, to lose them"
            in push.text
        )
        assert f"or once: gitdeploy deploy {app.name}" in push.text
        asked = app.site.run("deploy", app.name, "main", check=1).stdout
        assert "adopting container" in asked
        assert "its --memory 134217728 is not taken along: run.memory = 134217728 in config.toml" in asked
        assert "its -e TOKEN is not taken along: env or env_file in config.toml" in asked
        assert "hunter2" not in push.text + asked
        assert app.get() == "jenkins"
        assert docker_client.containers.get(app.container).id == stranger.id
        config = app.site.home / "config.toml"
        config.write_text(config.read_text().replace("image = ", "adopt = true\nimage = ", 1))
        app.clone.release("1.0.1", {"Dockerfile": good})
        assert "1.0.1 is live" in app.clone.push(app.remote).text
        assert app.get() == "dev-app 1.0.1"
        assert docker_client.containers.get(f"{app.container}.before-gitdeploy").id == stranger.id
    finally:
        stranger.remove(force=True)


def test_a_port_that_another_container_holds(app: Deployable, docker_client: docker.DockerClient) -> None:
    port = int(app.url.rpartition(":")[2])
    holder = docker_client.containers.run(
        "gitdeploy-test/busybox:1",
        ["sleep", "60"],
        detach=True,
        ports={"80/tcp": ("127.0.0.1", port)},
        name=f"{app.container}-holder",
    )
    try:
        app.clone.release("1.0.0")
        push = app.clone.push(app.remote)
        assert f"port {port} is taken by container {app.container}-holder" in push.text
    finally:
        holder.remove(force=True)
    assert app.site.run("deploy", app.name).returncode == 0
    assert app.get() == "dev-app 1.0.0"


def test_a_network_that_there_is_not_is_missed_before_the_build(running: Deployable) -> None:
    config = running.site.home / "config.toml"
    config.write_text(config.read_text().replace("publish = ", 'networks = ["no-such-network"]\npublish = ', 1))
    running.clone.release("1.0.1")
    text = failing_push(
        running, "FAILED at Build", "there is no network no-such-network", "docker network create no-such-network"
    )
    assert "exporting" not in text
