"""Structural merge inside one unit: what two sides changed in one list, chain or body, if provably independent.

Bytes are only spliced: every byte of the result stands in one of the three versions, but for separators and line
starts that an element needs at its new place. The rules, and what is handed back: docs/why/merging.md.
"""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher

from intarsia.code.inside.aligned import align
from intarsia.code.inside.items import Item, Piece, Region, Unmerged, join, region
from intarsia.code.inside.keys import Keys
from intarsia.code.inside.kinds import FUNCTIONS, TAGS, Shape, independent, shape_of
from intarsia.code.inside.meeting import Meeting
from intarsia.code.inside.prose import merge_prose
from intarsia.code.inside.rules import check, clusters, no_doubles, together
from intarsia.code.inside.strangers import stay_strangers
from intarsia.code.inside.syntax import Node, Trees, parses, trees, words

Three = tuple[Node, Node, Node]


def merge_inside(base: bytes, ours: bytes, theirs: bytes, language: str) -> bytes | None:
    """The merge of three versions of a unit, a range of members or a small file; None when they are not provably
    independent, do not parse, or are too large.

    Each version is parsed alone or, as methods and fields need, inside of an empty class or function.
    """
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    made = trees((base, ours, theirs), language)
    if made is None:
        return None
    try:
        stay_strangers(*made.nodes, language)
        wanted = _wanted(made.nodes)
        merged = _merge(made, made.nodes, language, wanted)
        turned = made.nodes[0], made.nodes[2], made.nodes[1]
        _merge(made, turned, language, wanted)  # so that it never depends on the side
    except (Unmerged, RecursionError):
        return None
    return merged


def _merge(made: Trees, nodes: Three, language: str, wanted: Counter[bytes]) -> bytes:
    merger = Merger(language, nodes[1:])
    merged = merger.merge(nodes, [])
    _conserved(wanted, merged, merger.shared)
    if not parses(merged, language) or not merged.startswith(made.before) or not merged.endswith(made.after):
        raise Unmerged("the result does not parse")
    return merged[len(made.before) : len(merged) - len(made.after)]


def _wanted(nodes: Three) -> Counter[bytes]:
    """How often each word is there when both sides' changes are made."""
    base, ours, theirs = (words(node.data) for node in nodes)
    wanted = Counter(ours)
    wanted.update(theirs)
    wanted.subtract(base)
    return wanted


def _conserved(wanted: Counter[bytes], merged: bytes, shared: Counter[bytes]) -> None:
    """Every word of either side's change is there once, and what both changed alike is not there twice."""
    found = Counter(words(merged))
    found.update(shared)
    found.subtract(wanted)
    if any(found.values()):
        raise Unmerged("a word would be lost or doubled")


