"""Files of certificates: private, whole, with names that cannot lead elsewhere; damaged ones are put aside."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.edge import pem
from gitdeploy.edge.certstore import AuthorityAccount, CertificateStore
from gitdeploy.edge.privatefiles import PrivateFiles
from gitdeploy.edge.renewal import Setback
from gitdeploy.errors import UnfitError
from tests.support.installed import CHECKOUT
from tests.support.net import wait_until

NOW = 1_800_000_000
NAME = "shop.example.com"
CERTIFICATE = pem.self_made((NAME,), NOW)
SETBACK = Setback((NAME,), NOW, 2, "refused: it's “off”\x1b", NOW + 3600.5)
ACME = "https://authority.test/directory"


def fill(store: CertificateStore) -> None:
    """Have one of each."""
    store.keep(NAME, CERTIFICATE)
    store.note("blog.example.com", SETBACK)
    store.account_key()
    store.keep_account(ACME, AuthorityAccount("https://authority.test/account/1", "", "thumb"))
    store.internal_root(NOW)


def test_what_is_kept_is_found(store: CertificateStore, tmp_path: Path, said: list[str]) -> None:
    assert (store.certificates(), store.setbacks(), store.certificate(NAME), store.account(ACME)) == ({}, {}, None, None)
    fill(store)
    again = CertificateStore(tmp_path / "edge", said.append)
    assert again.certificates() == {NAME: CERTIFICATE}
    assert again.certificate(NAME) == CERTIFICATE
    assert again.setbacks() == {"blog.example.com": SETBACK}
    assert again.account(ACME) == AuthorityAccount("https://authority.test/account/1", "", "thumb")
    assert (again.account_key(), again.internal_root(NOW)) == (store.account_key(), store.internal_root(NOW))
    again.keep_account(ACME, None)
    assert again.account(ACME) is None
    assert said == []


def test_all_is_private(store: CertificateStore, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        fill(store)
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [tmp_path / "edge", *(tmp_path / "edge").rglob("*")]}
    assert {modes[path] for path in modes if path.is_dir()} == {0o700}
    assert {modes[path] for path in modes if not path.is_dir()} == {0o600}
    assert not [path for path in modes if path.name == ".new"]


def test_a_certificate_ends_the_setbacks_of_its_name(store: CertificateStore) -> None:
    store.note(NAME, SETBACK)
    store.note("blog.example.com", SETBACK)
    store.keep(NAME, CERTIFICATE)
    assert store.setbacks().keys() == {"blog.example.com"}
    store.note(NAME, SETBACK)
    store.forget(NAME)
    store.note("blog.example.com", None)
    assert (store.certificates(), store.setbacks()) == ({}, {})
    store.forget(NAME)


HOSTILE = [
    "../../etc/passwd", "/etc/passwd", ".", "..", "", ".new", "a/b", "a\\b", "a\0b", "a\nb", "*.example.com", "ÄÖ.example.com",
    "x" * 253, "x" * 252 + "y", "%2E", "%2e%2E", ACME, "shop.example.com.damaged", "\udcff", "a" * 5000,
]  # fmt: skip


def test_no_name_leads_elsewhere_or_to_another(store: CertificateStore, tmp_path: Path, said: list[str]) -> None:
    for name in HOSTILE:
        store.keep(name, CERTIFICATE)
        store.note(name, SETBACK)
    assert (store.certificates().keys(), store.setbacks().keys()) == (set(HOSTILE), set(HOSTILE))
    assert said == []
    entries = {path.name for path in tmp_path.rglob("*")} - {"edge", "certificates", "setbacks", "lock"}
    assert len(list((tmp_path / "edge/certificates").iterdir())) == len(HOSTILE)
    assert len(entries) == 2 * len(HOSTILE), "nothing is anywhere else"
    for name in HOSTILE:
        store.forget(name)
    assert (store.certificates(), store.setbacks()) == ({}, {})


def link(path: Path) -> None:
    """Put a link to something readable in a file's place."""
    path.unlink()
    path.symlink_to("/etc/hostname")


