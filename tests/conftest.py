"""Fixtures: an engine, images and a registry for the whole session; Git servers, apps and guards for each test.

What they hand out lives in tests/support/, one topic per file.
"""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import docker
import hypothesis
import pytest

from tests.support import agent as agents
from tests.support import apps, gogs, guards, shop_images, smart_http, sshd
from tests.support.cluster import SwarmNodes
from tests.support.engine import PREFIX, PrivateEngine
from tests.support.images import RECIPES, BaseImages, archive
from tests.support.net import free_port as find_free_port
from tests.support.net import isolate_network
from tests.support.registry import Registry, serve
from tests.support.summary import Summary
from tests.support.wheels import download

collect_ignore = ["shop"]  # an application that tests deploy; its tests are run by its own task
CACHE = Path(__file__).parent.parent / ".cache" / "tests"
OWN_ENGINES = {"private_engine", "lone_node", "swarm_nodes"}  # fixtures of engines that are started, whatever was given
SUMMARY = pytest.StashKey[Summary]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options that tests/run passes on."""
    group = parser.getgroup("gitdeploy")
    group.addoption("--exhaustive", action="store_true", help="also run tests marked `exhaustive`, and more random examples")
    root = os.environ.get("GITDEPLOY_ENGINE_ROOT") or None
    group.addoption("--engine-root", type=Path, default=root, help="take dockerd, containerd and runc from this directory")
    group.addoption("--engine-feature", action="append", default=[], help="passed to the private dockerd as --feature")


def pytest_configure(config: pytest.Config) -> None:
    """Registers the markers; leaves the machine's network before anything listens, unless an engine of it was given."""
    config.addinivalue_line("markers", "engine: needs a container engine (set by itself on every test that uses one)")
    config.addinivalue_line("markers", "exhaustive: takes long, runs with --exhaustive only")
    hypothesis.settings.register_profile("default", deadline=None, max_examples=100)
    hypothesis.settings.register_profile("exhaustive", deadline=None, max_examples=5000)
    hypothesis.settings.load_profile("exhaustive" if config.getoption("--exhaustive") else "default")
    guards.forbid_reading_private_files()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that fixtures end what they started, as on Ctrl-C
    config.stash[SUMMARY] = Summary()
    config.pluginmanager.register(config.stash[SUMMARY], "gitdeploy-summary")
    several = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    shared = os.environ.get("DOCKER_HOST") or several  # several processes isolate themselves, each for its own engine
    if not shared and isolate_network():
        guards.hide_private_files()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collects thousands of tests, which stay, without looking again and again for what can go."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that use an engine; sorts out those that were not asked for."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        own = OWN_ENGINES.intersection(fixtures)
        if own or "engine_url" in fixtures:
            item.add_marker("engine")
        long = item.get_closest_marker("exhaustive") and not config.getoption("--exhaustive")
        forbidden = own and os.environ.get("DOCKER_HOST")  # no second dockerd in one network
        (left_out if long or forbidden else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.fixture(scope="session")
def summary(pytestconfig: pytest.Config) -> Summary:
    """What the run says in its end."""
    return pytestconfig.stash[SUMMARY]


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty home and nothing of the person's own settings."""
    with pytest.MonkeyPatch.context() as patch:
        guards.isolate(patch, tmp_path_factory.mktemp("home"))
        yield


@pytest.fixture(autouse=True)
def private_files_untouched() -> Iterator[None]:
    """Fail a test that writes where the person's own private files are."""
    yield
    assert guards.private_files() == {}


@pytest.fixture(scope="session")
def private_engine(pytestconfig: pytest.Config, isolated_environment: None) -> Iterator[PrivateEngine]:
    """A dockerd for this session alone, which a test may kill and start again."""
    features = tuple(pytestconfig.getoption("--engine-feature"))
    with PrivateEngine(pytestconfig.getoption("--engine-root"), features) as engine, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.url)
        yield engine


@pytest.fixture(scope="session")
def engine_url(request: pytest.FixtureRequest, isolated_environment: None) -> str:
    """DOCKER_HOST: the engine that was given, else a private one for this session."""
    given = os.environ.get("DOCKER_HOST")
    if given:
        return given
    private: PrivateEngine = request.getfixturevalue("private_engine")
    return private.url


@pytest.fixture(scope="session")
def docker_client(engine_url: str, summary: Summary) -> Iterator[docker.DockerClient]:
    """The SDK's own client, to look at the engine independently of gitdeploy. In the end nothing of ours may be left there."""
    client = docker.DockerClient(base_url=engine_url, timeout=120)
    info = client.info()
    where = "private" if PREFIX in engine_url else engine_url
    summary.engines.add(f"{info['ServerVersion']}, {info['Driver']}, {where}")
    before = guards.ours(client)
    yield client
    left = guards.ours(client) - before
    client.close()
    assert not left


