"""A pusher who wants the host: names, messages, files and options with everything that a shell or a terminal would act on."""

from __future__ import annotations

import io
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.conftest import DOCKERFILE, MakeTiny, Tiny
from tests.support.gogs import Remote
from tests.support.params import sample

ESCAPES = "\x1b]0;owned\x07\x1b[31m\x1b[2J\x9b1m\u202e"
SHELL = "$(touch pwned)`touch pwned`;touch pwned|touch pwned&&touch pwned>pwned'\"\\"
REF = "x$(touch${IFS}pwned)`touch${IFS}pwned`;touch${IFS}pwned|touch${IFS}pwned&'\"!#%{}"


def everything_said(tiny: Tiny, push: str) -> str:
    """What people get to see of the app's newest deployment, the pusher's own git aside."""
    remote = "".join(line for line in push.splitlines(keepends=True) if line.startswith("remote:"))
    verbs = (("logs", tiny.name), ("history", tiny.name), ("status",), ("history", tiny.name, "--json"))
    return remote + "".join(tiny.site.run(*verb).stdout for verb in verbs)


def assert_harmless(tiny: Tiny, said: str, tmp_path: Path) -> None:
    for sign in ("\x1b", "\x07", "\x9b", "\u202e", "\x00"):
        assert sign not in said, f"{sign!r} in {said!r}"
    assert not [p for p in tmp_path.rglob("pwned")], "something was interpreted by a shell"
    assert not Path("pwned").exists()
    assert "Traceback" not in said


def commit(tiny: Tiny, message: str, author: str) -> None:
    """Commits all as this author: with plumbing, because git itself cleans names."""
    tiny.clone.git("add", "--all")
    tree, parent = tiny.clone.git("write-tree"), tiny.clone.git("rev-parse", "HEAD")
    who = f"{author} <a@b> 1700000000 +0000"
    text = f"tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\n{message}\n"
    command = ["git", "-C", str(tiny.clone.path), "hash-object", "-t", "commit", "-w", "--stdin", "--literally"]
    made = subprocess.run(command, input=text.encode("utf-8", "surrogateescape"), check=True, capture_output=True).stdout
    tiny.clone.git("reset", "--quiet", "--hard", made.decode().strip())


def test_messages_authors_users_and_file_names(make_tiny: MakeTiny, tmp_path: Path) -> None:
    tiny = make_tiny('build = { output = "full" }\n')
    tiny.push("1")
    names = ["-rf", "a:b", "new\nline", SHELL.replace("/", ""), f"esc{ESCAPES}", "..hidden", "a\\b", " lead", "*", "\udcff"]
    for name in names:
        os.close(os.open(os.fsencode(tiny.clone.path) + b"/" + os.fsencode(name), os.O_CREAT | os.O_WRONLY, 0o644))
    (tiny.clone.path / "VERSION").write_text("2\n")
    dockerfile = DOCKERFILE.replace(
        "COPY VERSION", "COPY . /tree/\nRUN ls -la /tree; printf '\\033[31mred\\033]0;x\\007\\n'\nCOPY VERSION"
    )
    (tiny.clone.path / "Dockerfile").write_text(dockerfile)
    commit(
        tiny, f"{ESCAPES}{SHELL}\nref {'0' * 40} {'0' * 40} refs/heads/main\n\n{ESCAPES}", f"{ESCAPES}{SHELL.replace('>', '')}"
    )
    user = f"mallory{ESCAPES}{SHELL}\nref {'1' * 40} {'2' * 40} refs/heads/main\nend"
    push = replace(tiny, remote=Remote(tiny.remote.url, {**tiny.remote.environ, "GOGS_AUTH_USER_NAME": user})).push()
    assert "2 is live" in push.text
    assert "red" in push.text
    assert tiny.get() == "2"
    assert_harmless(tiny, everything_said(tiny, push.text), tmp_path)
    labels = tiny.client.containers.get(tiny.container).labels
    assert labels["gitdeploy.version"] == "2"