class Merger:
    """`shared` counts the words of what both sides changed alike."""

    def __init__(self, language: str, roots: tuple[Node, Node]) -> None:
        self.language = language
        self.roots = roots
        self.shared: Counter[bytes] = Counter()

    def merge(self, nodes: Three, parents: list[Node]) -> bytes:
        base, ours, theirs = nodes
        if settled := self._settled(base.text, ours.text, theirs.text):
            return settled[0]
        if not base.kind == ours.kind == theirs.kind:
            raise Unmerged("both replaced it")
        if base.comment or _docstring(base, parents):
            return merge_prose(base.text, ours.text, theirs.text)
        shape = self._shape(nodes, parents)
        return self._list(nodes, shape, parents) if shape else self._parts(nodes, parents)

    def _settled(self, base: bytes, ours: bytes, theirs: bytes) -> list[bytes]:
        """The one text that is not in doubt, or nothing."""
        if ours == theirs:
            self._share(base, ours)
            return [ours]
        return [ours] if theirs == base else [theirs] if ours == base else []

    def _share(self, base: bytes, both: bytes) -> None:
        if base == both:
            return
        self.shared.update(words(both))
        self.shared.subtract(words(base))

    def _shape(self, nodes: Three, parents: list[Node]) -> Shape | None:
        above = parents[-1] if parents else None
        base, ours, theirs = (shape_of(node, above, self.language) for node in nodes)
        if base != ours or base != theirs:
            empty = not any(kid.named and not kid.comment for kid in nodes[0].kids)
            if ours != theirs or not empty:
                raise Unmerged("it became another kind of list")
            return ours
        return base

    # Lists

    def _list(self, nodes: Three, shape: Shape, parents: list[Node]) -> bytes:
        base, ours, theirs = sides = (region(nodes[0], shape), region(nodes[1], shape), region(nodes[2], shape))
        keys = Keys(shape.rule, self.language, [side.items for side in sides])
        one, two = (align(base, side, keys) for side in (ours, theirs))
        meeting = Meeting(shape, self.language, base, one, two, keys, parents, self.roots)
        check(meeting)
        pieces = self._pieces(meeting, sides, [*parents, nodes[0]])
        no_doubles(meeting, [piece.item for piece in pieces], (ours, theirs))
        head = self._ends(sides, [side.head for side in sides], [side.open for side in sides], nodes, start=True)
        foot = self._ends(sides, [side.foot for side in sides], [side.close for side in sides], nodes, start=False)
        return head + join(pieces, sides, shape) + foot

    def _ends(
        self, sides: tuple[Region, Region, Region], kids: list[list[Node]], at: list[int], nodes: Three, *, start: bool
    ) -> bytes:
        """What is before or behind the items: one side may put it in brackets, nothing else."""
        texts = [
            node.data[node.start : place] if start else node.data[place : node.end]
            for node, place in zip(nodes, at, strict=True)
        ]
        meant = [[kid.text for kid in some if kid.text not in (b"(", b")")] for some in kids]
        if not meant[0] == meant[1] == meant[2]:
            raise Unmerged("what the list belongs to was changed")
        if settled := self._settled(texts[0], texts[1], texts[2]):
            return settled[0]
        if b"".join(texts[1].split()) == b"".join(texts[2].split()):
            self._share(texts[0], texts[1])
            return texts[1]
        raise Unmerged("what is around the list")

    def _pieces(self, meeting: Meeting, sides: tuple[Region, Region, Region], parents: list[Node]) -> list[Piece]:
        pieces: list[Piece] = []
        base = meeting.base.items
        gap = 0
        while gap <= len(base):
            last = gap
            while last < len(base) and (meeting.ours.kept[last] is None or meeting.theirs.kept[last] is None):
                last += 1
            pieces += self._additions(meeting, gap, last, sides)
            if last < len(base):
                pieces.append(
                    self._item(base[last], meeting.ours.kept[last], meeting.theirs.kept[last], sides, parents)
                )
            gap = last + 1
        return pieces

    def _additions(self, meeting: Meeting, gap: int, last: int, sides: tuple[Region, Region, Region]) -> list[Piece]:
        """What was added between two items that both sides kept; those in between were removed."""
        if gap == last and not meeting.ours.added[gap] and not meeting.theirs.added[gap]:
            return []
        removed = meeting.base.items[gap:last]
        for number in range(gap, last):
            self._removal(meeting, number)
        ours, theirs = (
            [item for items in side.added[gap : last + 1] for item in items] for side in (meeting.ours, meeting.theirs)
        )
        for text in clusters(ours).keys() & clusters(theirs).keys():
            self._share(b"", text)
        if ours and theirs:
            found = together(meeting, gap, ours, theirs, removed)
        elif (ours or theirs) and any(self._both_removed(meeting, number) for number in range(gap, last)):
            raise Unmerged("both removed it, one put something in its place")
        else:
            found = ours or theirs
        return [_piece(item, _side(item, sides)) for item in found]

    def _removal(self, meeting: Meeting, number: int) -> None:
        old = meeting.base.items[number]
        ours, theirs = meeting.ours.kept[number], meeting.theirs.kept[number]
        kept = ours or theirs
        if kept is not None and kept.whole != old.whole:
            raise Unmerged("one changed what the other removed")
        if kept is None:
            again = [
                {item.text for item in [*meeting.added(side), *(new for _, new in meeting.changed(side))]}
                for side in meeting.sides
            ]
            if (old.text in again[0]) != (old.text in again[1]):
                raise Unmerged("one removed what the other moved")
            self._share(old.whole, b"")

    def _both_removed(self, meeting: Meeting, number: int) -> bool:
        return meeting.ours.kept[number] is None and meeting.theirs.kept[number] is None

    def _item(
        self,
        base: Item,
        ours: Item | None,
        theirs: Item | None,
        sides: tuple[Region, Region, Region],
        parents: list[Node],
    ) -> Piece:
        assert ours is not None and theirs is not None
        if _alike(base, ours, theirs):
            blank = theirs.blank
            return Piece(theirs, theirs.text, blank, ours.separator or theirs.separator, theirs.trail, blank)
        settled = self._settled(base.text, ours.text, theirs.text)
        text = settled[0] if settled else self._run(base, ours, theirs, parents)
        trail = self._settled(base.trail, ours.trail, theirs.trail)
        if not trail:
            raise Unmerged("both changed the comment behind it")
        told = theirs if ours.text == base.text else ours
        separator = ours.separator or theirs.separator
        blanks = [each.blank for each in (base, ours, theirs) if not each.first] or [theirs.blank]
        blank = _blank(base.blank, ours.blank, theirs.blank) if len(blanks) == 3 else blanks[-1]
        return Piece(told, text, blank, separator, trail[0], _apart(told, sides[1]) if told.first else blank)

    def _run(self, base: Item, ours: Item, theirs: Item, parents: list[Node]) -> bytes:
        if base.comment and ours.comment and theirs.comment:
            return merge_prose(base.text, ours.text, theirs.text)
        if len(base.kids) == len(ours.kids) == len(theirs.kids) == 1:
            return self.merge((base.node, ours.node, theirs.node), parents)
        runs = [Node(i.data, "run", "", True, i.start, i.end, i.kids) for i in (base, ours, theirs)]
        return self.merge((runs[0], runs[1], runs[2]), parents)

    # Nodes that are no lists

    def _parts(self, nodes: Three, parents: list[Node]) -> bytes:
        """The same part changed by both, or parts that may be changed apart."""
        base, ours, theirs = nodes
        if not (base.kids and ours.kids and theirs.kids):
            raise Unmerged("both replaced it")
        slots = _slots(nodes)
        changed = [slot for slot in slots if slot.ours != slot.base or slot.theirs != slot.base]
        if len(changed) > 1 and not all(slot.independent(base) for slot in changed):
            raise Unmerged("parts that depend on each other")
        _result_and_body(nodes)
        parts: list[bytes] = []
        for slot in slots:
            settled = self._settled(slot.base, slot.ours, slot.theirs)
            if settled:
                parts.append(settled[0])
            elif slot.three is not None:
                parts.append(self.merge(slot.three, [*parents, base]))
            elif slot.blank:
                parts.append(slot.ours)
            else:
                raise Unmerged("both replaced it")
        return b"".join(parts)


