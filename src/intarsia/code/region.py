"""The part of a file that is enough to tell what an edit touches: the changed units, a neighbour on each side, and the
headers and footers of what contains them. It is a small file of its own."""

from __future__ import annotations

import re

from msgspec import Struct, structs

from intarsia.code.outline import Outline, Unit, outline
from intarsia.code.window import Window

MAX_SHARE = 0.5  # of the file; beyond that the whole is parsed at once
_BRACKETS = (b"()", b"[]", b"{}")
_LONG_TEXTS = frozenset({"ruby", "php"})  # where any string, or what is no code at all, may go on for lines
_LONG_MARKS = re.compile(rb"[\"'`<>/*\\#]")


class Region(Struct):
    """`units` are siblings in [start, end) of `base`, inside of `around`, outermost first.

    `before` and `behind` say whether the first and the last are neighbours of what changed.
    """

    base: Outline
    window: Window
    around: list[Unit]
    units: list[Unit]
    start: int
    end: int
    before: bool
    behind: bool

    @property
    def into(self) -> str:
        """The key of what the units are members of."""
        return next((unit.key for unit in reversed(self.around) if unit.lasting), "")

    def text(self, new: bytes) -> bytes:
        base = self.base.data
        headers = [base[unit.core : unit.open] for unit in self.around]
        footers = [base[unit.close : unit.end] for unit in reversed(self.around)]
        # Without its tag, PHP is a text to print.
        tag = b"<?php\n" if self.base.language == "php" and (self.around or self.start) else b""
        return b"".join([tag, *headers, new[self.start : self.end + self.window.shift], *footers])

    def find(self, made: Outline) -> list[Unit] | None:
        """Where the region's units are in the outline of its text; None if what contained them no longer does."""
        units = made.units
        if made.data.startswith(b"<?php\n") and (self.around or self.start):
            units = units[1:]
        for unit in self.around:
            if len(units) != 1 or not self._is_same_shell(unit, units[0], made.data):
                return None
            units = units[0].units or []
        return units

    def _is_same_shell(self, unit: Unit, other: Unit, made: bytes) -> bool:
        """Whether a container still ends where it ended."""
        base = self.base.data
        return (
            unit.kind == other.kind
            and other.units is not None
            and base[unit.core : unit.open].strip() == made[other.core : other.open].strip()
            and base[unit.close : unit.end].strip() == made[other.close : other.end].strip()
        )

    def stays_broken(self, units: list[Unit] | None, made: Outline, new: bytes) -> bool:
        """Whether a mistake in `made`, the region as it is now, is one whatever the rest of the file is: as there are
        brackets too many or too few, or as both neighbours are what they were, and a grammar stops at the first word
        that can follow in no file. Not if what changed may begin or end what can be as long as the file."""
        low, high, new_high = self.window
        around = max(0, low - 1)
        if _LONG_MARKS.search(self.base.data[around : high + 1] + new[around : new_high + 1]):
            return False
        if self.base.broken or made.language in _LONG_TEXTS or outline(self._before(), made.language).broken:
            return False
        if _open(self.base.data[low:high]) != _open(new[low:new_high]):
            return True
        return self.behind and units is not None and self.keeps_neighbours(units, made)

    def _before(self) -> bytes:
        """As it was."""
        same = self.window._replace(new_high=self.window.high)
        return structs.replace(self, window=same).text(self.base.data)

    def keeps_neighbours(self, units: list[Unit], made: Outline) -> bool:
        if len(units) < self.before + self.behind:
            return False
        pairs = [(self.units[0], units[0])] if self.before else []
        pairs += [(self.units[-1], units[-1])] if self.behind else []
        return all(
            one.kind == other.kind
            and one.name == other.name
            and self.base.text(one).strip() == made.text(other).strip()
            for one, other in pairs
        )


def region(base: Outline, window: Window) -> Region | None:
    """None when it would be most of the file."""
    around: list[Unit] = []
    units = base.units
    while True:
        near = [i for i, unit in enumerate(units) if unit.end >= window.low and unit.start <= window.high]
        inner = units[near[0]] if len(near) == 1 else None
        if inner is None or not _within(inner, window):
            break
        around.append(inner)
        units = inner.units or []
    found = _cut(base, window, around, units, near)
    size = found.end - found.start + sum(unit.open - unit.core for unit in around)
    return found if size <= MAX_SHARE * len(base.data) else None


def _within(unit: Unit, window: Window) -> bool:
    """Whether all that changed lies between header and footer."""
    inside = unit.units is not None and unit.open <= window.low and window.high <= unit.close
    return inside and unit.start < window.low and window.high < unit.end


def _cut(base: Outline, window: Window, around: list[Unit], units: list[Unit], near: list[int]) -> Region:
    low, high = (around[-1].open, around[-1].close) if around else (0, len(base.data))
    first = _neighbour(units, near[0], -1) if near else 0
    last = _neighbour(units, near[-1], 1) if near else len(units) - 1
    start = units[first].start if first > 0 else low
    end = units[last].end if last < len(units) - 1 else high
    before = bool(near) and first < near[0]
    behind = bool(near) and last > near[-1]
    return Region(base, window, around, units[first : last + 1], start, end, before, behind)


def _neighbour(units: list[Unit], i: int, step: int) -> int:
    """The next one that is not a comment: what follows a comment may still belong to what stands before it."""
    j = i
    while 0 <= j + step < len(units):
        j += step
        if units[j].kind != "comment":
            break
    return j


def _open(text: bytes) -> list[int]:
    """How many brackets of each kind it leaves open."""
    return [text.count(kind[:1]) - text.count(kind[1:]) for kind in _BRACKETS]
