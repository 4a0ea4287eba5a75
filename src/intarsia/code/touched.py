"""Which units an edit touches, and how: from the bytes that changed, over the outline of the last good version.

A broken file is never outlined anew, as one missing bracket makes a grammar lose its neighbours too. In this order:
1. The units around the changed bytes, with the headers of what contains them, are parsed as a small file, and compared
   with what they were. This is what almost every edit comes to, however large the file.
2. Where that does not parse, or changes a neighbour, the whole new text is parsed and compared, unless the mistake is
   seen to be one whatever follows it.
3. Where that does not parse either, the unit whose bytes changed is touched; when they belong to several, the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from intarsia.code.identity import moved, pair, without_ordinals
from intarsia.code.outline import Outline, Unit, outline
from intarsia.code.region import Region, region
from intarsia.code.window import Stretch, Window, stretches, window

Kind = Literal["body", "signature", "added", "removed", "moved", "renamed", "imports", "lead", "file"]
MIN_REFORMATTED = 8  # units; of fewer one can't say that they were reformatted


class Change(Struct, frozen=True):
    """`key` is the unit's in the base, or in the new text when it was added.

    `into`: for `added` and `moved` the key of the container, empty for the file; for `renamed` the new key.
    """

    kind: Kind
    key: str
    into: str = ""


FILE = Change("file", "")


def touched(base: Outline, new: bytes) -> list[Change]:
    """Without an outline of the base, with nothing before or after, or where most units changed: `file`.

    Of blanks that are no unit's lead the change is a `lead` without a key. Only equal texts have no changes.
    """
    changes = each_touched(base, new)
    return [FILE] if _is_reformatting(base, changes) else changes


def each_touched(base: Outline, new: bytes) -> list[Change]:
    """The same unit by unit, however many changed: of a text that was made in several steps."""
    if new == base.data:
        return []
    if base.language is None or not base.data or not new:
        return [FILE]
    found = window(base.data, new)
    changes = list(dict.fromkeys(_changes(base, new, base.language, found)))
    if all(change.kind == "lead" for change in changes) and not _is_blank(base.data, new, found):
        return [FILE]
    return changes or [Change("lead", "")]


def _changes(base: Outline, new: bytes, language: str, found: Window) -> list[Change]:
    near = region(base, found)
    made = _outline_of(near, new, language) if near is not None else None
    if near is not None and made is not None:
        units = near.find(made)
        if units is not None and not made.broken and near.keeps_neighbours(units, made):
            return _numbered(base, list(_compare(near.units, base, units, made, near.into)))
        if made.broken and near.stays_broken(units, made, new):
            return _by_bytes(base, new, found)
    whole = outline(new, language)
    if whole.language is not None and (not whole.broken or (base.broken and _keeps_others(base, whole, found))):
        return list(_compare(base.units, base, whole.units, whole, ""))
    return _by_bytes(base, new, found)


def _numbered(base: Outline, changes: list[Change]) -> list[Change]:
    """With the ordinals that a region can't know: of what contains it, and of added names that are taken elsewhere."""
    if all(change.kind != "added" for change in changes):
        return changes
    taken = Counter(without_ordinals(unit.key) for unit in base.walk())
    taken.subtract(without_ordinals(change.key) for change in changes if change.kind == "removed")
    return [_number(change, taken) if change.kind == "added" else change for change in changes]


def _number(change: Change, taken: Counter[str]) -> Change:
    name = without_ordinals(change.key)
    taken[name] += 1
    key = change.into + name.removeprefix(without_ordinals(change.into))
    return Change("added", key if taken[name] <= 1 else f"{key}#{taken[name]}", change.into)


def _outline_of(near: Region, new: bytes, language: str) -> Outline | None:
    """The region as it is now; None when that can't be told without the rest of the file."""
    text = near.text(new)
    if text.count(b"/*") != text.count(b"*/"):  # what begins here may end anywhere
        return None
    made = outline(text, language)
    return made if made.language is not None else None


def _keeps_others(base: Outline, whole: Outline, found: Window) -> bool:
    """Whether a text with mistakes, made from one with mistakes, has all units outside of the window as they were."""
    before = [(unit.key, unit.core, unit.end) for unit in base.units if unit.end < found.low]
    behind = [
        (without_ordinals(unit.key), unit.core + found.shift, unit.end + found.shift)
        for unit in base.units
        if unit.start > found.high
    ]
    now = [(unit.key, unit.core, unit.end) for unit in whole.units]
    last = [(without_ordinals(key), core, end) for key, core, end in now[len(now) - len(behind) :]] if behind else []
    return len(before) + len(behind) <= len(now) and now[: len(before)] == before and last == behind


def _compare(a: list[Unit], in_a: Outline, b: list[Unit], in_b: Outline, into: str) -> Iterator[Change]:
    """The changes from one list of siblings to another."""
    found = pair(a, in_a, b, in_b)
    place = {id(unit): j for j, unit in enumerate(b)}
    ranks = {i: place[id(unit)] for i, unit in found.items()}
    strayed = moved([ranks[i] for i in sorted(ranks)], [a[i].end - a[i].core for i in sorted(ranks)])
    for i, unit in enumerate(a):
        if i not in found:
            yield Change("imports" if unit.kind == "import" else "removed", unit.key)
            continue
        yield from _differences(unit, in_a, found[i], in_b, into)
        if ranks[i] in strayed:
            yield Change("imports", unit.key) if unit.kind == "import" else Change("moved", unit.key, into)
    known = set(ranks.values())
    for j, unit in enumerate(b):
        if j not in known:
            yield Change("imports", unit.key) if unit.kind == "import" else Change("added", unit.key, into)


