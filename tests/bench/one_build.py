"""One build of HEAD by gitdeploy and nothing else, in a process whose memory `sync` looks at.

python -m tests.bench.one_build REPOSITORY APP
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from gitdeploy.engine.client import connect
from gitdeploy.engine.types import BuildRequest
from gitdeploy.pipeline import contextages
from gitdeploy.pipeline.tools import Tools
from gitdeploy.releases.state import State
from gitdeploy.worker.readers import Readers, place_of
from tests.support.recorder import Recorder

LIMIT = 4 * 10**9  # bytes


class Ours:
    """gitdeploy's way of building, and what it sends."""

    def __init__(self, bare: Path, app: str) -> None:
        self.bare, self.app = bare, app
        self.state = State(bare.parent / "state.db")
        self.engine = connect(os.environ)
        self.readers = Readers(lambda path: place_of(path, None))
        self.readers.warm()
        self.tools = cast(Tools, SimpleNamespace(state=self.state, now=time.time))
        self.sent = 0

    def build(self, commit_id: str) -> None:
        """Builds a commit."""
        with self.readers.open(self.bare) as source:
            commit = source.resolve(commit_id)
            context = source.context(commit, directory=".", dockerfile="Dockerfile", lfs=None, submodules=None, limit=LIMIT)
            key = contextages.begin(self.app, commit, source, context, self.tools)
            request = BuildRequest(
                context.dockerfile, ("bench-sync:1",), shared_key=key, ended=lambda: self.state.ages_known(self.app)
            )
            self.engine.build(request, context, lambda host: None, Recorder())

    def close(self) -> None:
        """Ends what it holds."""
        self.readers.close()
        self.engine.close()
        self.state.close()


if __name__ == "__main__":
    it = Ours(Path(sys.argv[1]), sys.argv[2])
    it.build("HEAD")
    it.close()
