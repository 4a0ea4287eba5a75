"""The rules by which two sides' changes to one list meet: what may stand side by side, and in which order.

Where nothing else is said, ours comes first. Each rule raises Unmerged for what it can't prove.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from intarsia.code.inside import branches, order, places
from intarsia.code.inside.aligned import PLACEHOLDERS, Aligned
from intarsia.code.inside.effects import leaves
from intarsia.code.inside.items import Item, Region, Unmerged
from intarsia.code.inside.keys import is_spread, value_of
from intarsia.code.inside.meeting import Meeting
from intarsia.code.inside.syntax import Node

_NUMBERED = frozenset({"c", "cpp", "c_sharp", "typescript", "tsx", "go"})
_SECTIONS = frozenset({"access_specifier", "preproc_if", "preproc_ifdef"})
_SECTION_WORDS = frozenset({b"private", b"protected", b"public", b"module_function"})
_EVALUATED = frozenset({"keyed", "ordered", "arguments", "set"})
Cluster = tuple[Item, ...]


def check(meeting: Meeting) -> None:
    """The rules for the list as a whole."""
    _RULES.get(meeting.shape.rule, _nothing)(meeting)
    if meeting.shape.rule not in ("body", "chain", "cases"):
        _no_counting(meeting)
        _no_order(meeting)


def clusters(items: list[Item]) -> dict[bytes, Cluster]:
    """Each addition with the comments above it, by its text."""
    found: list[Cluster] = []
    above: list[Item] = []
    for item in items:
        above.append(item)
        if not item.comment:
            found.append(tuple(above))
            above = []
    found += [tuple(above)] if above else []
    return {b"\n".join(item.whole for item in cluster): cluster for cluster in found}


def together(meeting: Meeting, gap: int, ours: list[Item], theirs: list[Item], removed: list[Item]) -> list[Item]:
    """The order of what both sides added in one place; what both added alike is there once."""
    one, two = clusters(ours), clusters(theirs)
    only_ours = {text: cluster for text, cluster in one.items() if text not in two}
    only_theirs = {text: cluster for text, cluster in two.items() if text not in one}
    if not only_theirs:
        return ours
    if not only_ours:
        return theirs
    mine, yours = ([item for cluster in only.values() for item in cluster] for only in (only_ours, only_theirs))
    if {item.whole for item in mine if not item.comment} & {item.whole for item in yours}:
        raise Unmerged("both added it, with other comments")
    _may_meet(meeting, gap, mine, yours, removed, len(only_ours) < len(one))
    found = [*one.values(), *only_theirs.values()]
    if meeting.shape.rule in ("parameters", "arguments"):
        found.sort(key=lambda cluster: _rank(meeting, cluster[-1]))
    return [item for cluster in found for item in cluster]


def _rank(meeting: Meeting, item: Item) -> int:
    """What is known by its place first, then the star, what is known by its name, and what takes up the rest."""
    if item.text.startswith(b"**") or item.node.kind in ("hash_splat_parameter", "dictionary_splat"):
        return 3
    if is_spread(item):
        return 1
    return 0 if places.placed(meeting, item) else 2


def _may_meet(
    meeting: Meeting, gap: int, ours: list[Item], theirs: list[Item], removed: list[Item], shared: bool
) -> None:
    rule = meeting.shape.rule
    if rule == "strict":
        raise Unmerged("both added where the place has a meaning")
    if shared and rule not in ("set", "keyed", "parameters"):
        raise Unmerged("both added some alike and some not")
    if rule == "body":
        _body_may_meet(meeting, gap, ours, theirs, removed)
    elif removed:
        raise Unmerged("both replaced the same elements")


def _body_may_meet(meeting: Meeting, gap: int, ours: list[Item], theirs: list[Item], removed: list[Item]) -> None:
    if any(item.node.kind not in PLACEHOLDERS for item in removed):
        raise Unmerged("both replaced the same statements")
    before = _before(meeting, gap)
    if before is not None and leaves(before.node):
        raise Unmerged("both added what never runs")
    if not all(order.strangers(one, two, meeting.language) for one in ours for two in theirs):
        raise Unmerged("both added at one place, and the order may matter")
    _no_loose_rows(meeting, ours, theirs)
    _no_counter(before, ours, theirs)


def _before(meeting: Meeting, gap: int) -> Item | None:
    return next((item for item in reversed(meeting.base.items[:gap]) if not item.comment), None)


def _no_loose_rows(meeting: Meeting, ours: list[Item], theirs: list[Item]) -> None:
    """Fields that are also known by their place."""
    above = meeting.parents[-1] if meeting.parents else None
    fields = all(any("field" in item.node.kind for item in side) for side in (ours, theirs))
    if above is not None and fields and above.kind in ("struct_specifier", "union_specifier"):
        raise Unmerged("the order of a struct's fields has a meaning")
    decorated = b"".join(parent.text[:400] for parent in meeting.parents[-2:])
    if meeting.language == "python" and re.search(rb"@[\w.]*(dataclass|attrs?|define)\b|NamedTuple", decorated):
        annotated = [item for item in (*ours, *theirs) if re.match(rb"\w+\s*:", item.text)]
        if any(b"=" not in item.text for item in annotated):
            raise Unmerged("the order of required fields has a meaning")


def _no_order(meeting: Meeting) -> None:
    """Elements are evaluated one after the other."""
    ours, theirs = meeting.alone()
    if meeting.shape.rule in _EVALUATED and not all(order.evaluated_apart(a, b) for a in ours for b in theirs):
        raise Unmerged("elements whose order may matter")


def _no_counting(meeting: Meeting) -> None:
    ours, theirs = meeting.alone()
    if ours and theirs and meeting.base.items:
        _no_counter(_before(meeting, len(meeting.base.items)), ours, theirs)


def _no_counter(before: Item | None, ours: list[Item], theirs: list[Item]) -> None:
    """Both took the next free number."""
    last = _number(before) if before is not None else None
    if last is None:
        return
    numbers = {_number(item) for item in ours} & {_number(item) for item in theirs}
    if {last + 1, last - 1, last * 2} & numbers:
        raise Unmerged("both took the next number")


def _number(item: Item) -> int | None:
    found = re.search(rb"[=:(\s](\d{1,15})[\s)};,]*$", item.text)
    return int(found[1]) if found else None


def _nothing(_meeting: Meeting) -> None:
    pass


def _body(meeting: Meeting) -> None:
    resized = [side.resized for side in meeting.sides]
    for side in meeting.sides:
        moved = [*meeting.added(side), *meeting.removed(side), *(new for pair in meeting.changed(side) for new in pair)]
        if all(resized) and any(_section(item.node) for item in moved):
            raise Unmerged("a section of the class")
    _no_equal_members(meeting)


def _section(node: Node) -> bool:
    return node.kind in _SECTIONS or (node.kind in ("identifier", "call") and node.text in _SECTION_WORDS)


def _no_equal_members(meeting: Meeting) -> None:
    """Of enumerations that are classes or hold their values: two new members must not have one value."""
    above = meeting.parents[-1] if meeting.parents else None
    if above is None or not re.match(rb"(?:enum\b|class \w+\([^)]*(?:Enum|Flag)\b)", above.text):
        return
    ours, theirs = meeting.alone()
    valued = [[value_of(item) for item in side if value_of(item)] for side in (ours, theirs)]
    if any(b"auto(" in value for side in valued for value in side) and all(valued):
        raise Unmerged("values that count up")
    _distinct(valued[0], valued[1])


def _distinct(ours: list[bytes], theirs: list[bytes]) -> None:
    if set(ours) & set(theirs):
        raise Unmerged("two members of one value")
    if ours and theirs and len({_manner(value) for value in (*ours, *theirs)}) > 1:
        raise Unmerged("two members whose values can't be compared")


def _manner(value: bytes) -> bytes:
    """How a value is written, so that two of one manner differ when their texts do."""
    return re.sub(rb"\d+|\"[^\"\\]*\"|'[^'\\]*'", lambda found: b"0" if found[0].isdigit() else b"s", value)


def _chain(meeting: Meeting) -> None:
    ours, theirs = meeting.alone()
    for side, other in (meeting.sides, meeting.sides[::-1]):
        if any(branches.header(a) != branches.header(b) for a, b in meeting.changed(side)):
            raise Unmerged("a condition decides what the other side's change means")
        if meeting.removed(side) and (meeting.removed(other) or meeting.changed(other)):
            raise Unmerged("what a branch no longer takes goes to another")
        _disjoint(meeting, meeting.removed(side), theirs if other is meeting.theirs else ours)
    _disjoint(meeting, ours, theirs)
    if ours and theirs:
        _no_falling(meeting, [*ours, *theirs])


def _disjoint(meeting: Meeting, some: list[Item], others: list[Item]) -> None:
    if not all(branches.disjoint(one, two, meeting.language) for one in some for two in others):
        raise Unmerged("two branches that may both be meant")


def _no_falling(meeting: Meeting, added: list[Item]) -> None:
    if meeting.shape.rule != "cases":
        return
    for side in meeting.sides:
        for gap, items in enumerate(side.added):
            before = _before(meeting, gap) if items else None
            if before is not None and not branches.closed(before):
                raise Unmerged("a case falls through")
            if before is not None and branches.catches_all(before) and before.node.kind not in branches.FALLING:
                raise Unmerged("a case that is never reached")
    if not all(branches.closed(item) for item in added):
        raise Unmerged("a case falls through")


def _keyed(meeting: Meeting) -> None:
    """What is spread may hold any key."""
    for one, two in (meeting.sides, meeting.sides[::-1]):
        moved = [*meeting.added(one), *meeting.removed(one), *(new for pair in meeting.changed(one) for new in pair)]
        if any(is_spread(item) for item in moved) and (two.resized or meeting.changed(two)):
            raise Unmerged("what is spread may hold the other side's key")
    ours, theirs = meeting.alone()
    classes = {meeting.keys.manner(item) for item in (*ours, *theirs)}
    if ours and theirs and (None in classes or len(classes) > 1):
        raise Unmerged("two keys that can't be compared")


def _enumeration(meeting: Meeting) -> None:
    ours, theirs = meeting.alone()
    if meeting.language == "java":
        _no_equal_arguments(ours, theirs)
        return
    values = [value_of(item) for item in (*meeting.base.items, *ours, *theirs)]
    if meeting.language == "rust":
        if _ranked(meeting.roots[0]) or any(values):
            _explicit(meeting, ours, theirs)
        return
    if meeting.language in _NUMBERED:
        _explicit(meeting, ours, theirs)


def _no_equal_arguments(ours: list[Item], theirs: list[Item]) -> None:
    given = [
        {a.text for item in side for a in [item.node.get("arguments")] if a is not None} for side in (ours, theirs)
    ]
    if given[0] & given[1]:
        raise Unmerged("two members of one value")


def _ranked(root: Node) -> bool:
    return bool(re.search(rb"\brepr\s*\(|\b(?:Partial)?Ord\b|\bas\s+[ui](?:8|16|32|64|128|size)\b", root.text))


def _explicit(meeting: Meeting, ours: list[Item], theirs: list[Item]) -> None:
    """Every new member of either side has its value, and no other member counts on from one that changes."""
    moved = [[*side, *_revalued(meeting, of)] for side, of in ((ours, meeting.ours), (theirs, meeting.theirs))]
    gone = any(meeting.removed(side) for side in meeting.sides)
    if not (all(moved) or (gone and any(moved))):
        return
    members = [item for item in meeting.base.items if not item.comment]
    touched = [*members, *moved[0], *moved[1]]
    if not all(value_of(item) for item in (touched if gone or _inserted(meeting) else [*moved[0], *moved[1]])):
        raise Unmerged("values that count on from others")
    _distinct([value_of(item) for item in moved[0]], [value_of(item) for item in moved[1]])


def _inserted(meeting: Meeting) -> bool:
    """Whether anything but the end of the list is touched."""
    return any(any(side.added[:-1]) or _revalued(meeting, side) for side in meeting.sides)


def _revalued(meeting: Meeting, side: Aligned) -> list[Item]:
    return [new for old, new in meeting.changed(side) if value_of(old) != value_of(new)]


def no_doubles(meeting: Meeting, result: list[Item], sides: tuple[Region, Region]) -> None:
    """No key more often than on either side."""
    counts = [Counter(meeting.keys.of(item) for item in items) for items in (result, sides[0].items, sides[1].items)]
    for key, count in counts[0].items():
        if key is not None and count > max(counts[1][key], counts[2][key]):
            raise Unmerged("one name twice")


_RULES: dict[str, Callable[[Meeting], None]] = {
    "body": _body,
    "chain": _chain,
    "cases": _chain,
    "parameters": places.parameters,
    "arguments": places.arguments,
    "keyed": _keyed,
    "enumeration": _enumeration,
}
