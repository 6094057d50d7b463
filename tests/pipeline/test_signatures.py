"""Who may deploy where require_signed asks for signatures: real keys, real objects of git, the programs of the server."""

from __future__ import annotations

import os
import subprocess
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gitdeploy.config.sections import RequireSigned
from gitdeploy.errors import StageFailed
from gitdeploy.pipeline import programs, signatures
from gitdeploy.pipeline.signatures import Accepted, require_signature
from gitdeploy.source.repository import open_repository
from tests.support.gitrepo import GitRepo
from tests.support.keys import Keys, key_directory

MAIN = "refs/heads/main"
ALICE, BOB = "Alice <alice@example.com>", "Bob <bob@example.com>"


@pytest.fixture
def keys() -> Iterator[Keys]:
    with key_directory() as keys:
        yield keys


@dataclass
class Case:
    """A repository with one commit, and keys that its server knows."""

    repo: GitRepo
    keys: Keys
    tree: str = ""
    rule: RequireSigned = field(default_factory=RequireSigned)

    def commit(self, key: Path | str | None, message: str = "one") -> str:
        """A commit, signed if a key is given, as the tip of main."""
        sign = [*self.keys.git(key), "commit-tree", "-S"] if key else ["commit-tree"]
        commit = self.repo.id(*sign, "-m", message, self.tree)
        self.repo.git("update-ref", MAIN, commit)
        return commit

    def tag(self, key: Path | str | None, name: str, target: str) -> None:
        """An annotated tag, signed if a key is given."""
        self.repo.git(*(self.keys.git(key) if key else ()), "tag", "-s" if key else "-a", "-m", name, name, target)

    def made(self, kind: str, data: bytes, ref: str = MAIN) -> str:
        """An object of these bytes under a ref; returns its id."""
        oid = self.repo.id("hash-object", "-t", kind, "--literally", "-w", "--stdin", stdin=data)
        path = self.repo.path / ref
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{oid}\n")
        return oid

    def ask(self, commit: str, ref: str = MAIN) -> Accepted:
        with open_repository(self.repo.path) as repository:
            return require_signature(self.rule, repository, commit, ref)

    def refused(self, commit: str, ref: str = MAIN) -> str:
        with pytest.raises(StageFailed) as caught:
            self.ask(commit, ref)
        assert caught.value.hint
        return caught.value.reason


@pytest.fixture
def case(tmp_path: Path, keys: Keys) -> Case:
    case = Case(GitRepo(tmp_path / "repo.git"), keys)
    case.repo.commit({"VERSION": b"1\n"})
    case.tree = case.repo.id("rev-parse", "main^{tree}")
    return case


@pytest.fixture(params=["ssh", "openpgp"])
def alice(request: pytest.FixtureRequest, case: Case) -> Path | str:
    """A key that the server knows, of each kind."""
    if request.param == "ssh":
        path = case.keys.ssh("alice")
        case.rule = RequireSigned(allowed_signers=case.keys.allowed(('alice,a2 namespaces="git"', path)))
        return path
    key = case.keys.openpgp(ALICE)
    case.rule = RequireSigned(keyring=case.keys.ring(key))
    return key


def test_a_signed_commit_is_accepted(case: Case, alice: Path | str) -> None:
    commit = case.commit(alice)
    accepted = case.ask(commit)
    assert accepted.tree == case.tree
    if isinstance(alice, str):
        assert accepted.signer == f"commit signed by {ALICE} (OpenPGP {alice})"
    else:
        shown = subprocess.run(["ssh-keygen", "-lf", alice], check=True, capture_output=True, text=True).stdout
        assert accepted.signer == f"commit signed by alice (ED25519 {shown.split()[1]})"


def test_a_merge_with_signed_parents_and_a_signed_tag_in_it(case: Case, alice: Path | str) -> None:
    """A mergetag header holds a whole tag with a signature of its own, which is not the commit's."""
    first, second = case.commit(alice), case.commit(alice, "two")
    case.tag(alice, "v1", second)
    body = case.repo.git("cat-file", "tag", "v1")
    inner = b"mergetag " + body.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n"
    who = b"Ann <ann@x> 1700000000 +0000"
    unsigned = (
        b"tree %s\nparent %s\nparent %s\nauthor %s\ncommitter %s\n"
        % (case.tree.encode(), first.encode(), second.encode(), who, who)
        + inner
        + b"\nmerge\n"
    )
    assert "it is not signed" in case.refused(case.made("commit", unsigned))
    assert case.ask(case.made("commit", with_(unsigned, case.keys.sign(alice, unsigned)))).tree == case.tree


