"""When the files that are built were last changed, and what an engine may take for unchanged.

An engine keeps the files of the last build under a key, and asks for those alone whose size or time differ. So a key is not
used any longer when times could come twice (nothing is known of those given out before), or when nobody knows what the engine
has (its machine or gitdeploy stopped in the middle of a build): then it gets everything anew. `source.ages` says what holds of
times.
"""

from __future__ import annotations

import hashlib
import secrets

from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.records import BuiltAges
from gitdeploy.source.commit import Commit
from gitdeploy.source.reader import RemoteRepository
from gitdeploy.source.remotecontext import RemoteContext


def begin(app: str, commit: Commit, repository: RemoteRepository, context: RemoteContext, tools: Tools) -> str:
    """Give the files of a context their times, for a build that begins now; return the key for the engine.

    Raises StageFailed, Cancelled.
    """
    last = tools.state.ages(app)
    ages, anew = repository.ages(commit, last.ages if last else b"", commit_time(commit, tools.now()))
    key = last.key if last and last.known and not anew else secrets.token_hex(16)
    tools.state.set_ages(app, BuiltAges(ages, key, known=False))
    context.use_ages(ages)
    return hashlib.sha256(f"{key} {context.place}".encode("utf-8", "surrogateescape")).hexdigest()


def commit_time(commit: Commit, now: float) -> int:
    """Return the time of a commit in seconds since the epoch: now, if it says none or one that is yet to come. Pure."""
    return commit.time if 0 < commit.time <= now else int(now)
