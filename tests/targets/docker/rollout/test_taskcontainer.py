"""Tasks of a hostile or unlucky image: what they say is bounded, and how they ended is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Event

import pytest

from gitdeploy.config.jobs import Task
from gitdeploy.config.runoptions import Run
from gitdeploy.targets.docker.taskcontainer import MAX_LINES, task_spec
from gitdeploy.targets.errand import Errand, TaskEnd
from gitdeploy.targets.target import Target
from tests.support.recorder import Recorder
from tests.support.targets import target_on
from tests.targets.docker.rollout.site import Site


@pytest.fixture
def target(site: Site) -> Iterator[Target]:
    target = target_on(site.engine)
    yield target
    target.drop_tasks(site.app, ())


def errand(site: Site, output: Recorder, *command: str, **run: object) -> Errand:
    image = site.engine.image(site.image)
    assert image
    task = Task(run=replace(Run(command=command), **run))  # type: ignore[arg-type]
    return Errand(site.app, 1, "migrate", task, output, Event(), begun=False, image=image.id)


def test_much_output_is_cut_for_pushers_and_its_end_is_kept(site: Site, target: Target) -> None:
    output = Recorder()
    script = "head -c 2000000 /dev/urandom; echo; yes line | head -n 5000; head -c 300000 /dev/zero; printf '\\nthe end'"
    end = target.run_task(errand(site, output, "sh", "-c", script))
    assert end is not None
    assert (end.code, end.tail[-1]) == (0, "the end")
    assert output.lines[-1] == "    the end"
    assert len(output.short) <= MAX_LINES + 1
    assert "    … it says much: the rest is in the log alone" in output.short


def test_one_that_takes_too_much_memory(site: Site, target: Target) -> None:
    end = target.run_task(errand(site, Recorder(), "tail", "/dev/zero", memory=16 << 20, memory_swap=16 << 20))
    assert end is not None
    assert (end.code, end.words) == (137, "killed for using too much memory")


def test_words_of_a_command_are_taken_as_they_are(site: Site, target: Target) -> None:
    end = target.run_task(errand(site, Recorder(), "echo", "it's", '"$HOME"', "`id`;", "a  b"))
    assert end == TaskEnd(0, tail=('it\'s "$HOME" `id`; a  b',))


def test_a_task_has_what_the_release_has_but_neither_its_ports_nor_its_names(site: Site) -> None:
    site.configure(volumes=(), networks=("backend",), restart="always")
    spec = task_spec(errand(site, Recorder(), "true", labels={"traefik.enable": "true"}, log_driver="none"))
    assert (spec.publish, spec.aliases, spec.own_network, spec.restart, spec.networks) == ((), (), "", "no", ("backend",))
    assert spec.run.labels == {}
    assert (spec.run.log_driver, spec.attended) == ("json-file", None)
    assert spec.name == f"{site.app.container}.1.migrate"
