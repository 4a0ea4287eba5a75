"""The same merge as that of whole files, made of only those parts of them in which `theirs` changed something.

Of a session that changes one function of a long file, next to nothing needs to be compared with what twenty others did
elsewhere. Parts are cut between symbols that stand in all three versions, in one order, and are merged as files are.
Whatever might make the merge of the whole come to something else is left to it: what moved, or may have been renamed
from one part to another; names that stand several times; what both sides bind; a function whose head both changed, as
its calls may stand anywhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable
from functools import cached_property

from intarsia.code.identity import MAX_COMPARED, without_ordinals
from intarsia.code.merging import imports
from intarsia.code.merging.independence import WITH_LOOSE_COMMENTS, head
from intarsia.code.merging.merge import Merged, merge
from intarsia.code.merging.shape import is_binary, plain
from intarsia.code.merging.valid import uncounted
from intarsia.code.outline import Outline
from intarsia.code.renewed import moved, renewed

_NEVER_RENAMED = frozenset({"import", "comment"})
Range = tuple[int, int]


def merge_nearby(base: Outline, ours: Outline, theirs: Outline) -> Outline | None:
    """The outline of `ours` with what was changed from `base` to `theirs`; None where the whole has to be merged."""
    if not _is_usual(base, ours, theirs):
        return None
    found = _Three(base, ours, theirs)
    if not found.is_separable():
        return None
    merged = ours
    for part in reversed(found.parts()):
        text = found.merged(part)
        if text is None:
            return None
        start, end = found.ours.span(part)
        merged = renewed(merged, merged.data[:start] + text + merged.data[end:], base.language)
        if merged.broken or merged.language is None:
            return None
    # What is gone from one part may be in another one of ours.
    return None if found.lost and uncounted(base.data, ours.data, theirs.data, merged.data) else merged


def _is_usual(*of: Outline) -> bool:
    """Whether all are text without mistakes and written alike. A part of a PHP file can't be read by itself."""
    language = of[0].language
    if language in (None, "php") or any(each.language != language or each.broken or not each.units for each in of):
        return False
    texts = [each.data for each in of]
    return not any(map(is_binary, texts)) and plain(*texts).shape is None


class _Version:
    """`ids` tell units apart: by the name, or by the text where there is none or where there are several of it."""

    def __init__(self, outline: Outline, names: list[str], several: set[str]) -> None:
        self.outline = outline
        self.units = outline.units
        self.ids: list[Hashable] = [*names]
        for i in [i for i, unit in enumerate(self.units) if not unit.name or names[i] in several]:
            self.ids[i] = (names[i], outline.text(self.units[i]).strip())
        self.known = set(self.ids)
        self.common: list[int] = []  # indices of what all three have

    def tile(self, i: int) -> bytes:
        return self.outline.data[self.units[i].start : self.units[i].end]

    def tiles(self) -> list[bytes]:
        """Of what all three have."""
        data, units = self.outline.data, self.units
        return [data[units[i].start : units[i].end] for i in self.common]

    def lead(self, i: int) -> bytes:
        return self.outline.data[self.units[i].start : self.units[i].core]

    def without(self, other: _Version) -> list[int]:
        """What the other has no such thing of."""
        lacking = self.known - other.known
        return [i for i, id in enumerate(self.ids) if id in lacking] if lacking else []

    def kept(self, other: _Version) -> list[Hashable]:
        return self.ids if self.known <= other.known else [id for id in self.ids if id in other.known]

    @cached_property
    def keys(self) -> Counter[str]:
        return _keys(self.outline)

    @cached_property
    def titles(self) -> Counter[str]:
        return Counter(unit.name for unit in self.units)

    def is_confusable(self, i: int) -> bool:
        """Whether another one may be taken for it: it has no name, or not for itself."""
        unit = self.units[i]
        return unit.kind not in _NEVER_RENAMED and (not unit.name or self.titles[unit.name] > 1)

    def is_unusual(self, i: int) -> bool:
        """A comment above an import is merged by itself; `from __future__` has its place at the top."""
        unit = self.units[i]
        return unit.kind in WITH_LOOSE_COMMENTS and (unit.head > unit.core or unit.name.startswith("__future__"))

    def units_of(self, part: Range) -> range:
        low, high = part
        first = self.common[low] if low >= 0 else 0
        return range(first, self.common[high] + 1 if high < len(self.common) else len(self.units))

    def span(self, part: Range) -> Range:
        """Without the blank lines above the first, which are as ours has them."""
        units = self.units_of(part)
        start = self.units[units[0]].core if part[0] >= 0 else 0
        return start, self.units[units[-1]].end if units else self.outline.end

    def cut(self, part: Range) -> Outline:
        start, end = self.span(part)
        units = [moved(self.units[i], -start) for i in self.units_of(part)]
        if units:
            units[0].start = 0
        return Outline(self.outline.data[start:end], self.outline.language, units, end - start)


