"""What an edit has to hold: as its changes say; but where all may add to a symbol, who adds holds it with others.

A registry or a table that everybody adds a line to would else be held by one session after the other until each has
landed. It is for the project to say which symbols these are, as the order of what is added is then nobody's choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from intarsia.code.leases import needs, uri
from intarsia.code.merging.lines import split
from intarsia.code.touched import FILE, Change, each_touched
from intarsia.code.window import window
from intarsia.kernel.modes import Mode
from intarsia.workspace.edits import Proposal
from intarsia.workspace.joining import shape_of

MOST_SYMBOLS = 500
"""Who changed more of one file is taken to have changed all of it."""


def needs_of(path: str, proposal: Proposal, changes: Sequence[Change], patterns: Sequence[str]) -> dict[str, Mode]:
    """Resource and mode; `patterns` name symbols as PATH#KEY, with wildcards."""
    added_to = [change for change in changes if _may_add(path, change, patterns) and _adds(path, proposal, change.key)]
    found: dict[str, Mode] = {**needs(path, [change for change in changes if change not in added_to])}
    for change in added_to:
        found.setdefault(uri(path, change.key), "append")
    return found


def needs_between(
    path: str, before: bytes | None, after: bytes | None, patterns: Sequence[str] = ()
) -> dict[str, Mode]:
    """What had to be held to make one version of a file from another, in however many steps; all of it for None."""
    changes = [FILE] if before is None or after is None else each_touched(shape_of(path, before), after)
    if len(changes) > MOST_SYMBOLS:
        return {**needs(path, [FILE])}
    return needs_of(path, Proposal(before, after, None, follows_disk=False), changes, patterns)


def _may_add(path: str, change: Change, patterns: Sequence[str]) -> bool:
    named = f"{path}#{change.key}"
    return change.kind in ("body", "signature") and any(fnmatchcase(named, pattern) for pattern in patterns)


def _adds(path: str, proposal: Proposal, key: str) -> bool:
    """Whether the symbol has all that it had, and whole lines more in one place."""
    return _added(path, proposal, key) is not None


def add_to(path: str, data: bytes | None, proposal: Proposal, keys: Sequence[str]) -> bytes | None:
    """`data` with the lines that the proposal adds to these symbols, in the same place of them.

    That is beside the line that they stand beside there, if `data` has just one like it. None where it has not, or has
    the lines already.
    """
    for key in keys:
        added = _added(path, proposal, key)
        unit = shape_of(path, data).find(key) if data is not None else None
        if data is None or added is None or unit is None:
            return None
        text = data[unit.core : unit.end]
        place = _place(text, added) if added.lines not in text else None
        if place is None:
            return None
        data = data[: unit.core + place] + added.lines + data[unit.core + place :]
    return None if data is None or shape_of(path, data).broken else data


class Added(Struct, frozen=True):
    """`lines` put between two lines, each of which may be empty at the symbol's start or end."""

    before: bytes
    lines: bytes
    behind: bytes


def _added(path: str, proposal: Proposal, key: str) -> Added | None:
    if proposal.base is None or proposal.wanted is None:
        return None
    before, after = shape_of(path, proposal.base), shape_of(path, proposal.wanted)
    old, new = before.find(key), after.find(key)
    if old is None or new is None:
        return None
    was, now = before.text(old), after.text(new)
    found = window(was, now)
    lines = now[found.low : found.new_high]
    if found.low != found.high or not lines.endswith(b"\n") or (found.low and was[found.low - 1 : found.low] != b"\n"):
        return None
    above = was.rfind(b"\n", 0, max(found.low - 1, 0)) + 1
    below = was.find(b"\n", found.low) + 1 or len(was)
    return Added(was[above : found.low], lines, was[found.low : below])


def _place(text: bytes, added: Added) -> int | None:
    """Where the lines go in another version of the symbol."""
    found = split(text)
    for line, behind in ((added.before, True), (added.behind, False)):
        if line and found.count(line) == 1:
            number = found.index(line) + behind
            return sum(map(len, found[:number]))
    return None
