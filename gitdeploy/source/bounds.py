"""Kinds, sizes and the form of what comes out of a repository: known to the process that reads it and to who asks that.

Who asks imports this and nothing of what reads: that is a third of what a worker would import.
"""

from __future__ import annotations

import struct

DIRECTORY, FILE, EXECUTABLE, SYMLINK, SUBMODULE = 0o040000, 0o100644, 0o100755, 0o120000, 0o160000
"""Modes of a tree's entries."""

MODES = {DIRECTORY: 0o040755, FILE: 0o100644, EXECUTABLE: 0o100755, SYMLINK: 0o120777}
"""The same as stat(2) has them in a build context."""

RECORD = struct.Struct(">HHHHQQ")
"""An entry of a list: type and permissions (as stat(2) has them), directories around it, bytes of its name, of its target, and
of itself; time."""

MAX_ENTRIES = 2_000_000
"""Files and directories of one context: a few small trees can refer to one another until they hold billions."""

MAX_PATH = 4096
"""Bytes of a path: the kernel's own PATH_MAX."""

MAX_NAME = 255
"""Bytes of a name: no file system that an engine uses has longer ones."""

MAX_LINK = 4096
"""Bytes of a symlink's target: the kernel's own PATH_MAX."""

MAX_SIZE = 1 << 50
"""Bytes of an object, and of a pack: a larger number is damage, and would be no number that the kernel takes."""

LATEST = 1 << 36
"""Seconds since the epoch, beyond what anything here has to do with."""
