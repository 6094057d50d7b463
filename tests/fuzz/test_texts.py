"""Random and spoilt texts for every parser of what a pusher, or whoever broke into the Git server, can write.

Each returns, or raises what its documentation says, within a little time and memory.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitdeploy.errors import StageFailed
from gitdeploy.gitserver.appini import parse_ini
from gitdeploy.gitserver.gitserver import address
from gitdeploy.intake.push import parse_record
from gitdeploy.source import frames
from gitdeploy.source.automaton import BadPattern
from gitdeploy.source.commit import MAX_AUTHOR, MAX_SUBJECT, MAX_TIME, headers, id_in, person, read_commit
from gitdeploy.source.frames import BadFrame
from gitdeploy.source.gitconfig import BadConfig, read_config
from gitdeploy.source.ignore import IgnoreFilter, read_patterns
from gitdeploy.source.lfs import read_pointer
from gitdeploy.source.objects import COMMIT, TAG, TREE
from gitdeploy.source.repository import open_repository
from gitdeploy.source.sameserver import SameServer
from gitdeploy.source.tree import read_tree
from tests.fuzz.bounds import CHANGES, Change, bounded, spoilt

ID = b"1" * 40
CONFIG = b'[core]\n\tbare = true # x\n[submodule "a\\"b"]\n\tpath = lib/a\n\turl = "../x y.git" ; c\n\tk = a\\\n b\\t\n'
COMMIT_TEXT = (
    b"tree %b\nparent %b\nauthor Ann <a@x> 1700000000 +0000\ncommitter Ann <a@x> 1700000000 +0000\nencoding EUC-KR\n"
    b"gpgsig -----BEGIN\n x\n -----END\n\nsubject\n\nbody\n" % (ID, ID)
)
TAG_TEXT = b"object %b\ntype commit\ntag v1\ntagger Ann <a@x> 1700000000 +0000\n\nmessage\n" % ID
PACKED = b"# pack-refs with: peeled fully-peeled sorted \n%b refs/heads/main\n%b refs/tags/v1\n^%b\n" % (ID, ID, ID)
RECORD = (
    b"gitdeploy-push 1\napp devops/app\nrepo /data/x.git\nuser ann\noption gitdeploy.skip\nref %b %b refs/heads/main\nend\n"
)
INI = b"[repository]\nROOT = `/data/git`\n[server]\nDOMAIN = a\nEXTERNAL_URL = %(PROTOCOL)s://%(DOMAIN)s:3000/gogs/\n; c\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize 1234\n" % (b"a" * 64)
IGNORE = b"*.pyc\n!/src/**/keep\n[a-z]?/**\n# c\n\\#x\n**/node_modules\n"


def made_of(text: bytes) -> st.SearchStrategy[bytes]:
    """Random bytes, that text spoilt, and its lines in any order."""
    changed = CHANGES.map(lambda changes: spoilt(text, changes))
    lines = st.lists(st.sampled_from(text.splitlines(keepends=True)), max_size=40).map(b"".join)
    return st.one_of(st.binary(max_size=400), changed, st.tuples(lines, CHANGES).map(lambda both: spoilt(*both)))


@given(made_of(CONFIG))
def test_git_config(data: bytes) -> None:
    with bounded():
        try:
            entries = read_config(data)
        except BadConfig as bad:
            assert str(bad).isprintable()
            return
        assert all(entry.key == entry.key.lower() for entry in entries)


@given(made_of(COMMIT_TEXT))
@example(COMMIT_TEXT.replace(b"EUC-KR", b"hex"))
@example(COMMIT_TEXT.replace(b"EUC-KR", b"zlib_codec"))
@example(COMMIT_TEXT.replace(b"EUC-KR", b"utf-8\0"))
@example(COMMIT_TEXT.replace(b"1700000000", b"9" * 5000))
@example(COMMIT_TEXT.replace(b"Ann", b"\0"))
@example(COMMIT_TEXT.replace(b"subject", b"x" * 1_000_000))
def test_commits(data: bytes) -> None:
    with bounded():
        commit = read_commit("2" * 40, data)
    if commit:
        assert commit.subject.isprintable()
        assert commit.author.isprintable()
        assert len(commit.subject) <= MAX_SUBJECT
        assert len(commit.author) <= MAX_AUTHOR
        assert 0 <= commit.time <= MAX_TIME


@given(st.binary(max_size=200))
@example(b" 1" * 100_000)
def test_people(data: bytes) -> None:
    with bounded():
        name, when = person(data)
    assert data.startswith(name)
    assert 0 <= when <= MAX_TIME


@given(st.sampled_from(["hex", "rot13", "zlib", "bz2", "base64", "idna", "punycode", "unicode_escape", "undefined", "utf-7"]))
def test_codecs_that_are_none_for_text(codec: str) -> None:
    commit = read_commit("2" * 40, b"tree %b\nencoding %b\n\n6162\\u0041\xff" % (ID, codec.encode()))
    assert commit
    assert commit.subject == "6162\\u0041\\xff"


@given(made_of(TAG_TEXT))
def test_tags(data: bytes) -> None:
    with bounded():
        found = id_in(headers(data)[0], b"object")
    assert found is None or len(bytes.fromhex(found)) == 20


@given(st.sampled_from([(COMMIT, b"commit"), (TAG, b"tag"), (TREE, b"tree")]), st.binary(max_size=400))
def test_loose_objects_of_any_content(kind: tuple[int, bytes], content: bytes) -> None:
    oid = hashlib.sha1(content).hexdigest()
    with TemporaryDirectory() as name:
        repository = empty(Path(name))
        place(repository, f"objects/{oid[:2]}/{oid[2:]}", zlib.compress(b"%b %d\0" % (kind[1], len(content)) + content))
        with bounded(), open_repository(repository) as opened:
            try:
                if kind[0] == TREE:
                    read_tree(opened.objects, bytes.fromhex(oid), b"")
                else:
                    opened.resolve(oid)
            except StageFailed as failed:
                assert (failed.reason + failed.hint).isprintable()


@given(made_of(PACKED), made_of(b"ref: refs/heads/main\n"))
def test_refs(packed: bytes, loose: bytes) -> None:
    with TemporaryDirectory() as name:
        repository = empty(Path(name))
        place(repository, "packed-refs", packed)
        place(repository, "refs/heads/odd", loose)
        with bounded(), open_repository(repository) as opened:
            for rev in ("main", "odd", "v1", "HEAD"):
                try:
                    opened.refs()
                    opened.resolve(rev)
                except StageFailed as failed:
                    assert (failed.reason + failed.hint).isprintable()


@given(made_of(CONFIG), made_of(b"../x/objects\n# c\n"))
def test_settings_and_alternates(config: bytes, alternates: bytes) -> None:
    with TemporaryDirectory() as name:
        repository = empty(Path(name))
        place(repository, "config", config)
        place(repository, "objects/info/alternates", alternates)
        with bounded():
            try:
                open_repository(repository).close()
            except StageFailed as failed:
                assert (failed.reason + failed.hint).isprintable()


def empty(directory: Path) -> Path:
    repository = directory / "x.git"
    for name in ("objects/info", "objects/pack", "refs/heads"):
        (repository / name).mkdir(parents=True)
    (repository / "HEAD").write_text("ref: refs/heads/main\n")
    return repository


def place(repository: Path, name: str, content: bytes) -> None:
    (repository / name).parent.mkdir(parents=True, exist_ok=True)
    (repository / name).write_bytes(content)


@given(made_of(RECORD.replace(b"%b", ID)))
def test_push_records(data: bytes) -> None:
    with bounded():
        try:
            record = parse_record("1-a", data)
        except ValueError as bad:
            assert str(bad).isprintable()
            return
        assert record.app == record.app.lower()


@given(made_of(INI))
@example(b"[server]\nDOMAIN = " + b"x" * 100_000 + b"\nEXTERNAL_URL = " + b"%(DOMAIN)s" * 50_000)
def test_app_ini(data: bytes) -> None:
    with bounded():
        found = address(parse_ini(data.decode("utf-8", "replace")))
    assert sum(map(len, found.hosts)) < 1_000_000


@given(made_of(POINTER))
def test_lfs_pointers(data: bytes) -> None:
    with bounded():
        try:
            pointer = read_pointer(data, b"a")
        except StageFailed as failed:
            assert failed.reason.isprintable()
            return
        assert pointer is None or pointer.size < 10**18


@given(made_of(IGNORE), st.lists(st.binary(min_size=1, max_size=20), max_size=4))
@example(b"[\x01-\x00]", [])
def test_ignore_patterns(data: bytes, path: list[bytes]) -> None:
    with bounded():
        try:
            ignore = IgnoreFilter(read_patterns(data), ".dockerignore")
            level = ignore.root
            for name in path:
                _, matched = ignore.check(level, name)
                if matched:
                    level = ignore.enter(level, name, matched)
        except (StageFailed, BadPattern) as failed:
            assert str(failed).isprintable()


@given(st.text(max_size=200))
@example("https://git.example.com/" + "a/../" * 10_000)
@example("https://" + "a@" * 50_000)
def test_submodule_urls(url: str) -> None:
    server = SameServer(Path("/nonexistent/root"), "devops", frozenset({"git.example.com"}), "gogs")
    with bounded(), pytest.raises(StageFailed) as caught:
        server(url, Path("/nonexistent/root/devops/app.git"))
    assert caught.value.reason.isprintable()


@given(st.one_of(st.binary(max_size=200), CHANGES.map(lambda changes: spoilt(frames.message({"id": "1" * 40}), changes))))
def test_answers_of_the_reader(data: bytes) -> None:
    with bounded():
        try:
            if len(data) >= frames.HEAD.size:
                frames.head(data[: frames.HEAD.size], frames.MAX_MESSAGE)
            content = frames.read_message(data[frames.HEAD.size :])
            frames.text(content, "id", 40)
            frames.number(content, "time", 10)
        except BadFrame as bad:
            assert str(bad).isprintable()


def test_changes_change(changes: list[Change] | None = None) -> None:
    assert spoilt(b"abc", changes or [(0.5, b"X", 1)]) == b"aXc"
