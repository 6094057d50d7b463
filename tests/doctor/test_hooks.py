"""Doctor finds what is wrong with a repository's hooks and gitdeploy.conf, and its fixes put it right."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from gitdeploy.doctor.hook import HookFacts, judge_hooks, look_at_hooks
from gitdeploy.gitserver.enrolment import hook_text
from gitdeploy.gitserver.gitserver import GOGS
from tests.doctor.patient import APP, Patient


def rewrite(old: bytes, new: bytes) -> Callable[[Patient], None]:
    """Replaces bytes in the hook."""

    def change(patient: Patient) -> None:
        assert old in patient.hook.read_bytes()
        patient.hook.write_bytes(patient.hook.read_bytes().replace(old, new))

    return change


def reconf(old: str, new: str) -> Callable[[Patient], None]:
    """Replaces text in gitdeploy.conf."""

    def change(patient: Patient) -> None:
        assert old in patient.conf.read_text()
        patient.conf.write_text(patient.conf.read_text().replace(old, new))

    return change


def link_hook(patient: Patient) -> None:
    elsewhere = patient.site.gogs.data / "hook"
    patient.hook.rename(elsewhere)
    patient.hook.symlink_to(elsewhere)


def link_moves(patient: Patient) -> None:
    patient.moves.unlink()
    patient.moves.symlink_to(patient.hook)


def directory_for_hook(patient: Patient) -> None:
    patient.hook.unlink()
    patient.hook.mkdir()


def conf_pipe(patient: Patient) -> None:
    patient.conf.unlink()
    os.mkfifo(patient.conf)


def move_home(patient: Patient) -> None:
    """The hook would go on with another directory than this one."""
    other = patient.site.gogs.data / "elsewhere"
    other.mkdir()
    reconf(f"home {patient.home}\n", f"home {other}\nhome {patient.home}\n")(patient)


HEALED = {
    "hook removed": (lambda p: p.hook.unlink(), "hook", "is missing"),
    "hook a link": (link_hook, "hook", "is a symbolic link"),
    "hook a directory": (directory_for_hook, "hook", "is no file"),
    "hook with CRLF": (rewrite(b"\n", b"\r\n"), "hook", "CRLF"),
    "hook edited": (rewrite(b"set -u", b"set -eu"), "hook", "another version"),
    "hook replaced": (lambda p: p.hook.write_text("#!/bin/sh\n"), "hook", "is not gitdeploy's hook"),
    "hook not executable": (lambda p: p.hook.chmod(0o644), "hook", "is not executable (mode 644"),
    "hook of somebody else": (lambda p: os.chown(p.hook, 1000, 1000), "hook", "belongs to user 1000, its repository to user 0"),
    "merges removed": (lambda p: p.moves.unlink(), "hook", "is missing: pull requests merged"),
    "merges a link": (link_moves, "hook", "is a symbolic link"),
    "merges edited": (lambda p: p.moves.write_bytes(p.moves.read_bytes() + b"#"), "hook", "another version"),
    "merges not executable": (lambda p: p.moves.chmod(0o644), "hook", "is not executable"),
    "conf removed": (lambda p: p.conf.unlink(), "gitdeploy.conf", "is missing: the hook does nothing"),
    "conf a pipe": (conf_pipe, "gitdeploy.conf", "is no file"),
    "conf with CRLF": (reconf("\n", "\r\n"), "gitdeploy.conf", "CRLF"),
    "conf unreadable": (lambda p: p.conf.chmod(0o600), "gitdeploy.conf", "cannot be read by everyone"),
    "conf writable": (lambda p: p.conf.chmod(0o666), "gitdeploy.conf", "can be changed by others"),
    "ref changed": (reconf("refs/heads/main", "refs/heads/master"), "gitdeploy.conf", "found refs/heads/master"),
    "wait changed": (reconf("wait 3600", "wait 5"), "gitdeploy.conf", "wait: expected 3600, found 5"),
    "mode changed": (reconf("mode direct", "mode agent"), "gitdeploy.conf", "mode: expected direct, found agent"),
    "home moved": (move_home, "gitdeploy.conf", "elsewhere"),
}


@pytest.mark.parametrize("name", HEALED)
def test_fix_of_a_finding_heals(patient: Patient, name: str) -> None:
    harm, check, found = HEALED[name]
    assert patient.faults() == []

    harm(patient)
    faults = patient.faults()

    assert [(fault.check, fault.app) for fault in faults] == [(check, APP)]
    assert found in faults[0].found
    fix = faults[0].fix.partition(" puts ")[0]  # what follows is an explanation
    patient.follow(fix)
    assert patient.faults() == []


def test_replaced_hook_is_kept_by_the_fix(patient: Patient) -> None:
    patient.hook.write_text("#!/bin/sh\necho mine\n")

    patient.follow(f"gitdeploy enrol {APP}")

    assert patient.hook.with_name("post-receive.before-gitdeploy").read_text() == "#!/bin/sh\necho mine\n"


def test_hook_replaced_twice_is_not_thrown_away(patient: Patient) -> None:
    patient.hook.with_name("post-receive.before-gitdeploy").write_text("#!/bin/sh\necho first\n")
    patient.hook.write_text("#!/bin/sh\necho second\n")

    (fault,) = patient.faults()

    assert "is not gitdeploy's hook" in fault.found
    assert fault.fix.startswith("move what you need of it into ")


def test_hook_that_others_may_change(patient: Patient) -> None:
    patient.hook.chmod(0o775)

    (fault,) = patient.faults()

    assert (fault.level, fault.check) == ("error", "hook")
    assert "mode 775" in fault.found
    patient.follow(fault.fix.partition("then: ")[2])
    assert patient.faults() == []


def test_config_edited_after_enrolling_is_no_fault(patient: Patient) -> None:
    """The hook leaves the choice of refs to the worker, which brings gitdeploy.conf up to date."""
    config = patient.home / "config.toml"
    config.write_text(config.read_text().replace("[apps.", '[defaults]\nbranch = "release/*"\n[apps.', 1))

    assert patient.faults() == []


def test_reference_transaction_hook_of_somebody_else(patient: Patient) -> None:
    patient.moves.write_text("#!/bin/sh\nexit 0\n")

    (fault,) = patient.faults()

    assert (fault.level, fault.check) == ("warning", "hook")
    assert "somebody else's" in fault.found
    assert "custom_hooks/post-receive moved" in fault.fix


def test_noexec_file_system(patient: Patient) -> None:
    facts = look_at_hooks(APP, patient.repository, GOGS)
    assert list(judge_hooks(facts, hook_text(), GOGS)) == []

    (fault,) = judge_hooks(HookFacts(**{**vars(facts), "noexec": True}), hook_text(), GOGS)

    assert fault.level == "error"
    assert "noexec" in fault.found
    assert fault.fix.endswith(f"findmnt -T {patient.repository}")


DELEGATES = {
    "missing": (lambda path: path.unlink(), "is missing"),
    "not executable": (lambda path: path.chmod(0o644), "is not executable"),
    "another": (lambda path: path.write_text("#!/bin/sh\nexit 0\n"), "does not run custom_hooks/post-receive"),
}


@pytest.mark.parametrize("name", DELEGATES)
def test_delegate_hook_of_gogs(patient: Patient, name: str) -> None:
    harm, found = DELEGATES[name]

    harm(patient.repository / "hooks" / "post-receive")
    (fault,) = patient.faults()

    assert (fault.level, fault.check, fault.app) == ("error", "server's hook", APP)
    assert found in fault.found
    assert "Resync" in fault.fix
    patient.site.gogs.write_hooks(patient.repository)  # as Gogs' resync does
    assert patient.faults() == []