def test_a_signed_tag_of_an_unsigned_commit(case: Case, alice: Path | str) -> None:
    commit = case.commit(None)
    case.tag(alice, "v1", commit)
    assert "it is not signed" in case.refused(commit)
    accepted = case.ask(commit, "refs/tags/v1")
    assert accepted.signer.startswith("tag signed by")
    assert accepted.tree == case.tree


def test_a_plain_tag_of_a_signed_commit(case: Case, alice: Path | str) -> None:
    commit = case.commit(alice)
    case.repo.git("tag", "v1", commit)
    case.tag(None, "v2", commit)
    for name in ("v1", "v2"):
        assert case.ask(commit, f"refs/tags/{name}").signer.startswith("commit signed by")


def test_what_git_accepts_of_many_forms(case: Case, alice: Path | str) -> None:
    for message in ("", "\n\nlead", "a\n\n-----BEGIN PGP SIGNATURE-----\n\nno\n", "gpgsig no\n\ntree no", "ü\n" * 50):
        commit = case.commit(alice, message)
        assert case.ask(commit).tree == case.tree


def unsigned(case: Case, alice: Path | str) -> str:
    return case.refused(case.commit(None))


def other_message(case: Case, alice: Path | str) -> str:
    data = case.repo.git("cat-file", "commit", case.commit(alice))
    return case.refused(case.made("commit", data + b"more\n"))


def other_tree(case: Case, alice: Path | str) -> str:
    data = case.repo.git("cat-file", "commit", case.commit(alice))
    return case.refused(case.made("commit", data.replace(case.tree.encode(), b"1" * 40)))


def two_signatures(case: Case, alice: Path | str) -> str:
    data = case.repo.git("cat-file", "commit", case.commit(alice))
    start, end = data.index(b"gpgsig "), data.index(b"\n\n")
    return case.refused(case.made("commit", data[:end] + b"\n" + data[start:end] + data[end:]))


def hidden_header(case: Case, alice: Path | str) -> str:
    """git leaves gpgsig-sha256 out of what it signs, so anybody can add one."""
    data = case.repo.git("cat-file", "commit", case.commit(alice))
    end = data.index(b"\n\n")
    return case.refused(case.made("commit", data[:end] + b"\ngpgsig-sha256 x" + data[end:]))


def tree_twice(case: Case, alice: Path | str) -> str:
    data = case.repo.git("cat-file", "commit", case.commit(alice))
    return case.refused(case.made("commit", b"tree " + b"1" * 40 + b"\n" + data))


def nul(case: Case, alice: Path | str) -> str:
    data = case.repo.git("cat-file", "commit", case.commit(alice))
    return case.refused(case.made("commit", data.replace(b"\n\none", b"\0\n\none")))


def stranger(case: Case, alice: Path | str) -> str:
    key = case.keys.ssh("mallory") if isinstance(alice, Path) else case.keys.openpgp("Mallory <m@x>")
    return case.refused(case.commit(key))


def tag_of_another_commit(case: Case, alice: Path | str) -> str:
    case.tag(alice, "v1", case.commit(None, "reviewed"))
    return case.refused(case.commit(None, "evil"), "refs/tags/v1")


def tag_under_another_name(case: Case, alice: Path | str) -> str:
    commit = case.commit(None)
    case.tag(alice, "test-1", commit)
    case.repo.git("update-ref", "refs/tags/release-1", "refs/tags/test-1")
    return case.refused(commit, "refs/tags/release-1")


def tag_changed(case: Case, alice: Path | str) -> str:
    commit = case.commit(None)
    case.tag(alice, "v1", commit)
    data = case.repo.git("cat-file", "tag", "v1")
    case.made("tag", data.replace(b"\n\nv1", b"\n\nv2"), "refs/tags/v1")
    return case.refused(commit, "refs/tags/v1")


def tag_with_more_behind_it(case: Case, alice: Path | str) -> str:
    commit = case.commit(None)
    case.tag(alice, "v1", commit)
    case.made("tag", case.repo.git("cat-file", "tag", "v1") + b"and this\n", "refs/tags/v1")
    return case.refused(commit, "refs/tags/v1")


