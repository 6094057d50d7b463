"""Whose a container, a volume or a network is, and that an app gets none that is not its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gitdeploy.cli.installation import _own_container
from gitdeploy.config.attachments import Publish, Volume
from gitdeploy.config.model import App
from gitdeploy.engine.types import ContainerSpec
from gitdeploy.errors import StageFailed
from gitdeploy.releases.release import APP, ROLE
from gitdeploy.targets.docker.ownership import Here, name_problem, require_own
from gitdeploy.targets.docker.rollout.found import look, look_to_deploy
from gitdeploy.targets.docker.rollout.names import take_name
from tests.support.fake_engine import FakeEngine

VICTIM = App("other/victim", "127.0.0.1:5000/other/victim", "victim")
HERE = Here("", (Path("/srv/gogs/gitdeploy"), Path("/srv/gogs")))


@pytest.fixture
def engine() -> FakeEngine:
    made = FakeEngine()
    made.add_image("base:1")
    return made


def put(engine: FakeEngine, name: str = "victim", **fields: object) -> str:
    """A container of somebody."""
    return engine.create(ContainerSpec(**{"name": name, "image": "base:1", **fields}))  # type: ignore[arg-type]


PARTS = {
    "it is a router of gitdeploy": {"labels": {ROLE: "router"}},
    "it commands this engine": {"volumes": (Volume("/var/run/docker.sock", "/x"),)},
    "it commands this engine ": {"volumes": (Volume("/var/run", "/host", True),)},
    "it commands this engine  ": {"volumes": (Volume("/", "/host", True),)},
    "it commands this engine   ": {"volumes": (Volume("/run/user/1000/docker.sock", "/docker.sock"),)},
    "it holds port 5000, where the registry of 127.0.0.1:5000/other/victim is": {"publish": (Publish("", 5000, 5000),)},
    "has data of gitdeploy or the Git server (/srv/gogs)": {"volumes": (Volume("/srv/gogs", "/data"),)},
    "has data of gitdeploy or the Git server (/srv)": {"volumes": (Volume("/srv", "/backup", True),)},
    "has data of gitdeploy or the Git server (/srv/gogs/git)": {"volumes": (Volume("/srv/gogs/git", "/data"),)},
}


@pytest.mark.parametrize("why", PARTS)
def test_parts_of_the_box_keep_their_place_even_from_apps_that_may_adopt(engine: FakeEngine, why: str) -> None:
    put(engine, **PARTS[why])
    with pytest.raises(StageFailed) as refused:
        require_own(engine, VICTIM, VICTIM, HERE)
    assert why.strip() in refused.value.reason
    assert refused.value.hint == "set another `container` for other/victim in config.toml"


def test_the_container_that_gitdeploy_runs_in_keeps_its_place(engine: FakeEngine) -> None:
    here = Here(put(engine)[:12])
    with pytest.raises(StageFailed, match="is the one that gitdeploy runs in"):
        require_own(engine, VICTIM, VICTIM, here)


@pytest.mark.parametrize("volume", ["gogs-data", "/mnt/gogs"])
def test_what_shares_data_with_the_agent_keeps_its_place(engine: FakeEngine, volume: str) -> None:
    here = Here(put(engine, "agent", volumes=(Volume(volume, "/data"), Volume("agent-home", "/home")))[:12])
    put(engine, volumes=(Volume(volume, "/data"),))
    with pytest.raises(StageFailed, match="has data of gitdeploy or the Git server"):
        require_own(engine, VICTIM, VICTIM, here)


def test_the_volume_of_a_git_server_beside_which_gitdeploy_runs_on_the_machine_itself(engine: FakeEngine) -> None:
    put(engine, volumes=(Volume("gogs", "/data"),))
    with pytest.raises(StageFailed, match="has data of gitdeploy or the Git server"):
        require_own(engine, VICTIM, VICTIM, Here("", (Path("/var/lib/docker/volumes/gogs/_data"),)))


def test_an_app_that_was_enrolled_by_hand_adopts_what_is_no_part_of_the_box(engine: FakeEngine) -> None:
    put(
        engine,
        volumes=(Volume("/srv/data", "/data"), Volume("/srv/gogs2", "/x"), Volume("db", "/y")),
        publish=(Publish("", 80, 80),),
    )
    require_own(engine, VICTIM, VICTIM, HERE)
    assert look_to_deploy(engine, VICTIM).named


def test_one_that_its_first_push_enrolled_adopts_nothing(engine: FakeEngine) -> None:
    newcomer = replace(VICTIM, adopt=False)
    theirs = put(engine)
    with pytest.raises(StageFailed, match="takes nobody's place"):
        require_own(engine, newcomer, newcomer, Here())
    with pytest.raises(StageFailed, match="takes nobody's place"):
        look_to_deploy(engine, newcomer)
    found = look(engine, newcomer)  # recovery goes on, and leaves it alone
    assert (found.named, found.groups) == (None, ())
    mine = put(engine, "victim.1.1", labels={APP: newcomer.name})
    take_name(engine, newcomer, engine._found(mine))
    named = engine.container("victim")
    assert named
    assert named.id == theirs


def test_the_name_of_another_app(engine: FakeEngine) -> None:
    put(engine, labels={APP: "lab/victim"})
    named = engine.container("victim")
    assert named
    assert name_problem(VICTIM, named) == "the container name victim is taken by lab/victim"
    assert not name_problem(replace(VICTIM, name="lab/victim"), named)


def volumes(*names: str) -> App:
    return replace(VICTIM, volumes=tuple(Volume(name, f"/{name}") for name in names))


def test_a_volume_that_a_tree_asks_for_is_made_as_the_apps(engine: FakeEngine) -> None:
    for _ in range(2):
        require_own(engine, volumes("victim-data"), VICTIM, HERE)
    assert engine.volume("victim-data") == {APP: VICTIM.name}


def test_a_volume_that_is_there_is_not_a_trees(engine: FakeEngine) -> None:
    engine.create_volume("victim-old", {})
    engine.create_volume("victim-other", {APP: "lab/other"})
    put(engine, "backup", volumes=(Volume("victim-data", "/data"),))
    for name in ("victim-old", "victim-other", "victim-data"):
        with pytest.raises(
            StageFailed, match=f"the volume {name} was there before, and was not made for other/victim"
        ) as refused:
            require_own(engine, volumes(name), VICTIM, HERE)
        assert "list it in volumes of other/victim in the server's config.toml" in refused.value.hint
        require_own(engine, volumes(name), volumes(name), HERE)  # the server says so


def test_a_volume_that_the_app_alone_has_used_so_far_stays_its_own(engine: FakeEngine) -> None:
    put(engine, "victim.1.1", labels={APP: VICTIM.name}, volumes=(Volume("victim-data", "/data"),))
    require_own(engine, volumes("victim-data"), VICTIM, HERE)
    put(engine, "spy", volumes=(Volume("victim-data", "/data"),))
    with pytest.raises(StageFailed, match="was not made for"):
        require_own(engine, volumes("victim-data"), VICTIM, HERE)


def test_networks_that_a_tree_asks_for(engine: FakeEngine) -> None:
    engine.ensure_network("gogs_internal", {})
    other = engine.ensure_network("gitdeploy.other", {APP: "lab/other"})
    engine.ensure_network("compose_internal", {"com.docker.compose.project": "gogs"})
    engine.ensure_network("shared", {})
    engine.start(engine.create(ContainerSpec(name="db", image="base:1", networks=("shared",))))
    engine.ensure_network("mine", {APP: VICTIM.name})
    require_own(engine, replace(VICTIM, networks=("mine",)), VICTIM, HERE)
    for name, problem in (
        ("gogs_internal", "the network gogs_internal was not made for other/victim"),
        ("bridge", "the network bridge was not made for other/victim"),
        ("gitdeploy.other", "is lab/other's"),
        ("compose_internal", "the network compose_internal was not made for other/victim"),
        ("shared", "the network shared was not made for other/victim"),
        (other[:12], "there is no network"),
        ("no", "there is no network"),
    ):
        with pytest.raises(StageFailed, match=problem):
            require_own(engine, replace(VICTIM, networks=(name,)), VICTIM, HERE)
        listed = replace(VICTIM, networks=(name,))
        if engine.network(name) is None:  # whoever asks
            with pytest.raises(StageFailed, match="there is no network"):
                require_own(engine, listed, listed, HERE)
        else:
            require_own(engine, listed, listed, HERE)


def test_a_network_of_others_is_for_the_server_to_give(engine: FakeEngine) -> None:
    engine.ensure_network("shared", {})
    asks = replace(VICTIM, networks=("shared",))
    with pytest.raises(StageFailed) as refused:
        require_own(engine, asks, VICTIM, HERE)
    assert "list it in networks of other/victim in the server's config.toml" in refused.value.hint
    assert f"docker network create --label {APP}=other/victim shared" in refused.value.hint
    require_own(engine, asks, asks, HERE)  # the server says so


def test_a_network_that_the_app_alone_is_on_stays_its_own(engine: FakeEngine) -> None:
    engine.ensure_network("shared", {})
    asks = replace(VICTIM, networks=("shared",))
    engine.start(put(engine, "victim.1.1", labels={APP: VICTIM.name}, networks=("shared",)))
    require_own(engine, asks, VICTIM, HERE)
    engine.start(put(engine, "database", networks=("shared",)))
    with pytest.raises(StageFailed, match="not only its containers are there"):
        require_own(engine, asks, VICTIM, HERE)
    engine.stop("database")  # it comes back there
    with pytest.raises(StageFailed, match="not only its containers are there"):
        require_own(engine, asks, VICTIM, HERE)


def test_the_container_that_this_runs_in(tmp_path: Path) -> None:
    own, other = "ab12" * 16, "cd34" * 16
    mounts = tmp_path / "mountinfo"
    top = "/var/lib/docker/containers"
    line = f"1 2 8:1 {top}/{other}/mounts/shm {top}/{other}/mounts/shm rw - tmpfs shm rw\n"
    mounts.write_text(line + f"3 4 8:1 {top}/{own}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n")
    assert _own_container(mounts, "box") == own
    mounts.write_text(line)  # on the machine itself, whose mounts show those of its containers
    assert _own_container(mounts, "db1") == ""
    assert _own_container(tmp_path / "none", own[:12]) == own[:12]
