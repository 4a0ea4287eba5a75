"""The line merge: what it takes, what it refuses, and that it is fast on any input."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.code.merging.lines import Clash, chunks, diff3, hunks, marked, rising, split

# Few different lines, so that they repeat and align in several ways; some end in what only looks like an end of line.
LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\r\n", b"\n", b"d\x0c\n", b"e\xff\x85\n"]), max_size=12)
TEXTS = LINES.map(b"".join) | LINES.map(lambda lines: b"".join(lines).removesuffix(b"\n"))


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        (b"A\nb\nc\nd\n", b"a\nb\nC\nd\n", b"A\nb\nC\nd\n"),
        (b"b\nc\nd\n", b"a\nb\nc\nd\ne\n", b"b\nc\nd\ne\n"),
        (b"x\na\nb\nc\nd\n", b"x\na\nb\nc\nd\n", b"x\na\nb\nc\nd\n"),
        (b"A\nb\nc\nd", b"a\nb\nc\nD\n", None),
        (b"a\nB\nc\nd\n", b"a\nb\nC\nd\n", None),
        (b"a\nx\nb\nc\nd\n", b"a\ny\nb\nc\nd\n", None),
        (b"a\nc\nd\n", b"a\nB\nc\nd\n", None),
    ],
    ids=["apart", "both ends", "alike", "last newline", "neighbours", "one place", "removed and changed"],
)
def test_what_is_apart_is_merged(ours: bytes, theirs: bytes, merged: bytes | None) -> None:
    base = b"a\nb\nc\nd\n"
    assert diff3(base, ours, theirs) == merged
    assert diff3(base, theirs, ours) == merged


def test_an_insertion_reaches_over_all_places_where_it_could_stand() -> None:
    """Which of the equal lines is the new one can't be told, so the other side must not have touched any."""
    base = b"x\nx\nx\nend\n"
    assert diff3(base, b"x\nx\nx\nx\nend\n", b"y\nx\nx\nend\n") is None
    assert diff3(base, b"x\nx\nend\n", b"x\nx\ny\nend\n") is None


def test_only_a_newline_ends_a_line() -> None:
    assert split(b"a\rb\x0cc\x85d\ne") == [b"a\rb\x0cc\x85d\n", b"e"]


def test_a_clash_keeps_what_both_have_outside_of_the_markers() -> None:
    clash = Clash(b"b\n", b"same\nours\nend\n", b"same\ntheirs\nend\n")
    names = ("HEAD", "old", "side")
    assert marked(clash, names) == b"same\n<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> side\nend\n"
    with_base = marked(Clash(b"b", b"o", b""), names, size=9, with_base=True)
    assert with_base == b"<<<<<<<<< HEAD\no\n||||||||| old\nb\n=========\n>>>>>>>>> side\n"


@given(TEXTS, TEXTS)
def test_hunks_turn_the_one_into_the_other(one: bytes, other: bytes) -> None:
    a, b = split(one), split(other)
    made, at = [], 0
    for hunk in hunks(a, b):
        assert hunk.first <= hunk.start <= hunk.end <= hunk.last
        made += [*a[at : hunk.start], *b[hunk.new : hunk.new_end]]
        at = hunk.end
    assert b"".join([*made, *a[at:]]) == other


@given(TEXTS, TEXTS, TEXTS)
def test_laws(base: bytes, ours: bytes, theirs: bytes) -> None:
    assert diff3(base, ours, base) == ours == diff3(base, base, ours) == diff3(base, ours, ours)
    assert diff3(base, ours, theirs) == diff3(base, theirs, ours)


@given(TEXTS, TEXTS, TEXTS)
def test_the_parts_of_each_version_make_up_that_version_where_both_changed_it(
    base: bytes, ours: bytes, theirs: bytes
) -> None:
    parts = chunks(base, ours, theirs)
    if not any(isinstance(part, Clash) for part in parts):
        return
    for side in ("ours", "theirs"):
        taken = b"".join(part if isinstance(part, bytes) else getattr(part, side) for part in parts)
        lines = split(base) + split(ours) + split(theirs)
        assert all(line in lines for line in split(taken))


@given(st.lists(st.integers(0, 9), max_size=12))
def test_a_longest_rising_run(numbers: list[int]) -> None:
    path = rising(numbers)
    values = [numbers[index] for index in path]
    assert path == sorted(path)
    assert all(a < b for a, b in pairwise(values))
    longest = [1] * len(numbers)
    for i, number in enumerate(numbers):
        longest[i] = 1 + max((longest[j] for j in range(i) if numbers[j] < number), default=0)
    assert len(path) == max(longest, default=0)


@pytest.mark.parametrize("repeated", [b"x\n", b"x\ny\n", b"\n", b"}\n\n"])
def test_no_input_takes_long(repeated: bytes) -> None:
    """Repeated lines without any that occur once are the worst of inputs for comparing line by line."""
    base = repeated * 20_000
    ours, theirs = b"new\n" + base[: len(base) // 2] + b"a\n" + base[len(base) // 2 :], base + b"z\n" + base
    started = time.thread_time()
    diff3(base, ours, theirs)
    assert time.thread_time() - started < 10
