"""Blank lines between units, merged apart from them: they never are a conflict."""

from __future__ import annotations

from collections.abc import Sequence

from intarsia.code.outline import Outline, Unit

Version = tuple[Outline, dict[int, Unit], Sequence[int]]


class Leads:
    """`versions` are base, ours and theirs: the outline, its units by id, and the ids in order."""

    def __init__(self, versions: list[Version]) -> None:
        self._leads = [{id: o.data[u.start : u.core] for id, u in units.items()} for o, units, _ in versions]
        self._before = [dict(zip(ids, [None, *ids], strict=False)) for _, _, ids in versions]
        self._first = [leads[v[2][0]] if v[2] else None for leads, v in zip(self._leads, versions, strict=True)]

    def of(self, id: int, previous: int | None) -> bytes:
        """What stands between the two: as a version has it in which they are neighbours, else as above the unit."""
        own = [leads.get(id) for leads in self._leads]
        here = [
            lead if lead is not None and before[id] == previous else None
            for lead, before in zip(own, self._before, strict=True)
        ]
        found = _chosen(*here)
        if found is None and previous is None:
            found = _chosen(*self._first)
        return found if found is not None else _chosen(*own) or b""


def _chosen(base: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
    if ours is None or theirs is None:
        return next((lead for lead in (ours, theirs, base) if lead is not None), None)
    return theirs if ours == base else ours
