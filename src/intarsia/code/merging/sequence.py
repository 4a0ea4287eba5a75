"""The order of two versions of a list merged: ours, with what they moved or added after what stands before it there."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from intarsia.code.identity import moved

MAX_WEIGHED = 1000  # units; the time goes with the square


class Sequenced(Struct):
    """`ids` are those that were to be kept. `met` pairs what ours with what theirs put at one place, in that order;
    `torn` are those that both moved, each to another place; `ours_moved` and `theirs_moved` those that one did."""

    ids: list[int]
    met: list[tuple[int, int]]
    torn: set[int]
    ours_moved: set[int]
    theirs_moved: set[int]


def sequenced(base: Sequence[int], ours: Sequence[int], theirs: Sequence[int], kept: set[int]) -> Sequenced:
    """Ids mean the same in all three; those of `kept` are in the result, whichever side has them."""
    rank = {id: n for n, id in enumerate(base)}
    ours_moved, theirs_moved, torn = _moves(rank, ours, theirs)
    ids = [id for id in ours if id in kept and id not in theirs_moved - ours_moved]
    order = Sequenced(ids, [], torn, ours_moved, theirs_moved)
    settled = set(ids) - (ours_moved - theirs_moved)
    loose = {id for id in ids if id not in rank or id in ours_moved} - (set(theirs) - ours_moved)
    placed = set(ids)
    beside: dict[int, list[int]] = {}  # of what theirs puts somewhere: what ours put there
    for at, id in enumerate(theirs):
        if id in kept and id not in placed:
            before = next((n for n in reversed(theirs[:at]) if n in settled), None)
            passed = _insert(order.ids, id, before, loose)
            beside[id] = [*beside.get(before, ()), *passed] if before is not None else passed
            order.met += [(other, id) for other in beside[id]]
            placed.add(id)
            settled.add(id)
    return order


def passed(one: Sequence[int], other: Sequence[int], id: int) -> set[int]:
    """What stands on another side of `id` in the one list than in the other."""
    here, there = _above(one, id), _above(other, id)
    common = set(one) & set(other)
    return (here ^ there) & common - {id} if id in common else set()


def _moves(rank: dict[int, int], ours: Sequence[int], theirs: Sequence[int]) -> tuple[set[int], set[int], set[int]]:
    """What each side moved, and what both did. A side that changed two for one another moved the one or the other:
    whichever the other side did not."""
    first = [_moved(ids, rank) for ids in (ours, theirs)]
    torn = {id for id in first[0] & first[1] if not _agree(id, ours, theirs)}
    if not torn:
        return first[0], first[1], torn
    other = [_moved_but(ids, rank, torn) for ids in (ours, theirs)]
    for mine, theirs_ in ((other[0], first[1]), (first[0], other[1]), (other[0], other[1])):
        if all(_agree(id, ours, theirs) for id in mine & theirs_):
            return mine, theirs_, set()
    return first[0], first[1], torn


def _moved(ids: Sequence[int], rank: dict[int, int]) -> set[int]:
    strayed = moved([rank[id] for id in ids if id in rank])
    return {id for id, n in rank.items() if n in strayed}


def _moved_but(ids: Sequence[int], rank: dict[int, int], kept: set[int]) -> set[int]:
    """As few as must have moved, and of `kept` as few as possible."""
    known = [id for id in ids if id in rank]
    if len(known) > MAX_WEIGHED:
        return _moved(ids, rank)
    best: list[tuple[int, int, int]] = []  # of the runs that end here: length, how many of `kept`, what is before it
    for n, id in enumerate(known):
        before = max(((*best[m][:2], m) for m in range(n) if rank[known[m]] < rank[id]), default=(0, 0, -1))
        best.append((before[0] + 1, before[1] + (id in kept), before[2]))
    stayed = set()
    at = max(range(len(best)), key=lambda n: best[n][:2], default=-1)
    while at >= 0:
        stayed.add(known[at])
        at = best[at][2]
    return set(known) - stayed


def _agree(id: int, ours: Sequence[int], theirs: Sequence[int]) -> bool:
    """Whether both have the same neighbour above or below."""
    a, b = ours.index(id), theirs.index(id)
    above = ours[a - 1] == theirs[b - 1] if a and b else a == b
    below = ours[a + 1 : a + 2] == theirs[b + 1 : b + 2]
    return above or below


def _insert(ids: list[int], id: int, before: int | None, loose: set[int]) -> list[int]:
    """After `before`, and after what ours put there, which is returned."""
    start = at = ids.index(before) + 1 if before is not None else 0
    while at < len(ids) and ids[at] in loose:
        at += 1
    ids.insert(at, id)
    return ids[start:at]


def _above(ids: Sequence[int], id: int) -> set[int]:
    return set(ids[: ids.index(id)]) if id in ids else set()