def pipe(path: Path) -> None:
    """Put a pipe in a file's place, whose reader would wait for ever."""
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "rubbish": lambda path: path.write_bytes(b"\xff\0rubbish" * 40),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:120]),
    "another kind": lambda path: path.write_text('{"name": 1, "authority": [], "x": {}}'),
    "a list": lambda path: path.write_text("[1]"),
    "a link": link,
    "a pipe": pipe,
}
FILES = [f"certificates/{NAME}.pem", "setbacks/blog.example.com.json", "account.key", "accounts.json", "internal.pem"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_named_and_put_aside(
    file: str, damage: Callable[[Path], object], store: CertificateStore, tmp_path: Path, said: list[str]
) -> None:
    fill(store)
    store.keep("blog.example.com", CERTIFICATE)
    store.note("blog.example.com", SETBACK)
    path = tmp_path / "edge" / file
    damage(path)
    found = store.certificates(), store.setbacks(), store.account(ACME), store.account_key(), store.internal_root(NOW)
    (line,) = said
    assert line.startswith(f"{path}: damaged (") and line.endswith(f"; put aside as {path.name}.damaged")
    assert os.path.lexists(f"{path}.damaged")
    assert "blog.example.com" in found[0], "the others are still read"
    assert (NAME in found[0]) == (file != FILES[0])
    assert bool(found[1]) == (file != FILES[1])
    assert bool(found[2]) == (file != FILES[3])
    fill(store)
    assert store.certificates().keys() == {NAME, "blog.example.com"}
    assert store.account(ACME)
    assert len(said) == 1


def test_a_file_of_another_name_is_put_aside(store: CertificateStore, tmp_path: Path, said: list[str]) -> None:
    store.keep(NAME, CERTIFICATE)
    path = tmp_path / "edge/certificates" / f"{NAME}.pem"
    path.rename(path.with_name("blog.example.com.pem"))
    assert store.certificates() == {}
    assert len(said) == 1


def test_a_crash_leaves_the_file_that_was_there(
    store: CertificateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep(NAME, CERTIFICATE)

    def crash(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            store.keep(NAME, pem.self_made((NAME,), NOW))
    assert store.certificates() == {NAME: CERTIFICATE}
    assert (tmp_path / "edge/certificates/.new").exists()
    newer = pem.self_made((NAME,), NOW)
    store.keep(NAME, newer)
    assert store.certificates() == {NAME: newer}
    assert not (tmp_path / "edge/certificates/.new").exists()


def test_a_root_that_ends_is_made_anew(store: CertificateStore) -> None:
    root = store.internal_root(NOW)
    assert store.internal_root(root.not_after - 3 * 86400) == root
    assert store.internal_root(root.not_after) != root


def test_a_disk_that_is_full_is_an_error_of_one_line(store: CertificateStore, tmp_path: Path) -> None:
    store.keep(NAME, CERTIFICATE)
    (tmp_path / "edge/certificates/.new").mkdir()  # in the way, for root, too
    with pytest.raises(UnfitError, match=f"certificates/{NAME}.pem: cannot be written: "):
        store.keep(NAME, CERTIFICATE)
    assert store.certificates() == {NAME: CERTIFICATE}


MAKE = "import sys; from pathlib import Path; from gitdeploy.edge.certstore import CertificateStore as S; "
MAKE += "s = S(Path(sys.argv[1]), print); print(s.account_key(), s.internal_root(1.8e9).fingerprint)"


def waits_for(lock: Path, pid: int) -> bool:
    """Whether a process has the lock's file open."""
    return str(lock) in {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}


def test_processes_side_by_side_make_one_key_and_one_root(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, tmp_path / "edge"]
    with PrivateFiles(tmp_path / "edge", print).locked("lock", 0):  # until all have seen that there is none
        running = [subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        for process in running:
            wait_until(lambda pid=process.pid: waits_for(tmp_path / "edge/lock", pid), 20, "a process at the lock")  # type: ignore[misc]
    outputs = {process.communicate(timeout=120)[0] for process in running}
    assert len(outputs) == 1 and "PRIVATE KEY" in outputs.pop()


def test_a_lock_that_is_held_is_waited_for_and_named(tmp_path: Path, said: list[str]) -> None:
    files = PrivateFiles(tmp_path / "edge", said.append)
    held = r"/edge/lock: another process of gitdeploy has held it for 0\.1 s"
    with files.locked("lock", 5), pytest.raises(UnfitError, match=held), files.locked("lock", 0.1):
        pass
    with files.locked("lock", 0):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path, store: CertificateStore) -> None:
    store.keep(NAME, CERTIFICATE)
    script = "import fcntl, sys, time; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "edge/lock"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout and holder.stdout.readline()
        with (tmp_path / "edge/lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        holder.kill()
    wait_until(lambda: holder.poll() is not None, 20, "the end of the holder")
    store.keep(NAME, CERTIFICATE)
