"""Three outlines made one: which unit of the result comes from where, and what can't be decided."""

from __future__ import annotations

from msgspec import Struct

from intarsia.code.identity import MIN_RENAMED
from intarsia.code.inside.merger import merge_inside
from intarsia.code.inside.syntax import trees
from intarsia.code.merging import imports, levels, lines
from intarsia.code.merging.independence import (
    WITH_LOOSE_COMMENTS,
    comes_first,
    depends,
    head,
    is_free,
    is_ordered,
    mask,
    may_meet,
    mentions,
)
from intarsia.code.merging.leads import Leads, Version
from intarsia.code.merging.levels import OURS, THEIRS, Item, Level, Units
from intarsia.code.merging.lines import Clash
from intarsia.code.merging.sequence import Sequenced, passed, sequenced
from intarsia.code.merging.valid import Blend, uncounted
from intarsia.code.outline import Outline, Unit

Parts = list[bytes | Clash]


class Overlap(Struct, frozen=True):
    """A symbol that both sides touched, with its text in each version, or None where it is not there."""

    key: str
    kind: str
    said: str
    base: bytes | None
    ours: bytes | None
    theirs: bytes | None


class Weave:
    """`overlaps` is what both sides did that can't be both; `blends` what was merged inside of units.

    `by_syntax`: containers that both sides changed are merged as a whole by their syntax, which knows of the separators
    between members, and only where that can't be by their units.
    """

    def __init__(self, base: Outline, ours: Outline, theirs: Outline, *, by_syntax: bool = False) -> None:
        self.by_syntax = by_syntax
        self.base, self.ours, self.theirs = self.outlines = base, ours, theirs
        self.language = base.language or ""
        self.overlaps: list[Overlap] = []
        self.blends: list[Blend] = []
        self.shows_all = True  # whether every overlap is a clash among the parts

    def file(self) -> Parts:
        parts = self._level(Item(), self.base.units, self.ours.units, self.theirs.units)
        base, ours, theirs = (outline.data[outline.end :] for outline in self.outlines)
        return [*parts, theirs if ours == base else ours]

    def _version(self, level: Level, n: int) -> Version:
        ids = level.ids[n]
        units = ((id, level.items[id].units[n]) for id in ids)
        return self.outlines[n], {id: unit for id, unit in units if unit is not None}, ids

    def _level(self, container: Item, base: Units, ours: Units, theirs: Units) -> Parts:
        level = levels.level(self.outlines, base, ours, theirs)
        kept = {id for id, item in enumerate(level.items) if self._is_kept(item)}
        order = sequenced(*level.ids, kept)
        self._check_order(container, level, order)
        self._check_moves(level, order)
        self._check_names(level)
        parts: Parts = []
        leads = Leads([self._version(level, n) for n in range(3)])
        for id, previous in zip(order.ids, [None, *order.ids], strict=False):
            lead = leads.of(id, previous)
            if previous is not None and _would_attach(level.items[previous], level.items[id], lead):
                lead = b"\n" + lead
            parts.append(lead)
            parts += self._unit(level.items[id])
        return parts

    def _check_order(self, container: Item, level: Level, order: Sequenced) -> None:
        items = level.items
        for id in order.torn:
            self._overlap_unseen(items[id], "moved", "both sides moved it, to different places")
        for mine, other in order.met:
            ours, theirs = items[mine].ours, items[other].theirs
            assert ours is not None and theirs is not None
            ranks = comes_first(self.ours, ours), comes_first(self.theirs, theirs)
            if ranks[1] < ranks[0]:
                order.ids.remove(other)
                order.ids.insert(order.ids.index(mine), other)
            elif ranks[0] == ranks[1] and not may_meet(self.ours, ours, self.theirs, theirs):
                self._check_meeting(container, level, order, mine, other)

    def _check_meeting(self, container: Item, level: Level, order: Sequenced, mine: int, other: int) -> None:
        """Two that came to one place, and that may be known by it: asked of the rules for the inside of units, with
        only what stands around them."""
        ours, theirs = level.items[mine], level.items[other]
        around = [id for id in level.ids[OURS] if id in level.ids[THEIRS] and id in order.ids]
        at = order.ids.index(mine)
        above = [id for id in order.ids[:at] if id in around][-1:]
        below = [id for id in order.ids[at:] if id in around][:1]
        top, bottom = self._frame(self.ours, container.ours) if container.ours is not None else (b"", b"")
        before, after = (b"".join(self._ended(self.ours, level.items[id].ours) for id in ids) for ids in (above, below))
        new = (self._ended(self.ours, ours.ours), self._ended(self.theirs, theirs.theirs))
        old, one, two, both, turned = (
            top + before + middle + after + bottom for middle in (b"", *new, new[0] + new[1], new[1] + new[0])
        )
        if self._inside(old, one, two) != both or self._inside(old, two, one) != turned:
            self._overlap_unseen(theirs, "order", f"both sides added at one place, where ours added {ours.any.key}")

    def _ended(self, outline: Outline, unit: Unit | None) -> bytes:
        text = outline.text(unit) if unit is not None else b""
        return text if text.endswith(b"\n") else text + b"\n"

    def _check_moves(self, level: Level, order: Sequenced) -> None:
        """What one side moved past something that the other added or changed must not depend on it."""
        for moved, side in ((order.ours_moved, OURS), (order.theirs_moved, THEIRS)):
            other = OURS + THEIRS - side
            for id in moved & set(order.ids):
                for at in passed(level.ids[other], order.ids, id):
                    unit, changed = level.items[id].units[side], level.items[at].units[other]
                    if unit is None or changed is None or not self._differs(level.items[at], other):
                        continue
                    before = level.items[at].base
                    if depends(self.outlines[side], unit, self.outlines[other], changed, self.base, before):
                        self._overlap_unseen(
                            level.items[id], "moved", f"it moved past {changed.key}, which the other side changed"
                        )

    def _differs(self, item: Item, side: int) -> bool:
        """Whether that side, which has it, added or changed it."""
        unit = item.units[side]
        if unit is None or item.base is None:
            return True
        return self.outlines[side].text(unit) != self.base.text(item.base)

    def _check_names(self, level: Level) -> None:
        """The sides must not bind one name to different things."""
        mine, other = (
            {name: id for id in level.ids[side] for name in self._bound(level.items[id], side)}
            for side in (OURS, THEIRS)
        )
        for item in level.items:
            if item.ours is None and item.theirs is None and item.base is not None and item.base.kind == "import":
                replaced = imports.bound(self.base.text(item.base), self.language) & (mine.keys() ^ other.keys())
                if replaced:
                    self._overlap_unseen(
                        item, "removed", "one side removed it and the other put something in its place"
                    )
        for name in sorted(mine.keys() & other.keys()):
            one, two = level.items[mine[name]], level.items[other[name]]
            if one is not two and "import" in (one.any.kind, two.any.kind):
                self._overlap_unseen(two, "added", f"both sides bind {name.decode(errors='replace')}")

    def _bound(self, item: Item, side: int) -> set[bytes]:
        """The names that this side newly binds there."""
        unit = item.units[side]
        if unit is None or not self._differs(item, side):
            return set()
        if unit.kind != "import":
            return {unit.name.encode(errors="surrogateescape")} if item.base is None and unit.name else set()
        names = imports.bound(self.outlines[side].text(unit), self.language)
        return names if item.base is None else names - imports.bound(self.base.text(item.base), self.language)

    def _overlap_unseen(self, item: Item, kind: str, said: str) -> None:
        self._overlap(item, kind, said)
        self.shows_all = False

    def _is_kept(self, item: Item) -> bool:
        if item.base is None or (item.ours is not None and item.theirs is not None):
            return True
        if item.ours is None and item.theirs is None:
            return False
        return self._is_changed(item)

    def _is_changed(self, item: Item) -> bool:
        """Whether the only side that still has it changed it."""
        outline, unit = (self.ours, item.ours) if item.ours is not None else (self.theirs, item.theirs)
        assert item.base is not None and unit is not None
        return self.base.text(item.base).strip() != outline.text(unit).strip()

    def _texts(self, item: Item) -> list[bytes | None]:
        return [o.text(u) if u is not None else None for o, u in zip(self.outlines, item.units, strict=True)]

    def _overlap(self, item: Item, kind: str, said: str) -> Clash:
        base, ours, theirs = self._texts(item)
        self.overlaps.append(Overlap(item.any.key, kind, said, base, ours, theirs))
        return Clash(base or b"", ours or b"", theirs or b"")

    def _unit(self, item: Item) -> Parts:
        base, ours, theirs = self._texts(item)
        if item.base is None and (ours is None or theirs is None):
            return [ours if ours is not None else theirs or b""]
        if ours is None or theirs is None:
            return [self._overlap(item, "removed", "one side removed it and the other changed it")]
        if ours == theirs or theirs == base:
            return [ours]
        if ours == base:
            return [theirs]
        if base is None:
            if ours.strip() == theirs.strip():
                return [ours]
            both = imports.sum_up(ours, theirs, self.language) if item.any.kind == "import" else None
            if both is not None:
                self._blended(item, b"", ours, theirs, both)
                return [both]
            return [self._overlap(item, "added", "both sides added it, differently")]
        if not self._is_same_symbol(item, base, ours, theirs):
            return [self._overlap(item, "renamed", "both sides changed it, and which one it is now can't be told")]
        if all(unit is not None and unit.units is not None for unit in item.units):
            return self._container(item)
        return self._leaf(item, base, ours, theirs)

    def _is_same_symbol(self, item: Item, base: bytes, ours: bytes, theirs: bytes) -> bool:
        """Similarity may pair what was removed with what was added; beneath the other side's change only the pure
        renaming of something that is not alike by chance will do."""
        assert item.base is not None and item.ours is not None and item.theirs is not None
        sides = ((item.ours, ours), (item.theirs, theirs))
        if item.is_one_of_several and len({_first_line(text) for text in (base, ours, theirs)}) > 1:
            return False
        masked = mask(base, item.base)
        return all(
            unit.name == item.base.name or (mask(text, unit) == masked and len(masked) >= MIN_RENAMED)
            for unit, text in sides
        )

    def _leaf(self, item: Item, base: bytes, ours: bytes, theirs: bytes) -> Parts:
        merged = self._blend(base, ours, theirs, item.any.kind)
        if merged is None or not self._suits_its_callers(item, (base, ours, theirs), merged):
            self._overlap(item, "changed", "both sides changed it")
            parts = lines.chunks(base, ours, theirs)
            return parts if any(isinstance(part, Clash) for part in parts) else [Clash(base, ours, theirs)]
        self._blended(item, base, ours, theirs, merged)
        return [merged]

    def _suits_its_callers(self, item: Item, texts: tuple[bytes, bytes, bytes], merged: bytes) -> bool:
        """Where both sides changed what a function is called with, its calls in the file count as well."""
        heads = [
            head(outline, unit) for outline, unit in zip(self.outlines, item.units, strict=True) if unit is not None
        ]
        if not all(heads) or len(set(heads)) < 3:
            return True
        for side in (OURS, THEIRS):
            unit, data = item.units[side], self.outlines[side].data
            assert unit is not None
            above, below = data[: unit.core], data[unit.end :]
            if not mentions(unit, above + below):
                continue
            base, ours, theirs = (above + text + below for text in texts)
            if self._inside(base, ours, theirs) != above + merged + below:
                return False
        return True

    def _blend(self, base: bytes, ours: bytes, theirs: bytes, kind: str) -> bytes | None:
        """By the syntax. Lines that are apart may well depend on each other, so that they decide only where nothing
        more is known: in what can't be parsed, and where names are imported."""
        if kind != "import":
            merged = self._inside(base, ours, theirs)
            if merged is not None or trees((base, ours, theirs), self.language) is not None:
                return merged
        by_lines = lines.diff3(base, ours, theirs)
        if by_lines is not None and not uncounted(base, ours, theirs, by_lines):
            return by_lines
        if kind != "import":
            return None
        return imports.union(base, ours, theirs, self.language) or self._inside(base, ours, theirs)

    def _inside(self, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        return merge_inside(base, ours, theirs, self.language)

    def _blended(self, item: Item, base: bytes, ours: bytes, theirs: bytes, merged: bytes) -> None:
        keys = frozenset(unit.key for unit in item.units if unit is not None)
        self.blends.append(Blend(keys, base, ours, theirs, merged))

    def _container(self, item: Item) -> Parts:
        assert item.base is not None and item.ours is not None and item.theirs is not None
        base, ours, theirs = (text or b"" for text in self._texts(item))
        is_by_place = is_ordered(self.base, item.base) and self._both_changed_values(item)
        whole = self._inside(base, ours, theirs) if self.by_syntax or is_by_place else None
        if whole is not None:
            self._blended(item, base, ours, theirs, whole)
            return [whole]
        if is_by_place:
            return [self._overlap(item, "changed", "both sides changed it, and its members are known by their place")]
        known, blends, shown = len(self.overlaps), len(self.blends), self.shows_all
        if not item.base.name == item.ours.name == item.theirs.name:
            self._blended(item, b"", b"", b"", b"")
        members = self._level(item, item.base.units or [], item.ours.units or [], item.theirs.units or [])
        parts = self._framed(item, members)
        if len(self.overlaps) == known:
            return parts
        whole = None if self.by_syntax else self._inside(base, ours, theirs)
        if whole is None:
            return parts
        del self.overlaps[known:], self.blends[blends:]
        self.shows_all = shown
        self._blended(item, base, ours, theirs, whole)
        return [whole]

    def _both_changed_values(self, item: Item) -> bool:
        """Members that are no functions or classes, or their order."""
        base, ours, theirs = (
            [outline.text(member).strip() for member in (unit.units or [] if unit else []) if not is_free(member)]
            for outline, unit in zip(self.outlines, item.units, strict=True)
        )
        return base != ours and base != theirs and ours != theirs

    def _framed(self, item: Item, members: Parts) -> Parts:
        """The members between the merged header and footer."""
        frames = [self._frame(outline, unit) for outline, unit in zip(self.outlines, item.units, strict=True)]
        head, foot = (lines.chunks(*sides) for sides in zip(*frames, strict=True))
        if not any(isinstance(part, Clash) for part in [*head, *foot]):
            return [*head, *members, *foot]
        if all(isinstance(part, bytes) for part in members):
            # With the members settled, only header and footer are left to merge by their syntax.
            middle = b"".join(part for part in members if isinstance(part, bytes))
            base, ours, theirs = (top + middle + bottom for top, bottom in frames)
            whole = self._inside(base, ours, theirs)
            if whole is not None:
                self._blended(item, base, ours, theirs, whole)
                return [whole]
        self._overlap(item, "header", "both sides changed its header")
        return [*head, *members, *foot]

    def _frame(self, outline: Outline, unit: Unit | None) -> tuple[bytes, bytes]:
        """Header and footer."""
        assert unit is not None
        return outline.data[unit.core : unit.open], outline.data[unit.close : unit.end]


def _would_attach(above: Item, item: Item, lead: bytes) -> bool:
    """Whether a comment that one side put there by itself would seem to be about what the other side put below."""
    if above.any.kind != "comment" or item.any.kind in ("comment", *WITH_LOOSE_COMMENTS) or b"\n" in lead:
        return False
    return not any(a is not None and b is not None for a, b in zip(above.units, item.units, strict=True))


def _first_line(text: bytes) -> bytes:
    return text.lstrip().partition(b"\n")[0].rstrip()
