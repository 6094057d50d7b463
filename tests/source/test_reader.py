"""The process that reads repositories: what it can't do, and that nothing it does or says hurts the one that asks."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gitdeploy.errors import Cancelled, StageFailed
from gitdeploy.gitserver.gitserver import GOGS, GitServer
from gitdeploy.gitserver.webaddress import Address
from gitdeploy.source import frames, process, reader, remotecontext
from gitdeploy.source.process import Limits
from gitdeploy.source.reader import Place
from gitdeploy.worker.readers import Readers, place_of
from tests.source.reading import GIT, context, opened, pid_of, start_with
from tests.support.gitrepo import GitRepo, members
from tests.support.net import wait_until

CANARY = "canary-4711"
DOCKERFILE = b"FROM scratch\n"


@pytest.fixture
def repo(open_path: Path) -> GitRepo:
    """A repository below a directory that everyone may enter."""
    return GitRepo(open_path / "root" / "app.git")


def given_to_git(repo: GitRepo) -> None:
    """Makes everything in a repository the Git server's."""
    subprocess.run(["chown", "-R", f"{GIT}:{GIT}", repo.path], check=True)


def status(pid: int) -> dict[str, list[str]]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: rest.split() for key, _, rest in (line.partition(":") for line in lines)}


def test_it_reads_what_git_has(repo: GitRepo) -> None:
    first = repo.commit({"Dockerfile": DOCKERFILE, "VERSION": b"1\n", "big": os.urandom(3_000_000)}, "Añade\n")
    repo.git("tag", "-a", "-m", "x", "v1")
    with opened(repo.path, GIT) as repository:
        commit = repository.resolve("v1")
        assert (commit.id, commit.subject, commit.author) == (first, "Añade", "Ann <ann@x>")
        assert repository.refs() == ["refs/heads/main", "refs/tags/v1"]
        assert (repository.tip("refs/heads/main"), repository.tip("refs/heads/none")) == (first, None)
        assert repository.tips(["refs/heads/main", "refs/none"]) == ({"refs/heads/main": first}, {})
        assert repository.read_file(commit, "VERSION", 10) == b"1\n"
        assert repository.read_file(commit, "none", 10) is None
        made = context(repository)
        for _ in range(2):
            assert members(made) == repo.archive("main")
            assert made.files == 3
        assert (made.dockerfile, made.content) == ("Dockerfile", DOCKERFILE)
        with pytest.raises(StageFailed, match="is no branch, tag or commit"):
            repository.resolve("nothing")


