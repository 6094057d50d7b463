"""What tests of enrolment share."""

from __future__ import annotations

from pathlib import Path

from gitdeploy.gitserver.hookconf import HookConf

CONF = HookConf("devops/dev-app", ["/srv/gogs/gitdeploy", "/data/gitdeploy"], ["refs/heads/main", "refs/tags/v*"], 90.4)
HOOK = Path("custom_hooks/post-receive")
KEPT = Path("custom_hooks/post-receive.before-gitdeploy")

Listing = dict[str, tuple[int, int, int, object]]


def listing(top: Path) -> Listing:
    """Everything below a directory: mode, owner, group, and content or target."""
    found: Listing = {}
    for path in sorted(top.rglob("*")):
        facts = path.lstat()
        content: object = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(top))] = (facts.st_mode, facts.st_uid, facts.st_gid, content)
    return found