class Slot:
    """A part of a node with its three texts; `three` is None where a side has more or fewer nodes there."""

    def __init__(self, three: Three | None, texts: list[bytes], kids: list[Node]) -> None:
        self.three = three
        self.base, self.ours, self.theirs = texts
        self.kids = kids

    @property
    def blank(self) -> bool:
        return not any(text.strip() for text in (self.base, self.ours, self.theirs))

    def independent(self, parent: Node) -> bool:
        return self.blank or any(independent(parent, kid) for kid in self.kids)


def _slots(nodes: Three) -> list[Slot]:
    """The parts in order, and what stands between them, so that their texts make up the nodes."""
    signs = [[kid.field or kid.kind for kid in node.kids] for node in nodes]
    matches = [_matched(signs[0], signs[side]) for side in (1, 2)]
    slots: list[Slot] = []
    at = [node.start for node in nodes]
    previous = [-1, -1, -1]
    for number, kid in enumerate(nodes[0].kids):
        one, two = matches[0].get(number), matches[1].get(number)
        if one is None or two is None:
            continue
        here = [number, one, two]
        three = (kid, nodes[1].kids[one], nodes[2].kids[two])
        slots.append(_between(nodes, at, [each.start for each in three], previous, here))
        slots.append(Slot(three, [each.text for each in three], [kid]))
        at, previous = [each.end for each in three], here
    ends = [len(node.kids) for node in nodes]
    slots.append(_between(nodes, at, [node.end for node in nodes], previous, ends))
    return slots


