"""What every adapter of a Git server holds to, and where each of them finds things."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitdeploy.errors import UnfitError
from gitdeploy.gitserver.adapter import Adapter, Layout
from gitdeploy.gitserver.enrolment import MOVED_MARK, enrol, hook_text, is_ours, remove
from gitdeploy.gitserver.gitserver import ADAPTERS, GITEA, GOGS, read_server
from gitdeploy.gitserver.hookconf import HookConf
from gitdeploy.gitserver.newcomers import forget_newcomers, missing, seed_server, user_home

CONF = HookConf("devops/dev-app", ["/srv/gitdeploy"], ["refs/heads/main"], 60)
INSTALLED = "[security]\nINTERNAL_TOKEN = x\n[oauth2]\nJWT_SECRET = x\n"

CASES = [(adapter, layout) for adapter in ADAPTERS for layout in adapter.layouts]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].name} {case[1].ini}")
def case(request: pytest.FixtureRequest) -> tuple[Adapter, Layout]:
    """Each kind of installation of each server."""
    found: tuple[Adapter, Layout] = request.param
    return found


def installed(directory: Path, case: tuple[Adapter, Layout], text: str = "") -> Path:
    """Make a data directory of this kind, with an app.ini that its server has written; return it."""
    adapter, layout = case
    data = directory / "data"
    (data / "git").mkdir(parents=True)
    ini = (data / layout.ini) if not layout.ini.startswith("..") else directory / layout.ini[3:]
    ini.parent.mkdir(parents=True)
    ini.write_text(text + (INSTALLED if adapter is GITEA else "BRAND_NAME = Gogs\n"))
    return data


def test_it_is_known_again(tmp_path: Path, case: tuple[Adapter, Layout]) -> None:
    layout = case[1]
    data = installed(tmp_path, case, f"[repository]\nROOT = {tmp_path}/data/repositories\n")
    found = read_server(data)
    assert (found.adapter, found.layout) == case
    assert found.root == data / "repositories"  # not made yet
    assert list(found.repositories()) == []
    assert found.homes == (str(data / "gitdeploy"), *([f"{layout.seen}/gitdeploy"] if layout.seen else []))
    assert found.owner.st_uid == found.ini.stat().st_uid
    assert found.lfs is None
    if layout.seen:
        assert found.path(f"{layout.seen}/git/x") == data / "git/x"


def test_the_hook_goes_in_and_out_without_a_trace(tmp_path: Path, case: tuple[Adapter, Layout]) -> None:
    data = installed(tmp_path, case, f"[repository]\nROOT = {tmp_path}/data/repositories\n")
    repository = data / "repositories/devops/dev-app.git"
    subprocess.run(["git", "init", "--quiet", "--bare", repository], check=True)
    before = sorted(path.relative_to(repository) for path in repository.rglob("*"))
    places = read_server(data).adapter.hooks
    done = enrol(data, repository, CONF, places)
    assert done.hook == repository / places.directory / places.file
    assert done.hook.read_bytes() == hook_text()
    assert is_ours((repository / "hooks/reference-transaction").read_bytes(), MOVED_MARK)
    assert not enrol(data, repository, CONF, places).changed
    for other in ADAPTERS:  # the repository moves to another server, and back
        assert enrol(data, repository, CONF, other.hooks).hook.exists()
    enrol(data, repository, CONF, places)
    ours = [path for path in repository.rglob("*") if path.is_file() and is_ours(path.read_bytes())]
    assert ours == [done.hook]
    assert remove(data, repository).found
    left = {path for path in repository.rglob("*")} - {repository / path for path in before}
    assert left <= {repository / "hooks/post-receive.d"}


def test_new_repositories_get_the_hook(tmp_path: Path, case: tuple[Adapter, Layout]) -> None:
    adapter, _ = case
    ini = f"[repository]\nROOT = {tmp_path}/data/repositories\n[server]\nAPP_DATA_PATH = {tmp_path}/data\n"
    data = installed(tmp_path, case, ini)
    server = read_server(data)
    if not adapter.home(server.layout, server.settings):
        return  # the home directory of a user of this machine, which no test may touch
    home = user_home(server)
    home.mkdir(parents=True, exist_ok=True)
    seed_server(server, 60, "direct")
    assert missing(home, adapter.hooks) is None
    repository = server.root / "devops/later.git"
    environ = {"HOME": str(home), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "--quiet", "--bare", repository], env=environ, check=True)
    assert is_ours((repository / adapter.hooks.directory / adapter.hooks.file).read_bytes())
    forget_newcomers(server)
    assert missing(home, adapter.hooks) == home / ".gitconfig"
    assert not (repository / adapter.hooks.directory / adapter.hooks.file).exists()


@pytest.mark.parametrize(
    ("text", "root", "lfs", "database", "home"),
    [
        ("", "gitea/data/gitea-repositories", "gitea/data/lfs", ("", "gitea/data/gitea.db"), "gitea/data/home"),
        (
            "[repository]\nROOT=/data/git/repositories\n[server]\nAPP_DATA_PATH=/data/gitea\n[lfs]\nPATH=/data/git/lfs\n"
            "[database]\nDB_TYPE=sqlite3\nPATH=/data/gitea/gitea.db\n",
            *("git/repositories", "git/lfs", ("sqlite3", "gitea/gitea.db"), "gitea/home"),
        ),
        (
            "[server]\nLFS_CONTENT_PATH = objects\n[git]\nHOME_PATH = /data/home\n",
            *("gitea/data/gitea-repositories", "gitea/data/objects", ("", "gitea/data/gitea.db"), "home"),
        ),
        (
            "[storage]\nPATH = /data/files\n",
            *("gitea/data/gitea-repositories", "files/lfs", ("", "gitea/data/gitea.db"), "gitea/data/home"),
        ),
    ],
    ids=["defaults", "official image", "old keys", "storage"],
)
def test_where_gitea_keeps_things(tmp_path: Path, text: str, root: str, lfs: str, database: tuple[str, str], home: str) -> None:
    data = installed(tmp_path, (GITEA, GITEA.layouts[0]), text)
    (data / root).mkdir(parents=True)
    (data / lfs).mkdir(parents=True)
    server = read_server(data)
    assert server.root == data / root
    assert server.lfs
    assert server.lfs.place("abcdef" + "0" * 58) == data / lfs / "ab/cd" / ("ef" + "0" * 58)
    assert server.database == (database[0], str(data / database[1]))
    assert user_home(server) == data / home


@pytest.mark.parametrize("text", ["[lfs]\nSTORAGE_TYPE = minio\n", "[storage]\nSTORAGE_TYPE = minio\n"])
def test_objects_of_gitea_that_are_on_no_disk(tmp_path: Path, text: str) -> None:
    data = installed(tmp_path, (GITEA, GITEA.layouts[0]), text)
    (data / "gitea/data/lfs").mkdir(parents=True)
    assert read_server(data).lfs is None


def test_a_config_directory_beside_it_is_no_gitea(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/app.ini").write_text("[server]\n")
    (tmp_path / "data/git").mkdir(parents=True)
    with pytest.raises(UnfitError, match="no data directory of Gogs or Gitea"):
        read_server(tmp_path / "data")


@pytest.mark.parametrize("root", ["${GIT_ROOT}/repositories", "/srv/$ROOT", "$A"])
def test_a_root_that_only_the_server_knows(tmp_path: Path, root: str) -> None:
    """Gogs fills in variables since 0.14.1; Gitea never does."""
    data = installed(tmp_path, (GOGS, GOGS.layouts[0]), f"[repository]\nROOT = {root}\n")
    with pytest.raises(UnfitError, match="expected a path, found one with an environment variable") as caught:
        read_server(data)
    assert "write the path out" in caught.value.hint
