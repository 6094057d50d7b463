"""Watches the refs of all enrolled repositories, and keeps their hooks in place; runs beside the agent's workers.

Most moves of a ref are told by the hooks. The watcher is there for the rest: it looks at the metadata of the few files that
hold refs, reads refs only when one of them changed, and writes a push record for a move that nobody else reports.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gitdeploy.config.load import NOBODY
from gitdeploy.config.model import App, Config
from gitdeploy.errors import GitdeployError, StageFailed
from gitdeploy.gitserver.hookconf import enrolled_apps
from gitdeploy.gitserver.newcomers import reseed
from gitdeploy.intake.choice import full_patterns
from gitdeploy.intake.moves import Move, compare, judge, matches, settle
from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.intake.spool import new_name
from gitdeploy.releases.records import TAKEN_OUT, Seen
from gitdeploy.releases.state import State
from gitdeploy.terminal import console as log
from gitdeploy.worker.binding import remember, require_same
from gitdeploy.worker.site import Site

INTERVAL = 1.0
"""Seconds between two looks."""

SEARCH_INTERVAL = 10.0
"""Seconds between two searches for a repository that was not where it was expected."""

MAX_REF_FILES = 100_000
"""Loose refs of one app that are looked at each time; git packs them long before that."""

MAX_DEPTH = 100
"""Directories in one another below refs/."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass
class _Watched:
    """What the watcher knows of one app between two looks.

    Attributes:
        path: its repository, None where none was found.
        searched: when it was looked for, on the monotonic clock.
        hooked: the config.toml (its modification time in nanoseconds) that its hook was last brought up to date with.
        mark: what changes when a ref does.
        moves: what is not settled yet, and when it was noticed.
    """

    path: Path | None = None
    searched: float = float("-inf")
    hooked: int = 0
    mark: tuple[object, ...] = ()
    seen: Seen | None = None
    moves: dict[Move, float] = field(default_factory=dict)


