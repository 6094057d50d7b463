"""Doctor finds what is wrong around the hooks: the gitdeploy directory, config.toml, Gogs' directory, the spool, the clock."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.doctor.machine import Disk, judge_disk, judge_packages
from gitdeploy.doctor.permissions import FileFacts, judge_access, judge_program
from tests.doctor.patient import APP, NO_ENGINE, Patient
from tests.support.gogs import Gogs
from tests.support.installed import Installed, install


def write(name: str, text: str, mode: int = 0o600) -> Callable[[Patient], None]:
    """Writes a file of the gitdeploy directory."""

    def change(patient: Patient) -> None:
        (patient.home / name).write_text(text)
        (patient.home / name).chmod(mode)

    return change


def append(text: str) -> Callable[[Patient], None]:
    """Adds to config.toml."""

    def change(patient: Patient) -> None:
        patient.site.configure(text)

    return change


def chmod(name: str, mode: int) -> Callable[[Patient], None]:
    """Changes the mode of something in the gitdeploy directory."""

    def change(patient: Patient) -> None:
        (patient.home / name).chmod(mode)

    return change


def root_is(path: str) -> Callable[[Patient], None]:
    def change(patient: Patient) -> None:
        ini = patient.site.gogs.data / "gogs/conf/app.ini"
        ini.write_text(ini.read_text().replace("/home/git/gogs-repositories", path))

    return change


def empty_root(patient: Patient) -> None:
    (patient.site.gogs.data / "git/repos").mkdir()
    root_is("/home/git/repos")(patient)


def env_file(mode: int, text: str = "TOKEN=swordfish\n") -> Callable[[Patient], None]:
    def change(patient: Patient) -> None:
        write("dev-app.env", text, mode)(patient)
        config = patient.home / "config.toml"
        line = f'env_file = "{patient.home}/dev-app.env"\n'
        config.write_text(config.read_text().replace(f'[apps."{APP}"]\n', f'[apps."{APP}"]\n{line}', 1))

    return change


OTHER_APP = '[apps."devops/other"]\nimage = "127.0.0.1:5000/other"\npush.enabled = false\n'

FAULTS = {
    "no config": (lambda p: (p.home / "config.toml").unlink(), "error", "config.toml", "found nothing"),
    "unknown key": (append("[server]\nparalel = 3\n"), "error", "config.toml", "did you mean server.parallel"),
    "config for all": (chmod("config.toml", 0o644), "warning", "config.toml", "others can read it"),
    "state for all": (write("state.db", "", 0o644), "warning", "modes", "state.db can be read by others"),
    "spool for all": (chmod("spool", 0o777), "error", "modes", "spool can be written by others"),
    "foreign logs": (lambda p: os.chown(p.home / "logs", 1000, 1000), "error", "owner", "expected owner root (0), found"),
    "foreign config": (
        lambda p: os.chown(p.home / "config.toml", 1000, 1000),
        "error",
        "config.toml",
        "expected it to belong to",
    ),
    "spool gone": (lambda p: (p.home / "spool").rmdir(), "error", "installation", "spool, which is missing"),
    "program gone": (lambda p: (p.home / "bin/gitdeploy").chmod(0o644), "error", "program", "is not executable"),
    "wrong ROOT": (root_is("/mnt/elsewhere/repos"), "error", "Git server", "[repository] ROOT: expected a directory"),
    "missing ROOT": (root_is("/home/git/repos"), "warning", "Git server", "git/repos is not there yet"),
    "empty ROOT": (empty_root, "warning", "Git server", "git/repos: 0"),
    "app without repository": (append(OTHER_APP), "error", "repository", "there is no repository devops/other"),
    "state damaged": (write("state.db", "x" * 5000), "error", "queue", "cannot be opened: file is not a database"),
    "secret for all": (env_file(0o644), "error", "secrets", "others can read it"),
    "secret no env": (env_file(0o600, "swordfish\n"), "error", "secrets", "line 1: expected NAME=VALUE, found no ="),
    "no record": (write("spool/1700000000-abcdef.push", "garbage"), "warning", "queue", "1700000000-abcdef.push"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found(patient: Patient, name: str) -> None:
    harm, level, check, found = FAULTS[name]
    assert patient.faults() == []

    harm(patient)
    faults = patient.faults()

    assert (level, check) in [(fault.level, fault.check) for fault in faults]
    assert any(found in fault.found for fault in faults), faults
    assert all(fault.fix for fault in faults), faults
    assert not any("swordfish" in fault.found + fault.fix for fault in faults)
    assert not any("this check failed" in fault.found for fault in faults)


def test_owner_is_that_of_the_repositories(patient: Patient) -> None:
    """Installed by root, while Gogs runs as another user: its hook could write nothing."""
    os.chown(patient.site.gogs.data / "git/gogs-repositories", 54321, 54322)

    faults = patient.faults()

    assert {fault.check for fault in faults} == {"owner", "spool"}
    assert "expected owner 54321, found root (0)" in faults[0].found
    assert faults[0].fix == f"chown -hR 54321:54322 {patient.home}"


def test_home_that_the_git_server_may_not_enter() -> None:
    """In agent mode the directory is the agent's; the spool alone is the Git server's."""
    home, spool = Path("/data/gitdeploy"), Path("/data/gitdeploy/spool")
    mine = FileFacts(spool, "directory", mode=0o700, uid=1000)

    assert list(judge_access(FileFacts(home, "directory", mode=0o711), mine, 1000)) == []
    (closed,) = judge_access(FileFacts(home, "directory", mode=0o700), mine, 1000)
    (foreign,) = judge_access(FileFacts(home, "directory", mode=0o711), FileFacts(spool, "directory", mode=0o700), 1000)

    assert (closed.level, closed.fix) == ("error", "chmod 711 /data/gitdeploy")
    assert (foreign.level, foreign.fix) == ("error", "chown 1000 /data/gitdeploy/spool && chmod 700 /data/gitdeploy/spool")


def test_program_on_a_noexec_file_system() -> None:
    program = FileFacts(Path("/data/gitdeploy/bin/gitdeploy"), "file", mode=0o755)

    assert list(judge_program(program, noexec=False)) == []
    (fault,) = judge_program(program, noexec=True)

    assert (fault.level, fault.check) == ("error", "program")


def test_repository_without_an_app(patient: Patient) -> None:
    (patient.home / "config.toml").write_text("")

    (fault,) = patient.faults()

    assert (fault.level, fault.check, fault.app) == ("warning", "repository", APP)


def test_repository_enrolled_twice(patient: Patient) -> None:
    copy = patient.site.gogs.create_repository("devops/copy")
    (copy / "gitdeploy.conf").write_bytes(patient.conf.read_bytes())

    faults = patient.faults()

    assert (faults[0].level, faults[0].check) == ("error", "repository")
    assert str(copy) in faults[0].found


def test_renamed_repository_is_fine(patient: Patient) -> None:
    patient.repository.rename(patient.repository.with_name("renamed.git"))

    assert patient.faults() == []


def test_bare_repository(tmp_path: Path) -> None:
    """Without a Gogs, git itself runs the hook."""
    gogs = Gogs(tmp_path, os.geteuid(), tmp_path, tmp_path)
    patient = Patient(install(gogs, {"DOCKER_HOST": NO_ENGINE}))
    Installed(gogs, {}).gogs.repository("x/x").parent.mkdir(parents=True)
    bare = tmp_path / "app.git"
    patient.follow(f"git init --quiet --bare {bare}; gitdeploy enrol a/app --image 127.0.0.1:1/app --bare {bare}")
    patient.site.configure('[apps."a/app".push]\nenabled = false\n')
    assert patient.faults() == []

    (bare / "hooks/post-receive").unlink()
    (fault,) = patient.faults()

    assert (fault.check, fault.app) == ("hook", "a/app")
    assert str(bare / "hooks/post-receive") in fault.found


def test_disk_space() -> None:
    def level(free: int, free_files: int = 10_000, files: int = 100_000) -> list[str]:
        return [f.level for f in judge_disk(Disk(Path("/x"), 1, 10**12, free, files, free_files), 200 * 10**6, "x")]

    assert level(10**11) == ["ok"]
    assert level(9 * 10**8) == ["warning"]
    assert level(10**8) == ["error"]
    assert level(10**11, free_files=999) == ["ok", "warning"]
    assert level(10**11, free_files=0) == ["ok", "error"]
    assert level(10**11, free_files=0, files=0) == ["ok"]  # a file system that does not count them


def test_missing_package() -> None:
    found = judge_packages({"docker": "7.1.0", "dulwich": None})

    assert (found.level, found.fix) == ("error", "run install.sh again")
    assert found.found.endswith("not installed: dulwich")


@pytest.mark.parametrize("home", ["", "/nonexistent/gitdeploy", "/etc/passwd", "/proc"])
def test_no_installation(patient: Patient, home: str) -> None:
    """What can be looked at without one, is."""
    findings = patient.examine(GITDEPLOY_HOME=home)

    assert [f.level for f in findings if f.check == "versions"] == ["ok"]
    assert [f.level for f in findings if f.check == "engine"] == ["error"]
    assert any(f.level == "error" and f.check == "installation" for f in findings)
    assert not any("this check failed" in f.found for f in findings)


def test_text_for_people(patient: Patient) -> None:
    patient.hook.unlink()
    (patient.home / "spool" / "\x1b[31m\n.push").touch()

    shown = patient.site.run("doctor", check=3).stdout

    assert "\x1b" not in shown
    assert f"error    hook         {APP}: {patient.hook} is missing: a push deploys nothing\n" in shown
    assert f"                      what to do: gitdeploy enrol {APP}\n" in shown
    assert shown.endswith("\n2 errors, 1 warning\n")


def test_doctor_changes_nothing(patient: Patient) -> None:
    def files() -> dict[Path, tuple[int, int]]:
        facts = {path: path.lstat() for path in patient.site.gogs.data.rglob("*")}
        # SQLite puts files beside state.db while it is read, and takes them away.
        return {path: (0 if path == patient.site.home else f.st_mtime_ns, f.st_mode) for path, f in facts.items()}

    before = files()
    patient.examine()

    assert files() == before
