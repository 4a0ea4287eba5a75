"""Structural merge inside a unit: pairs with known right answers, and what random changes must keep."""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.code.inside.aligned import opcodes
from intarsia.code.inside.merger import merge_inside
from intarsia.code.inside.syntax import MAX_DEPTH, Node, tree
from tests.code.pairs import Pair, pairs

PAIRS = list(pairs())
LANGUAGES = sorted({pair.language for pair in PAIRS})


def told(pair: Pair) -> str:
    return f"{pair.kind} / {pair.name}:\n{pair.ours.decode()}\n{pair.theirs.decode()}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_pairs_are_merged_right_or_handed_back(language: str) -> None:
    """No result is wrong, and of those that are independent none is handed back."""
    results = [
        (pair, merge_inside(pair.base, pair.ours, pair.theirs, language)) for pair in PAIRS if pair.language == language
    ]
    assert [told(pair) for pair, merged in results if merged is not None and merged != pair.merged] == []
    assert [told(pair) for pair, merged in results if merged is None and pair.merged is not None] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_does_not_depend_on_the_side_whether_it_merges(language: str) -> None:
    some = [pair for pair in PAIRS if pair.language == language][::7]
    swapped = [(pair, merge_inside(pair.base, pair.theirs, pair.ours, language)) for pair in some]
    assert [told(pair) for pair, merged in swapped if (merged is None) != (pair.merged is None)] == []


def test_there_are_enough_pairs_of_either_sort() -> None:
    assert len([pair for pair in PAIRS if pair.merged is None]) >= 500
    assert len([pair for pair in PAIRS if pair.merged is not None]) >= 1000
    assert len(LANGUAGES) == 12


def test_refusals_are_understood() -> None:
    """They are handed back for what they mean, not because they can't be read."""
    unread = [
        (pair.language, pair.kind, pair.name)
        for pair in PAIRS
        if pair.language != "php"
        for text in (pair.base, pair.ours, pair.theirs)
        if pair.merged is None and pair.kind == "dependent" and tree(text, pair.language) is None
    ]
    assert unread == []


@pytest.mark.parametrize("text", [b"", b"def f(:\n", b"\xff\xfe\x00", b"x = (" * 3000, b"\0" * 20])
def test_what_can_not_be_read_is_handed_back(text: bytes) -> None:
    assert merge_inside(text, text + b"\nx = 1\n(", text + b"\ny = 2\n(", "python") is None


def test_what_is_nested_too_deep_is_handed_back() -> None:
    text = b"x = " + b"(" * 3000 + b"1" + b")" * 3000
    assert merge_inside(text + b"\n", text + b"\ny = 1\n", text + b"\nz = 2\n", "python") is None


@pytest.mark.parametrize(("brackets", "is_read"), [(MAX_DEPTH - 5, True), (MAX_DEPTH, False)])
def test_how_deep_is_too_deep_does_not_depend_on_who_asks(brackets: int, is_read: bool) -> None:
    text = b"x = " + b"(" * brackets + b"1" + b")" * brackets + b"\n"
    assert (tree(text, "python") is not None) == is_read


def test_a_tree_is_the_same_whatever_is_looked_at_first() -> None:
    def from_above(node: Node) -> object:
        return node.kind, node.field, node.start, node.end, [from_above(kid) for kid in node.kids]

    def from_the_end(node: Node) -> object:
        kids = [from_the_end(kid) for kid in reversed(node.kids)]
        return node.kind, node.field, node.start, node.end, kids[::-1]

    for pair in PAIRS[::5]:
        one, other = tree(pair.ours, pair.language), tree(pair.ours, pair.language)
        assert one is None or other is None or from_above(one) == from_the_end(other)