class _Three:
    """`lost`: a part was merged in which a line is not there as often as both sides' changes make it."""

    def __init__(self, base: Outline, ours: Outline, theirs: Outline) -> None:
        of = (base, ours, theirs)
        names = [[without_ordinals(unit.key) for unit in each.units] for each in of]
        self.several = {name for each in names for name in _several(each)}
        self.language = base.language or ""
        self.all = [_Version(each, its, self.several) for each, its in zip(of, names, strict=True)]
        self.base, self.ours, self.theirs = self.all
        self.lost = False
        in_all = self.base.known & self.ours.known & self.theirs.known
        for version in self.all:
            version.common = [i for i, id in enumerate(version.ids) if id in in_all]
        self.gone = self.base.without(self.theirs)
        self.new = self.theirs.without(self.base)

    @cached_property
    def changed(self) -> list[int]:
        """What their side changed of what all three have, by its place in `common`."""
        base, theirs = self.base.tiles(), self.theirs.tiles()
        return [k for k, tile in enumerate(base) if tile != theirs[k]]

    def is_separable(self) -> bool:
        tails = [version.outline.data[version.outline.end :] for version in self.all]
        return (
            tails[0] == tails[2]
            and self._is_counted()
            and all(side.kept(self.base) == self.base.kept(side) for side in (self.ours, self.theirs))
            and not any(self._may_be_renamed(side) for side in (self.ours, self.theirs))
            and not self._met()
            and not any(self.theirs.is_unusual(i) for i in [*self.new, *(self.theirs.common[k] for k in self.changed)])
            and not any(self.base.is_unusual(i) for i in [*self.gone, *(self.base.common[k] for k in self.changed)])
        )

    def _is_counted(self) -> bool:
        """Whether what is there several times, by its name or with the same text, is the same in all three."""
        if not self.several:
            return True
        counts = [Counter(version.ids) for version in self.all]
        for id in self.base.known | self.ours.known | self.theirs.known:
            times = {count[id] for count in counts}
            if len(times) > 1 and (max(times) > 1 or (isinstance(id, tuple) and not id[0].endswith(")"))):
                return False
        return True

    def _may_be_renamed(self, side: _Version) -> bool:
        """Whether something may be in another place of the file now, under another name."""
        gone, new = self.base.without(side), side.without(self.base)
        if not gone or not new or len(gone) * len(new) > MAX_COMPARED:
            return bool(gone) and bool(new)
        both = self.base.known & side.known
        slots = [_above(version, both) for version in (self.base, side)]
        kinds: dict[str, set[int]] = {}
        for i in gone:
            kinds.setdefault(self.base.units[i].kind, set()).add(slots[0][i])
        return any(
            kinds.get(side.units[i].kind, {slots[1][i]}) != {slots[1][i]}
            for i in new
            if side.units[i].kind not in _NEVER_RENAMED
        )

    def _met(self) -> bool:
        """Whether both sides added or bound the same, or removed the same import."""
        base, ours, theirs = self.all
        if any(theirs.ids[i] in ours.known for i in self.new):
            return True
        if any(base.units[i].kind == "import" and base.ids[i] not in ours.known for i in self.gone):
            return True
        bound = self._bound(theirs, [*self.new, *(theirs.common[k] for k in self.changed)])
        return bool(bound) and not bound.isdisjoint(self._bound(ours, range(len(ours.units))))

    def _bound(self, side: _Version, some: range | list[int]) -> set[bytes]:
        """The names that this side newly binds with some of its units."""
        found = set()
        old = {id: i for i, id in enumerate(self.base.ids) if self.base.units[i].kind == "import"}
        for i in some:
            unit, at = side.units[i], old.get(side.ids[i])
            if unit.kind == "import" and (at is None or self.base.tile(at) != side.tile(i)):
                found |= self._names(side, i) - (self._names(self.base, at) if at is not None else set())
            elif unit.kind != "import" and unit.name and side.ids[i] not in self.base.known:
                found.add(unit.name.encode(errors="surrogateescape"))
        return found

    def _names(self, version: _Version, i: int) -> set[bytes]:
        return imports.bound(version.outline.text(version.units[i]), self.language)

    def parts(self) -> list[Range]:
        """What has to be merged, in order, each as the first and the last symbol of those that all three have; -1 and
        their number are the ends of the file."""
        wanted = [(slot - 1, slot) for slot in self._slots()]
        wanted += [(k, k) if self._keeps_lead(k) else (k - 1, k + 1) for k in self.changed]
        found: list[Range] = []
        for low, high in sorted(wanted):
            if found and low <= found[-1][1]:
                found[-1] = (found[-1][0], max(high, found[-1][1]))
            else:
                found.append((low, high))
        return found

    def _keeps_lead(self, k: int) -> bool:
        return len({version.lead(version.common[k]) for version in self.all}) == 1

    def _slots(self) -> set[int]:
        """Where their side added or removed something, or changed what ours no longer has: how many of the symbols that
        all three have stand above it."""
        base, ours, theirs = self.all
        there = {theirs.ids[i]: theirs.tile(i) for i in theirs.without(ours)}
        changed = [i for i in base.without(ours) if base.ids[i] in there and there[base.ids[i]] != base.tile(i)]
        places = [(base, i) for i in (*self.gone, *changed)] + [(theirs, i) for i in self.new]
        return {bisect_left(version.common, i) for version, i in places}

    def merged(self, part: Range) -> bytes | None:
        """The text of the part; None where it may depend on what is not in it."""
        base, ours, theirs = (version.cut(part) for version in self.all)
        if self._defines_twice(base, ours, theirs):
            return None
        if ours.data == base.data:
            return theirs.data
        if self._is_ambiguous(part) or _changes_heads(base, ours, theirs):
            return None
        found = merge(base, ours, theirs, self.language)
        if not isinstance(found, Merged) or found.how == "lines":
            return None
        self.lost = self.lost or not _adds_up(base.data, ours.data, theirs.data, found.data)
        return found.data

    def _defines_twice(self, base: Outline, ours: Outline, theirs: Outline) -> bool:
        """Whether their side puts something into the part that ours has elsewhere, perhaps inside of something else."""
        new = _keys(theirs) - _keys(base)
        if not any(_may_hold(self.ours.outline.data, key) for key in new):
            return False
        here = _keys(ours)
        return any(self.ours.keys[key] > here[key] for key in new)

    def _is_ambiguous(self, part: Range) -> bool:
        """Whether something changed here that another one may be taken for."""
        tiles = [{version.ids[i]: version.tile(i) for i in version.units_of(part)} for version in self.all]
        return any(
            version.is_confusable(i) and len({tile.get(version.ids[i]) for tile in tiles}) > 1
            for version in self.all
            for i in version.units_of(part)
        )


