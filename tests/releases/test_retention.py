"""What a rollback goes to and what a prune removes."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from gitdeploy.config.model import App
from gitdeploy.config.sections import Retain
from gitdeploy.engine.types import ContainerSpec, Image
from gitdeploy.errors import UsageError
from gitdeploy.releases.imagenames import own_name
from gitdeploy.releases.records import Deployment
from gitdeploy.releases.release import APP, TREE
from gitdeploy.releases.retention import Freed, Plan, choose_target, image_of, plan, prune
from tests.support.fake_engine import FakeEngine
from tests.support.targets import target_on

NOTHING: dict[str, Any] = {
    field.name: {"str": "", "int": 0, "float": 0.0, "bool": True}.get(str(field.type))
    for field in dataclasses.fields(Deployment)
}


def deployment(number: int, version: str = "", image: str = "", **values: object) -> Deployment:
    base = {"id": number, "version": version or f"{number}", "image": image or f"i{number}", "status": "succeeded"}
    return Deployment(**{**NOTHING, **base, **values})


def image(name: str) -> Image:
    return Image(name, (), (), {}, (), False, 1, "")


def planned(history: list[Deployment], images: list[Image], used: Collection[str], releases: int) -> Plan:
    return plan(App("o/r", "r", "r", retain=Retain(releases=releases)), history, images, used)


HISTORY = [deployment(n) for n in (4, 3, 2, 1)]


class TestChooseTarget:
    def test_the_release_before_the_live_one(self) -> None:
        assert choose_target(HISTORY, HISTORY[0], None).id == 3

    def test_a_version(self) -> None:
        assert choose_target(HISTORY, HISTORY[0], "2").id == 2

    def test_the_newest_of_a_version_that_was_released_twice(self) -> None:
        releases = [deployment(4), deployment(3, "1"), deployment(2), deployment(1, "1")]
        assert choose_target(releases, releases[0], "1").id == 3

    def test_twice_goes_back_two_releases(self) -> None:
        after_rollback = deployment(5, "3", "i3", trigger="rollback")
        assert choose_target([after_rollback, *HISTORY], after_rollback, None).id == 2

    def test_the_same_version_from_another_tree_is_another_release(self) -> None:
        releases = [deployment(2, "1", "b"), deployment(1, "1", "a")]
        assert choose_target(releases, releases[0], "1").id == 1

    @pytest.mark.parametrize(
        ("releases", "live", "version", "reason"),
        [
            ([], None, None, "nothing of this app was ever live"),
            (HISTORY[:1], HISTORY[0], None, "no release before 4 is kept"),
            (HISTORY, HISTORY[0], "4", "4 is live already"),
            (HISTORY, HISTORY[0], "0.9", "there is no release 0.9"),
        ],
    )
    def test_refuses(self, releases: list[Deployment], live: Deployment | None, version: str | None, reason: str) -> None:
        with pytest.raises(UsageError, match=reason):
            choose_target(releases, live, version)

    def test_says_what_is_kept(self) -> None:
        with pytest.raises(UsageError) as refused:
            choose_target(HISTORY, HISTORY[0], "0.9")
        assert refused.value.hint == "kept for a rollback: 3, 2, 1"


class TestPlan:
    def test_keeps_so_many_releases(self) -> None:
        images = [image(f"i{n}") for n in range(1, 5)]
        assert planned(HISTORY, images, (), 2) == Plan((HISTORY[2], HISTORY[3]), (images[0], images[1]))

    def test_counts_images_and_not_deployments(self) -> None:
        history = [deployment(5, image="i3"), deployment(4, image="i4"), deployment(3), deployment(2)]
        assert planned(history, [image("i2"), image("i3"), image("i4")], (), 2) == Plan((history[3],), (image("i2"),))

    def test_keeps_what_containers_use(self) -> None:
        assert planned(HISTORY, [image("i1"), image("i2")], {"i1"}, 2).images == (image("i2"),)

    def test_keeps_what_is_being_deployed_and_what_failed_last(self) -> None:
        history = [deployment(7, status="failed"), deployment(6, status="running"), deployment(5, status="failed"), *HISTORY]
        images = [image(f"i{n}") for n in (7, 6, 5, 4)]
        assert planned(history, images, (), 1).images == (image("i5"),)

    def test_removes_what_no_record_knows(self) -> None:
        assert planned([], [image("lost")], (), 5).images == (image("lost"),)

    def test_what_was_forgotten_does_not_count(self) -> None:
        history = [deployment(3), replace(deployment(2), retained=False), deployment(1)]
        assert planned(history, [image("i1"), image("i2")], (), 2) == Plan((), (image("i2"),))


class TestImageOf:
    """A release is found again whatever its id is now, and no other is taken for it."""

    APP = App("devops/dev-app", "6ain/dev-app", "dev-app", retain=Retain(releases=1))

    def image(self, id: str, tree: str, *tags: str) -> Image:
        return Image(id, tags, (), {APP: self.APP.name, TREE: tree}, (), False, 1, "")

    def test_by_id_then_by_its_own_name_then_by_its_tree(self) -> None:
        release = deployment(3, image="old", tree="t1")
        by_tree = self.image("c", "t1", "docker.io/6ain/dev-app:1")
        by_name = self.image("b", "t1", own_name(self.APP.name, 3, "t1"))
        by_id = self.image("old", "t1")
        assert image_of(self.APP, release, [by_tree, by_name, by_id]) == by_id
        assert image_of(self.APP, release, [by_tree, by_name]) == by_name
        assert image_of(self.APP, release, [by_tree]) == by_tree
        assert image_of(self.APP, release, []) is None

    def test_never_one_of_another_tree_or_of_another_app(self) -> None:
        release = deployment(3, version="1", image="old", tree="t1")
        others = [
            self.image("old", "t2", own_name(self.APP.name, 3, "t1"), "6ain/dev-app:1"),
            self.image("liar", "t1", "other/app:1"),
            self.image("stage", "t1"),
        ]
        assert image_of(self.APP, release, others) is None

    def test_where_ids_have_changed_nothing_goes_that_is_kept(self) -> None:
        history = [deployment(2, image="old2", tree="t2"), deployment(1, image="old1", tree="t1")]
        images = [self.image(f"new{n}", f"t{n}", own_name(self.APP.name, n, f"t{n}")) for n in (2, 1)]
        assert plan(self.APP, history, images, ()) == Plan((history[1],), (images[1],))
        assert plan(replace(self.APP, retain=Retain(releases=2)), history, images, ()) == Plan((), ())


@dataclasses.dataclass
class Said:
    lines: list[str]

    def line(self, text: str, *, detail: bool = False) -> None:
        self.lines.append(text)

    def progress(self, key: str, text: str) -> None:
        raise AssertionError


class TestPrune:
    APP = App("devops/dev-app", "6ain/dev-app", "dev-app", retain=Retain(releases=1))

    def run(self, engine: FakeEngine, history: list[Deployment]) -> tuple[Freed, list[int], list[str]]:
        forgotten: list[int] = []
        said = Said([])
        freed = prune(
            engine,
            self.APP,
            history,
            used=target_on(engine).images_in_use(),
            forget=forgotten.append,
            output=said,
        )
        return freed, forgotten, said.lines

    def test_forgets_before_it_removes(self) -> None:
        engine = FakeEngine()
        labels = {APP: self.APP.name}
        old, new = (engine.add_image(f"6ain/dev-app:{v}", labels=labels) for v in ("1", "2"))
        events: list[str] = []
        engine.before = events.append
        freed = prune(
            engine,
            self.APP,
            [deployment(2, image=new), deployment(1, image=old)],
            used=(),
            forget=lambda n: events.append(f"forget {n}"),
            output=Said([]),
        )
        assert freed == Freed(1, 1_000_000, 0)
        assert str(freed) == "freed 1 image of up to 1.0 MB"
        assert events.index("forget 1") < events.index("remove_image")
        assert engine.image(old) is None
        assert engine.image(new) is not None

    def test_leaves_other_apps_and_other_peoples_images(self) -> None:
        engine = FakeEngine()
        engine.add_image("busybox:1")
        engine.add_image("6ain/other:1", labels={APP: "devops/other"})
        assert self.run(engine, [])[0] == Freed()

    def test_leaves_an_image_that_somebody_else_has_tagged(self) -> None:
        engine = FakeEngine()
        shared = engine.add_image("6ain/dev-app:1", "keep/this:1", labels={APP: self.APP.name})
        freed, _, lines = self.run(engine, [])
        assert freed == Freed()
        found = engine.image(shared)
        assert found is not None
        assert found.tags == ("keep/this:1",)
        assert "tagged keep/this:1 too" in lines[0]

    def test_the_engine_may_spell_a_tag_in_another_way(self) -> None:
        engine = FakeEngine()
        engine.add_image("6ain/dev-app:1", labels={APP: self.APP.name})
        app = replace(self.APP, image="docker.io/6ain/dev-app")
        assert prune(engine, app, [], used=(), forget=lambda _: None, output=Said([])) == Freed(1, 1_000_000, 0)

    def test_leaves_an_image_that_a_container_of_somebody_uses(self) -> None:
        engine = FakeEngine()
        used = engine.add_image("6ain/dev-app:1", labels={APP: self.APP.name})
        engine.create(ContainerSpec("mine", used))
        assert self.run(engine, [])[0] == Freed()
        assert engine.image(used) is not None