@given(st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"])), st.data())
def test_only_what_is_between_common_ends_is_aligned(a: list[bytes], data: st.DataObject) -> None:
    b = data.draw(st.one_of(st.permutations(a), st.lists(st.sampled_from([*a, b"x", b"y"]), unique=True)))
    for one, other in ((a, b), (list(dict.fromkeys(a)), list(dict.fromkeys(b)))):
        assert opcodes(one, other) == SequenceMatcher(None, one, other, autojunk=False).get_opcodes()


def test_one_side_alone_is_taken_as_it_is() -> None:
    assert merge_inside(b"((", b"((", b"]]", "python") == b"]]"
    assert merge_inside(b"((", b"]]", b"((", "python") == b"]]"
    assert merge_inside(b"((", b"]]", b"]]", "python") == b"]]"


def test_an_unknown_language_is_handed_back() -> None:
    assert merge_inside(b"a", b"b", b"c", "cobol") is None


MEMBER = st.sampled_from([f"k{number}" for number in range(12)])
STYLES = st.sampled_from(["{0}", "[\n    {0},\n]", "{{{0}}}"])


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[str], list[str], list[str], list[str]]:
    """A list, and two sides that insert distinct members at random places and remove members of disjoint halves."""
    base = draw(st.lists(MEMBER, min_size=1, max_size=8, unique=True))
    half = len(base) // 2
    gone = [
        draw(st.sets(st.integers(0, max(half - 1, 0)), max_size=1)),
        draw(st.sets(st.integers(half, len(base) - 1), max_size=1)),
    ]
    sides: list[list[str]] = []
    for name, removed in zip("mn", gone, strict=True):
        side = [item for number, item in enumerate(base) if number not in removed]
        for number in range(draw(st.integers(0, 3))):
            side.insert(draw(st.integers(0, len(side))), f"{name}{number}")
        sides.append(side)
    removed_names = {base[number] for some in gone for number in some if number < len(base)}
    kept = [item for item in base if item not in removed_names]
    added = [item for side in sides for item in side if item not in base]
    return base, sides[0], sides[1], [*kept, *added]


@given(edits(), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_members_of_a_list_are_conserved(
    edit: tuple[list[str], list[str], list[str], list[str]], lines: bool, crlf: bool
) -> None:
    base, ours, theirs, wanted = edit

    def write(members: list[str]) -> bytes:
        inner = "".join(f"\n    {each}," for each in members) + "\n" if lines else ", ".join(members)
        text = f"d = [{inner}]\n"
        return (text.replace("\n", "\r\n") if crlf else text).encode()

    merged = merge_inside(write(base), write(ours), write(theirs), "python")
    assert merged is None or _members(merged) == Counter(wanted)
    if merged is not None:
        _in_order(ours, merged)
        _in_order(theirs, merged)


@given(edits(), st.sampled_from(["r.add({0})", "d['{0}'] = 1", "{0} = 1"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_statements_of_a_body_are_conserved(
    edit: tuple[list[str], list[str], list[str], list[str]], form: str, ended: bool
) -> None:
    base, ours, theirs, wanted = edit

    def write(members: list[str]) -> bytes:
        text = "def f(r):\n    s = 0\n" + "".join(f"    {form.format(each)}\n" for each in members)
        return (text if ended else text.rstrip("\n")).encode()

    merged = merge_inside(write(base), write(ours), write(theirs), "python")
    assert merged is None or _members(merged) == Counter(wanted)
    if merged is not None:
        _in_order(ours, merged)
        _in_order(theirs, merged)
        assert merged.endswith(b"\n") == ended


def _members(merged: bytes) -> Counter[str]:
    return Counter(re.findall(r"\b[kmn]\d+\b", merged.decode()))


def _in_order(side: list[str], merged: bytes) -> None:
    found = [each for each in re.findall(r"\b[kmn]\d+\b", merged.decode()) if each in side]
    assert found == [each for each in side if each in found]


def test_what_one_side_removed_and_the_other_moved_does_not_come_back() -> None:
    f, g, h = (f"def {name}():\n    return '{name}'\n" for name in "fgh")
    base, ours, theirs = f + g + h, f + g, h + f + g
    assert merge_inside(base.encode(), ours.encode(), theirs.encode(), "python") is None
    assert merge_inside(base.encode(), theirs.encode(), ours.encode(), "python") is None
