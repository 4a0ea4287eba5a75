"""Which unit of one version is which unit of another, among siblings: names change, and units move.

In this order: what is the same at the beginning and at the end of both lists; the same key and text; the same key and
kind; the same key; the same text but for the name (renamed); the same kind and mostly the same words (renamed and
edited); what has no name and stands beside the same neighbour.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise

from intarsia.code.outline import Outline, Unit

ALIKE = 0.7
MIN_RENAMED = 40  # bytes; what is shorter is alike by chance
MAX_COMPARED = 2_500  # pairs
_WORD = re.compile(rb"\w+|[^\w\s]")
_ORDINAL = re.compile(r"#\d+")
_Trait = Callable[[Unit, Outline], Hashable]


def pair(a: Sequence[Unit], in_a: Outline, b: Sequence[Unit], in_b: Outline) -> dict[int, Unit]:
    """For each index in `a` whose unit lives on, that unit of `b`; siblings of one container, or of the file."""
    matching = _Matching(a, in_a, b, in_b)
    matching.by_ends()
    for trait in (_key_and_text, _key_and_kind, _key, _masked):
        matching.by(trait)
    matching.by_words()
    matching.by_neighbours()
    return {i: b[j] for i, j in matching.found.items()}


def moved(ranks: Sequence[int], weights: Sequence[int] = ()) -> set[int]:
    """Of things that had the order 0, 1, 2 … and now stand at `ranks`: the ranks of those that must have moved, so that
    these are the fewest, or weigh the least."""
    if all(one < other for one, other in pairwise(ranks)):
        return set()
    place = {rank: n + 1 for n, rank in enumerate(sorted(ranks))}
    # A Fenwick tree: the heaviest increasing run that ends at or below a place, and its last element.
    best: list[tuple[int, int]] = [(0, -1)] * (len(ranks) + 1)
    before: list[int] = []
    for i, rank in enumerate(ranks):
        weight, last = _heaviest(best, place[rank])
        before.append(last)
        run = (weight + (weights[i] if weights else 1), i)
        at = place[rank]
        while at < len(best):
            best[at] = max(best[at], run)
            at += at & -at
    stayed = set()
    i = _heaviest(best, len(ranks))[1]
    while i >= 0:
        stayed.add(ranks[i])
        i = before[i]
    return set(ranks) - stayed


def _heaviest(best: list[tuple[int, int]], at: int) -> tuple[int, int]:
    found = (0, -1)
    while at > 0:
        found = max(found, best[at])
        at -= at & -at
    return found


def without_ordinals(key: str) -> str:
    return _ORDINAL.sub("", key) if "#" in key else key


class _Matching:
    """`found`: index in a → index in b."""

    def __init__(self, a: Sequence[Unit], in_a: Outline, b: Sequence[Unit], in_b: Outline) -> None:
        self.a, self.in_a, self.b, self.in_b = a, in_a, b, in_b
        self.found: dict[int, int] = {}
        self.taken: set[int] = set()

    def match(self, i: int, j: int) -> None:
        self.found[i] = j
        self.taken.add(j)

    def left_a(self) -> list[int]:
        return [i for i in range(len(self.a)) if i not in self.found]

    def left_b(self) -> list[int]:
        return [j for j in range(len(self.b)) if j not in self.taken]

    def by_ends(self) -> None:
        """Up to the first difference, and behind the last; of several with one name, each is then itself."""
        i, last_a, last_b = 0, len(self.a) - 1, len(self.b) - 1
        while i <= min(last_a, last_b) and self.same(i, i):
            self.match(i, i)
            i += 1
        while i <= min(last_a, last_b) and self.same(last_a, last_b):
            self.match(last_a, last_b)
            last_a, last_b = last_a - 1, last_b - 1

    def same(self, i: int, j: int) -> bool:
        return _key_and_text(self.a[i], self.in_a) == _key_and_text(self.b[j], self.in_b)

    def by(self, trait: _Trait) -> None:
        """Pair what shares a trait, first with first; None is no trait."""
        left = self.left_a()
        if not left:
            return
        candidates: defaultdict[Hashable, list[int]] = defaultdict(list)
        for j in reversed(self.left_b()):
            candidates[trait(self.b[j], self.in_b)].append(j)
        candidates.pop(None, None)
        for i in left:
            same = candidates.get(trait(self.a[i], self.in_a))
            if same:
                self.match(i, same.pop())

    def by_words(self) -> None:
        left_a = [i for i in self.left_a() if _can_be_renamed(self.a[i])]
        left_b = [j for j in self.left_b() if _can_be_renamed(self.b[j])]
        if not 0 < len(left_a) * len(left_b) <= MAX_COMPARED:
            return
        words_a = {i: _words(self.a[i], self.in_a) for i in left_a}
        words_b = {j: _words(self.b[j], self.in_b) for j in left_b}
        pairs = ((i, j) for i in left_a for j in left_b if self.a[i].kind == self.b[j].kind)
        likeness = sorted((-_likeness(words_a[i], words_b[j]), i, j) for i, j in pairs)
        for unlike, i, j in likeness:
            if -unlike >= ALIKE and i not in self.found and j not in self.taken:
                self.match(i, j)

    def by_neighbours(self) -> None:
        """A nameless statement that was changed in place follows what it followed, or precedes what it preceded."""
        for i in self.left_a():
            self.nameless(i, self.found.get(i - 1, -2) + 1 if i else 0)
        last = len(self.a) - 1
        for i in reversed(self.left_a()):
            self.nameless(i, self.found.get(i + 1, -2) - 1 if i < last else len(self.b) - 1)

    def nameless(self, i: int, j: int) -> None:
        if 0 <= j < len(self.b) and j not in self.taken:
            unit, other = self.a[i], self.b[j]
            if not unit.name and not other.name and other.kind == unit.kind:
                self.match(i, j)


def _key_and_text(unit: Unit, outline: Outline) -> Hashable:
    return without_ordinals(unit.key), outline.text(unit).strip()


def _key_and_kind(unit: Unit, outline: Outline) -> Hashable:
    return (unit.key, unit.kind) if unit.name else None


def _key(unit: Unit, outline: Outline) -> Hashable:
    return without_ordinals(unit.key) if unit.name else None


def _masked(unit: Unit, outline: Outline) -> Hashable:
    """The text with the name left out. Imports are all the same without theirs."""
    text = outline.text(unit).strip()
    if not unit.name or unit.kind == "import" or len(text) < MIN_RENAMED:
        return None
    return unit.kind, text.replace(unit.name.encode(), b"\0")


def _can_be_renamed(unit: Unit) -> bool:
    return unit.units is None and unit.kind not in ("comment", "import")


def _words(unit: Unit, outline: Outline) -> set[bytes]:
    return set(_WORD.findall(outline.text(unit)))


def _likeness(one: set[bytes], other: set[bytes]) -> float:
    return len(one & other) / (len(one | other) or 1)