def _differences(unit: Unit, in_a: Outline, other: Unit, in_b: Outline, into: str) -> Iterator[Change]:
    before, after = in_a.text(unit), in_b.text(other)
    if before.strip() == after.strip() and unit.name == other.name:
        lead = in_a.data[unit.start : unit.core] != in_b.data[other.start : other.core]
        if before != after or lead:
            yield Change("lead", unit.key)
    elif unit.kind == other.kind == "import" and unit.units is not None and other.units is not None:
        yield from _inside(unit, in_a, other, in_b, into)
    elif unit.kind == "import" or other.kind == "import":
        yield Change("imports", unit.key)
        if unit.kind != other.kind:
            yield Change("signature", unit.key)
    elif without_ordinals(unit.key) != without_ordinals(other.key):
        yield Change("renamed", unit.key, other.key)
    elif unit.units is not None and other.units is not None:
        yield from _inside(unit, in_a, other, in_b, into)
    else:
        yield Change(_kind(unit, in_a.data, other, in_b.data), unit.key)


def _inside(unit: Unit, in_a: Outline, other: Unit, in_b: Outline, into: str) -> Iterator[Change]:
    a, b = in_a.data, in_b.data
    footer = a[unit.close : unit.end].strip() == b[other.close : other.end].strip()
    if not footer or a[unit.head : unit.open].strip() != b[other.head : other.open].strip():
        yield Change("imports" if unit.kind == "import" else "signature", unit.key)
    elif a[unit.core : unit.head].strip() != b[other.core : other.head].strip():
        yield Change("body", unit.key)
    yield from _compare(unit.units or [], in_a, other.units or [], in_b, unit.key if unit.lasting else into)


def _kind(unit: Unit, a: bytes, other: Unit, b: bytes) -> Kind:
    """Comments above a definition are not what it promises to others."""
    if unit.kind in ("comment", "docstring"):
        return "body"
    end, other_end = unit.end, other.end
    if unit.signature and other.signature:
        end, other_end = unit.signature, other.signature
    same = a[unit.head : end].strip() == b[other.head : other_end].strip()
    return "body" if same and (unit.units is None) == (other.units is None) else "signature"


def _by_bytes(base: Outline, new: bytes, found: Window) -> list[Change]:
    """The one unit that the changed bytes belong to, or the file."""
    touched = list(stretches(base, new, found))
    units = {id(piece.unit): piece.unit for one in touched for piece in one.pieces}
    if len(units) != 1 or not all(one.pieces for one in touched):
        return [_appended(base, new, found) or FILE]
    (unit,) = units.values()
    kinds = {_kind_at(unit, base.data, new, one) for one in touched}
    return [FILE if None in kinds else Change("signature" if "signature" in kinds else "body", unit.key)]


def _kind_at(unit: Unit, base: bytes, new: bytes, found: Stretch) -> Kind | None:
    """By where in the unit the first and the last byte changed; None for what is no longer in it."""
    inner = window(base[found.start : found.end], new[found.new_start : found.new_end])
    low = found.start + inner.low
    if low < unit.core or (low == unit.core and inner.low == inner.high):
        return None
    if unit.kind in ("comment", "docstring") or (unit.signature and low >= unit.signature):
        return "body"
    return "signature"


def _appended(base: Outline, new: bytes, found: Window) -> Change | None:
    """Lines put at the end of a Python definition, further indented than it, are in its body."""
    if base.language != "python" or found.low != found.high:
        return None
    ending = [unit for unit in base.walk() if unit.end == found.low and unit.units is None and unit.signature]
    lines = [line for line in new[found.low : found.new_high].split(b"\n") if line.strip()]
    if not ending or not lines or base.data[found.low - 1 : found.low] != b"\n":
        return None
    indent = _indent(base.data[ending[-1].head : ending[-1].end])
    return Change("body", ending[-1].key) if all(_indent(line) > indent for line in lines) else None


def _indent(text: bytes) -> int:
    return len(text) - len(text.lstrip(b" \t"))


def _is_blank(base: bytes, new: bytes, found: Window) -> bool:
    """Whether only blanks differ."""
    return b"".join(base[found.low : found.high].split()) == b"".join(new[found.low : found.new_high].split())


def _is_reformatting(base: Outline, changes: list[Change]) -> bool:
    kinds = {change.key: change.kind for change in changes if change.kind not in ("added", "imports")}
    touched = list(_leaves(base.units, kinds, inside=False)) if len(kinds) >= MIN_REFORMATTED // 2 else []
    return sum(touched) >= MIN_REFORMATTED and 2 * sum(touched) > len(touched)


def _leaves(units: list[Unit], kinds: dict[str, Kind], *, inside: bool) -> Iterator[bool]:
    """For each leaf whether it is touched, by itself or with what contains it."""
    for unit in units:
        kind = kinds.get(unit.key)
        if unit.units is None:
            yield inside or kind is not None
        else:
            yield from _leaves(unit.units, kinds, inside=inside or kind in ("removed", "renamed", "moved"))