def _matched(base: list[str], side: list[str]) -> dict[int, int]:
    blocks = SequenceMatcher(None, base, side, autojunk=False).get_matching_blocks()
    return {block.a + n: block.b + n for block in blocks for n in range(block.size)}


def _between(nodes: Three, start: list[int], end: list[int], previous: list[int], here: list[int]) -> Slot:
    texts = [node.data[a:b] for node, a, b in zip(nodes, start, end, strict=True)]
    kids = [kid for node, a, b in zip(nodes, previous, here, strict=True) for kid in node.kids[a + 1 : b]]
    return Slot(None, texts, kids)


def _result_and_body(nodes: Three) -> None:
    """The one changed what a function returns, the other a `return`."""
    base, ours, theirs = nodes
    if base.kind not in FUNCTIONS:
        return
    for one, two in ((ours, theirs), (theirs, ours)):
        for name in ("return_type", "result", "returns", "type"):
            if _text(base, name) != _text(one, name) and _returns(base) != _returns(two):
                raise Unmerged("the type of a result and the result")


def _text(node: Node, name: str) -> bytes:
    kid = node.get(name)
    return kid.text if kid is not None else b""


def _returns(node: Node) -> list[bytes]:
    return [each.text for each in node.walk() if "return" in each.kind and each.named and each.field != "return_type"]


def _docstring(node: Node, parents: list[Node]) -> bool:
    return node.kind == "string_content" and [p.kind for p in parents[-2:]] == ["expression_statement", "string"]


def _side(item: Item, sides: tuple[Region, Region, Region]) -> Region:
    return next(side for side in sides if any(item is each for each in side.items))


def _alike(base: Item, ours: Item, theirs: Item) -> bool:
    """Whether nobody changed it, nor made it the first or no longer the first: as with most of a list."""
    if base.first or ours.first or theirs.first or not base.text == ours.text == theirs.text:
        return False
    return base.trail == ours.trail == theirs.trail and base.blank == ours.blank == theirs.blank


def _piece(item: Item, side: Region) -> Piece:
    return Piece(item, item.text, item.blank, item.separator, item.trail, _apart(item, side))


def _apart(item: Item, side: Region) -> bytes | None:
    """The lead for an element that was the first and no longer is."""
    if not item.first:
        return item.blank
    if len(side.items) > 1:
        return side.items[1].blank
    line = item.data.rfind(b"\n", 0, item.start) + 1
    margin = item.data[line : item.start]
    if margin.strip() or (line == 0 and item.start == 0 and not item.data.count(b"\n")):
        return (
            b" "
            if (side.head and side.head[-1].text in (b"(", b"[", b"{", b"<") and b"\n" not in side.node.text)
            or side.node.kind in TAGS
            else None
        )
    newline = b"\r\n" if b"\r\n" in item.data else b"\n"
    return newline + margin


def _blank(base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """Blanks never conflict."""
    return theirs if ours == base else ours