def test_it_has_no_rights_but_to_read(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    given_to_git(repo)
    with opened(repo.path, GIT) as repository:
        pid = pid_of(repository)
        found = status(pid)
        assert (found["Uid"], found["Gid"]) == ([str(GIT)] * 4, [str(GIT)] * 4)
        assert found["Groups"] == []
        assert (found["NoNewPrivs"], found["CapEff"], found["CapPrm"]) == (["1"], ["0" * 16], ["0" * 16])
        assert Path(f"/proc/{pid}/environ").read_bytes() == b""
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        targets = {str(fd.readlink()).partition(":")[0] for fd in Path(f"/proc/{pid}/fd").iterdir()}
        assert targets == {"/dev/null", "socket", str(repo.path), f"{repo.path}/objects"}
        limits = Path(f"/proc/{pid}/limits").read_text()
        for limit, most in (("Max data size", 512 << 20), ("Max core file size", 0), ("Max processes", 0)):
            assert f"{limit:<26}{most} " in limits
        assert "Max cpu time              unlimited" not in limits


def test_it_cannot_read_the_agents_home(repo: GitRepo, open_path: Path) -> None:
    """As in the agent: root asks, the repository is user 1000's, who puts a link to a secret wherever git keeps a file."""
    commit = repo.commit({"a": b"1"})
    repo.unpack()
    home = open_path / "home"
    home.mkdir(mode=0o711)
    (home / "config.toml").write_text(f"# {CANARY}\n[core]\n")
    (home / "config.toml").chmod(0o600)
    given_to_git(repo)
    with opened(repo.path, GIT) as repository:
        assert Path(f"/proc/{pid_of(repository)}/status").exists()
        script = f"import os; os.setgid({GIT}); os.setuid({GIT}); open('{home}/config.toml')"
        assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 1
    for name in ("config", "packed-refs", "HEAD", "refs/heads/main", f"objects/{commit[:2]}/{commit[2:]}"):
        path = repo.path / name
        saved = path.read_bytes() if path.exists() else None
        path.unlink(missing_ok=True)
        path.symlink_to(home / "config.toml")
        said = said_of(repo)
        assert CANARY not in said
        assert "symbolic link" in said, name
        path.unlink()
        if saved is not None:
            path.write_bytes(saved)
    assert said_of(repo) == ""


def said_of(repo: GitRepo) -> str:
    """All that is said while a repository is read in every way; "" if nothing is wrong with it."""
    said = []
    ways: tuple[Callable[[reader.Repository], object], ...] = (
        lambda repository: repository.refs(),
        lambda repository: repository.resolve("main"),
        lambda repository: repository.resolve("HEAD"),
        lambda repository: repository.resolve("v9") if (repo.path / "packed-refs").is_symlink() else None,
    )
    for way in ways:
        try:
            with opened(repo.path, GIT) as repository:
                way(repository)
        except StageFailed as error:
            said.append(f"{error.reason} {error.hint}")
    return " ".join(said)


def test_memory_is_limited(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = repo.blob(b"x")
    tree = repo.tree_of(("100644", b"%0200d" % number, blob) for number in range(60_000))
    repo.commit_of(repo.tree_of([("100644", b"Dockerfile", blob), ("40000", b"z", tree)]))
    monkeypatch.setattr(process, "START", start_with("import gitdeploy.source.confine as c; c.MEMORY = 30 << 20"))
    with opened(repo.path) as repository:
        commit = repository.resolve("main")
        with pytest.raises(StageFailed, match=f"reading commit {commit.id[:12]} needed more memory") as caught:
            list(context(repository))
        assert "refused" in caught.value.hint
        assert repository.resolve("main") == commit, "the next question is answered by another process"


def bomb(repo: GitRepo) -> None:
    """A commit whose few objects make a context without an end."""
    blob, tree = repo.blob(b"x"), ""
    for _ in range(12):
        entry = ("40000", tree) if tree else ("100644", blob)
        tree = repo.tree_of([(entry[0], b"%d" % i, entry[1]) for i in range(10)])
    repo.commit_of(repo.tree_of([("100644", b"Dockerfile", repo.blob(DOCKERFILE)), ("40000", b"z", tree)]))


def test_processor_time_is_limited(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb(repo)
    monkeypatch.setattr(remotecontext, "CONTEXT_CPU", 0)
    with opened(repo.path) as repository:
        with pytest.raises(StageFailed, match=r"reading commit [0-9a-f]{12} needed more than 0 s of processor time"):
            list(context(repository))
        assert repository.refs()


def test_a_context_has_a_limit(repo: GitRepo) -> None:
    repo.commit({"Dockerfile": DOCKERFILE, "a": os.urandom(10_000), "z": bytes(3_000_000)})
    with opened(repo.path) as repository:
        made = context(repository, limit=1_000_000)
        with pytest.raises(StageFailed, match=r"more than 1,000,000 bytes \(build\.max_context\) at z") as caught:
            list(made)
        assert "the largest file so far is z with 3,000,000 bytes" in caught.value.reason
        assert made.bytes < 100_000, "it is refused before it is unpacked"


def test_a_large_context_of_a_small_pack_has_one_too(repo: GitRepo) -> None:
    blob = repo.blob(bytes(1_000_000))
    repo.commit_of(
        repo.tree_of([("100644", b"Dockerfile", repo.blob(DOCKERFILE)), *(("100644", b"a%03d" % n, blob) for n in range(200))])
    )
    repo.git("repack", "-adq")
    assert sum(path.stat().st_size for path in repo.path.glob("objects/pack/*.pack")) < 20_000
    with opened(repo.path) as repository, pytest.raises(StageFailed, match=r"build\.max_context"):
        list(context(repository, limit=20_000_000))


def test_a_change_of_a_large_object_is_refused_before_that_is_unpacked(repo: GitRepo) -> None:
    data = os.urandom(3_000_000)
    repo.commit({"Dockerfile": DOCKERFILE, "a": data, "b": data + b"x"})
    repo.git("-c", "pack.window=10", "repack", "-adfq")
    with opened(repo.path) as repository, pytest.raises(StageFailed, match=r"is too large: .* more than 1,000,000 bytes") as e:
        list(context(repository, limit=1_000_000))
    assert "build.max_context" in e.value.hint


def stop(repository: reader.Repository) -> int:
    pid = pid_of(repository)
    os.kill(pid, signal.SIGSTOP)
    return pid


def test_every_answer_has_a_deadline(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.commit({"a": b"1"})
    with opened(repo.path) as repository:
        pid = stop(repository)
        with pytest.raises(StageFailed, match="took longer than 1 s"):
            repository.ask({"verb": "refs"}, "reading", Limits(wait=0.6))
        assert not Path(f"/proc/{pid}").exists()
        assert repository.refs() == ["refs/heads/main"]


def test_a_cancel_ends_it_at_once(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    cancel = threading.Event()
    readers = Readers(lambda path: Place(path, path.parent, 0, 0))
    with readers.open(repo.path, cancel.is_set) as repository:
        pid = stop(repository)
        threading.Timer(0.2, cancel.set).start()
        started = time.monotonic()
        with pytest.raises(Cancelled):
            repository.refs()
        assert time.monotonic() - started < 1
        assert not Path(f"/proc/{pid}").exists()
    readers.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS, signal.SIGTERM])
def test_one_that_dies_is_followed_by_another(repo: GitRepo, number: signal.Signals) -> None:
    repo.commit({"Dockerfile": DOCKERFILE})
    with opened(repo.path) as repository:
        made = context(repository)
        pid = pid_of(repository)
        os.kill(pid, number)
        wait_until(lambda: not repository.alive, 20, "its end")
        assert repository.refs() == ["refs/heads/main"]
        assert "Dockerfile" in members(made), "the context is opened again"


def test_it_ends_with_the_process_that_asks(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    given_to_git(repo)
    script = (
        "import sys, time; from pathlib import Path; from tests.source.reading import *\n"
        f"with opened(Path({str(repo.path)!r}), {GIT}) as repository:\n"
        "    print(pid_of(repository), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout
        pid = int(asking.stdout.readline())
        assert status(pid)["Uid"][0] == str(GIT)
        os.kill(pid, signal.SIGSTOP)
        asking.kill()
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), 20, "the reader's end")


def test_one_is_kept_for_the_next_question(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    readers = Readers(lambda path: Place(path, path.parent, 0, 0))
    readers.warm()
    pids = set()
    for _ in range(3):
        with readers.open(repo.path) as one:
            pids.add(pid_of(one))
    assert len(pids) == 1
    with readers.open(repo.path) as one, readers.open(repo.path) as other:
        pids |= {pid_of(one), pid_of(other)}
        assert len(pids) == 2, "what is busy is not asked"
        assert other.refs() == one.refs()
    readers.close()
    assert all(not Path(f"/proc/{pid}").exists() for pid in pids)


def test_an_answer_that_was_not_read_to_its_end_is_not_taken_for_the_next(repo: GitRepo) -> None:
    commit = repo.commit({"Dockerfile": b"FROM scratch\n", "VERSION": b"1"})
    readers = Readers(lambda path: Place(path, path.parent, 0, 0))
    with readers.open(repo.path) as repository:
        stream = iter(context(repository))
        assert next(stream)
    with readers.open(repo.path) as repository:
        assert repository.holds(commit)
        assert not repository.holds("1" * 40)
        again = iter(context(repository))
        assert next(again)
        with pytest.raises(StageFailed, match="an earlier one was not read to its end"):
            repository.holds(commit)
        assert repository.holds(commit), "by another process"
    stream.close()
    readers.close()


def test_one_user_is_not_read_by_the_process_of_another(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    users = [GIT, 0, GIT + 1]
    readers = Readers(lambda path: Place(path, path.parent, users[0], users[0]))
    for user in list(users):
        with readers.open(repo.path) as repository:
            assert status(pid_of(repository))["Uid"][0] == str(user)
        users.pop(0)
    readers.close()


def test_a_process_of_before_a_fork_is_left_alone(repo: GitRepo) -> None:
    repo.commit({"a": b"1"})
    readers = Readers(lambda path: Place(path, path.parent, 0, 0))
    readers.warm()
    pid = os.fork()
    if pid == 0:
        try:
            with readers.open(repo.path) as repository:
                os._exit(0 if repository.refs() else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    with readers.open(repo.path) as repository:
        assert repository.refs()
    readers.close()


def answer(content: dict[str, object]) -> bytes:
    """The frame of an answer to the second question."""
    return frames.message({**content, "number": 2})


NONSENSE = {
    "silence": b"",
    "zeros": bytes(100),
    "a frame of another kind": b"X\0\0\0\1x",
    "a message that is too long": b"M\xff\xff\xff\xff",
    "data that is too long": b"D\xff\xff\xff\xff",
    "no JSON": frames.HEAD.pack(b"M", 3) + b"{,}",
    "deep JSON": frames.HEAD.pack(b"M", 60_000) + b"[" * 60_000,
    "a number without an end": frames.HEAD.pack(b"M", 10_005) + b'{"a":' + b"9" * 9999 + b"}",
    "a list": frames.HEAD.pack(b"M", 2) + b"[]",
    "nothing in it": answer({}),
    "an answer to another question": frames.message({"tip": "1" * 40, "number": 1}),
    "numbers for texts": answer({"id": 1, "tree": 2, "subject": 3, "author": 4, "time": "x"}),
    "no ids": answer({"id": "../x", "tree": "1" * 40, "subject": "", "author": "", "time": 0}),
    "an endless time": answer({"id": "1" * 40, "tree": "1" * 40, "subject": "", "author": "", "time": 10**30}),
    "data without an end": (frames.HEAD.pack(b"D", 1 << 20) + bytes(1 << 20)) * 70,
    "escapes in a failure": answer({"failed": "\x1b[31m" + "x" * 9000, "hint": ["\x1b"]}),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_from_it_is_a_failure(repo: GitRepo, case: str, open_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository may have taken the process over; what it answers then is looked at like anybody's input."""
    said = open_path / "said"
    said.write_bytes(NONSENSE[case])
    fake = f"""import socket, sys
s = socket.socket(fileno=int(sys.argv[1])); s.recv(65536); s.sendall({frames.message({"number": 1})!r}); s.recv(65536)
s.sendall(open({str(said)!r}, 'rb').read()); s.shutdown(socket.SHUT_WR); s.recv(1)"""
    monkeypatch.setattr(process, "START", fake)
    for question in (lambda r: r.resolve("main"), lambda r: r.tip("refs/heads/main") or r.resolve("x")):
        with opened(repo.path) as repository, pytest.raises(StageFailed) as caught:
            question(repository)  # type: ignore[no-untyped-call]
        text = caught.value.reason + caught.value.hint
        assert text.isprintable()
        assert len(text) < 6000


def gogs(root: Path, ini: Path) -> GitServer:
    return GitServer(GOGS, GOGS.layouts[0], root.parent, ini, {}, root, Address(frozenset()))


def test_who_a_repository_is_read_as(repo: GitRepo, open_path: Path) -> None:
    root, ini = repo.path.parent, open_path / "app.ini"
    ini.write_text("")
    owners = [(GIT, 0, GIT), (GIT, 0, 0), (0, GIT, GIT), (0, 0, 0)]
    for owner_of_root, owner_of_ini, expected in owners:
        os.chown(root, owner_of_root, owner_of_root)
        os.chown(ini, owner_of_ini, owner_of_ini)
        for owner in {0, expected}:
            os.chown(repo.path, owner, owner)
            expected_user = owner_of_root or owner_of_ini
            place = place_of(repo.path, gogs(root, ini))
            assert (place.uid, place.gid) == (expected_user, expected_user)
            assert place.path == repo.path
        os.chown(repo.path, GIT + 7, GIT + 7)
        with pytest.raises(StageFailed, match=f"belongs to user {GIT + 7}"):
            place_of(repo.path, gogs(root, ini))
    assert place_of(repo.path, None).uid == GIT + 7, "config.toml names it"


def test_a_repository_behind_a_link(repo: GitRepo, open_path: Path) -> None:
    root, ini = repo.path.parent, open_path / "app.ini"
    ini.write_text("")
    elsewhere = GitRepo(open_path / "elsewhere" / "x.git")
    for name in ("link.git", "owner"):
        link = root / name
        link.symlink_to(elsewhere.path if name == "link.git" else elsewhere.path.parent)
        asked = link if name == "link.git" else link / "x.git"
        with pytest.raises(StageFailed, match="leads out of"):
            place_of(asked, gogs(root, ini))
        os.lchown(link, GIT, GIT)
        with pytest.raises(StageFailed, match=f"symbolic link made by user {GIT}"):
            place_of(asked, gogs(root, ini))
    with pytest.raises(StageFailed, match="there is no repository at"):
        place_of(root / "none.git", gogs(root, ini))


def test_a_defect_over_there_tells_the_place_and_no_content(repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.commit({"a": b"1"})
    broken = "import gitdeploy.source.repository as r; r.Repository.refs = lambda self: int('canary')"
    monkeypatch.setattr(process, "START", start_with(broken))
    with opened(repo.path) as repository, pytest.raises(StageFailed, match=r"in gitdeploy itself \(ValueError at child") as e:
        repository.refs()
    assert "canary" not in e.value.reason


def test_objects_are_still_checked_over_there(repo: GitRepo) -> None:
    data = f"tree {'1' * 40}\nauthor a\ncommitter a\n\nx".encode()
    oid = repo.id("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=data)
    assert hashlib.sha1(b"commit %d\0%b" % (len(data), data)).hexdigest() == oid
    with opened(repo.path) as repository:
        commit = repository.resolve(oid)
        with pytest.raises(StageFailed, match=r"tree 1{40} is missing"):
            repository.read_file(commit, "a", 10)
