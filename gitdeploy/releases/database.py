"""The file of state.db: how it is opened and made.

It is made whole under a lock and appears by a rename, so that workers that start at once never see half of it. It is
in WAL mode (sqlite.org/wal.html): readers do not wait for a writer, and a kill at any moment loses no commit.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitdeploy.errors import UnfitError
from gitdeploy.locks import lock_within
from gitdeploy.releases.schema import SCHEMA, SCHEMA_VERSION

PATIENCE = 30.0
"""Seconds to wait for another process that writes, or that makes the file."""


class StateUnfit(UnfitError):
    """state.db cannot be used: no deployment can be recorded, so none can be done."""


def unfit(path: Path, what: str, error: Exception) -> StateUnfit:
    """Return the error for the person who is to put it right."""
    hint = f"if it is damaged, move {path} away: running apps are known by their labels, only the history is lost"
    return StateUnfit(f"{path} cannot be {what}: {error}", hint)


def open_database(path: Path, first_id: int) -> sqlite3.Connection:
    """Return a connection to state.db, which is made, 0600, if there is none.

    Args:
        path: of the file; neither a link nor anything else than a regular file is opened.
        first_id: of the first deployment when the file is new.

    Raises:
        StateUnfit: it cannot be opened, is damaged, or is of a newer gitdeploy.
    """
    try:
        if not _exists(path):
            with _alone(path.parent):
                if not _exists(path):
                    _make(path, first_id)
        db = _connect(path)
    except (sqlite3.Error, OSError) as error:
        raise unfit(path, "opened", error) from error
    try:
        if _version(db, path) < SCHEMA_VERSION:  # empty, or of an older gitdeploy
            with _alone(path.parent):
                _bring_up_to_date(db, path, first_id)
    except (sqlite3.Error, OSError) as error:
        db.close()
        raise unfit(path, "opened", error) from error
    except BaseException:
        db.close()
        raise
    return db


def _exists(path: Path) -> bool:
    """Return whether the file is there. Raises OSError for anything but a regular file: it could lead elsewhere."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        raise OSError(f"expected a regular file, found {stat.filemode(mode)}")
    return True


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Hold the kernel lock of the directory inside the block. Raises TimeoutError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not lock_within(fd, PATIENCE):
            raise TimeoutError(f"another process has held the lock of {directory} for {PATIENCE:.0f} s")
        yield
    finally:
        os.close(fd)


def _make(path: Path, first_id: int) -> None:
    """Make the file beside its place and moves it there."""
    new = path.with_name(f".{path.name}.new")
    for left in (new, *(new.with_name(new.name + end) for end in ("-wal", "-shm", "-journal"))):
        left.unlink(missing_ok=True)  # of a process that was killed in here
    os.close(os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    with contextlib.closing(_connect(new)) as db:
        _bring_up_to_date(db, new, first_id)
    new.rename(path)
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA synchronous=NORMAL")  # each stage is not worth an fsync; ends get one
        db.execute("PRAGMA foreign_keys=ON")
    except BaseException:
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection, path: Path) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        reason = f"{path} was written by a newer gitdeploy (format {version}, this one knows {SCHEMA_VERSION})"
        raise StateUnfit(reason, "install the newer gitdeploy again with its install.sh")
    return int(version)


def _bring_up_to_date(db: sqlite3.Connection, path: Path, first_id: int) -> None:
    db.execute("PRAGMA journal_mode=WAL")  # stays so, it is written into the file
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db, path)
        if version < SCHEMA_VERSION:
            for statement in filter(str.strip, SCHEMA.split(";")):
                db.execute(statement)
            if first_id > 1 and not version:
                db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('deployments', ?)", (first_id - 1,))
            db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
