"""What `.gitattributes` asks a checkout for and a build context does not get: files are sent as Git stores them. Pure.

Source: gitattributes(5).
"""

from __future__ import annotations

import re

FILE = ".gitattributes"
MAX_SIZE = 1 << 20

CHANGED = re.compile(r"(?:^|\s)(eol=crlf|ident|working-tree-encoding=[!-~]{1,60}|filter=(?!lfs(?:\s|$))[!-~]{1,60})(?=\s|$)")
"""Attributes that make a checkout's files other than Git's own: `text` and `eol=lf` do not, on Linux."""


def not_applied(data: bytes) -> tuple[str, ...]:
    """Return the attributes in a file that change what a checkout has, none twice, in the order in which they come."""
    lines = (line.strip() for line in data.decode("utf-8", "replace").splitlines())
    found = (match[1] for line in lines if not line.startswith("#") for match in CHANGED.finditer(line))
    return tuple(dict.fromkeys(found))
