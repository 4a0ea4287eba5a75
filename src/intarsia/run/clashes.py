"""Telling an agent where its work and what landed meanwhile can't both be: which symbols, whose, and both texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from intarsia.workspace.combination import Clash
from intarsia.workspace.git import shown

if TYPE_CHECKING:
    from intarsia.code.conflicts.source import SemanticConflict
    from intarsia.code.merging.merge import Overlap

TEXT_SHOWN = 1_500  # characters of one version of a symbol


class BrokenTogether(Exception):
    """The work merges with what landed meanwhile, and provably does not work with it."""

    def __init__(self, found: Sequence[SemanticConflict]) -> None:
        super().__init__("Your work and what landed meanwhile merge, but break each other: correct that.")
        self.explained = "\n".join(f"- {said(each)}" for each in found)


def require_whole(broken: Sequence[SemanticConflict], policy: str) -> None:
    """Raise BrokenTogether for what is proven, unless the policy is only to tell."""
    proven = [each for each in broken if each.provable]
    if proven and policy == "return":
        raise BrokenTogether(proven)


def said(found: SemanticConflict) -> str:
    """One line about it; the session's side is `theirs`."""
    weight = "" if found.provable else " (perhaps)"
    return f"{shown(found.path)}:{found.line}: {found.message}{weight}"


def explain(clashes: Iterable[Clash], issues_of: Callable[[str], Sequence[str]]) -> str:
    """`issues_of` names the issues that changed a file meanwhile."""
    return "\n".join(line for clash in clashes for line in _clash(clash, issues_of(clash.path)))


def _clash(clash: Clash, issues: Sequence[str]) -> Iterator[str]:
    by = f", changed meanwhile by {', '.join(issues)}" if issues else ""
    yield f"- {shown(clash.path)}{by}"
    for overlap in clash.conflict.overlaps if clash.conflict else ():
        yield from _overlap(overlap)


def _overlap(overlap: Overlap) -> Iterator[str]:
    yield f"  - {f'`{overlap.key}`: ' if overlap.key else ''}{overlap.said}"
    if overlap.key:
        for whose, text in (("landed", overlap.ours), ("yours", overlap.theirs)):
            yield f"    {whose}:" if text else f"    {whose}: (it is not there)"
            if text:
                yield f"    ```\n{_cut(text.decode(errors='replace'))}\n    ```"


def _cut(text: str) -> str:
    text = text.strip("\n")
    return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}\n…"
