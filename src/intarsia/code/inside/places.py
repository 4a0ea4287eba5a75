"""Parameters and arguments: some are known by their place, some by their name."""

from __future__ import annotations

import re

from intarsia.code.inside.aligned import Aligned
from intarsia.code.inside.items import Item, Unmerged
from intarsia.code.inside.keys import is_spread, positional
from intarsia.code.inside.kinds import FUNCTIONS
from intarsia.code.inside.meeting import Meeting
from intarsia.code.inside.syntax import Node

# Arguments for optional parameters are given by name as a matter of course.
_NAMING = frozenset({"python", "c_sharp", "php"})
_SCALAR = re.compile(
    r"identifier|literal|integer|float|number|string|char|true|false|none|null|nil|name|unary|binary|operator"
)


def parameters(meeting: Meeting) -> None:
    ours, theirs = meeting.alone()
    _no_shift(meeting)
    if not (ours and theirs):
        return
    _no_star_before(meeting)
    if any(is_spread(item) and not _gathers_names(item) for item in (*ours, *theirs)):
        raise Unmerged("what it gathers changes with what is before it")
    both = [[item for item in side if _by_place(meeting, item)] for side in (ours, theirs)]
    if all(both):
        _appended_defaults(meeting, both[0] + both[1])


def _gathers_names(item: Item) -> bool:
    """A bare star, or what takes up arguments given by name."""
    return item.text == b"*" or item.text.startswith(b"**")


def _no_star_before(meeting: Meeting) -> None:
    for side in meeting.sides:
        for gap, items in enumerate(side.added):
            behind = meeting.base.items[gap:]
            if any(is_spread(item) for item in items) and any(_by_place(meeting, item) for item in behind):
                raise Unmerged("a star before others that are known by their place")


def _by_place(meeting: Meeting, item: Item) -> bool:
    if not positional(item, "parameters", meeting.language):
        return False
    return meeting.language != "python" or not any(
        is_spread(before) for before in meeting.keys.before(item) if not before.text.startswith(b"**")
    )


def _appended_defaults(meeting: Meeting, added: list[Item]) -> None:
    """Optional ones behind all others: ours first, unless a call is in sight that fills them by their place."""
    if meeting.language not in _NAMING or any(b"=" not in item.text for item in added):
        raise Unmerged("both added a parameter that is known by its place")
    places = [n for n, item in enumerate(meeting.base.items) if _by_place(meeting, item)]
    last = places[-1] if places else -1
    for side in meeting.sides:
        if any(_by_place(meeting, item) for gap in side.added[: last + 1] for item in gap):
            raise Unmerged("a parameter before others that are known by their place")
    if _filled_by_place(meeting, len(places)):
        raise Unmerged("a call fills one of the new parameters by its place")


def _filled_by_place(meeting: Meeting, count: int) -> bool:
    function = next((parent for parent in reversed(meeting.parents) if parent.kind in FUNCTIONS), None)
    name = function.get("name") if function is not None else None
    if name is None:
        return True
    names = {name.text}
    if name.text in (b"__init__", b"__construct", b"__new__"):
        names |= {p.text for parent in meeting.parents for p in [parent.get("name")] if p is not None}
    method = bool(meeting.base.items) and meeting.base.items[0].text in (b"self", b"cls")
    pattern = re.compile(rb"(?<!\w)(?:" + b"|".join(re.escape(each) for each in names) + rb")$")
    for root in meeting.roots:
        for node in root.walk():
            if node.kind in ("argument_list", "arguments") and pattern.search(root.data[: node.start].rstrip()[-200:]):
                given = [kid for kid in node.kids if kid.named and not kid.comment and _plain_argument(kid)]
                if len(given) > count - method or any("splat" in kid.kind or "spread" in kid.kind for kid in given):
                    return True
    return False


def _plain_argument(node: Node) -> bool:
    return node.kind not in ("keyword_argument", "dictionary_splat") and not (
        node.kind == "argument" and node.get("name") is not None
    )


def _no_shift(meeting: Meeting) -> None:
    """One side takes away what is known by its place, the other adds or takes away such."""
    for one, two in (meeting.sides, meeting.sides[::-1]):
        gone = [i for i in meeting.removed(one) if placed(meeting, i)]
        new = [i for i in [*meeting.added(two), *meeting.removed(two)] if placed(meeting, i)]
        if gone and new and [i.text for i in gone] != [i.text for i in new]:
            raise Unmerged("elements known by their place were shifted")


def placed(meeting: Meeting, item: Item) -> bool:
    if meeting.shape.rule == "parameters":
        return _by_place(meeting, item)
    return positional(item, "arguments", meeting.language)


def arguments(meeting: Meeting) -> None:
    _no_shift(meeting)
    ours, theirs = meeting.alone()
    if ours and theirs:
        if any(is_spread(item) for item in (*ours, *theirs)):
            raise Unmerged("what comes beside it may be in it")
        places = [[item for item in side if positional(item, "arguments", meeting.language)] for side in (ours, theirs)]
        if all(places):
            raise Unmerged("both added an argument that is known by its place")
    _no_format(meeting)
    scalars = [_scalars(meeting, side) for side in meeting.sides]
    if all(scalars) and scalars[0] != scalars[1]:
        raise Unmerged("both changed what one call is given")


def _no_format(meeting: Meeting) -> None:
    """A text with places for the other arguments."""
    for one, two in (meeting.sides, meeting.sides[::-1]):
        texts = [item for pair in meeting.changed(one) for item in pair if "string" in item.node.kind]
        if two.resized and any(re.search(rb"[%{]", item.text) for item in texts):
            raise Unmerged("a format and what it formats")


def _scalars(meeting: Meeting, side: Aligned) -> set[int]:
    """Arguments of a call that were replaced as a whole."""
    return {
        id(old)
        for old, new in meeting.changed(side)
        if positional(old, "arguments", meeting.language)
        and (_SCALAR.search(old.node.kind) or old.node.kind != new.node.kind)
    }
