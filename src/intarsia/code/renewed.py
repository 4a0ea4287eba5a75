"""The outline of a later version of a file, made from that of an earlier one.

Only what changed is parsed, together with a unit on each side of it. Where those two are as they were, so is what lies
behind them; where they are not, or anything else is out of the ordinary, the whole file is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from intarsia.code.identity import without_ordinals
from intarsia.code.languages import MAX_BYTES
from intarsia.code.outline import Outline, Unit, recall, recalled, remember
from intarsia.code.window import window

MAX_SHARE = 0.5  # of the file; beyond that the whole is parsed at once
MAX_UNITS = 10_000
_ORDINAL = re.compile(r"#\d+$")


def renewed(known: Outline, data: bytes, language: str | None) -> Outline:
    """What `recall(data, language)` gives; `known` is that of a version which is much the same."""
    found = recalled(data, language) or (spliced(known, data) if known.language == language else None)
    return recall(data, language) if found is None else remember(found)


def spliced(known: Outline, data: bytes) -> Outline | None:
    """None where the whole has to be parsed."""
    # Without its tag, a part of a PHP file is a text to print.
    if known.language in (None, "php") or known.broken or len(data) > MAX_BYTES or len(known.units) > MAX_UNITS:
        return None
    found = window(known.data, data)
    near = [i for i, unit in enumerate(known.units) if unit.end >= found.low and unit.start <= found.high]
    if not near:
        return None
    first, last = _neighbour(known.units, near[0], -1), _neighbour(known.units, near[-1], 1)
    start = known.units[first].start if first >= 0 else 0
    end = known.units[last].end if last < len(known.units) else len(known.data)
    text = data[start : end + found.shift]
    if len(text) > MAX_SHARE * len(data) or text.count(b"/*") != text.count(b"*/"):
        return None
    made = recall(text, known.language)
    if made.language is None or made.broken or not made.units:
        return None
    if first >= 0 and not _same(known.units[first], made.units[0], -start):
        return None
    behind = last < len(known.units)
    if behind and not (_same(known.units[last], made.units[-1], found.shift - start) and made.end == len(text)):
        return None
    before, old, after = known.units[: max(first, 0)], known.units[max(first, 0) : last + 1], known.units[last + 1 :]
    after = [moved(unit, found.shift) for unit in after] if found.shift else after
    units = _keyed(before, old, [moved(unit, start) for unit in made.units], after)
    return Outline(data, known.language, units, known.end + found.shift if behind else start + made.end)


def moved(unit: Unit, by: int) -> Unit:
    """The same unit, so many bytes further on."""
    return Unit(
        unit.kind,
        unit.name,
        unit.key,
        unit.start + by,
        unit.core + by,
        unit.end + by,
        unit.signature + by if unit.signature else 0,
        None if unit.units is None else [moved(member, by) for member in unit.units],
        unit.open + by if unit.units is not None else 0,
        unit.close + by if unit.units is not None else 0,
        unit.head + by,
    )


def _neighbour(units: list[Unit], i: int, step: int) -> int:
    """The next one that is not a comment, as what a comment belongs to may change; or beyond the end."""
    i += step
    while 0 <= i < len(units) and units[i].kind == "comment":
        i += step
    return i


def _same(unit: Unit, other: Unit, by: int) -> bool:
    """Whether it is the other unit, but for its place and its key."""
    known = moved(unit, by)
    pairs = zip(_walk([known]), _walk([other]), strict=False)
    return len(list(_walk([known]))) == len(list(_walk([other]))) and all(
        (a.kind, a.name, a.start, a.core, a.end, a.signature, a.open, a.close, a.head)
        == (b.kind, b.name, b.start, b.core, b.end, b.signature, b.open, b.close, b.head)
        for a, b in pairs
    )


def _keyed(before: list[Unit], old: list[Unit], new: list[Unit], after: list[Unit]) -> list[Unit]:
    """All units, `new` in the place of `old`, with the ordinals that they have in the whole file."""
    names, was = ([without_ordinals(unit.key) for unit in _walk(units)] for units in (new, old))
    if names == was:
        for unit, same in zip(_walk(new), _walk(old), strict=True):
            unit.key = same.key
        return [*before, *new, *after]
    rest = {key for units in (before, after) for key in _keys(units)}
    changed = {*names, *was}
    if changed.isdisjoint(rest) and changed.isdisjoint(without_ordinals(key) for key in rest if "#" in key):
        return [*before, *new, *after]
    return _numbered([*before, *new, *after], "", "", {})


def _numbered(units: list[Unit], before: str, prefix: str, seen: dict[str, int]) -> list[Unit]:
    """With keys as the splitter gives them; `before` is the prefix they have, `prefix` the one they are to have."""
    found = []
    for unit in units:
        part = _ORDINAL.sub("", unit.key)
        plain = part if unit.kind == "import" else prefix + part.removeprefix(before)
        count = seen[plain] = seen.get(plain, 0) + 1
        key = plain if count == 1 else f"{plain}#{count}"
        inner = unit.units
        if inner is not None:
            old, new = (f"{unit.key}.", f"{key}.") if unit.lasting else (before, prefix)
            inner = _numbered(inner, old, new, seen)
        found.append(unit if key == unit.key and inner is unit.units else _renamed(unit, key, inner))
    return units if all(a is b for a, b in zip(units, found, strict=True)) else found


def _renamed(unit: Unit, key: str, inner: list[Unit] | None) -> Unit:
    return Unit(
        unit.kind, unit.name, key, unit.start, unit.core, unit.end, unit.signature, inner, unit.open, unit.close,
        unit.head,
    )  # fmt: skip


def _keys(units: list[Unit]) -> list[str]:
    found = [unit.key for unit in units]
    for unit in units:
        if unit.units:
            found += _keys(unit.units)
    return found


def _walk(units: list[Unit]) -> Iterator[Unit]:
    for unit in units:
        yield unit
        if unit.units is not None:
            yield from _walk(unit.units)
