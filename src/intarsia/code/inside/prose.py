"""Comments and docstrings: lines merge where they are apart, and entries of a list of entries are both kept."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from intarsia.code.inside.items import Unmerged

_ENTRY = re.compile(
    rb"""^\s*(?:\*|//[/!]?|\#)?\s*
    (?:[@\\:](?:param\s+|arg\s+|type\s+)?[\w ]+ | [-*]\ .+ | \w+(?:\ \([^)]*\))?:\s)""",
    re.VERBOSE,
)
Edit = tuple[int, int, list[bytes]]


def merge_prose(base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """Raises Unmerged when both changed the same or neighbouring lines, unless both only added entries there."""
    lines = base.splitlines(keepends=True)
    one, two = _edits(lines, ours.splitlines(keepends=True)), _edits(lines, theirs.splitlines(keepends=True))
    out: list[bytes] = []
    at = 0
    for start, end, new in _ordered(one, two):
        out += [*lines[at:start], *new]
        at = end
    return b"".join([*out, *lines[at:]])


def _edits(base: list[bytes], side: list[bytes]) -> list[Edit]:
    matcher = SequenceMatcher(None, base, side, autojunk=False)
    return [(i, i_end, side[j:j_end]) for tag, i, i_end, j, j_end in matcher.get_opcodes() if tag != "equal"]


def _ordered(one: list[Edit], two: list[Edit]) -> list[Edit]:
    found = list(one)
    for edit in two:
        near = [each for each in one if each[0] <= edit[1] and edit[0] <= each[1]]
        if not near:
            found.append(edit)
        elif len(near) == 1 and _both_entries(near[0], edit):
            place = found.index(near[0])
            found[place] = (edit[0], edit[1], near[0][2] + [line for line in edit[2] if line not in near[0][2]])
        elif near != [edit]:
            raise Unmerged("the same lines of a comment")
    return sorted(found, key=lambda edit: edit[:2])


def _both_entries(a: Edit, b: Edit) -> bool:
    if a[:2] != b[:2] or a[0] != a[1]:
        return False
    one, two = _names(a[2]), _names(b[2])
    return bool(one and two) and not one & two


def _names(lines: list[bytes]) -> set[bytes]:
    """Of lines that begin with an entry; empty when they don't."""
    if not lines or not all(line.endswith(b"\n") for line in lines):
        return set()
    found = [_ENTRY.match(line) for line in lines]
    if not all(found):
        return set()
    return {match.group().strip() for match in found if match}