@pytest.fixture(scope="session")
def base_images(docker_client: docker.DockerClient) -> Iterator[BaseImages]:
    """Small base images (busybox, python, haproxy), loaded into the engine."""
    base = BaseImages()
    for name in RECIPES:
        with archive(name, CACHE / "images").open("rb") as file:
            docker_client.images.load(file)
    yield base
    for reference in base.all():
        docker_client.images.remove(reference)


@pytest.fixture(scope="session")
def shop_images_loaded(docker_client: docker.DockerClient) -> Iterator[None]:
    """What the shop in tests/shop names, loaded into the engine."""
    made = shop_images.archives(CACHE / "images")
    for path in made.values():
        with path.open("rb") as file:
            docker_client.images.load(file)
    yield
    for reference in made:
        docker_client.images.remove(reference)


@pytest.fixture(scope="session")
def lone_node(pytestconfig: pytest.Config, isolated_environment: None) -> Iterator[SwarmNodes]:
    """A Swarm of one engine, for what needs no more."""
    with SwarmNodes(1, pytestconfig.getoption("--engine-root"), tuple(pytestconfig.getoption("--engine-feature"))) as swarm:
        yield swarm


@pytest.fixture(scope="session")
def swarm_nodes(pytestconfig: pytest.Config, isolated_environment: None) -> Iterator[SwarmNodes]:
    """A Swarm of three machines, which tests may kill; each leaves it whole: `SwarmNodes.heal`."""
    with SwarmNodes(3, pytestconfig.getoption("--engine-root"), tuple(pytestconfig.getoption("--engine-feature"))) as swarm:
        yield swarm


@pytest.fixture
def app_name(docker_client: docker.DockerClient) -> Iterator[str]:
    """A new "owner/name" for an app; what the engine has under its label is removed after the test."""
    name = f"devops/app-{uuid.uuid4().hex[:8]}"
    yield name
    guards.remove_app(docker_client, name)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that anyone may push to."""
    with serve(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def registry_auth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants a login; `docker_config()` of it is one."""
    with serve(tmp_path_factory.mktemp("registry-auth"), "pusher", "correct horse") as running:
        yield running


@pytest.fixture(scope="session")
def wheels() -> Path:
    """A directory with the package's dependencies, for PIP_NO_INDEX=1 and PIP_FIND_LINKS."""
    return download(CACHE)


@pytest.fixture(scope="session")
def agent_image(docker_client: docker.DockerClient, base_images: BaseImages, wheels: Path) -> Iterator[None]:
    """The agent's image."""
    try:
        agents.build_base(docker_client)
        agents.build(docker_client, wheels)
        yield
    finally:
        for image in docker_client.images.list(filters={"reference": [agents.IMAGE, agents.BASE]}):
            docker_client.images.remove(str(image.id), force=True)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """An empty directory like `tmp_path`, but with a path that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="gitdeploy-test-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture
def gogs_dir(tmp_path: Path) -> gogs.Gogs:
    """A Gogs data directory without repositories, owned by the user of the tests."""
    return gogs.create(tmp_path / "data")


@pytest.fixture
def gogs_dir_of_git(open_path: Path) -> gogs.Gogs:
    """A Gogs data directory without repositories, owned by user id 1000 as in Gogs' images; needs root."""
    return gogs.create(open_path / "data", owner=1000)


@pytest.fixture
def ssh_server(gogs_dir: gogs.Gogs, tmp_path: Path) -> Iterator[sshd.Sshd]:
    """Gogs' SSH access to `gogs_dir`."""
    (tmp_path / "sshd").mkdir()
    with sshd.serve(gogs_dir, tmp_path / "sshd", guards.server_environment()) as server:
        yield server


@pytest.fixture
def http_server(gogs_dir: gogs.Gogs) -> Iterator[smart_http.HttpServer]:
    """Gogs' HTTP access to `gogs_dir`."""
    with smart_http.serve(gogs_dir, guards.server_environment()) as server:
        yield server


@pytest.fixture(params=["local", "ssh", "http"])
def transport(request: pytest.FixtureRequest, gogs_dir: gogs.Gogs) -> Callable[[str], gogs.Remote]:
    """Each way of a push into `gogs_dir` in turn: takes "Owner/Name", returns where to push."""
    if request.param == "local":
        return gogs_dir.local
    server: sshd.Sshd | smart_http.HttpServer = request.getfixturevalue(f"{request.param}_server")
    return server.remote


@pytest.fixture
def sample_app(tmp_path: Path) -> apps.SampleApp:
    """A clone of the sample application with nothing committed; its Dockerfile builds on `base_images`."""
    return apps.create(tmp_path / "clone")


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on."""
    return find_free_port()
