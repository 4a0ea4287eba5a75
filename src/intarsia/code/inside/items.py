"""The items of a list or body with all that belongs to them, and their way back to bytes.

An item is its blank lead, its nodes, its separator and the comment behind it on its line; comments on lines of their
own are items too. Together with the blank tail after the last one, the items tile what is between the brackets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.code.inside.kinds import Shape, split
from intarsia.code.inside.syntax import Node

if TYPE_CHECKING:
    from intarsia.code.inside.aligned import Aligned

# Siblings that belong to what comes after them.
_ATTACHED = frozenset({"attribute_item", "decorator"})
UNSEEN = object()


class Unmerged(Exception):
    """The two sides are not provably independent."""


@dataclass(eq=False, slots=True)
class Item:
    """[lead, start) is blank, [start, end) holds the nodes, then come the separator and the comment behind it.

    `text` is without what depends on its neighbours. `node` is what it is about, `comment` that it is nothing else.
    """

    data: bytes
    lead: int
    start: int
    end: int
    separated: int
    stop: int
    kids: list[Node]
    node: Node
    comment: bool
    first: bool = False
    key: object = UNSEEN  # what Keys found
    text: bytes = b""

    def __post_init__(self) -> None:
        self.text = self.data[self.start : self.end]

    @property
    def whole(self) -> bytes:
        return self.text + self.trail

    @property
    def blank(self) -> bytes:
        return self.data[self.lead : self.start]

    @property
    def separator(self) -> bytes:
        return self.data[self.end : self.separated]

    @property
    def trail(self) -> bytes:
        return self.data[self.separated : self.stop]


@dataclass(eq=False, slots=True)
class Region:
    """The items of a node, between what comes before and after them; and how they were aligned with the base's."""

    node: Node
    head: list[Node]
    items: list[Item]
    tail: bytes
    foot: list[Node]
    open: int
    close: int
    aligned: tuple[Region, Aligned] | None = None


def region(node: Node, shape: Shape) -> Region:
    """Of one node only one is made."""
    if node.region is None or node.region[0] != shape:
        node.region = shape, _region(node, shape)
    return node.region[1]


def _region(node: Node, shape: Shape) -> Region:
    head, middle, foot = split(node, shape)
    start = head[-1].end if head else node.start
    close = foot[0].start if foot else node.end
    items = _items(node.data, start, close, middle, shape)
    stop = items[-1].stop if items else start
    return Region(node, head, items, node.data[stop:close], foot, start, close)


def _items(data: bytes, start: int, close: int, kids: list[Node], shape: Shape) -> list[Item]:
    items: list[Item] = []
    for group in _groups(data, kids, shape):
        lead = items[-1].stop if items else start
        items.append(_item(data, lead, group, shape))
        items[-1].first = len(items) == 1
    return items


def _groups(data: bytes, kids: list[Node], shape: Shape) -> list[list[Node]]:
    """What belongs together: the nodes of an item, its separators, the comment behind it; or a block of comments."""
    groups: list[list[Node]] = []
    current: list[Node] = []
    for number, kid in enumerate(kids):
        after = kids[number + 1] if number + 1 < len(kids) else None
        if _is_separator(kid, shape):
            current = _separate(groups, current, kid, shape)
        elif kid.comment and not (current and shape.needed):
            if groups and _behind(data, groups[-1][-1], kid, after):
                groups[-1].append(kid)
            elif current or _inline(data, kid, after):
                current.append(kid)
            else:
                _add_comment(data, groups, kid)
        elif shape.needed or (kid.kind in _ATTACHED and shape.rule == "body"):
            current.append(kid)
        else:
            groups.append([*current, kid])
            current = []
    return [*groups, current] if current else groups


def _separate(groups: list[list[Node]], current: list[Node], separator: Node, shape: Shape) -> list[Node]:
    if current:
        groups.append([*current, separator])
    elif groups and not shape.needed:
        groups[-1].append(separator)
    else:
        raise Unmerged("an element left out")
    return []


def _add_comment(data: bytes, groups: list[list[Node]], comment: Node) -> None:
    """To the block right above it, or as a block of its own."""
    block = bool(groups) and all(kid.comment for kid in groups[-1])
    if block and data[groups[-1][-1].end : comment.start].count(b"\n") <= 1:
        groups[-1].append(comment)
    else:
        groups.append([comment])


def _inline(data: bytes, comment: Node, after: Node | None) -> bool:
    """Whether what it is about follows on its line."""
    return after is not None and after.named and b"\n" not in data[comment.end : after.start] and not after.comment


def _is_separator(kid: Node, shape: Shape) -> bool:
    return not kid.named and kid.kind in shape.separators