class Watcher:
    """Watches for one installation.

    Attributes:
        ring: wakes whoever works on the spool.
    """

    def __init__(self, site: Site, state: State, ring: Callable[[], object]) -> None:
        self.site = site
        self.state = state
        self.ring = ring
        self._config: Config | None = None
        self._config_time = 0
        self._apps: dict[str, _Watched] = {}
        self._told: dict[str, str] = {}

    def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            self.look()
            time.sleep(INTERVAL)

    def look(self) -> None:
        """Look once at every app of the config. What is wrong with one of them goes to gitdeploy's log, once."""
        edited = False
        with self._noting("config.toml"):
            edited = self._read_config()
        if edited and self._config:
            with self._noting("new repositories"):
                reseed(self.site.data, self._config.server, self.site.mode)
        apps = self._config.apps if self._config else {}
        for name in self._apps:
            with self._noting(name):
                self._look_at(apps[name])

    @contextmanager
    def _noting(self, about: str) -> Iterator[None]:
        """Note a failure of the block in gitdeploy's log, unless it is the same as last time."""
        text = ""
        try:
            yield
        except Exception as error:  # whatever one repository brings up concerns that one
            text = f"{type(error).__name__}: {error}"
            if self._told.get(about) != text and isinstance(error, GitdeployError | OSError):
                log.note(f"watching {about}: {error}")
            elif self._told.get(about) != text:
                log.crash(f"watching {about} failed")
        self._told[about] = text

    def _read_config(self) -> bool:
        """Read config.toml if it was edited, and return whether it was; one in error leaves what was read before."""
        path = self.site.home / "config.toml"
        changed = path.stat().st_mtime_ns if path.exists() else 0
        if changed and changed != self._config_time:
            self._config_time = changed
            self._config = self.site.load_config(NOBODY)
            # An app with mistakes is left alone until they are put right: what it deploys is not known.
            self._apps = {n: self._apps.get(n, _Watched()) for n in self._config.apps if n not in self._config.mistaken}
            return True
        return False

    def _look_at(self, app: App) -> None:
        watched = self._apps[app.name]
        self._find(app, watched)
        if watched.path is None:
            return
        patterns = full_patterns(app.branch)
        mark = (patterns, *ref_files(watched.path, patterns))
        if mark != watched.mark:
            watched.mark = ()  # until all has been read
            tips, wrong = self._tips(watched, patterns)
            self._compare(app.name, watched, patterns, tips)
            watched.mark = mark
            if wrong:
                raise StageFailed("; ".join(f"{ref}: {reason}" for ref, reason in sorted(wrong.items())[:3]))
        if watched.moves:
            self._judge(app, watched)

    def _find(self, app: App, watched: _Watched) -> None:
        """Find the app's repository and see to its hook; leave `path` None unless it is enrolled."""
        assert self._config
        if watched.path is not None and app.name not in enrolled_apps(watched.path):
            watched.path, watched.searched, watched.mark = None, float("-inf"), ()  # renamed, deleted, or taken out
        if watched.path is None:
            if self.site.clock() - watched.searched < SEARCH_INTERVAL:
                return
            watched.searched = self.site.clock()
            watched.seen = self.state.seen(app.name)
            path = self.site.repository(app)
            if app.name not in enrolled_apps(path) and watched.seen == TAKEN_OUT:
                return
            require_same(self.state, app.name, path)
            watched.path, watched.hooked = path, 0
        if watched.hooked != self._config_time:
            watched.hooked = self._config_time
            if self.site.install_hook(app, self._config, watched.path):
                log.note(f"{app.name}: hook brought up to date in {watched.path}")
            remember(self.state, app.name, watched.path)

    def _tips(self, watched: _Watched, patterns: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the tips of all refs that match, and why some cannot be read; their tip is what it last was."""
        assert watched.path
        with self.site.readers.open(watched.path) as repository:
            tips, wrong = repository.tips([ref for ref in repository.refs() if matches(ref, patterns)])
        before = watched.seen.tips if watched.seen else {}
        return tips | {ref: before[ref] for ref in wrong if ref in before}, wrong

    def _compare(self, app: str, watched: _Watched, patterns: tuple[str, ...], tips: dict[str, str]) -> None:
        seen, moves = compare(watched.seen, patterns, tips)
        if seen != watched.seen:
            self.state.remember(app, seen)
        now = self.site.clock()
        watched.seen, watched.moves = seen, {move: watched.moves.get(move, now) for move in moves}

    def _judge(self, app: App, watched: _Watched) -> None:
        assert watched.seen and watched.path
        waiting = [record for record in self.site.spool.pending()[0] if record.app == app.name]
        for move, noticed in list(watched.moves.items()):
            verdict = judge(move, self.site.clock() - noticed, self.state.newest(app.name, move.ref), waiting)
            dealt_with = self.state.seen(app.name) if verdict == "deploy" else None
            if dealt_with and dealt_with.tips.get(move.ref) == move.new:  # a worker has found that it is nothing to this app
                verdict = "done"
            if verdict == "wait":
                continue
            if verdict == "deploy":
                self._spool(app.name, watched.path, move)
            del watched.moves[move]
            watched.seen = settle(watched.seen, move)
            self.state.remember(app.name, watched.seen)

    def _spool(self, app: str, path: Path, move: Move) -> None:
        name = new_name(self.site.now())
        update = RefUpdate(move.old, move.new, move.ref)
        self.site.spool.add(PushRecord(name=name, app=app, repo=str(path), refs=(update,), trigger="move"))
        log.note(f"{app}: {move.ref} moved to {move.new[:12]} and no hook told of it: record {name}")
        self.ring()


def ref_files(repository: Path, patterns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    """Metadata that changes whenever a ref that matches one of these patterns does; unchanged metadata, unchanged refs.

    Git replaces these files by a rename (gitrepository-layout(5)), people may write into them. Whatever else lies there is not
    opened, and no link is followed. Raises StageFailed if there are too many.
    """
    top = os.open(repository, _DIRECTORY)
    try:
        for name in ("packed-refs", "reftable/tables.list"):
            with suppress(FileNotFoundError, NotADirectoryError):
                yield _facts(name, os.stat(name, dir_fd=top, follow_symlinks=False))
        left = [MAX_REF_FILES]
        for name in sorted({"/".join(pattern.split("/")[:2]) for pattern in patterns}):
            yield from _walk(top, name, name, left)
    finally:
        os.close(top)


def _walk(parent: int, name: str, shown: str, left: list[int], depth: int = MAX_DEPTH) -> Iterator[tuple[object, ...]]:
    """Yield what lies below a directory of `parent`, by full names; counts down what is left of all that are looked at."""
    above, _, rest = name.partition("/")
    try:
        directory = os.open(above, _DIRECTORY, dir_fd=parent)
    except OSError:
        return
    try:
        if rest:
            yield from _walk(directory, rest, shown, left, depth)
            return
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            left[0] -= 1
            if left[0] < 0:
                raise StageFailed(f"more than {MAX_REF_FILES:,} files of refs", "git pack-refs --all in the repository")
            if entry.is_dir(follow_symlinks=False) and depth:
                yield from _walk(directory, entry.name, f"{shown}/{entry.name}", left, depth - 1)
            elif not entry.name.endswith(".lock"):
                with suppress(FileNotFoundError):
                    yield _facts(f"{shown}/{entry.name}", entry.stat(follow_symlinks=False))
    finally:
        os.close(directory)


def _facts(name: str, facts: os.stat_result) -> tuple[object, ...]:
    return (name, facts.st_ino, facts.st_size, facts.st_mtime_ns)