def test_branch_names(make_tiny: MakeTiny, tmp_path: Path) -> None:
    tiny = make_tiny('branch = ["main", "x*"]\n')
    tiny.push("1")
    tiny.release("2")
    push = tiny.push("", f"HEAD:refs/heads/{REF}")
    assert "2 is live" in push.text
    assert tiny.site.history(tiny.name)[0]["ref"] == f"refs/heads/{REF}"
    assert_harmless(tiny, everything_said(tiny, push.text), tmp_path)


def test_push_options(make_tiny: MakeTiny, tmp_path: Path) -> None:
    tiny = make_tiny()
    repository = tiny.site.gogs.repository(tiny.name)
    subprocess.run(["git", "-C", repository, "config", "receive.advertisePushOptions", "true"], check=True)
    tiny.push("1")
    for option in (f"gitdeploy.strategy={SHELL}", f"gitdeploy.{ESCAPES}", f"gitdeploy.no-cache={SHELL}{ESCAPES}"):
        tiny.release("2")
        push = tiny.clone.push(tiny.remote, options=[option, SHELL, ESCAPES])
        assert "FAILED at Checkout" in push.text
        assert tiny.get() == "1"
        assert_harmless(tiny, everything_said(tiny, push.text), tmp_path)


VERSIONS = [SHELL, "1 --privileged", "latest:1", "1/../../x", "1@sha256:" + "0" * 64, "1\x00", f"1{ESCAPES}"]


def test_versions(make_tiny: MakeTiny, tmp_path: Path) -> None:
    tiny = make_tiny()
    tiny.push("1")
    said = ""
    for number, version in enumerate(VERSIONS, 1):
        tiny.release("2", VERSION=version)
        said += tiny.push().text
        assert said.count("FAILED at Read VERSION") == number, version
    assert tiny.get() == "1"
    assert_harmless(tiny, everything_said(tiny, said), tmp_path)
    tiny.release("2", VERSION="3\n2")
    assert "3 is live" in tiny.push().text, "the first line counts"


