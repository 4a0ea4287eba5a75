"""Which item of a side is which item of the base, and where each side added."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from intarsia.code.inside.items import Item, Unmerged

MAX_ITEMS = 3_000
_ALIKE = 0.6
Key = object
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


def align(base: list[Item], side: list[Item], keys: dict[Item, Key]) -> Aligned:
    """Raises Unmerged where an item was moved, or it can't be told which of equal items is new."""
    if len(base) + len(side) > MAX_ITEMS:
        raise Unmerged("too many items")
    pairs: dict[int, int] = {}
    replaced: set[int] = set()
    matcher = SequenceMatcher(None, [item.whole for item in base], [item.whole for item in side], autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
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
    keys: dict[Item, Key],
    run: tuple[int, int, int, int],
    pairs: dict[int, int],
    replaced: set[int],
) -> None:
    i, i_end, j, j_end = run
    a = [keys.get(item) or item for item in base[i:i_end]]
    b = [keys.get(item) or item for item in side[j:j_end]]
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


def _no_move(base: list[Item], side: list[Item], keys: dict[Item, Key], pairs: dict[int, int]) -> None:
    taken = set(pairs.values())
    gone = [item for n, item in enumerate(base) if n not in pairs]
    new = [item for n, item in enumerate(side) if n not in taken]
    if {keys.get(item) or item.text for item in gone} & {keys.get(item) or item.text for item in new}:
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