def _behind(data: bytes, before: Node, comment: Node, after: Node | None) -> bool:
    """Whether it ends the line of what is before it."""
    if b"\n" in data[before.end : comment.start]:
        return False
    return after is None or b"\n" in data[comment.end : after.start] or not after.named


def _item(data: bytes, lead: int, group: list[Node], shape: Shape) -> Item:
    start = group[0].start
    if len(group) == 1:
        end = group[0].end
        return Item(data, lead, start, end, end, end, group, group[0], group[0].comment)
    if all(kid.comment for kid in group):
        end = group[-1].end
        return Item(data, lead, start, end, end, end, group, group[0], True)
    separators = [n for n, kid in enumerate(group) if _is_separator(kid, shape) and n > 0]
    body = group[: separators[0]] if separators else group
    last = len(body)
    while body[last - 1].comment:
        last -= 1
    if separators and body[last:]:
        raise Unmerged("a comment before a separator")
    after = [*body[last:], *(group[separators[-1] + 1 :] if separators else [])]
    end = body[last - 1].end
    separated = group[separators[-1]].end if separators else end
    stop = after[-1].end if after else separated
    return Item(data, lead, start, end, separated, stop, body[:last], _about(body[:last]), False)


def _about(kids: list[Node]) -> Node:
    return next((kid for kid in kids if not kid.comment and kid.kind not in _ATTACHED), kids[0])


@dataclass(slots=True)
class Piece:
    """An item of the result: where it stands, what it says, and what it brings along."""

    item: Item
    text: bytes
    blank: bytes
    separator: bytes
    trail: bytes
    between: bytes | None  # its lead when it was the first of its list and no longer is


def join(pieces: list[Piece], sides: tuple[Region, Region, Region], shape: Shape) -> bytes:
    """What stands between the brackets."""
    base, ours, theirs = sides
    tail = pick(base.tail, ours.tail, theirs.tail, "the end of the list")
    last = max((n for n, piece in enumerate(pieces) if not piece.item.comment), default=-1)
    trailing = _trailing(sides)
    parts: list[bytes] = []
    for number, piece in enumerate(pieces):
        blank = _blank(piece, number, sides)
        separator = _separator(piece, number, last, trailing, sides, shape)
        _apart(parts, blank, shape)
        parts += [blank, piece.text, separator, piece.trail]
    if parts and _line_comment(pieces[-1]) and sides[0].foot and b"\n" not in tail:
        raise Unmerged("a comment would swallow what follows")
    return b"".join(parts) + tail


def _apart(parts: list[bytes], blank: bytes, shape: Shape) -> None:
    if not parts or b"\n" in blank:
        return
    text, separator, trail = parts[-3:]
    if trail:
        raise Unmerged("a comment would swallow what follows")
    if shape.rule in ("body", "cases") and not separator and not text.endswith((b";", b"}")):
        raise Unmerged("two statements on a line")


def _line_comment(piece: Piece) -> bool:
    return piece.trail.strip() != b"" or piece.item.comment


def _blank(piece: Piece, number: int, sides: tuple[Region, Region, Region]) -> bytes:
    if number == 0:
        base, ours, theirs = (side.items[0].blank if side.items else b"" for side in sides)
        return theirs if ours == base and sides[2].items else ours if sides[1].items else theirs
    if piece.item.first and b"\n" not in piece.blank:
        if piece.between is None:
            raise Unmerged("no telling how elements are set apart")
        return piece.between
    return piece.blank


def _separator(
    piece: Piece, number: int, last: int, trailing: bool, sides: tuple[Region, Region, Region], shape: Shape
) -> bytes:
    if piece.item.comment:
        return b""
    own = piece.separator
    if not shape.needed:
        expected = shape.separators == {","} and number < last and not piece.text.endswith(b"}")
        return own or (_any_separator(sides, shape) if expected else b"")
    if number < last:
        return own or _any_separator(sides, shape)
    return (own or _any_separator(sides, shape)) if trailing or _one_tuple(sides[1].node, last) else b""


def _one_tuple(node: Node, last: int) -> bool:
    return node.kind == "tuple" and last == 0


def _trailing(sides: tuple[Region, Region, Region]) -> bool:
    """Whether the last item has a separator: as in the side that changed it."""
    base, ours, theirs = (bool(side.items and side.items[-1].separator) for side in sides)
    if not sides[0].items:
        return ours or theirs
    return theirs if ours == base else ours


def _any_separator(sides: tuple[Region, Region, Region], shape: Shape) -> bytes:
    for side in sides:
        for item in side.items:
            if item.separator:
                return item.separator
    return next(iter(shape.separators)).encode()


def pick(base: bytes, ours: bytes, theirs: bytes, what: str) -> bytes:
    """The side that changed it; both alike is one change."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    raise Unmerged(what)