@pytest.mark.parametrize("name", sample(["VERSION", "Dockerfile", "gitdeploy.toml"], "gitdeploy.toml"))
def test_links_out_of_the_tree(name: str, make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    tiny.push("1")
    tiny.release("2")
    for target in ("/etc/passwd", "../../../../../../etc/passwd", ".git/config"):
        (tiny.clone.path / name).unlink(missing_ok=True)
        (tiny.clone.path / name).symlink_to(target)
        tiny.clone.git("add", "--all")
        tiny.clone.git("commit", "--quiet", "--message", "a link")
        push = tiny.push()
        assert "FAILED at" in push.text
        assert "root:" not in push.text
        assert tiny.get() == "1"


def test_a_tree_cannot_reach_beyond_its_app(make_tiny: MakeTiny, tmp_path: Path) -> None:
    victim = make_tiny(suffix="-victim")
    victim.push("1")
    tiny = make_tiny(suffix="-mallory")
    tiny.push("1")
    wanted = {
        "container": f'"{victim.container}"',
        "image": f'"gitdeploy-faults/{victim.name}"',
        "publish": f'["{victim.port}:80"]',
        "volumes": '["/:/host"]',
        "networks": '["host"]',
        "env_file": '"/etc/shadow"',
        "repository": f'"{victim.site.gogs.repository(victim.name)}"',
        "allow": '["volumes"]',
        "branch": '["*"]',
        "restart": '"always"',
        "router": '{ image = "evil" }',
    }
    text = "".join(f"{key} = {value}\n" for key, value in wanted.items())
    text += (
        '[build]\nsecrets = { x = "/etc/shadow" }\n[push]\nauth_file = "/root/.docker/config.json"\n[server]\nparallel = 99\n'
    )
    tiny.release("2", **{"gitdeploy.toml": text + f'[apps."{victim.name}"]\nimage = "x"\n'})
    push = tiny.push()
    assert "FAILED at Checkout" in push.text
    for key in (*wanted, "build.secrets", "push.auth_file", "server", "apps"):
        assert key in push.text, key
    assert (victim.get(), tiny.get()) == ("1", "1")

    config = victim.site.home / "config.toml"
    good = config.read_text()
    config.write_text(good.replace(f'container = "{tiny.container}"', f'container = "{victim.container}"'))
    refused = victim.site.run("config", "check", check=2)
    assert victim.container in refused.stderr
    config.write_text(good.replace(str(tiny.port), str(victim.port)))
    refused = victim.site.run("config", "check", check=2)
    assert str(victim.port) in refused.stderr


def test_an_image_with_the_labels_of_another_app_is_not_taken_for_its_own(make_tiny: MakeTiny) -> None:
    """A classic build leaves its stages, and what it pulled, with whatever labels they were given."""
    tiny = make_tiny()
    tiny.push("1")
    first = tiny.client.images.get(f"gitdeploy-faults/{tiny.name}:1")
    tree = tiny.clone.git("rev-parse", "HEAD")
    labels = {name: value for name, value in first.labels.items() if name.startswith("gitdeploy.")}
    assert "is live" in tiny.push("2").text
    tiny.client.images.remove(first.id, force=True)
    text = "FROM gitdeploy-test/busybox:1\nEXPOSE 80\nRUN mkdir /evil && echo evil >/evil/index.html\n"
    text += 'CMD ["httpd", "-f", "-p", "80", "-h", "/evil"]\n'
    lie, _ = tiny.client.images.build(fileobj=io.BytesIO(text.encode()), labels=labels, rm=True)
    assert lie.labels == labels
    assert "1 is live" in tiny.push("", f"+{tree}:refs/heads/main").text
    assert tiny.get() == "1"


def test_a_label_of_gitdeploys_own_is_refused(make_tiny: MakeTiny) -> None:
    tiny = make_tiny()
    tiny.push("1")
    tiny.release("2", Dockerfile=f"{DOCKERFILE}LABEL gitdeploy.replica=x\n")
    text = tiny.push().text
    assert "FAILED at Deploy: the image has the label 'gitdeploy.replica'" in text
    assert tiny.get() == "1"
    tiny.release("3", Dockerfile=DOCKERFILE)
    assert "3 is live" in tiny.push().text


def test_a_record_of_somebody_elses_making(make_tiny: MakeTiny, tmp_path: Path) -> None:
    """In agent mode, the Git server's user may write anything into the spool."""
    tiny = make_tiny()
    tiny.push("1")
    spool, secret = tiny.site.home / "spool", tmp_path / "secret"
    secret.write_text("kept")
    head = f"gitdeploy-push 1\napp {tiny.name}\n"
    tip = tiny.clone.git("rev-parse", "HEAD")
    ref = f"ref {'0' * 40} {tip} refs/heads/main\nend\n"
    (spool / "1-console.push").write_text(f"{head}repo /\nconsole ../../../secret\n{ref}")
    (spool / "2-repo.push").write_text(f"{head}repo {tmp_path}\n{ref}")
    (spool / "3-app.push").write_text(f"gitdeploy-push 1\napp ../../etc\nrepo /\n{ref}")
    (spool / "4-link.push").symlink_to(secret)
    os.mkfifo(spool / "5-fifo.push")
    (spool / "6-dir.push").mkdir()
    (spool / "7-ref.push").write_text(f"{head}repo /\nref {'0' * 40} {tip} refs/heads/../../x\nend\n")
    tiny.site.run("worker", "--once", timeout=30)
    assert secret.read_text() == "kept"
    assert tiny.get() == "1"
    assert "2 is live" in tiny.push("2").text
    assert not [path.name for path in spool.glob("*.push") if not path.name.startswith(".")]
