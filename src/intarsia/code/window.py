"""Where two versions of a file differ: one window, from the first byte that differs to the last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from intarsia.code.outline import Outline, Unit

MIN_ANCHOR = 12  # bytes; shorter pieces stand in many places


class Window(NamedTuple):
    """[low, high) of the base became [low, new_high) of the new text."""

    low: int
    high: int
    new_high: int

    @property
    def shift(self) -> int:
        """How far what follows has moved."""
        return self.new_high - self.high


class Piece(NamedTuple):
    """A stretch of the file that one unit owns: a leaf with its lead, or the header or the footer of a container."""

    unit: Unit
    start: int
    end: int


def window(base: bytes, new: bytes) -> Window:
    low = _common_prefix(base, new)
    most = min(len(base), len(new)) - low
    tail = _common_prefix(base[: -most - 1 : -1], new[: -most - 1 : -1]) if most else 0
    return _at_line(base, new, Window(low, len(base) - tail, len(new) - tail))


def _common_prefix(one: bytes, other: bytes) -> int:
    """By halves, as comparing slices is much quicker than comparing bytes."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _at_line(base: bytes, new: bytes, found: Window) -> Window:
    """Of whole lines that were put in or taken out it can't be said where they begin; take the start of a line."""
    low, high, new_high = found
    back = low - (base.rfind(b"\n", 0, low) + 1)
    if not back or (low != high and low != new_high):
        return found
    longer, end = (new, new_high) if low == high else (base, high)
    if end - low >= back and longer[end - back : end] == base[low - back : low]:
        return Window(low - back, high - back, new_high - back)
    return found


def pieces(outline: Outline) -> Iterator[Piece]:
    yield from _pieces(outline.units)


def _pieces(units: list[Unit]) -> Iterator[Piece]:
    for unit in units:
        if unit.units is None:
            yield Piece(unit, unit.start, unit.end)
            continue
        yield Piece(unit, unit.start, unit.open)
        yield from _pieces(unit.units)
        if unit.close < unit.end:
            yield Piece(unit, unit.close, unit.end)


class Stretch(NamedTuple):
    """Pieces of the base, without a gap, that became [new_start, new_end); no pieces: something new between two."""

    pieces: list[Piece]
    start: int
    end: int
    new_start: int
    new_end: int


def stretches(base: Outline, new: bytes, found: Window) -> Iterator[Stretch]:
    """What differs, piece by piece, without a parser: pieces that stand once in both, in order, hold the rest apart."""
    near = [piece for piece in pieces(base) if piece.end > found.low and piece.start < found.high]
    if not near:
        yield Stretch([], found.low, found.high, found.low, found.new_high)
        return
    start = min(near[0].start, found.low)
    old = base.data[start : max(near[-1].end, found.high)]
    text = new[start : start + len(old) + found.shift]
    between: list[Piece] = []
    at = new_at = 0
    for piece in near:
        body = base.data[piece.start : piece.end]
        place = text.find(body, new_at)
        if place < 0 or len(body.strip()) < MIN_ANCHOR or text.count(body) > 1 or old.count(body) > 1:
            between.append(piece)
            continue
        yield from _unlike(base.data, new, Stretch(between, start + at, piece.start, start + new_at, start + place))
        between, at, new_at = [], piece.end - start, place + len(body)
    yield from _unlike(
        base.data, new, Stretch(between, start + at, start + len(old), start + new_at, start + len(text))
    )


def _unlike(base: bytes, new: bytes, found: Stretch) -> Iterator[Stretch]:
    """Nothing, if the stretch is what it was; else without the pieces at its ends that are."""
    inner, start, end, new_start, new_end = found
    while inner and new.startswith(base[start : inner[0].end], new_start, new_end):
        new_start += inner[0].end - start
        start = inner[0].end
        inner = inner[1:]
    while inner and new.endswith(base[inner[-1].start : end], new_start, new_end):
        new_end -= end - inner[-1].start
        end = inner[-1].start
        inner = inner[:-1]
    if base[start:end] != new[new_start:new_end]:
        yield Stretch(inner, start, end, new_start, new_end)
