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
        delegate: whether the Git server has a post-receive hook of its own in hooks/, which runs gitdeploy's; git does if not.
        calls: what the text of that hook holds, for it runs others.
        moves: whether refs move without a push of which post-receive hears, so that the hook in hooks/ has to tell.
    """

    directory: str
    file: str = HOOK
    alone: bool = True
    delegate: bool = True
    calls: Sequence[bytes] = ()
    moves: bool = True


PLAIN = HookPlaces("hooks", delegate=False, moves=False)
"""Of a bare repository that no Git server keeps: git itself runs the hook."""
