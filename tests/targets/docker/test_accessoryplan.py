"""What is to be done about an accessory, from what is there and what its table says."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from gitdeploy.config.attachments import Volume
from gitdeploy.config.formats import CONTAINER
from gitdeploy.config.jobs import Accessory
from gitdeploy.config.model import App, AppProcess
from gitdeploy.config.runoptions import Run
from gitdeploy.config.sections import Health
from gitdeploy.engine.types import Container, Image
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import ACCESSORY
from gitdeploy.targets.docker.accessoryplan import (
    NEW,
    TABLE,
    accessory_spec,
    fingerprint,
    next_step,
    own_networks,
    own_volumes,
    require_kept,
    sort_out_accessories,
    tables,
    trouble,
    unfinished,
)
from gitdeploy.targets.docker.ownership import name_problem

DB = Accessory("postgres:17", env=MappingProxyType({"POSTGRES_DB": "shop"}))
SHOP = App("o/shop", "r/shop", "shop", networks=("backend",), processes={"worker": AppProcess()}, accessories={"db": DB})
PATH = "/var/lib/postgresql/data"
IMAGE = Image("sha256:1", (), (), {}, ("5432/tcp",), healthcheck=False, size=0, created="", volumes=(PATH,))
OWN = Volume("shop-db-var-lib-postgresql-data", PATH)


def container(name: str = "shop-db", restart: str = "always", state: str = "running", table: str = "t") -> Container:
    labels = {ACCESSORY: "db", TABLE: table, "gitdeploy.app": "o/shop"}
    return Container("1", name, "sha256:1", "postgres:16", labels, state, restart=restart, mounts=(OWN,))


def with_db(**values: object) -> App:
    return replace(SHOP, accessories={"db": replace(DB, **values)})  # type: ignore[arg-type]


def test_no_two_directories_have_one_volume() -> None:
    image = replace(IMAGE, volumes=("/data/a", "/data-a", "/a b", PATH))
    names = [volume.source for volume in own_volumes(SHOP, "db", image)]
    assert len(set(names)) == 4
    assert names[0] == "shop-db-data-a"
    assert names[3] == OWN.source
    assert all(CONTAINER.parse(name) for name in names)  # the engine wants of both the same characters


def test_a_path_that_gives_way_to_an_empty_volume_is_refused() -> None:
    old = replace(container(), mounts=(Volume("/srv/pg", PATH), Volume("/srv/init", "/init")))
    with pytest.raises(StageFailed, match="without the path /srv/pg"):
        require_kept(SHOP, "db", old, accessory_spec(SHOP, "db", IMAGE, {}))
    moved = with_db(volumes=(Volume("/srv/new", PATH),))
    require_kept(moved, "db", old, accessory_spec(moved, "db", IMAGE, {}))


def test_one_that_is_being_replaced_is_told_as_that() -> None:
    assert "was being replaced" in trouble(container(restart="no", state="exited"), container(restart="no"))


@pytest.mark.parametrize(
    ("main", "new", "expected"),
    [
        (container(), None, ""),
        (None, None, ""),
        (container(), container(restart="no"), "undo"),
        (container(restart="no", state="exited"), container(restart="no"), "undo"),
        (container(restart="no", state="exited"), container(), "finish"),
        (None, container(), "finish"),
    ],
)
def test_how_far_a_change_has_come(main: Container | None, new: Container | None, expected: str) -> None:
    assert unfinished(main, new) == expected


@pytest.mark.parametrize(
    ("main", "renew", "expected"),
    [
        (None, False, "make"),
        (container(), False, "keep"),
        (container(state="restarting"), False, "keep"),
        (container(state="exited"), False, "start"),
        (container(state="created"), False, "start"),
        (container(table="other"), False, "replace"),
        (container(table="other", state="exited"), False, "replace"),
        (container(), True, "replace"),
        (container(restart="no", state="exited"), True, "stopped"),
        (container(restart="no", state="exited", table="other"), False, "stopped"),
    ],
)
def test_what_comes_next(main: Container | None, renew: bool, expected: str) -> None:
    assert next_step(main, {"t", "u"}, renew=renew) == expected


def test_on_which_targets_network_it_was_made_is_no_matter() -> None:
    moved = replace(SHOP, target="swarm")
    assert tables(SHOP, "db") == tables(moved, "db") == {fingerprint(SHOP, "db"), fingerprint(moved, "db")}
    assert len(own_networks(SHOP)) == 2
    assert own_networks(replace(SHOP, accessories={})) == frozenset()
    for run in (Run(ip="10.0.0.9"), Run(ip6="fd00::9"), Run(mac_address="02:00:00:00:00:01")):
        addressed = with_db(run=run)
        assert tables(addressed, "db") == {fingerprint(addressed, "db")}


def test_old_and_new_are_told_apart_by_their_names() -> None:
    main, new = container(), container(f"shop-db{NEW}")
    assert sort_out_accessories([new, main]) == {"db": (main, new)} == sort_out_accessories([main, new])


def test_what_makes_another_container_and_what_does_not() -> None:
    same = fingerprint(SHOP, "db")
    assert fingerprint(with_db(backup_hint="x", health=Health(path="/")), "db") == same
    assert fingerprint(replace(SHOP, env={"A": "1"}, run=Run(memory=10**8)), "db") == same
    others = [with_db(image="postgres:18"), with_db(env={}), with_db(run=Run(memory=10**8)), with_db(volumes=(OWN,))]
    assert len({same, *(fingerprint(app, "db") for app in others)}) == 5


def test_a_key_that_a_later_gitdeploy_adds_replaces_no_database() -> None:
    """The fingerprint of a plain table, as it has always been."""
    assert fingerprint(SHOP, "db") == "61da082bffa3673243857c401fac8357"


def test_each_volume_of_the_image_has_a_name() -> None:
    assert own_volumes(SHOP, "db", IMAGE) == (OWN,)
    assert own_volumes(with_db(volumes=(Volume("mine", PATH),)), "db", IMAGE) == ()
    assert own_volumes(with_db(run=Run(tmpfs=(f"{PATH}:size=1g",))), "db", IMAGE) == ()
    two = own_volumes(SHOP, "db", replace(IMAGE, volumes=("/a", PATH)))
    assert [volume.source for volume in two] == ["shop-db-a", OWN.source]


def test_it_answers_under_its_name_on_a_network_that_all_of_the_app_is_on() -> None:
    spec = accessory_spec(SHOP, "db", IMAGE, DB.env)
    assert (spec.name, spec.networks, spec.aliases, spec.restart) == ("shop-db", ("gitdeploy-shop",), ("db",), "always")
    assert SHOP.joined == ("backend", "gitdeploy-shop") == SHOP.of_process("worker").joined
    assert replace(SHOP, accessories={}).joined == ("backend",)


def test_no_data_is_left_behind_without_a_word() -> None:
    newer = replace(IMAGE, volumes=("/var/lib/postgresql",))
    with pytest.raises(StageFailed, match="would begin without the volume shop-db-var-lib-postgresql-data") as caught:
        require_kept(SHOP, "db", container(), accessory_spec(SHOP, "db", newer, {}))
    assert f'"{OWN.source}:{PATH}"' in caught.value.hint
    require_kept(SHOP, "db", container(), accessory_spec(SHOP, "db", IMAGE, {}))
    other = with_db(volumes=(Volume("another", PATH),))
    require_kept(other, "db", container(), accessory_spec(other, "db", IMAGE, {}))


def test_what_is_wrong_with_one() -> None:
    assert trouble(container()) == ""
    assert trouble(replace(container(), health="unhealthy")) == "its container shop-db is unhealthy"
    assert trouble(container(state="exited")) == "its container shop-db is exited"
    assert trouble(container(state="exited", restart="no")).startswith("stopped")
    assert trouble(None) == "there is no container of it"


def test_no_process_takes_the_name_of_an_accessory() -> None:
    app = replace(SHOP, processes={"db": AppProcess()}, accessories={}).of_process("db")
    assert name_problem(app, container()) == "the container name shop-db is taken by the accessory db of o/shop"