def tag_of_a_tag(case: Case, alice: Path | str) -> str:
    commit = case.commit(None)
    case.tag(None, "inner", commit)
    case.tag(alice, "v1", "inner")
    return case.refused(commit, "refs/tags/v1")


def tag_that_is_gone(case: Case, alice: Path | str) -> str:
    return case.refused(case.commit(None), "refs/tags/v1")


REFUSED: list[tuple[Callable[[Case, Path | str], str], str]] = [
    (unsigned, "it is not signed"),
    (other_message, "does not fit its content"),
    (other_tree, "does not fit its content"),
    (two_signatures, "stands twice"),
    (hidden_header, "stands twice, or is one that git does not sign"),
    (tree_twice, "not in the form"),
    (nul, "not in the form"),
    (stranger, "signed with"),
    (tag_of_another_commit, "it is not of commit"),
    (tag_under_another_name, "it was signed under another name"),
    (tag_changed, "does not fit its content"),
    (tag_with_more_behind_it, "something stands behind it"),
    (tag_of_a_tag, "it is not of commit"),
    (tag_that_is_gone, "is no branch, tag or commit"),
]


@pytest.mark.parametrize(("attack", "said"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_refused(case: Case, alice: Path | str, attack: Callable[[Case, Path | str], str], said: str) -> None:
    reason = attack(case, alice)
    assert reason.startswith("require_signed: ")
    assert said in reason


def test_the_key_that_was_found_is_named(case: Case) -> None:
    alice, mallory = case.keys.ssh("alice"), case.keys.ssh("mallory")
    case.rule = RequireSigned(allowed_signers=case.keys.allowed(("alice", alice)))
    shown = subprocess.run(["ssh-keygen", "-lf", mallory], check=True, capture_output=True, text=True).stdout
    assert f"signed with ED25519 {shown.split()[1]}, which require_signed.allowed_signers" in case.refused(case.commit(mallory))


@pytest.mark.parametrize("options", ['valid-before="20200101"', 'valid-after="20990101"', 'namespaces="file"'])
def test_what_allowed_signers_does_not_allow_now(case: Case, options: str) -> None:
    key = case.keys.ssh("alice")
    case.rule = RequireSigned(allowed_signers=case.keys.allowed((f"alice {options}", key)))
    assert "does not allow for git today" in case.refused(case.commit(key))


def test_a_signature_for_something_else_than_git(case: Case) -> None:
    key = case.keys.ssh("alice")
    case.rule = RequireSigned(allowed_signers=case.keys.allowed(("alice", key)))
    data = case.repo.git("cat-file", "commit", case.commit(None))
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", str(key)]
    signature = subprocess.run(sign, input=data, check=True, capture_output=True).stdout
    head, _, message = data.partition(b"\n\n")
    header = b"\ngpgsig " + signature.rstrip(b"\n").replace(b"\n", b"\n ")
    assert "was not made for git" in case.refused(case.made("commit", head + header + b"\n\n" + message))


def test_an_expired_openpgp_key(case: Case) -> None:
    """gpgv ends with exit code 0 for it."""
    past = ("--faked-system-time", "20200101T000000!")
    key = case.keys.openpgp(ALICE, "1y", *past)
    case.rule = RequireSigned(keyring=case.keys.ring(key))
    data = case.repo.git("cat-file", "commit", case.commit(None))
    signature = case.keys.gpg("--faked-system-time", "20200601T000000!", "-u", key, "-a", "-b", stdin=data)
    assert f"signed with OpenPGP key {key[-16:]}: the key has expired" in case.refused(
        case.made("commit", with_(data, signature))
    )


def with_(data: bytes, signature: bytes) -> bytes:
    """The commit with that signature in its header."""
    head, _, message = data.partition(b"\n\n")
    return head + b"\ngpgsig " + signature.rstrip(b"\n").replace(b"\n", b"\n ") + b"\n\n" + message


def test_a_revoked_openpgp_key(case: Case) -> None:
    key = case.keys.openpgp(ALICE)
    commit = case.commit(key)
    case.keys.revoke(key)
    case.rule = RequireSigned(keyring=case.keys.ring(key))
    assert "the key was revoked" in case.refused(commit)


def test_an_openpgp_signature_by_an_old_hash(case: Case) -> None:
    key = case.keys.openpgp(ALICE)
    case.rule = RequireSigned(keyring=case.keys.ring(key))
    data = case.repo.git("cat-file", "commit", case.commit(None))
    signature = case.keys.gpg("--allow-weak-digest-algos", "--digest-algo", "SHA1", "-u", key, "-a", "-b", stdin=data)
    assert "sign it with SHA-256" in case.refused(case.made("commit", with_(data, signature)))


def test_two_openpgp_signatures_in_one(case: Case) -> None:
    """One of a known key and one of a stranger: which of them counts is not for gpgv's exit code to say."""
    alice, mallory = case.keys.openpgp(ALICE), case.keys.openpgp(BOB)
    case.rule = RequireSigned(keyring=case.keys.ring(alice))
    data = case.repo.git("cat-file", "commit", case.commit(None))
    for keys in ((alice, mallory), (mallory, alice), (alice, alice)):
        packets = b"".join(case.keys.gpg("-u", key, "-b", stdin=data) for key in keys)
        armored = case.keys.gpg("--enarmor", stdin=packets).replace(b"PGP ARMORED FILE", b"PGP SIGNATURE")
        reason = case.refused(case.made("commit", with_(data, armored)))
        assert "signed with OpenPGP key" in reason or "expected one good" in reason


def test_a_kind_of_key_that_the_server_does_not_list(case: Case, alice: Path | str) -> None:
    other = case.keys.openpgp(BOB) if isinstance(alice, Path) else case.keys.ssh("bob")
    missing = "require_signed.keyring" if isinstance(alice, Path) else "require_signed.allowed_signers"
    assert f"config.toml has no {missing}" in case.refused(case.commit(other))


def test_other_content_under_the_id_that_was_signed(case: Case, alice: Path | str) -> None:
    """Who can write to the repository's files can put anything there; every object is held against its id."""
    commit = case.commit(alice)
    evil = case.repo.git("cat-file", "commit", commit).replace(case.tree.encode(), b"1" * 40)
    place = case.repo.loose(commit)
    place.chmod(0o644)
    place.write_bytes(zlib.compress(b"commit %d\0" % len(evil) + evil))
    assert "its content has another id" in case.refused(commit)


def test_a_program_that_is_missing(case: Case, alice: Path | str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = case.commit(alice)
    monkeypatch.setattr(programs, "PATH", str(tmp_path / "nothing"))
    assert "is not installed where gitdeploy runs" in case.refused(commit)


def test_programs_get_nothing_of_ours_and_must_answer(
    case: Case, alice: Path | str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = case.commit(alice)
    seen = tmp_path / "seen"
    (tmp_path / "bin").mkdir()
    for name in ("ssh-keygen", "gpgv"):
        script = tmp_path / "bin" / name
        script.write_text(f"#!/bin/sh\n{{ pwd; printenv; }} >{seen}\nexec /bin/sleep 60\n")
        script.chmod(0o755)
    monkeypatch.setattr(programs, "PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(signatures, "LIMIT", 1.0)
    monkeypatch.setenv("SECRET", "secret")
    assert "did not answer in 1 s" in case.refused(commit)
    directory, *variables = seen.read_text().splitlines()
    assert sorted(v.partition("=")[0] for v in variables) == ["HOME", "LC_ALL", "PATH", "PWD"]
    assert f"HOME={directory}" in variables
    assert not Path(directory).exists()


def test_files_with_keys_that_others_can_change(case: Case, alice: Path | str) -> None:
    commit = case.commit(alice)
    path = case.rule.allowed_signers or case.rule.keyring
    assert path
    path.chmod(0o664)
    assert "others can change" in case.refused(commit)
    path.chmod(0o644)
    os.chown(path, 1000, 1000)
    assert "others can change" in case.refused(commit)
    os.chown(path, 0, 0)
    path.parent.chmod(0o777)
    assert "can write to" in case.refused(commit)
    path.parent.chmod(0o700)
    path.unlink()
    assert "cannot be read" in case.refused(commit)
    os.mkfifo(path)
    assert "not a regular file" in case.refused(commit)
    path.unlink()
    path.touch()
    assert "expected 1 to" in case.refused(commit)


def test_an_armored_keyring_is_told(case: Case) -> None:
    key = case.keys.openpgp(ALICE)
    ring = case.keys.ring(key)
    ring.write_bytes(case.keys.gpg("--armor", "--export", key))
    case.rule = RequireSigned(keyring=ring)
    assert "is armored text" in case.refused(case.commit(key))
