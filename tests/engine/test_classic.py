"""The classic builder: what it cannot do is refused beforehand, and what it says is told like BuildKit's."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from dataclasses import replace

import pytest

from gitdeploy.config.runoptions import Run
from gitdeploy.engine.classic import Steps, registry_config
from gitdeploy.engine.docker_engine import DockerEngine
from gitdeploy.engine.progress import Said
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import BuildFailed, Cancelled
from tests.support.builder import Builder, running, set_when
from tests.support.net import wait_until


def test_what_needs_buildkit_is_refused_before_anything_runs(classic: Builder) -> None:
    dockerfile = "FROM BASE\nRUN --mount=type=cache,target=/c true\n\nRUN <<EOF\nEOF\nCOPY --chmod=755 a /\n"
    refused = classic.run(dockerfile, secrets={"token": b"x"}, inline_cache=True, dockerfile="build/Dockerfile")
    assert isinstance(refused.failure, BuildFailed)
    assert refused.failure.reason == (
        "the classic builder cannot do this: build/Dockerfile line 2: RUN --mount; build/Dockerfile line 4: RUN <<EOF;"
        " build/Dockerfile line 6: COPY --chmod; build.secrets; build.inline_cache"
    )
    assert 'build.engine = "buildkit"' in refused.failure.hint
    assert refused.output.lines == []


def test_an_engine_without_buildkit_builds_with_it_and_says_so(classic: Builder) -> None:
    without = DockerEngine(classic.engine._api, buildkit=False)
    built = replace(classic, engine=without, kind="auto").good("FROM BASE\nCMD true\n")
    assert built.output.short[0] == "this engine does not build with BuildKit: building with its classic builder"


def test_where_it_is_asked_for_nothing_is_said_about_it(classic: Builder) -> None:
    assert classic.good("FROM BASE\nCMD true\n").output.short[0].startswith("[1/2] FROM ")


def test_a_line_of_a_megabyte_arrives_whole(classic: Builder) -> None:
    script = r"head -c 1000000 /dev/zero | tr '\0' x; echo; echo next"
    built = classic.good(f"FROM BASE\nRUN {script}\n", no_cache=True)
    parts = [line.strip() for line in built.output.lines if line.startswith("    ")]
    assert parts[-1] == "next"
    assert [set(part) for part in parts[:-1]] == [{"x"}] * (len(parts) - 1)
    assert sum(map(len, parts[:-1])) == 1_000_000


STEPS = [
    "Step 1/3 : FROM base:1",
    "\n",
    " ---> 65461b2c7362\n",
    "Step 2/3 : RUN a   && b",
    "\n",
    " ---> Running in 842ec5c7b2c5\n",
    "\x1b[91merr\n\x1b[0m",
    "hi\n\nno newline",
    " ---> Removed intermediate container 842ec5c7b2c5\n",
    " ---> faaacc0b7267\n",
    "Step 3/3 : ENV A=b",
    "\n",
    " ---> Using cache\n",
    " ---> b61a0f3ebe68\n",
    "Successfully built b61a0f3ebe68\n",
    "Successfully tagged x:1\n",
]


def test_steps_are_told() -> None:
    times = iter([0.0, 0.5, 0.5, 2.0, 2.0, 2.25])
    steps = Steps(lambda: next(times))
    said = [event for text in STEPS for event in steps.feed(text)] + steps.finish(failed=False)
    assert [f"{'. ' if event.detail else ''}{event.text}" for event in said if isinstance(event, Said)] == [
        ". [1/3] FROM base:1",
        "[1/3] FROM base:1 · 0.5 s",
        ". [2/3] RUN a && b",
        ".     err",
        ".     hi",
        ".     ",
        ".     no newline",
        "[2/3] RUN a && b · 1.5 s",
        ". [3/3] ENV A=b",
        "[3/3] ENV A=b · CACHED",
    ]


def test_the_running_container_and_the_last_lines_are_known() -> None:
    steps = Steps(lambda: 0.0)
    for text in STEPS[:8]:
        steps.feed(text)
    assert (steps.container, steps.heading) == ("842ec5c7b2c5", "[2/3] RUN a && b")
    assert [event.text for event in steps.finish(failed=True)] == ["    no newline", "[2/3] RUN a && b · failed after 0.0 s"]
    assert list(steps.tail) == ["err", "hi", "", "no newline"]
    for text in STEPS[10:12]:
        steps.feed(text)
    assert (steps.container, list(steps.tail)) == ("", [])


@pytest.mark.parametrize("name", ["", "victim-1", "victim.0.app"])
def test_a_step_is_nobodys_container_whatever_its_labels_and_its_name_say(classic: Builder, name: str) -> None:
    """An engine from 29 on may have an extension that names containers; a Dockerfile says what labels a step has."""
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
    labels = {"gitdeploy.app": "devops/victim", "gitdeploy.role": "app", "gitdeploy.release": "x"}
    seen: list[object] = []
    cancel = threading.Event()

    def look() -> bool:
        if running(mark):
            for step in classic.client.containers.list(filters={"label": "gitdeploy.app=devops/victim"}) if name else ():
                step.rename(name)
            seen.append((classic.engine.containers(labels), len(classic.engine.containers({}))))
        return bool(seen)

    set_when(cancel, look)
    words = " ".join(f"{name}={value}" for name, value in labels.items())
    failed = classic.run(f"FROM BASE\nLABEL {words}\nRUN sleep {mark}\n", cancel=cancel)
    assert isinstance(failed.failure, Cancelled)
    assert seen == [([], 1)]
    for image in classic.client.images.list(filters={"label": "gitdeploy.app=devops/victim"}):
        classic.client.images.remove(image.id)


def test_a_container_of_gitdeploys_is_not_taken_for_a_step(classic: Builder) -> None:
    """Whatever its configuration and its Dockerfile say, and after dockerd has read it from its disk."""
    labels = {"gitdeploy.app": "devops/test-step"}
    image = classic.good("FROM BASE\nHEALTHCHECK NONE\n").image
    run = Run(log_driver="none", log_opts={})
    made = classic.engine.create(ContainerSpec("brave_turing1", image, command=("true",), labels=labels, restart="no", run=run))
    assert [found.id for found in classic.engine.containers(labels)] == [made]
    classic.engine.remove(made, force=True)


def test_a_step_cannot_have_another_container_removed(classic: Builder) -> None:
    """It prints what the builder prints when it starts a step, with the id of somebody else's container."""
    mark = f"{uuid.uuid4().int % 10**8 + 10**8}"
    victim = classic.client.containers.run(classic.base, ["sleep", "1000"], detach=True)
    short = victim.id[:12]
    script = f"printf 'Step 9/9 : RUN x\\n ---> Running in {short}\\n'; sleep {mark}"
    cancel = threading.Event()
    set_when(cancel, lambda: running(mark))
    failed = classic.run(f"FROM BASE\nRUN {script}\n", cancel=cancel)
    victim.reload()
    assert (type(failed.failure), victim.status) == (Cancelled, "running")
    victim.remove(force=True)
    wait_until(lambda: not running(mark), 10, "the end of the step")


LOGINS = {"docker.io": ("hub", "s3cret"), "127.0.0.1:5000": ("<token>", "t0ken")}


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ((), {}),
        (("quay.io/a/b:1",), {}),
        (("alpine", "library/alpine:3"), {"https://index.docker.io/v1/": {"username": "hub", "password": "s3cret"}}),
        (("127.0.0.1:5000/x@sha256:" + "0" * 64,), {"127.0.0.1:5000": {"identitytoken": "t0ken"}}),
    ],
)
def test_logins_of_the_base_images_go_along(images: tuple[str, ...], expected: dict[str, dict[str, str]]) -> None:
    assert json.loads(base64.urlsafe_b64decode(registry_config(images, LOGINS.get))) == expected
