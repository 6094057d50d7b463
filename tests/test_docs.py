"""What README, SECURITY.md and the pages of `gitdeploy help` say of keys, commands and pages is what there is."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from gitdeploy.cli import VERBS, main
from gitdeploy.config.edgekeys import EDGE_APP_KEYS
from gitdeploy.config.load import apply_tree, parse_config
from gitdeploy.config.reference import reference
from gitdeploy.jenkinsfile.convert import Converter

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"
PAGES = sorted((CHECKOUT / "gitdeploy" / "docs").glob("*.md"))
TEXTS = [README, CHECKOUT / "SECURITY.md", CHECKOUT / "CHANGELOG.md", *PAGES]


def test_the_configuration_is_the_reference() -> None:
    page = (CHECKOUT / "gitdeploy" / "docs" / "configuration.md").read_text()
    assert reference() in re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_every_command_is_listed() -> None:
    rows = re.findall(r"^\| (`.*?) \|", README.read_text(), re.MULTILINE)
    assert set(VERBS) <= {verb for row in rows for verb in re.findall(r"`([a-z-]+)", row)}


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) < 250


def test_the_readme_names_every_page() -> None:
    assert {f"gitdeploy/docs/{page.name}" for page in PAGES} <= set(re.findall(r"\]\(([^)#]*)\)", README.read_text()))


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_links_lead_somewhere(text: Path) -> None:
    headings = re.findall(r"^#+ (.*)$", text.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\((?!https?:)([^)]*)\)", text.read_text())
    assert [link for link in links if not (link[1:] in anchors if link[0] == "#" else (text.parent / link).exists())] == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_named_pages_exist(text: Path) -> None:
    assert set(re.findall(r"`gitdeploy help ([a-z]+)`", text.read_text())) <= {page.stem for page in PAGES}


def test_the_tutorial_is_the_shop_of_the_tests() -> None:
    """What it prints of the import, of config.toml and of the tree is what comes out, is right, and is what is pushed."""
    shop = CHECKOUT / "tests" / "shop"
    page = (PAGES[0].parent / "jenkins.md").read_text()
    imported, server, tree = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert imported == Converter((shop / "Jenkinsfile").read_text()).convert("devops/shop").toml
    config = parse_config(server.encode(), Path("config.toml"))
    assert tree == (shop / "gitdeploy.toml").read_text()
    app = apply_tree(config, config.apps["devops/shop"], tree.encode(), "gitdeploy.toml")
    assert (set(app.processes), set(app.schedule), set(app.accessories)) == ({"worker"}, {"nightly"}, {"db"})


def test_the_cluster_of_the_page_is_right() -> None:
    page = (PAGES[0].parent / "machines.md").read_text()
    (server,) = re.findall(r"^   ```toml\n(.*?)^   ```", page, re.DOTALL | re.MULTILINE)
    (app,) = parse_config(server.encode(), Path("config.toml")).apps.values()
    assert (app.target, app.replicas, app.swarm.secret_files) == ("swarm", 3, ("DB_PASSWORD",))


def test_the_domains_of_the_page_are_right() -> None:
    page = (PAGES[0].parent / "domains.md").read_text()
    blocks = re.findall(r"^( *)```toml\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    read = [parse_config(textwrap.dedent(text).encode(), Path("config.toml")) for _, text in blocks]
    assert [domain for config in read for app in config.apps.values() for domain in app.domains][::2] == [
        "shop.example.com", "*.example.com", "shop.example.com",
    ]  # fmt: skip
    assert [config.edge.git for config in read if config.edge.git] == ["git.example.com"]
    (allowed,) = re.findall(r"`allow` says: (.*?)\. With", page, re.DOTALL)
    named = set(re.findall("`([a-z_.]+)`", allowed))
    assert {key.path for key in EDGE_APP_KEYS if key.tree == "allow"} == named


def test_help_shows_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "builds"]) == 0
    assert capsys.readouterr().out == (CHECKOUT / "gitdeploy" / "docs" / "builds.md").read_text()


def test_help_lists_the_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    listed = capsys.readouterr().out
    assert [page.stem for page in PAGES if f"gitdeploy help {page.stem} " not in listed] == []


def test_help_on_an_unknown_topic_names_the_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "nonsense"]) == 2
    assert "configuration" in capsys.readouterr().err


def test_the_tests_that_hold_promises_exist() -> None:
    """SECURITY.md names files, or tests in the file that was named last: `tests/x.py::test_a`, `::test_b`."""
    missing, file = [], ""
    for path, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", (CHECKOUT / "SECURITY.md").read_text()):
        file = path or file
        text = (CHECKOUT / file).read_text() if file and (CHECKOUT / file).exists() else ""
        if not text or (test and f"def {test}(" not in text):
            missing.append(f"{file}::{test}")
    assert missing == []


def test_every_call_to_the_engine_is_listed_with_its_api() -> None:
    engine = CHECKOUT / "gitdeploy" / "engine"
    rooms = "_ping|auth|build|containers|events|exec|images|networks|nodes|secrets|services|session|tasks|volumes"
    called = {found for path in engine.glob("*.py") for found in re.findall(rf'"(/(?:{rooms})\b[^"]*)"', path.read_text())}
    calls = {re.sub(r"\{[^}]*\}", "{}", call.partition("?")[0]) for call in called}
    assert len(calls) > 20
    text = (CHECKOUT / "gitdeploy" / "docs" / "limits.md").read_text()
    assert {
        call for call in calls if f"{call}`" not in text and f"`{call.removeprefix('/containers/{}')}`" not in text
    } == set()
