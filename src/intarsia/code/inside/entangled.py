"""What two sides' edits of one symbol have to do with each other, where their lines are apart and git merged them.

Strictly less than strangers.py asks for: only that the one newly uses a name whose value the other changed, or that
both changed the value of one name. A use that was there before was seen by whoever changed the value. Of 535 pairs of
commits of one project, taken as if made side by side, lines merged 524; in 21 of these both sides changed one symbol in
ways that are not provably independent, and 4 of these 21 are entangled.
"""

from __future__ import annotations

from intarsia.code.inside.effects import Path, effects, touching
from intarsia.code.inside.items import Unmerged
from intarsia.code.inside.strangers import Edit, Step, edits, meant, part
from intarsia.code.inside.syntax import trees


def entangled(base: bytes, ours: bytes, theirs: bytes, language: str) -> str:
    """A name that is at issue between the sides, as it is written; empty where none is, or nothing can be told."""
    made = trees((base, ours, theirs), language)
    if made is None:
        return ""
    try:
        one, two = edits(*made.nodes, language)
    except (Unmerged, RecursionError):
        return ""
    return next((name for a in one for b in two if (name := _at_issue(a, b))), "")


def _at_issue(a: Edit, b: Edit) -> str:
    parted = part(a, b)
    if parted is None:
        return ""
    first, second = (meant(way, edit).writes for way, edit in zip(parted, (a, b), strict=True))
    one, two = (_newly_used(way, edit) for way, edit in zip(parted, (a, b), strict=True))
    for writes, uses in ((first, two), (second, one), (first, second)):
        found = [path for path in writes if touching({path}, uses)]
        if found:
            return b".".join(min(found)).decode(errors="replace").replace(".[", "[")
    return ""


def _newly_used(way: tuple[Step, ...], edit: Edit) -> set[Path]:
    parameters = way[-1].rule == "parameters"
    return effects(edit.new, parameters=parameters).names - effects(edit.old, parameters=parameters).names
