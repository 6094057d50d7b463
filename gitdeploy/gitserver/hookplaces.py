"""Where in a bare repository gitdeploy's hooks lie, for those who put them there, take them out or look after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOOK = "post-receive"
MOVED = "reference-transaction"
"""Git's names of the two hooks: after a push, and after any change of a ref."""


@dataclass(frozen=True)
class HookPlaces:
    """Where the hooks lie, and what runs them.

    Attributes:
        directory: of the post-receive hook, below the repository.
        file: the name of gitdeploy's there.
        alone: whether no other hook can lie beside it: one that was there is kept, and run by gitdeploy's.
        calls: what the text of the Git server's own post-receive hook in hooks/ holds, for it runs others; () where git runs
            gitdeploy's itself.
    """

    directory: str
    file: str = HOOK
    alone: bool = True
    calls: Sequence[bytes] = ()

    @property
    def served(self) -> bool:
        """Whether a Git server runs the hook. Refs then move without a push of which it hears, so that MOVED has to tell."""
        return bool(self.calls)


PLAIN = HookPlaces("hooks")
"""Of a bare repository that no Git server keeps: git itself runs the hook."""
