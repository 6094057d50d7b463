"""What an image lacks, from the words of the engine, of runc or of a container's log. Pure.

Words of engines 20.10 to 29 with runc 1.1 to 1.5. A container whose program cannot be executed fails at its start, or starts
and ends at once with the reason in its log: runc decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NO_SHELL = (
    'the image has no shell: write commands as lists, CMD ["/app"], and build in another stage; an image without a HEALTHCHECK '
    "is asked over the network ([apps.X.health] path or port)"
)
NO_USER = (
    "the image's USER (or run.user) is not in its /etc/passwd or /etc/group: make it in the Dockerfile, or write its number"
)
NO_COMMAND = "add CMD or ENTRYPOINT to the Dockerfile"
NO_PROGRAM = "CMD, ENTRYPOINT or HEALTHCHECK names a program that is not in the image, not in its PATH, or may not be executed"
NO_LOADER = "the program is not in the image, or what it is run by is not: what its first line (#!) names, or a library loader"
OTHER_FORMAT = "the image is for another processor than this machine's, or its script does not begin with #!"

FAULTS = {
    r"unable to find (?:user|group) ": NO_USER,
    r"no command specified": NO_COMMAND,
    r"exec format error": OTHER_FORMAT,
    r'exec: "/bin/(?:a|ba|da)?sh": ': NO_SHELL,
    r"^(?:\S+: )*exec \S+: no such file or directory": NO_LOADER,
    r'executable file not found|exec: "[^"]+": .*no such file|starting container process.*permission denied': NO_PROGRAM,
}


def image_fault(texts: Iterable[str]) -> str:
    """Return what to do about the first of these messages that tells of a fault of the image, "" if none does."""
    for text in texts:
        for pattern, hint in FAULTS.items():
            if re.search(pattern, text, re.I):
                return hint
    return ""
