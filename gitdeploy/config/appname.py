"""What an app may be called: "owner/repo", as in its repository's address, in lower case. Pure.

One definition for the spool, the config and the command line: a name that one of them takes is one that all of them take.
Names become paths (of logs and repositories), labels and tags, so nothing else gets in.
"""

from __future__ import annotations

import re

PATTERN = r"(?!.*\.\.)[a-z0-9_][a-z0-9_.-]{0,99}/[a-z0-9_][a-z0-9_.-]{0,99}(?<!\.git)"

_NAME = re.compile(PATTERN)


def is_app_name(text: str) -> bool:
    """Return whether it is the name of an app."""
    return _NAME.fullmatch(text) is not None
