"""One repository, several apps: each that a push concerns has a record of its own, and its lines bear its name."""

from __future__ import annotations

import os

from gitdeploy.gitserver.hookconf import FILE, HookConf
from tests.support.hooks import DEPLOYS, MAIN, NEW, OLD, ZERO, HookSite


def share(site: HookSite, **others: tuple[str, ...]) -> None:
    """Let these apps of devops share the repository with devops/dev-app, whose branch is main."""
    site.configure()
    refs = {f"devops/{name}": patterns for name, patterns in others.items()}
    conf = HookConf("devops/dev-app", [str(site.home)], ["refs/heads/main"], 60, others=refs)
    (site.repository / FILE).write_bytes(conf.render())


def test_each_has_a_record_and_its_lines_a_name(site: HookSite) -> None:
    share(site, admin=("refs/heads/main", "refs/heads/release/*"))
    site.worker(DEPLOYS)
    result = site.push()
    records = site.seen()
    assert sorted(record.app for record in records) == ["devops/admin", "devops/dev-app"]
    assert len({record.name for record in records}) == 2
    assert {record.console for record in records} == {f"{record.name}.console" for record in records}
    assert len(site.workers()) == 1
    names = {record.app: record.name for record in records}
    assert sorted(result.lines) == sorted(
        line for app, name in names.items() for line in (f"{app} | deploying {name}", f"{app} | live")
    )
    assert list(site.spool.iterdir()) == []


def test_only_those_whose_branch_it_is(site: HookSite) -> None:
    share(site, admin=("refs/heads/release/*",), docs=("refs/heads/main",))
    site.worker(DEPLOYS)
    result = site.run(f"{OLD} {NEW} refs/heads/release/1")
    (record,) = site.seen()
    assert record.app == "devops/admin"
    assert result.lines == [f"deploying {record.name}", "live"]


def test_a_push_of_several_branches(site: HookSite) -> None:
    share(site, admin=("refs/heads/release/*",))
    site.worker(DEPLOYS)
    site.run(MAIN, f"{OLD} {NEW} refs/heads/release/1", f"{OLD} {NEW} refs/heads/x", f"{OLD} {ZERO} refs/heads/release/2")
    refs = {record.app: [ref.name for ref in record.refs] for record in site.seen()}
    assert refs == {"devops/dev-app": ["refs/heads/main"], "devops/admin": ["refs/heads/release/1"]}


def test_all_are_asked_when_the_config_is_newer(site: HookSite) -> None:
    share(site, admin=("refs/heads/release/*",))
    site.worker(DEPLOYS)
    os.utime(site.repository / FILE, (2, 2))
    os.utime(site.home / "config.toml", (5, 5))
    site.run(f"{OLD} {NEW} refs/heads/feature")
    assert sorted(record.app for record in site.seen()) == ["devops/admin", "devops/dev-app"]


def test_one_that_nobody_takes_leaves_the_other_alone(site: HookSite) -> None:
    """The worker does one app and dies over the other; it is started again for that."""
    share(site, admin=("refs/heads/main",))
    site.worker(
        """
for name in $(waiting); do
    cp -p "$name.push" ../seen
    open_console "$name"
    if grep -q admin "$name.push" && [ ! -e ../died ]; then
        touch ../died
        kill -9 $$
    fi
    rm "$name.push"
    echo "live" >&5
    exec 5>&-
done
"""
    )
    result = site.push()
    assert "gitdeploy: the worker ended before the deployment did. It is started again." in result.lines
    assert sorted(line for line in result.lines if line.endswith("live")) == ["devops/admin | live", "devops/dev-app | live"]
    assert list(site.spool.iterdir()) == []