def _above(version: _Version, both: set[Hashable]) -> list[int]:
    """Of each unit how many stand above it of those that `both` have."""
    found, above = [], 0
    for id in version.ids:
        found.append(above)
        above += id in both
    return found


def _adds_up(base: bytes, ours: bytes, theirs: bytes, merged: bytes) -> bool:
    """Whether each line is there as often as in the base, and as either side has more or fewer of it."""
    counts = [Counter(map(bytes.strip, text.split(b"\n"))) for text in (base, ours, theirs, merged)]
    b, o, t, r = counts
    return all(r[line] == o[line] + t[line] - b[line] for line in {*b, *o, *t, *r} if line)


def _keys(outline: Outline) -> Counter[str]:
    return Counter(without_ordinals(unit.key) for unit in outline.walk() if unit.name)


def _may_hold(data: bytes, key: str) -> bool:
    """Whether the text may define this; names that are no plain words stand otherwise in keys."""
    name = key.rpartition(".")[2]
    return not name.isidentifier() or name.encode(errors="surrogateescape") in data


def _changes_heads(*of: Outline) -> bool:
    """Whether a function has another head in each, or may have another name as well."""
    base, ours, theirs = (
        {without_ordinals(unit.key): text for unit in each.walk() if (text := head(each, unit))} for each in of
    )
    if any(len({base[key], ours[key], theirs[key]}) == 3 for key in base.keys() & ours.keys() & theirs.keys()):
        return True
    return any(base.keys() - side.keys() and side.keys() - base.keys() for side in (ours, theirs))


def _several(names: list[str]) -> list[str]:
    if len(set(names)) == len(names):
        return []
    return [name for name, count in Counter(names).items() if count > 1]
