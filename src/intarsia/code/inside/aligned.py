"""Which item of a side is which item of the base, and where each side added."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from intarsia.code.inside.items import Item, Region, Unmerged
from intarsia.code.inside.keys import Keys

MAX_ITEMS = 3_000
_ALIKE = 0.6
Opcode = tuple[str, int, int, int, int]
PLACEHOLDERS = frozenset({"pass_statement"})


@dataclass(slots=True)
class Aligned:
    """Of one side: `kept[i]` is its item for the base's i-th or None, `added[i]` what it put before that one;
    `replaced` are the base's items that were paired only by their place."""

    kept: list[Item | None]
    added: list[list[Item]]
    replaced: set[int] = field(default_factory=set)

    @property
    def resized(self) -> bool:
        return None in self.kept or any(self.added)


def align(base: Region, side: Region, keys: Keys) -> Aligned:
    """Raises Unmerged where an item was moved, or it can't be told which of equal items is new."""
    if side.aligned is None or side.aligned[0] is not base:
        side.aligned = base, _align(base.items, side.items, keys)
    return side.aligned[1]


def opcodes(a: list[bytes], b: list[bytes]) -> Sequence[Opcode]:
    """Those of SequenceMatcher, sooner: where nothing is there twice, what both begin and end with is the same."""
    if len(set(a)) < len(a) or len(set(b)) < len(b):
        return SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    head = _same(a, b, min(len(a), len(b)))
    tail = _same(a[::-1], b[::-1], min(len(a), len(b)) - head)
    i, j = len(a) - tail, len(b) - tail
    found: list[Opcode] = [("equal", 0, head, 0, head)] if head else []
    middle = SequenceMatcher(None, a[head:i], b[head:j], autojunk=False).get_opcodes()
    found += [(tag, p + head, p_end + head, q + head, q_end + head) for tag, p, p_end, q, q_end in middle]
    return [*found, ("equal", i, len(a), j, len(b))] if tail else found


def _same(a: list[bytes], b: list[bytes], most: int) -> int:
    """How many both begin with."""
    return next((n for n in range(most) if a[n] != b[n]), most)


def _align(base: list[Item], side: list[Item], keys: Keys) -> Aligned:
    if len(base) + len(side) > MAX_ITEMS:
        raise Unmerged("too many items")
    pairs: dict[int, int] = {}
    replaced: set[int] = set()
    for tag, i, i_end, j, j_end in opcodes([item.whole for item in base], [item.whole for item in side]):
        if tag == "equal":
            pairs.update(zip(range(i, i_end), range(j, j_end), strict=True))
            continue
        _no_slide(base, i, i_end)
        _no_slide(side, j, j_end)
        _pair(base, side, keys, (i, i_end, j, j_end), pairs, replaced)
    _no_move(base, side, keys, pairs)
    return _aligned(base, side, pairs, replaced)


def _no_slide(items: list[Item], start: int, end: int) -> None:
    """A run that could as well begin one item earlier or later is ambiguous."""
    if start == end:
        return
    if start and items[start - 1].whole == items[end - 1].whole:
        raise Unmerged("no telling which of equal items is new")
    if end < len(items) and items[end].whole == items[start].whole:
        raise Unmerged("no telling which of equal items is new")


def _pair(
    base: list[Item],
    side: list[Item],
    keys: Keys,
    run: tuple[int, int, int, int],
    pairs: dict[int, int],
    replaced: set[int],
) -> None:
    i, i_end, j, j_end = run
    a = [keys.of(item) or item for item in base[i:i_end]]
    b = [keys.of(item) or item for item in side[j:j_end]]
    for tag, p, p_end, q, q_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            pairs.update(zip(range(i + p, i + p_end), range(j + q, j + q_end), strict=True))
        elif tag == "replace" and p_end - p == q_end - q:
            _pair_by_place(base, range(i + p, i + p_end), range(j + q, j + q_end), pairs, replaced)
        elif tag == "replace":
            _pair_alike(base, side, range(i + p, i + p_end), range(j + q, j + q_end), pairs, replaced)


def _pair_by_place(base: list[Item], olds: range, news: range, pairs: dict[int, int], replaced: set[int]) -> None:
    for old, new in zip(olds, news, strict=True):
        if base[old].node.kind not in PLACEHOLDERS:
            pairs[old] = new
            replaced.add(old)


def _pair_alike(
    base: list[Item], side: list[Item], olds: range, news: range, pairs: dict[int, int], replaced: set[int]
) -> None:
    free = list(news)
    for old in olds:
        scored = [(_likeness(base[old], side[new]), -new) for new in free if base[old].node.kind == side[new].node.kind]
        best, place = max(scored, default=(0.0, 0))
        if best >= _ALIKE:
            pairs[old] = -place
            replaced.add(old)
            free = [new for new in free if new > -place]


def _likeness(a: Item, b: Item) -> float:
    one, two = (Counter(re.findall(rb"\w+|[^\w\s]", item.text)) for item in (a, b))
    total = max(one.total(), two.total())
    return (one & two).total() / total if total else 0.0


def _no_move(base: list[Item], side: list[Item], keys: Keys, pairs: dict[int, int]) -> None:
    taken = set(pairs.values())
    gone = [item for n, item in enumerate(base) if n not in pairs]
    new = [item for n, item in enumerate(side) if n not in taken]
    if {keys.of(item) or item.text for item in gone} & {keys.of(item) or item.text for item in new}:
        raise Unmerged("moved")


def _aligned(base: list[Item], side: list[Item], pairs: dict[int, int], replaced: set[int]) -> Aligned:
    kept: list[Item | None] = [side[pairs[n]] if n in pairs else None for n in range(len(base))]
    added: list[list[Item]] = [[] for _ in range(len(base) + 1)]
    place = {new: old for old, new in pairs.items()}
    gap = 0
    for number, item in enumerate(side):
        if number in place:
            gap = place[number] + 1
        else:
            added[gap].append(item)
    return Aligned(kept, added, replaced)
