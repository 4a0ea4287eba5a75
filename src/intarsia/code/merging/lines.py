"""A three-way merge of lines of bytes; only `\\n` ends a line.

Two sides' changes are merged where at least one line between them is the same in all three, and where it is beyond
doubt which lines they changed: an insertion that could as well stand some lines higher or lower reaches over all of
them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher

from msgspec import Struct

_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_DENSE = 20_000  # lines times lines; more are not compared one by one
_DEPTH = 24

Lines = list[bytes]
Pair = tuple[int, int]
Range = tuple[int, int, int, int]


class Clash(Struct, frozen=True):
    """A stretch that both sides changed, each in another way."""

    base: bytes
    ours: bytes
    theirs: bytes


class Hunk(Struct, frozen=True):
    """a[start:end] became b[new:new_end]; it could as well stand anywhere inside of a[first:last]."""

    start: int
    end: int
    new: int
    new_end: int
    first: int
    last: int


def split(data: bytes) -> Lines:
    """The lines with their ends."""
    return _LINE.findall(data)


def diff3(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """The merge, or None where both changed the same or neighbouring lines differently."""
    merged = chunks(base, ours, theirs)
    clean = [chunk for chunk in merged if isinstance(chunk, bytes)]
    return b"".join(clean) if len(clean) == len(merged) else None


def chunks(base: bytes, ours: bytes, theirs: bytes) -> list[bytes | Clash]:
    """The merge in order: text that is settled, and clashes."""
    if ours == theirs or theirs == base:
        return [ours]
    if ours == base:
        return [theirs]
    return _chunks(split(base), split(ours), split(theirs))


def marked(clash: Clash, names: tuple[str, str, str], *, size: int = 7, with_base: bool = False) -> bytes:
    """The clash between the markers that git uses; lines at either end that both sides have stand outside.

    `names` are those of ours, base and theirs.
    """
    ours, theirs = split(clash.ours), split(clash.theirs)
    before = 0 if with_base else _same(ours, theirs)
    after = 0 if with_base else _same(ours[before:][::-1], theirs[before:][::-1])
    ours_name, base_name, theirs_name = (name.encode(errors="surrogateescape") for name in names)
    eol = b"\r\n" if clash.ours.endswith(b"\r\n") or clash.theirs.endswith(b"\r\n") else b"\n"

    def mark(sign: bytes, name: bytes) -> bytes:
        return sign * size + (b" " + name if name else b"") + eol

    middle = [mark(b"|", base_name), _ended(clash.base, eol)] if with_base else []
    return b"".join(
        [
            *ours[:before],
            mark(b"<", ours_name),
            _ended(b"".join(ours[before : len(ours) - after]), eol),
            *middle,
            mark(b"=", b""),
            _ended(b"".join(theirs[before : len(theirs) - after]), eol),
            mark(b">", theirs_name),
            *ours[len(ours) - after :],
        ]
    )


def hunks(a: Lines, b: Lines) -> list[Hunk]:
    """What turns `a` into `b`, in order; between two hunks is at least one line of both."""
    found = []
    at_a = at_b = 0
    for i, j, size in [*matches(a, b), (len(a), len(b), 0)]:
        if at_a < i or at_b < j:
            first, last = _reach(a, b, at_a, i, at_b, j)
            found.append(Hunk(at_a, i, at_b, j, first, last))
        at_a, at_b = i + size, j + size
    return found


def matches(a: Lines, b: Lines) -> list[tuple[int, int, int]]:
    """Runs of equal lines, as (in a, in b, length), in order of both.

    Lines that occur once on each side are the anchors (patience); only small gaps between them are compared closely.
    """
    pairs: list[Pair] = []
    todo: list[tuple[Range, int]] = [((0, len(a), 0, len(b)), 0)]
    while todo:
        (a1, a2, b1, b2), depth = todo.pop()
        while a1 < a2 and b1 < b2 and a[a1] == b[b1]:
            pairs.append((a1, b1))
            a1, b1 = a1 + 1, b1 + 1
        while a1 < a2 and b1 < b2 and a[a2 - 1] == b[b2 - 1]:
            a2, b2 = a2 - 1, b2 - 1
            pairs.append((a2, b2))
        if a1 == a2 or b1 == b2:
            continue
        anchors = _anchors(a, b, (a1, a2, b1, b2)) if depth < _DEPTH else []
        if anchors:
            pairs += anchors
            todo += [(gap, depth + 1) for gap in _gaps(anchors, (a1, a2, b1, b2))]
        elif (a2 - a1) * (b2 - b1) <= _DENSE:
            matcher = SequenceMatcher(None, a[a1:a2], b[b1:b2], autojunk=False)
            pairs += [(a1 + i + n, b1 + j + n) for i, j, size in matcher.get_matching_blocks() for n in range(size)]
    return _runs(sorted(pairs))


def _anchors(a: Lines, b: Lines, span: Range) -> list[Pair]:
    """The longest rising run of lines that occur once in each of both."""
    a1, a2, b1, b2 = span
    in_a, in_b = Counter(a[a1:a2]), Counter(b[b1:b2])
    place = {b[j]: j for j in range(b1, b2) if in_b[b[j]] == 1}
    unique = [(i, place[a[i]]) for i in range(a1, a2) if in_a[a[i]] == 1 and a[i] in place]
    return [unique[k] for k in rising([j for _, j in unique])]


def rising(numbers: list[int]) -> list[int]:
    """The indices of a longest strictly rising subsequence."""
    ends: list[int] = []
    chosen: list[int] = []
    before = [-1] * len(numbers)
    for index, number in enumerate(numbers):
        length = bisect_left(ends, number)
        if length == len(ends):
            ends.append(number)
            chosen.append(index)
        else:
            ends[length], chosen[length] = number, index
        before[index] = chosen[length - 1] if length else -1
    path = []
    index = chosen[-1] if chosen else -1
    while index >= 0:
        path.append(index)
        index = before[index]
    return path[::-1]


def _gaps(anchors: list[Pair], span: Range) -> Iterator[Range]:
    a1, a2, b1, b2 = span
    for i, j in [*anchors, (a2, b2)]:
        if a1 < i and b1 < j:
            yield a1, i, b1, j
        a1, b1 = i + 1, j + 1


def _runs(pairs: list[Pair]) -> list[tuple[int, int, int]]:
    runs: list[tuple[int, int, int]] = []
    for i, j in pairs:
        if runs and (i, j) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
            runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + 1)
        else:
            runs.append((i, j, 1))
    return runs


def _reach(a: Lines, b: Lines, a1: int, a2: int, b1: int, b2: int) -> Pair:
    """How far a pure insertion or deletion can slide without changing what comes out."""
    if a1 < a2 and b1 < b2:
        return a1, a2
    lines, start, end = (a, a1, a2) if a1 < a2 else (b, b1, b2)
    up = down = 0
    while start - up > 0 and a1 - up > 0 and lines[start - up - 1] == lines[end - up - 1]:
        up += 1
    while end + down < len(lines) and a2 + down < len(a) and lines[start + down] == lines[end + down]:
        down += 1
    return a1 - up, a2 + down


def _chunks(base: Lines, ours: Lines, theirs: Lines) -> list[bytes | Clash]:
    merged: list[bytes | Clash] = []
    done = 0
    shift = [0, 0]
    for group in _groups(hunks(base, ours), hunks(base, theirs)):
        low, high = _extent(group)
        merged.append(b"".join(base[done:low]))
        texts = []
        for side, lines in enumerate((ours, theirs)):
            start = low + shift[side]
            shift[side] += sum((h.new_end - h.new) - (h.end - h.start) for h in group[side])
            texts.append(b"".join(lines[start : high + shift[side]]))
        mine, other = texts
        merged.append(_settled(b"".join(base[low:high]), mine, other, bool(group[0]), bool(group[1])))
        done = high
    return [chunk for chunk in [*merged, b"".join(base[done:])] if chunk]


def _settled(base: bytes, ours: bytes, theirs: bytes, by_ours: bool, by_theirs: bool) -> bytes | Clash:
    if not by_theirs or ours == theirs:
        return ours
    return Clash(base, ours, theirs) if by_ours else theirs


Group = tuple[list[Hunk], list[Hunk]]


def _groups(ours: list[Hunk], theirs: list[Hunk]) -> Iterator[Group]:
    """Hunks of one side by themselves; those of both sides together that overlap or touch, or could."""
    tagged = sorted([(h.first, h.last, 0, h) for h in ours] + [(h.first, h.last, 1, h) for h in theirs], key=_place)
    group: Group = ([], [])
    end = -1
    for first, last, side, hunk in tagged:
        if first > end and end >= 0:
            yield from _parted(group)
            group = ([], [])
            end = -1
        group[side].append(hunk)
        end = max(end, last)
    if end >= 0:
        yield from _parted(group)


def _place(tagged: tuple[int, int, int, Hunk]) -> tuple[int, int, int]:
    return tagged[:3]


def _parted(group: Group) -> Iterator[Group]:
    if group[0] and group[1]:
        yield group
        return
    for hunk in group[0]:
        yield [hunk], []
    for hunk in group[1]:
        yield [], [hunk]


def _extent(group: Group) -> Pair:
    """What the group covers of the base: with hunks of both sides also where they could stand."""
    every = [*group[0], *group[1]]
    if group[0] and group[1]:
        return min(h.first for h in every), max(h.last for h in every)
    return every[0].start, every[-1].end


def _same(a: Lines, b: Lines) -> int:
    """How many lines both begin with."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _ended(text: bytes, eol: bytes) -> bytes:
    return text if not text or text.endswith(b"\n") else text + eol
