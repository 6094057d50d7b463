"""Gogs' own log of post-receive hooks: the last error in it.

Written by Gogs' `setup` of hooks (gogs/cmd/gogs/serv.go): below [log] ROOT_PATH, in lines of unknwon.dev/clog:
"2006/01/02 15:04:05 [ERROR] [...gogs/hook.go:268 runHookPostReceive()] Failed to execute custom post-receive hook: …".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gitdeploy.doctor.finding import Finding

TAIL = 65536
"""Bytes at the log's end that are read."""

RECENT = 7 * 86400.0
"""Seconds after which an error is history."""

_LINE = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[ ?(?:ERROR|FATAL)\] (?:\[[^]]*\] )?(.*)")
_SECRET = re.compile(r"(secret=)[^&\s\"]*")

FIXES = {
    "permission denied": "the hook is not executable, or on a file system mounted noexec: see above",
    "exec format error": "the hook does not begin with #!/bin/sh: run gitdeploy enrol for its repository",
    "no such file or directory": "the hook has CRLF line ends, or there is no /bin/sh where Gogs runs: see above",
    "custom post-receive hook": "see the hooks above",
    "Failed to trigger task": "Gogs cannot reach itself: correct LOCAL_ROOT_URL in [server] of app.ini",
}


WIKI = re.compile(r"PushUpdate: GetCommit \[commit_id: [0-9a-f]+\]: .*: bad file$")
"""What Gogs 0.14 says after each push to a wiki over SSH: it looks for the commit in the main repository. Nothing is wrong."""


@dataclass(frozen=True)
class HookError:
    """The last error of a log; `time` is in seconds since the epoch, None where it cannot be read."""

    path: Path
    time: float | None
    text: str


def look_at_hook_log(path: Path) -> HookError | None:
    """Return the last error at the end of Gogs' log of post-receive hooks, None if there is none. Raises OSError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        file.seek(max(0, os.fstat(fd).st_size - TAIL))
        lines = file.read(TAIL).decode("utf-8", "replace").splitlines()
    errors = (match for line in reversed(lines) if (match := _LINE.match(line)))
    found = next((match for match in errors if not WIKI.match(match[2])), None)
    return HookError(path, _seconds(found[1]), _SECRET.sub(r"\1***", found[2])[:500]) if found else None


def _seconds(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%Y/%m/%d %H:%M:%S").timestamp()
    except (ValueError, OverflowError):
        return None


def judge_hook_log(error: HookError | None, now: float) -> Iterator[Finding]:
    """Yield whether there is a recent error. Pure."""
    if error is None or (error.time is not None and now - error.time > RECENT):
        yield Finding("ok", "hook log", "no error of a post-receive hook in the last days")
        return
    when = datetime.fromtimestamp(error.time).strftime("%Y-%m-%d %H:%M:%S, ") if error.time is not None else ""
    fix = next((fix for words, fix in FIXES.items() if words in error.text), f"see {error.path}")
    yield Finding("warning", "hook log", f"the last error in {error.path}: {when}{error.text}", fix)
