"""What an installation takes for its own of what is on the engine. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gitdeploy.config.sections import EMPTY

MAX_ID = 64
"""Characters of an installation's id that are shown: anybody may set a label."""

STRANGER = " of another gitdeploy ("
"""Behind the app's name in what is shown of things that another installation made; its id follows."""


@dataclass(frozen=True)
class Scope:
    """What an installation takes for its own of what is on the engine, by labels.

    Attributes:
        app: the label with the name of an app.
        renamed: names that apps had → those that they have; none is both.
        installation: the label with the id of an installation.
        own: this installation's id, "" to tell none apart.
        taken: ids of other installations, by the apps whose things were theirs and are this one's now.
    """

    app: str
    renamed: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    installation: str = ""
    own: str = ""
    taken: Mapping[str, Collection[str]] = field(default_factory=lambda: MappingProxyType({}))

    def stranger(self, labels: Mapping[str, str]) -> str:
        """Return the id of the other installation to which something with these labels belongs, "" if it is this one's."""
        found, owner = labels.get(self.installation, ""), labels.get(self.app, "")
        known = {self.own, *self.taken.get(self.renamed.get(owner, owner), ())}
        return found[:MAX_ID] if self.own and found and found not in known else ""

    def marked(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels of something that is made for an app, with this installation's among them."""
        return {**labels, self.installation: self.own} if self.own and self.app in labels else labels

    def wanted(self, asked: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        """Return whether something belongs into a list: one of an app's things has none of another installation."""
        return self.app not in asked or not self.stranger(labels)

    def seen(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return labels as they are shown, with the name that the app has now."""
        owner = labels.get(self.app, "")
        if stranger := self.stranger(labels):
            return {**labels, self.app: f"{owner}{STRANGER}{stranger})"}
        return {**labels, self.app: self.renamed[owner]} if owner in self.renamed else labels

    def asked(self, labels: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
        """Yield the filters that find the same: with the value that is asked for first, then with each old one."""
        yield labels
        wanted = labels.get(self.app)
        if wanted:
            former = reversed([old for old, new in self.renamed.items() if new == wanted])  # what was last is newer
            yield from ({**labels, self.app: old} for old in former)
