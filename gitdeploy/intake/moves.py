"""Which refs moved, and whether that is still to be deployed. Pure.

A hook tells of pushes, but not of all that moves a ref: Git servers merge pull requests and fetch mirrors without running it,
people move refs by hand and restore backups, and a push may come before the hook is installed. So the tips of the deployed refs
are compared with what was last seen of them. The first look only remembers: a repository is not deployed for being enrolled.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gitdeploy.intake.push import PushRecord
from gitdeploy.releases.records import Deployment, Seen

SETTLE = 5.0
"""Seconds that the hook has to tell of a move: it runs after the ref has moved, and after the Git server's own work."""

Verdict = Literal["done", "wait", "deploy"]


@dataclass(frozen=True)
class Move:
    """A ref whose tip is not what was last seen: commit ids, `old` all zeros for a new ref."""

    ref: str
    old: str
    new: str


def matches(ref: str, patterns: Sequence[str]) -> bool:
    """Return whether a full ref name is one of those deployed; `*` also matches "/", as in the hook's `case`."""
    return any(fnmatch.fnmatchcase(ref, pattern) for pattern in patterns)


def compare(seen: Seen | None, patterns: tuple[str, ...], tips: Mapping[str, str]) -> tuple[Seen, tuple[Move, ...]]:
    """Compare refs with what was last seen of them.

    Args:
        seen: None at the first look.
        patterns: full ref patterns of the app as they are now.
        tips: commit id of each ref that they match.

    Returns:
        what to remember now, which still has the old commit where a ref moved; and the moves.
    """
    if seen is None:
        return Seen(patterns, dict(tips)), ()
    kept: dict[str, str] = {}
    moves: list[Move] = []
    for ref, tip in tips.items():
        old = seen.tips.get(ref)
        if old is None and not matches(ref, seen.patterns):
            kept[ref] = tip  # it has come in by an edit of the config, which deploys nothing
            continue
        if old is not None:
            kept[ref] = old
        if old != tip:
            moves.append(Move(ref, old or "0" * len(tip), tip))
    return Seen(patterns, kept), tuple(moves)


def judge(move: Move, waited: float, newest: Deployment | None, waiting: Sequence[PushRecord]) -> Verdict:
    """Return what to do about a move.

    Args:
        waited: seconds since it was noticed.
        newest: the newest deployment of this ref, in any state.
        waiting: the app's records in the spool.

    Returns:
        "done" if it was deployed or is being deployed, "wait" if it may be yet without our doing, else "deploy".
    """
    if newest is not None and newest.commit_id == move.new:
        return "done"
    told = any(update.name == move.ref for record in waiting for update in record.refs)
    return "wait" if told or waited < SETTLE else "deploy"


def settle(seen: Seen, move: Move) -> Seen:
    """Return what is seen once a move has been dealt with."""
    return Seen(seen.patterns, {**seen.tips, move.ref: move.new})
