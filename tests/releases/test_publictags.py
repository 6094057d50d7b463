"""A public tag moves when its push succeeds, whatever goes wrong; and it is taken from nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitdeploy.config.model import App
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import StageFailed
from gitdeploy.releases.imagenames import own_name
from gitdeploy.releases.publictags import require_claims, settle, settle_all, tagged
from gitdeploy.releases.release import APP
from tests.support.fake_engine import FakeEngine
from tests.support.targets import target_on

DEV_APP = App("devops/dev-app", "r.example/dev-app", "dev-app")
LATEST = "r.example/dev-app:latest"
LABELS = {APP: DEV_APP.name}


class Killed(BaseException):
    """As kill -9 would have it: nothing is put right after it."""


def tags(engine: FakeEngine) -> dict[str, str]:
    """Every name on the engine → the image that bears it."""
    return {tag: image.id for image in engine.images({}) for tag in image.tags}


def engine_with(earlier: str) -> tuple[FakeEngine, str]:
    """An engine with an image to publish, and one that bears the tag: "nobody"'s, the app's "own", or one "made by hand"."""
    engine = FakeEngine()
    if earlier != "nobody":
        names = [own_name(DEV_APP.name, 1, "t1")] if earlier == "own" else []
        engine.add_image(*names, LATEST, labels=LABELS if earlier == "own" else {})
    return engine, engine.add_image(own_name(DEV_APP.name, 2, "t2"), labels=LABELS)


@pytest.mark.parametrize("earlier", ["nobody", "own", "made by hand"])
def test_it_moves_for_good_when_the_block_succeeds(earlier: str) -> None:
    engine, image = engine_with(earlier)
    before = tags(engine)
    with tagged(engine, target_on(engine).used_by_others, DEV_APP, image, LATEST):
        pass
    kept = {name: id for name, id in tags(engine).items() if ":kept-" in name}
    assert tags(engine) == {**before, LATEST: image, **kept}
    assert list(kept.values()) == ([before[LATEST]] if earlier == "made by hand" else [])  # it had no other name


@pytest.mark.parametrize("earlier", ["nobody", "own", "made by hand"])
def test_it_is_as_before_when_the_block_fails(earlier: str) -> None:
    engine, image = engine_with(earlier)
    before = tags(engine)
    with pytest.raises(RuntimeError), tagged(engine, target_on(engine).used_by_others, DEV_APP, image, LATEST):
        assert tags(engine)[LATEST] == image
        raise RuntimeError
    assert {name: id for name, id in tags(engine).items() if ":kept-" not in name} == before


@pytest.mark.parametrize("earlier", ["nobody", "own", "made by hand"])
@pytest.mark.parametrize("all_at_once", [False, True])
def test_killed_at_any_call_it_is_put_right_by_the_next_run(earlier: str, all_at_once: bool) -> None:
    for moment in range(1, 30):
        engine, image = engine_with(earlier)
        before = tags(engine)
        left = moment

        def kill(call: str) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise Killed

        engine.before = kill
        accepted = False
        try:
            with tagged(engine, target_on(engine).used_by_others, DEV_APP, image, LATEST):
                engine.info()  # the push
                accepted = True
        except Killed:
            engine.before = lambda call: None
        else:
            assert moment > 5, "killed nowhere"
            break
        if all_at_once:
            settle_all(engine, DEV_APP, engine.images(LABELS))
        else:
            settle(engine, DEV_APP, LATEST)
        now = {name: id for name, id in tags(engine).items() if ":kept-" not in name and ":was-" not in name}
        assert now in (before, {**before, LATEST: image}) if accepted else now == before, f"killed at call {moment}"
        with tagged(engine, target_on(engine).used_by_others, DEV_APP, image, LATEST):
            pass
        assert tags(engine)[LATEST] == image
        assert not [name for name in tags(engine) if ":pending-" in name]
    else:
        pytest.fail("it never came to its end")


def test_one_that_names_the_image_already_is_left_alone() -> None:
    engine, image = engine_with("nobody")
    engine.tag(image, LATEST)
    before = tags(engine)
    with pytest.raises(RuntimeError), tagged(engine, target_on(engine).used_by_others, DEV_APP, image, LATEST):
        raise RuntimeError
    assert tags(engine) == before


def test_one_that_somebody_moved_meanwhile_is_left_to_them() -> None:
    engine, image = engine_with("own")
    theirs = engine.add_image("theirs:1")
    with pytest.raises(RuntimeError), tagged(engine, target_on(engine).used_by_others, DEV_APP, image, LATEST):
        engine.tag(theirs, LATEST)
        raise RuntimeError
    assert tags(engine)[LATEST] == theirs


@pytest.mark.parametrize("adopt", [False, True])
def test_one_of_another_app_is_refused_before_a_build_and_after_it(adopt: bool) -> None:
    engine, image = engine_with("nobody")
    engine.add_image(LATEST, labels={APP: "other/app"})
    before, app = tags(engine), replace(DEV_APP, adopt=adopt)
    with pytest.raises(StageFailed, match="names an image on this engine that is other/app's: the tag is not taken") as refused:
        require_claims(engine, app, [LATEST], target_on(engine).used_by_others)
    assert "set another `image`" in refused.value.hint
    with pytest.raises(StageFailed), tagged(engine, target_on(engine).used_by_others, app, image, LATEST):
        raise AssertionError
    assert tags(engine) == before


def test_what_was_there_before_gitdeploy_is_taken_over_unless_others_use_it() -> None:
    engine, _ = engine_with("made by hand")
    engine.create(ContainerSpec("dev-app", LATEST))
    engine.create(ContainerSpec("dev-app.before-gitdeploy", LATEST))
    require_claims(engine, DEV_APP, [LATEST], target_on(engine).used_by_others)
    with pytest.raises(StageFailed, match="gitdeploy did not build"):
        require_claims(engine, replace(DEV_APP, adopt=False), [LATEST], target_on(engine).used_by_others)
    engine.create(ContainerSpec("proxy", LATEST))
    with pytest.raises(StageFailed, match="and another container runs it"):
        require_claims(engine, DEV_APP, [LATEST], target_on(engine).used_by_others)
