"""Whether two sides' edits of one snippet know of each other: one writes a name that the other uses, or leaves early.

Edits are compared where their ways part: as statements of one body, else as the smallest parts of one statement. Those
inside of different functions share no local names; those in different branches never both run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from intarsia.code.inside.aligned import align
from intarsia.code.inside.effects import Effects, clashing, effects, touching
from intarsia.code.inside.items import Item, Unmerged, region
from intarsia.code.inside.keys import Keys
from intarsia.code.inside.kinds import FUNCTIONS, Shape, shape_of
from intarsia.code.inside.syntax import Node

_MAX_PAIRS = 250_000


@dataclass(eq=False, frozen=True, slots=True)
class Step:
    """On the way to an edit: the base's `item` of its `container`, and what it was and became."""

    container: Node
    item: object
    rule: str
    old: list[Node]
    new: list[Node]

    def same(self, other: Step) -> bool:
        return self.container is other.container and self.item == other.item

    @property
    def function(self) -> bool:
        return any(node.kind in FUNCTIONS for node in (*self.old, *self.new))


@dataclass(eq=False, frozen=True, slots=True)
class Edit:
    way: tuple[Step, ...]
    old: list[Node]
    new: list[Node]

    @property
    def texts(self) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
        return tuple(node.text for node in self.old), tuple(node.text for node in self.new)


def stay_strangers(base: Node, ours: Node, theirs: Node, language: str) -> None:
    """Raises Unmerged when an edit of the one may change the meaning of an edit of the other."""
    one, two = edits(base, ours, theirs, language)
    for a in one:
        for b in two:
            _compare(a, b)


def edits(base: Node, ours: Node, theirs: Node, language: str) -> tuple[list[Edit], list[Edit]]:
    """What either side did and the other did not. Raises Unmerged where that can't be told, or is too much."""
    one, two = (list(_edits(base, side, (), None, language)) for side in (ours, theirs))
    known = [{(edit.way[-1].container if edit.way else None, edit.texts) for edit in side} for side in (one, two)]
    alike = {(id(container), texts) for container, texts in known[0] & known[1]}
    one, two = (
        [e for e in side if (id(e.way[-1].container) if e.way else 0, e.texts) not in alike] for side in (one, two)
    )
    if len(one) * len(two) > _MAX_PAIRS:
        raise Unmerged("too many changes")
    return one, two


def _edits(base: Node, side: Node, way: tuple[Step, ...], parent: Node | None, language: str) -> Iterator[Edit]:
    if base.text == side.text:
        return
    if base.kind != side.kind or not base.kids or not side.kids:
        yield Edit(way, [base], [side])
        return
    shape = shape_of(base, parent, language)
    if shape is not None and shape == shape_of(side, parent, language):
        yield from _list_edits(base, side, shape, way, language)
    else:
        yield from _part_edits(base, side, way, language)


def _list_edits(base: Node, side: Node, shape: Shape, way: tuple[Step, ...], language: str) -> Iterator[Edit]:
    old, new = region(base, shape), region(side, shape)
    aligned = align(old, new, Keys(shape.rule, language, [old.items, new.items]))
    for was, now in zip(old.items, aligned.kept, strict=True):
        step = Step(base, was.start, shape.rule, was.kids, now.kids if now else [])
        if now is None:
            yield Edit((*way, step), was.kids, [])
        elif was.text != now.text:
            yield from _item_edits(was, now, (*way, step), base, language)
    for items in aligned.added:
        for item in items:
            yield Edit((*way, Step(base, item, shape.rule, [], item.kids)), [], item.kids)
    for one, two in ((old.head, new.head), (old.foot, new.foot)):
        if [node.text for node in one] != [node.text for node in two]:
            yield Edit((*way, Step(base, "ends", "part", one, two)), one, two)


def _item_edits(was: Item, now: Item, way: tuple[Step, ...], parent: Node, language: str) -> Iterator[Edit]:
    if len(was.kids) == len(now.kids):
        for old, new in zip(was.kids, now.kids, strict=True):
            yield from _edits(old, new, way, parent, language)
    else:
        yield Edit(way, was.kids, now.kids)


def _part_edits(base: Node, side: Node, way: tuple[Step, ...], language: str) -> Iterator[Edit]:
    before, after = ([kid.field or kid.kind for kid in node.kids] for node in (base, side))
    for tag, i, i_end, j, j_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            old, new = base.kids[i:i_end], side.kids[j:j_end]
            yield Edit((*way, Step(base, (i, i_end), "part", old, new)), old, new)
            continue
        for old_kid, new_kid in zip(base.kids[i:i_end], side.kids[j:j_end], strict=True):
            step = Step(base, old_kid, "part", [old_kid], [new_kid])
            yield from _edits(old_kid, new_kid, (*way, step), base, language)


def _compare(a: Edit, b: Edit) -> None:
    parted = part(a, b)
    if parted is None:
        return
    one, two = parted
    within = [_enters_function(one), _enters_function(two)]
    first, second = meant(one, a), meant(two, b)
    if within[0] or within[1]:
        inner, outer = (first, second) if within[0] else (second, first)
        if touching(outer.writes, inner.names):
            raise Unmerged("one writes what the other uses")
        if outer.exits:
            raise Unmerged("one leaves early")
        return
    if clashing(first, second):
        raise Unmerged("one writes what the other uses")
    if first.exits or second.exits:
        raise Unmerged("one leaves early")


def part(a: Edit, b: Edit) -> tuple[tuple[Step, ...], tuple[Step, ...]] | None:
    """From where their ways part; None where they have nothing in common, in different functions or branches, or where
    one is inside of the other, so that the merge of that decides."""
    parting = _parting(a.way, b.way)
    if parting == len(a.way) or parting == len(b.way):
        return None
    one, two = a.way[parting:], b.way[parting:]
    if one[0].container is two[0].container and one[0].rule in ("chain", "cases"):
        return None
    return None if _enters_function(one) and _enters_function(two) else (one, two)


def _parting(a: tuple[Step, ...], b: tuple[Step, ...]) -> int:
    size = 0
    for one, two in zip(a, b, strict=False):
        if not one.same(two):
            break
        size += 1
    return size


def _enters_function(way: tuple[Step, ...]) -> bool:
    """Whether the edit is inside of a function that the other is not in."""
    return any(step.function for step in way[:-1])


def _statement(way: tuple[Step, ...]) -> Step | None:
    return next((step for step in reversed(way) if step.rule == "body"), None)


def meant(way: tuple[Step, ...], edit: Edit) -> Effects:
    """What the innermost statement does that holds the edit, or else the edit itself."""
    step = _statement(way) or next((step for step in reversed(way) if step.rule != "part"), None)
    old, new = (step.old, step.new) if step is not None else (edit.old, edit.new)
    parameters = step is not None and step.rule == "parameters"
    before, after = effects(old, parameters=parameters), effects(new, parameters=parameters)
    named = step is None and any(node.field in ("name", "declarator") for node in old)
    writes = before.writes | after.writes | (before.reads | after.reads if named else set())
    return Effects(after.reads, writes, [], int(before.exits != after.exits))
