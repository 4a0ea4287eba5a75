"""The units of one container in three versions, paired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from intarsia.code.identity import pair
from intarsia.code.merging import imports
from intarsia.code.merging.independence import WITH_LOOSE_COMMENTS
from intarsia.code.outline import Outline, Unit

BASE, OURS, THEIRS = range(3)
Units = list[Unit]
Outlines = tuple[Outline, Outline, Outline]


class Item(Struct):
    """One unit in the versions that have it. `is_one_of_several`: others beside it are called the same, so that its
    name does not tell which one it is."""

    base: Unit | None = None
    ours: Unit | None = None
    theirs: Unit | None = None
    is_one_of_several: bool = False

    @property
    def any(self) -> Unit:
        unit = self.ours or self.theirs or self.base
        assert unit is not None
        return unit

    @property
    def units(self) -> tuple[Unit | None, Unit | None, Unit | None]:
        return self.base, self.ours, self.theirs


class Level(Struct):
    """`ids`: of base, ours and theirs the indices into `items`, in order."""

    items: list[Item]
    ids: tuple[list[int], list[int], list[int]]

    def add(self) -> int:
        self.items.append(Item())
        return len(self.items) - 1


def level(outlines: Outlines, base: Units, ours: Units, theirs: Units) -> Level:
    base, ours, theirs = (_parted(units) for units in (base, ours, theirs))
    found = Level([Item(unit) for unit in base], (list(range(len(base))), [], []))
    new: dict[object, list[int]] = {}
    known = {id(unit): at for at, unit in pair(base, outlines[BASE], ours, outlines[OURS]).items()}
    for unit, identity in _identified(outlines[OURS], ours):
        at = known.get(id(unit))
        if at is None:
            at = found.add()
            new.setdefault(identity, []).append(at)
        found.items[at].ours = unit
        found.ids[OURS].append(at)
    known = {id(unit): at for at, unit in pair(base, outlines[BASE], theirs, outlines[THEIRS]).items()}
    for unit, identity in _identified(outlines[THEIRS], theirs):
        at = known.get(id(unit))
        if at is None:
            same = new.get(identity)
            at = same.pop(0) if same else found.add()
        found.items[at].theirs = unit
        found.ids[THEIRS].append(at)
    several = _several(base) | _several(ours) | _several(theirs)
    for item in found.items:
        item.is_one_of_several = _title(item.any) in several
    return found


def _identified(outline: Outline, units: Units) -> Iterator[tuple[Unit, object]]:
    """Each with what makes two new units the same: the name; of imports the module, if they list names; of comments
    also what they stand above; else the text."""
    for unit, below in zip(units, [*units[1:], None], strict=False):
        text = outline.text(unit).strip()
        if unit.kind == "import":
            yield unit, ("import", imports.module(text, outline.language) or text)
        elif unit.kind == "comment":
            yield unit, (text, outline.text(below).strip() if below is not None else b"")
        else:
            yield unit, unit.key if unit.name else (unit.kind, text)


def _parted(units: Units) -> Units:
    """With comments above imports as units of their own: they may speak of the file, whichever import comes first."""
    found = []
    for unit in units:
        if unit.kind in WITH_LOOSE_COMMENTS and unit.units is None and unit.head > unit.core:
            found.append(Unit("comment", "", "(comment)", unit.start, unit.core, unit.head))
            unit = Unit(unit.kind, unit.name, unit.key, unit.head, unit.head, unit.end, head=unit.head)
        found.append(unit)
    return found


def _title(unit: Unit) -> tuple[str, str]:
    return (unit.name, "") if unit.name else ("", unit.kind)


def _several(units: Units) -> set[tuple[str, str]]:
    counts = Counter(map(_title, units))
    return {title for title, count in counts.items() if count > 1 and title != ("", "comment")}
