"""Push records: what the hook writes into the spool for one push.

Pure: text in, decisions out. The format is gitdeploy's own, made to be written by a POSIX shell and read by eye:

    gitdeploy-push 1
    app devops/dev-app
    repo /data/git/gogs-repositories/devops/dev-app.git
    user alice
    option gitdeploy.no-cache
    ref <old commit> <new commit> refs/heads/main
    end

Whoever may push (and, in agent mode, whoever broke into the Git server) can write any record, so each field is checked here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from gitdeploy.config.appname import is_app_name

Trigger = Literal["push", "move", "deploy", "rollback"]

HEADER = "gitdeploy-push 1"
ZERO = re.compile(r"0{40}(0{24})?")
MAX_RECORD = 1_000_000

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_NAME = re.compile(r"[0-9]{1,12}-[A-Za-z0-9]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class RefUpdate:
    """One line of a post-receive hook's input (githooks(5)): a ref went from `old` to `new`, all zeros for none."""

    old: str
    new: str
    name: str

    @property
    def deletes(self) -> bool:
        """Whether the ref was deleted."""
        return ZERO.fullmatch(self.new) is not None


@dataclass(frozen=True)
class PushRecord:
    """One push as the hook recorded it.

    Attributes:
        name: of its file in the spool, without ".push"; begins with the second of its creation.
        app: "owner/repo", lower case.
        repo: directory of the repository as the Git server sees it.
        user: who pushed, as the Git server says it, "" if it does not.
        console: name of the pusher's FIFO in the spool, "" if nobody listens.
        held_back: whether the Git server passes output on to the pusher only when it is much (see gitdeploy.terminal.relay).
        options: push options, in order.
        refs: in order.
        trigger: "push"; "move" where a ref was found moved without a push that runs the hook (a merge in the web page, a
            mirror); or the verb of the command line that wrote the record.
        release: for a rollback, the deployment whose release is to run again.
    """

    name: str
    app: str
    repo: str
    refs: tuple[RefUpdate, ...]
    user: str = ""
    console: str = ""
    held_back: bool = False
    options: tuple[str, ...] = ()
    trigger: Trigger = "push"
    release: int = 0

    @property
    def follows_ref(self) -> bool:
        """Whether it tells that a ref moved, rather than asks for something."""
        return self.trigger in ("push", "move")

    @property
    def order(self) -> tuple[int, str]:
        """Sorts records by age; within one second by name, which is no order in time."""
        return int(self.name.partition("-")[0]), self.name


class BadRecordError(ValueError):
    """A file in the spool that is not a push record; the text says why."""


def parse_record(name: str, data: bytes) -> PushRecord:
    """Read a record.

    Args:
        name: its file's name without ".push".
        data: its bytes.

    Raises:
        BadRecordError: it is no complete, well-formed record.
    """
    if not _NAME.fullmatch(name):
        raise BadRecordError(f"the name {name[:80]!r} is not SECONDS-RANDOM")
    lines = data[:MAX_RECORD].decode("utf-8", "surrogateescape").split("\n")
    if lines[0] != HEADER:
        raise BadRecordError(f"expected {HEADER!r} in line 1, found {lines[0][:80]!r}")
    if lines[-2:] != ["end", ""]:
        raise BadRecordError("the last line is not 'end': the record is incomplete")
    fields: dict[str, list[str]] = {}
    for line in lines[1:-2]:
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value)
    single = {key: values[-1] for key, values in fields.items()}
    app = single.get("app", "").lower()
    if not is_app_name(app):
        raise BadRecordError(f"expected 'app owner/repo', found {app[:80]!r}")
    trigger = single.get("trigger", "push")
    if trigger not in get_args(Trigger):
        raise BadRecordError(f"expected trigger push, move, deploy or rollback, found {trigger[:80]!r}")
    release = single.get("release", "0")
    if not re.fullmatch(r"[0-9]{1,15}", release):
        raise BadRecordError(f"expected a number in 'release', found {release[:80]!r}")
    return PushRecord(
        name=name,
        app=app,
        repo=_text(single.get("repo", "")),
        refs=tuple(_ref(value) for value in fields.get("ref", [])),
        user=_text(single.get("user", ""))[:100],
        console=_console(name, single.get("console", "")),
        held_back="held-back" in single,
        options=tuple(_text(value) for value in fields.get("option", [])),
        trigger=cast(Trigger, trigger),
        release=int(release),
    )


def _text(value: str) -> str:
    return _CONTROL.sub("?", value)


def _ref(value: str) -> RefUpdate:
    old, _, rest = value.partition(" ")
    new, _, ref = rest.partition(" ")
    if not (_COMMIT.fullmatch(old) and _COMMIT.fullmatch(new) and ref.startswith("refs/") and not _CONTROL.search(ref)):
        raise BadRecordError(f"expected 'ref OLD NEW refs/…', found {value[:120]!r}")
    return RefUpdate(old, new, ref)


def _console(name: str, value: str) -> str:
    """Only the record's own FIFO: another name could be any file that the worker may write."""
    if value not in ("", f"{name}.console"):
        raise BadRecordError(f"expected console {name}.console, found {value[:80]!r}")
    return value


def render_record(record: PushRecord) -> bytes:
    """Return the record as bytes, for the verbs of the command line that deploy; `parse_record` reads it back."""
    lines = [HEADER, f"app {record.app}", f"repo {record.repo}", f"trigger {record.trigger}"]
    lines += [f"user {record.user}"] if record.user else []
    lines += [f"release {record.release}"] if record.release else []
    lines += [f"console {record.console}"] if record.console else []
    lines += [f"option {option}" for option in record.options]
    lines += [f"ref {ref.old} {ref.new} {ref.name}" for ref in record.refs]
    return ("\n".join([*lines, "end", ""])).encode("utf-8", "surrogateescape")
