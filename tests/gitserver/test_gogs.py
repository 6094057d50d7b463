"""gitdeploy.gitserver: app.ini as Gogs reads it, paths of its container on this machine, and repositories that moved."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gitdeploy.errors import UnfitError, UsageError
from gitdeploy.gitserver.appini import parse_ini
from gitdeploy.gitserver.enrolment import enrol
from gitdeploy.gitserver.gitserver import GOGS, GitServer, host_path, read_server
from gitdeploy.gitserver.hookconf import HookConf
from gitdeploy.gitserver.webaddress import Address, address
from tests.support import gogs as support

DOCKER, ON_HOST, AT_HOME = GOGS.layouts


def conf(app: str) -> HookConf:
    """What the hook of an app knows."""
    return HookConf(app, ["/data/gitdeploy"], ["refs/heads/main"], 60)


def data_directory(directory: Path, text: str, layout: str = "gogs/conf/app.ini") -> Path:
    """A data directory with this app.ini."""
    (directory / layout).parent.mkdir(parents=True)
    (directory / layout).write_text(text)
    return directory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[repository]\nROOT = /data/git/gogs-repositories\n", "/data/git/gogs-repositories"),
        ("[repository]\nROOT=/a\n", "/a"),
        ("[repository]\r\n  ROOT\t=  /a b \r\n", "/a b"),
        ("\ufeffRUN_USER = git\n[ repository ]\nROOT = `/a`\n", "/a"),
        ('[repository]\nROOT = "/a"\n', "/a"),
        ("[repository]\n; ROOT = /b\n# ROOT = /c\nROOT = /a # b\n", "/a # b"),
        ("[repository]\nROOT = /b\n[server]\nROOT = /c\n[repository]\nROOT = /a\n", "/a"),
        ("[repository]\nroot = /b\nROOT = /a=b\n[unclosed\nROOT2 = x\n", "/a=b"),
    ],
)
def test_ini(text: str, expected: str) -> None:
    assert parse_ini(text)["repository"]["ROOT"] == expected


@pytest.mark.parametrize(
    "text", ["", "ROOT = /a\n", "[repository]\nROOT\n", "[repository.upload]\nROOT = /a\n", "\0\x7f[[[\n=\n"]
)
def test_ini_without_the_key(text: str) -> None:
    assert "ROOT" not in parse_ini(text).get("repository", {})


@pytest.mark.parametrize(
    ("layout", "path", "expected"),
    [
        (DOCKER, "/data/git/gogs-repositories", "/srv/gogs/git/gogs-repositories"),
        (DOCKER, "/home/git/gogs-repositories", "/srv/gogs/git/gogs-repositories"),
        (DOCKER, "/app/gogs/data/lfs-objects", "/srv/gogs/gogs/data/lfs-objects"),
        (DOCKER, "data/lfs-objects", "/srv/gogs/gogs/data/lfs-objects"),
        (DOCKER, "/srv/gogs/git/gogs-repositories", "/srv/gogs/git/gogs-repositories"),
        (DOCKER, "/database/x", "/database/x"),
        (DOCKER, "/home/gitea", "/home/gitea"),
        (ON_HOST, "/home/git/gogs-repositories", "/home/git/gogs-repositories"),
        (ON_HOST, "data/lfs-objects", "/srv/gogs/data/lfs-objects"),
        (AT_HOME, "data/lfs-objects", "/srv/gogs/gogs/data/lfs-objects"),
    ],
)
def test_host_path(layout: object, path: str, expected: str) -> None:
    assert isinstance(layout, type(DOCKER))
    assert host_path(Path("/srv/gogs"), layout, path) == Path(expected)


def test_inside_the_container_paths_are_as_they_are() -> None:
    assert host_path(Path("/data"), DOCKER, "/data/git/x.git") == Path("/data/git/x.git")


def test_data_directory_of_the_images(gogs_dir: support.Gogs) -> None:
    (gogs_dir.data / "gogs/data/lfs-objects").mkdir()
    found = read_server(gogs_dir.data)
    assert found.root == gogs_dir.data / "git/gogs-repositories"
    assert found.lfs
    assert found.lfs.path == gogs_dir.data / "gogs/data/lfs-objects"
    assert found.homes == (str(gogs_dir.data / "gitdeploy"), "/data/gitdeploy")


@pytest.mark.parametrize("layout", [ON_HOST, AT_HOME], ids=["binary", "home"])
def test_data_directory_on_the_host(tmp_path: Path, layout: object) -> None:
    assert isinstance(layout, type(DOCKER))
    (tmp_path / "repositories").mkdir()
    data = data_directory(tmp_path / "git", f"[repository]\nROOT = {tmp_path}/repositories\n", layout.ini)
    found = read_server(data)
    assert found.root == tmp_path / "repositories"
    assert found.homes == (str(data / "gitdeploy"),)


def test_root_that_is_not_set_has_the_images_default(tmp_path: Path) -> None:
    data = data_directory(tmp_path / "data", "[server]\nROOT = x\n")
    (data / "git/gogs-repositories").mkdir(parents=True)
    assert read_server(data).root == data / "git/gogs-repositories"


@pytest.mark.parametrize("text", ["[lfs]\nSTORAGE = s3\n", "[lfs]\nOBJECTS_PATH = data/none\n", ""])
def test_no_lfs_store_on_this_disk(tmp_path: Path, text: str) -> None:
    data = data_directory(tmp_path / "data", text)
    (data / "git/gogs-repositories").mkdir(parents=True)
    assert read_server(data).lfs is None


@pytest.mark.parametrize(
    ("text", "hosts", "prefix"),
    [
        ("", {"localhost"}, ""),
        ("[server]\nDOMAIN = Git.Example.com\nEXTERNAL_URL = https://git.example.com/\n", {"git.example.com"}, ""),
        ("[server]\nEXTERNAL_URL = https://code.example.com:8443/gogs/\n", {"localhost", "code.example.com"}, "gogs"),
        ("[server]\nDOMAIN = a\nSSH_DOMAIN = b\nROOT_URL = http://user@c/x/y\n", {"a", "b", "c"}, "x/y"),
        (
            "[server]\nDOMAIN = a\nSSH_DOMAIN = %(DOMAIN)s\nEXTERNAL_URL = %(PROTOCOL)s://%(DOMAIN)s:%(HTTP_PORT)s/g\n",
            *({"a"}, "g"),
        ),
        ("[server]\nDOMAIN = 192.0.2.7\nEXTERNAL_URL = http://[2001:db8::1]:3000/\n", {"192.0.2.7", "[2001:db8::1]"}, ""),
        ("[server]\nDOMAIN = %(NONE)s\nEXTERNAL_URL = nonsense\n", set(), ""),
    ],
)
def test_where_it_is_reached(text: str, hosts: set[str], prefix: str) -> None:
    assert address(parse_ini(text)) == Address(frozenset(hosts), prefix)


def test_not_a_data_directory(tmp_path: Path) -> None:
    with pytest.raises(UnfitError, match=r"no data directory of Gogs or Gitea: there is none of gogs/conf/app\.ini") as raised:
        read_server(tmp_path)
    assert "/data" in raised.value.hint


def test_root_is_missing(tmp_path: Path) -> None:
    data = data_directory(tmp_path / "data", "[repository]\nROOT = /mnt/repositories-elsewhere\n")
    with pytest.raises(UnfitError, match=r"\[repository\] ROOT: expected a directory of this machine, found none") as raised:
        read_server(data)
    assert "/mnt/repositories" not in str(raised.value) + raised.value.hint, "what a file says is not quoted"


def test_root_is_not_set_on_the_host(tmp_path: Path) -> None:
    data = data_directory(tmp_path / "data", "[server]\n", ON_HOST.ini)
    with pytest.raises(UnfitError, match=r"\[repository\] ROOT: expected a path, found none"):
        read_server(data)


def test_ini_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "gogs/conf/app.ini").mkdir(parents=True)
    with pytest.raises(UnfitError, match=r"app\.ini cannot be opened: expected a regular file"):
        read_server(tmp_path)


@pytest.fixture
def gogs(gogs_dir: support.Gogs) -> GitServer:
    """Gogs with devops/dev-app, devops/other and a wiki."""
    for name in ("Devops/Dev-App", "devops/other", "devops/dev-app.wiki"):
        gogs_dir.create_repository(name)
    (gogs_dir.data / "git/gogs-repositories/devops/no-repository.git").mkdir()
    return read_server(gogs_dir.data)


def test_repositories_without_wikis(gogs: GitServer) -> None:
    assert [name for name, _ in gogs.repositories()] == ["devops/dev-app", "devops/other"]
    assert list(gogs.enrolled()) == []


def test_repository_by_its_name(gogs: GitServer) -> None:
    assert gogs.repository_of("devops/dev-app") == gogs.root / "devops/dev-app.git"


def test_enrolled_repository_is_followed(gogs: GitServer) -> None:
    old = gogs.root / "devops/dev-app.git"
    enrol(gogs.data, old, conf("devops/dev-app"))
    assert gogs.repository_of("devops/dev-app") == old
    new = gogs.root / "team/renamed.git"
    new.parent.mkdir()
    old.rename(new)
    assert gogs.repository_of("devops/dev-app") == new
    assert gogs.repository_of("devops/dev-app", "/data/git/gogs-repositories/team/renamed.git") == new
    assert list(gogs.enrolled()) == [("devops/dev-app", new)]


def test_new_repository_with_the_old_name_does_not_take_the_app(gogs: GitServer) -> None:
    old, new = gogs.root / "devops/dev-app.git", gogs.root / "devops/renamed.git"
    enrol(gogs.data, old, conf("devops/dev-app"))
    old.rename(new)
    shutil.copytree(gogs.root / "devops/other.git", old)
    assert gogs.repository_of("devops/dev-app") == new
    assert gogs.repository_of("devops/dev-app", str(old)) == new


def test_repository_enrolled_as_another_app_is_not_taken(gogs: GitServer) -> None:
    enrol(gogs.data, gogs.root / "devops/other.git", conf("devops/dev-app"))
    with pytest.raises(UsageError, match="the repository devops/other is enrolled as devops/dev-app") as caught:
        gogs.repository_of("devops/other")
    assert "gitdeploy rename devops/dev-app devops/other" in caught.value.hint
    assert "--repository devops/other" in caught.value.hint


def test_the_app_of_a_repositorys_own_name_comes_second(gogs: GitServer) -> None:
    enrol(gogs.data, gogs.root / "devops/other.git", conf("devops/admin"))
    assert gogs.repository_of("devops/other", name="devops/other") == gogs.root / "devops/other.git"


def test_an_app_of_another_name_shares_a_repository_that_is_named(gogs: GitServer) -> None:
    shop = gogs.root / "devops/other.git"
    assert gogs.repository_of("devops/admin", name="devops/other") == shop
    enrol(gogs.data, shop, conf("devops/other"))
    assert gogs.repository_of("devops/admin", name="devops/other") == shop
    moved = shop.with_name("moved.git")
    shop.rename(moved)
    assert gogs.repository_of("devops/admin", name="devops/other") == moved
    enrol(gogs.data, moved, conf("devops/admin"))
    assert gogs.repository_of("devops/admin", name="devops/other") == moved
    assert sorted(gogs.enrolled()) == [("devops/admin", moved), ("devops/other", moved)]


@pytest.mark.parametrize("seen", ["/etc", "/data/git/gogs-repositories/../../x/y.git", "/data", "relative", "/"])
def test_hint_of_the_hook_leads_nowhere_else(gogs: GitServer, seen: str) -> None:
    assert gogs.repository_of("devops/dev-app", seen) == gogs.root / "devops/dev-app.git"


@pytest.mark.parametrize("app", ["../x", "a/../b", "a", "a/b/c", "A/B", "", "a/b\n", "/etc", ".a/b"])
def test_no_app(gogs: GitServer, app: str) -> None:
    with pytest.raises(UsageError):
        gogs.repository_of(app)


def test_missing_repository_suggests_others(gogs: GitServer) -> None:
    with pytest.raises(UsageError, match=f"there is no repository team/other in {gogs.root}") as raised:
        gogs.repository_of("team/other")
    assert raised.value.hint == "create it in Gogs first, or name one of these: devops/other"


def test_conf_that_is_no_file_enrols_nothing(gogs: GitServer, tmp_path: Path) -> None:
    directory = gogs.root / "devops/dev-app.git"
    os.mkfifo(directory / "gitdeploy.conf")
    (tmp_path / "secret").write_text("app devops/other\n")
    (gogs.root / "devops/other.git/gitdeploy.conf").symlink_to(tmp_path / "secret")
    assert list(gogs.enrolled()) == []


@pytest.mark.parametrize(
    "bad",
    [{"app": "a/b\nref x"}, {"homes": [" /x"]}, {"refs": ["refs/heads/\x07"]}, {"refs": [""]}],
    ids=lambda bad: next(iter(bad)),
)
def test_conf_refuses_what_a_line_cannot_hold(bad: dict[str, object]) -> None:
    values: dict[str, object] = {"app": "a/b", "homes": ["/x"], "refs": ["refs/heads/main"], "wait": 1, **bad}
    with pytest.raises(ValueError, match=r"cannot be written to gitdeploy\.conf"):
        HookConf(**values).render()  # type: ignore[arg-type]


def link_to_a_secret(path: Path) -> None:
    (path.parents[2] / "secret").write_text(f"[repository]\nROOT = {SECRET}\n")
    path.symlink_to(path.parents[2] / "secret")
    os.lchown(path, 1000, 1000)


SECRET = "canary-4711"


@pytest.mark.parametrize(
    ("lay", "reason"),
    [
        (os.mkfifo, "expected a regular file"),
        (link_to_a_secret, "a symbolic link made by user 1000"),
        (lambda path: os.mknod(path, 0o020666, os.makedev(1, 5)), "expected a regular file"),
        (lambda path: path.write_bytes(b"x" * 2_000_000), "has more than 1,048,576 bytes"),
    ],
    ids=["pipe", "link", "endless device", "large file"],
)
def test_what_the_git_servers_user_may_put_in_the_place_of_app_ini(tmp_path: Path, lay: object, reason: str) -> None:
    ini = tmp_path / "gogs/conf/app.ini"
    ini.parent.mkdir(parents=True)
    lay(ini)  # type: ignore[operator]
    with pytest.raises(UnfitError) as raised:
        read_server(tmp_path)
    assert reason in raised.value.reason
    assert SECRET not in raised.value.reason + raised.value.hint


def test_a_link_of_roots_in_the_place_of_app_ini_is_followed(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "gogs/conf/..data").mkdir(parents=True)
    (tmp_path / "gogs/conf/..data/app.ini").write_text(f"[repository]\nROOT = {tmp_path}/root\n")
    (tmp_path / "gogs/conf/app.ini").symlink_to("..data/app.ini")
    assert read_server(tmp_path).root == tmp_path / "root"
