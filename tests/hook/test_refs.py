"""Which pushes the hook records: the filter that runs before anything else."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from gitdeploy.gitserver.hookconf import ANY
from gitdeploy.gitserver.newcomers import EVERY_REF
from tests.support.hooks import MAIN, NEW, OLD, ZERO, HookSite


def test_repository_that_is_not_enrolled(site: HookSite) -> None:
    (site.repository / "gitdeploy.conf").unlink()
    result = site.push()
    assert (result.code, result.text) == (0, "")
    assert site.workers() == []
    assert site.waiting() == []


def test_other_branches_start_no_process(site: HookSite) -> None:
    result = site.run(f"{OLD} {NEW} refs/heads/feature", f"{ZERO} {NEW} refs/tags/main", environ={"PATH": "/nonexistent"})
    assert (result.code, result.text) == (0, "")
    assert site.waiting() == []


def test_shell_reads_no_further_when_nothing_matches(site: HookSite) -> None:
    hook = site.repository / "custom_hooks" / "post-receive"
    text = hook.read_text()
    fast = text[: text.index("# --- a push that concerns us")]
    hook.write_text(fast + "\n)( this is no shell script")
    assert site.run(f"{OLD} {NEW} refs/heads/feature").text == ""


def test_ten_refs_at_once(site: HookSite) -> None:
    site.configure("refs/heads/main", "refs/heads/release/*", "refs/tags/v[0-9]*")
    names = [
        "heads/a",
        "heads/main",
        "heads/release/1/x",
        "heads/releases",
        "tags/v1",
        "tags/vv",
        "heads/mainline",
        "notes/main",
    ]
    names += ["tags/main", "heads/release/$(touch pwned)"]
    site.run(*(f"{OLD} {NEW} refs/{name}" for name in names))
    (record,) = site.seen()
    expected = ["refs/heads/main", "refs/heads/release/1/x", "refs/heads/release/$(touch pwned)", "refs/tags/v1"]
    assert [ref.name for ref in record.refs] == expected
    assert not (site.repository / "pwned").exists()


def test_several_thousand_matching_refs_keep_the_last(site: HookSite) -> None:
    site.configure("refs/tags/*")
    site.run(*(f"{ZERO} {NEW} refs/tags/v{i}" for i in range(5000)))
    (record,) = site.seen()
    assert record.refs[-1].name == "refs/tags/v4999"
    assert len(record.refs) <= 2000


def test_a_branch_is_not_lost_among_tags(site: HookSite) -> None:
    site.configure("refs/heads/*", "refs/tags/*")
    site.run(MAIN, *(f"{ZERO} {NEW} refs/tags/v{i}" for i in range(2500)))
    (record,) = site.seen()
    assert record.refs[0].name == "refs/heads/main"
    assert record.refs[-1].name == "refs/tags/v2499"


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "garbage",
        f"{OLD} {NEW}",
        f"{OLD} {NEW[:39]} refs/heads/main",
        f"{OLD[:-1]}; {NEW} refs/heads/main",
        "\u20ac \x01 \x7f",
    ],
)
def test_input_that_is_no_ref_update(site: HookSite, line: str) -> None:
    result = site.run(line)
    assert (result.code, result.text) == (0, "")
    assert site.waiting() == []


def test_last_line_without_newline(site: HookSite) -> None:
    process = subprocess.run(
        [*site.shell, str(site.repository / "custom_hooks" / "post-receive")],
        cwd=site.repository,
        env=dict(site.environ),
        input=f"{OLD} {NEW} refs/heads/main".encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert process.stderr == b""
    assert len(site.seen()) == 1


def test_sha256_repository(site: HookSite) -> None:
    site.run(f"{'1' * 64} {'2' * 64} refs/heads/main")
    (record,) = site.seen()
    assert record.refs[0].new == "2" * 64


def test_deleted_ref_keeps_the_app_running(site: HookSite) -> None:
    result = site.run(f"{OLD} {ZERO} refs/heads/main")
    assert result.lines == ["gitdeploy: refs/heads/main was deleted; what it deployed keeps running."]
    assert result.code == 0
    assert site.waiting() == []


def test_deletion_beside_an_update(site: HookSite) -> None:
    site.configure("refs/heads/*")
    result = site.run(f"{OLD} {ZERO} refs/heads/old", f"{OLD} {NEW} refs/heads/main")
    assert "refs/heads/old was deleted" in result.lines[0]
    (record,) = site.seen()
    assert [ref.name for ref in record.refs] == ["refs/heads/main"]


def test_config_edited_since_leaves_the_choice_to_the_worker(site: HookSite) -> None:
    later = time.time() + 10
    os.utime(site.home / "config.toml", (later, later))
    site.run(f"{OLD} {NEW} refs/heads/feature", f"{OLD} {NEW} refs/tags/x", f"{OLD} {NEW} refs/notes/x")
    (record,) = site.seen()
    assert [ref.name for ref in record.refs] == ["refs/heads/feature", "refs/tags/x"]


def test_first_push_of_a_new_repository_leaves_the_choice_to_the_worker(site: HookSite) -> None:
    """However config.toml was when the template was made; see newcomers.seed."""
    site.configure(*EVERY_REF)
    conf = site.repository / "gitdeploy.conf"
    conf.write_text(conf.read_text().replace("app devops/dev-app\n", f"app {ANY}\n"))
    site.run(f"{OLD} {NEW} refs/heads/feature", f"{OLD} {NEW} refs/notes/x")
    (record,) = site.seen()
    assert (record.app, [ref.name for ref in record.refs]) == ("devops/dev-app", ["refs/heads/feature"])
    with (site.repository / "config").open("a") as file:
        file.write('[remote "origin"]\n')
    assert site.run(f"{OLD} {NEW} refs/heads/feature", environ={"PATH": "/nonexistent"}).text == ""
    assert len(site.seen()) == 1
