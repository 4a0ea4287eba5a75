"""One list that both sides changed: what either side did to it."""

from __future__ import annotations

from dataclasses import dataclass

from intarsia.code.inside.aligned import Aligned
from intarsia.code.inside.items import Item, Region
from intarsia.code.inside.keys import Keys
from intarsia.code.inside.kinds import Shape
from intarsia.code.inside.syntax import Node


@dataclass(frozen=True)
class Meeting:
    """One list, changed on both sides. `parents` are the base's nodes above it, the nearest last; `roots` the whole
    snippets of both sides."""

    shape: Shape
    language: str
    base: Region
    ours: Aligned
    theirs: Aligned
    keys: Keys
    parents: list[Node]
    roots: tuple[Node, Node]

    @property
    def sides(self) -> tuple[Aligned, Aligned]:
        return self.ours, self.theirs

    def added(self, side: Aligned) -> list[Item]:
        return [item for gap in side.added for item in gap if not item.comment]

    def alone(self) -> tuple[list[Item], list[Item]]:
        """What either side added and the other did not."""
        ours, theirs = self.added(self.ours), self.added(self.theirs)
        known = {item.whole for item in ours} & {item.whole for item in theirs}
        return [i for i in ours if i.whole not in known], [i for i in theirs if i.whole not in known]

    def removed(self, side: Aligned) -> list[Item]:
        return [
            item for item, kept in zip(self.base.items, side.kept, strict=True) if kept is None and not item.comment
        ]

    def changed(self, side: Aligned) -> list[tuple[Item, Item]]:
        pairs = zip(self.base.items, side.kept, strict=True)
        return [(old, new) for old, new in pairs if new and new.text != old.text and not (old.comment and new.comment)]
