"""Which of several waiting pushes is deployed. Pure."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gitdeploy.intake.push import PushRecord, RefUpdate
from gitdeploy.terminal.redact import harmless


def full_patterns(branch: Iterable[str]) -> tuple[str, ...]:
    """Ref patterns from the config's `branch`: a plain "main" means "refs/heads/main"."""
    return tuple(name if name.startswith("refs/") else f"refs/heads/{name}" for name in branch)


def deployable(record: PushRecord, patterns: Sequence[str]) -> RefUpdate | None:
    """Return the ref update of this push that is to be deployed: the last one that matches and deletes nothing, or None.

    Patterns are shell globs in which `*` also matches "/", as in the hook's `case`.
    """
    matching = [
        ref
        for ref in record.refs
        if not ref.deletes and (not record.follows_ref or any(fnmatch.fnmatchcase(ref.name, pattern) for pattern in patterns))
    ]
    return matching[-1] if matching else None


@dataclass(frozen=True)
class Choice:
    """What to do with the waiting records of one app.

    Attributes:
        record: the one to deploy, None for none.
        ref: its ref.
        commit: what to deploy: the ref's tip now, which may be newer than the record.
        superseded: older pushes; the chosen one stands for them.
        dropped: record name → why nothing is deployed for it.
        unconcerned: ref → its tip, which is nothing to this app.
    """

    record: PushRecord | None
    ref: str
    commit: str
    superseded: tuple[PushRecord, ...]
    dropped: Mapping[str, str]
    unconcerned: Mapping[str, str] = field(default_factory=dict)


def choose(
    records: Sequence[PushRecord],
    patterns: Sequence[str],
    tip: Callable[[str], str | None],
    known: Callable[[str], bool],
    concerns: Callable[[str], str] = lambda _: "",
) -> Choice:
    """Pick the push to deploy: the newest one, at its ref's tip.

    Seconds are too coarse to order pushes and hooks overtake each other, so the repository itself says which commit is newest.

    Args:
        records: all that wait for one app.
        patterns: ref patterns of the app.
        tip: the commit a ref points at now, None if the ref is gone.
        known: whether the repository has this commit (a wiki's push can reach the main repository's hook).
        concerns: why a commit is nothing to this app, "" if it is to be deployed; asked of what follows a ref.
    """
    dropped: dict[str, str] = {}
    candidates: list[tuple[PushRecord, RefUpdate]] = []
    for record in sorted(records, key=lambda r: r.order):
        update = deployable(record, patterns)
        if update is None:
            if record.trigger == "rollback":
                candidates.append((record, RefUpdate("0" * 40, "0" * 40, "")))
            else:
                dropped[record.name] = _not_deployed(record, patterns)
        elif not known(update.new):
            dropped[record.name] = f"commit {update.new[:12]} is not in this repository (a push to its wiki?)"
        elif record.follows_ref and tip(update.name) is None:
            dropped[record.name] = f"{update.name} was deleted before it could be deployed"
        else:
            candidates.append((record, update))
    if not candidates:
        return Choice(None, "", "", (), dropped)
    newest, update = candidates[-1]
    if not newest.follows_ref:
        commit = update.new if newest.trigger == "deploy" else ""
    else:
        commit = tip(update.name) or update.new
        exact = [record for record, u in candidates if u.name == update.name and u.new == commit and record.follows_ref]
        # Of a push and the move that it caused, the push stands: somebody may be listening.
        newest = max(exact, key=lambda record: (record.trigger == "push", record.order), default=newest)
        if why := concerns(commit):
            told = {record.name: why for record, u in candidates if record.follows_ref and u.name == update.name}
            rest = choose([record for record, _ in candidates if record.name not in told], patterns, tip, known, concerns)
            unconcerned = {**rest.unconcerned, update.name: commit}
            return replace(rest, dropped={**dropped, **told, **rest.dropped}, unconcerned=unconcerned)
    superseded = tuple(record for record, _ in candidates if record is not newest)
    return Choice(newest, update.name, commit, superseded, dropped)


def _not_deployed(record: PushRecord, patterns: Sequence[str]) -> str:
    """Return what was pushed, and what is deployed instead."""
    pushed = [ref.name for ref in record.refs]
    shown = ", ".join(harmless(name)[:80] for name in pushed[:5]) + (f" and {len(pushed) - 5} more" if len(pushed) > 5 else "")
    gone = " was deleted" if len(pushed) == 1 and set(record.refs[0].new) == {"0"} else ""
    return f"{shown or 'nothing'}{gone or ' was pushed'}, and {', '.join(patterns)} is deployed (branch in config.toml)"
