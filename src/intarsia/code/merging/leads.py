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
        edited = {lead for n, lead in enumerate(own) if lead is not None and self._is_edited(n, id, lead)}
        if len(edited) == 1:
            return edited.pop()
        here = [
            lead if lead is not None and before[id] == previous else None
            for lead, before in zip(own, self._before, strict=True)
        ]
        found = _chosen(*here)
        if found is None and previous is None:
            found = _chosen(*self._first)
        if found is None:
            found = _chosen(*(self._apart(n, id, lead) for n, lead in enumerate(own)))
        return found or b""

    def _is_edited(self, version: int, id: int, lead: bytes) -> bool:
        """Whether only the blank lines were changed, and not what stands above them."""
        base, before = self._leads[0].get(id, lead), self._before[0].get(id)
        return version > 0 and lead != base and self._before[version][id] == before

    def _apart(self, version: int, id: int, lead: bytes | None) -> bytes | None:
        """Its own lead; of what was the first there, and so needed none, the lead of what came next."""
        if lead is None or self._before[version][id] is not None:
            return lead
        following = next((other for other, before in self._before[version].items() if before == id), None)
        return lead if following is None else self._leads[version][following]


def _chosen(base: bytes | None, ours: bytes | None, theirs: bytes | None) -> bytes | None:
    if ours is None or theirs is None:
        return next((lead for lead in (ours, theirs, base) if lead is not None), None)
    return theirs if ours == base else ours
