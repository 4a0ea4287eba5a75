"""A unified diff, applied: exactly what it says, or nothing."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intarsia.agents.patches import patched

LINES = st.lists(st.sampled_from(["a", "b", "", "  c", "- d", "+ e", "@@ -1 +1 @@"]), max_size=12)


@given(LINES, LINES, st.integers(0, 3))
def test_what_a_diff_was_made_of_comes_out(before: list[str], after: list[str], context: int) -> None:
    old, new = ["".join(f"{line}\n" for line in lines) for lines in (before, after)]
    diff = "".join(difflib.unified_diff(old.splitlines(True), new.splitlines(True), n=context))
    diff = "".join(diff.splitlines(True)[2:])
    assert patched(old, diff) == (new if diff else None)


@pytest.mark.parametrize("diff", ["", "not a diff", "@@ -1 +1 @@\n-other\n+x\n", "@@ -5 +5 @@\n-one\n+x\n"])
def test_what_does_not_fit_is_nothing(diff: str) -> None:
    assert patched("one\n", diff) is None


def test_other_line_ends_are_kept() -> None:
    assert patched("one\r\ntwo\r\n", "@@ -1,2 +1,2 @@\n-one\n+1\n two\n") == "1\ntwo\r\n"


def test_a_last_line_may_have_no_end() -> None:
    note = "\\ No newline at end of file\n"
    assert patched("one", f"@@ -1 +1 @@\n-one\n{note}+1\n{note}") == "1"
    assert patched("one", f"@@ -1 +1,2 @@\n-one\n{note}+one\n+two\n") == "one\ntwo\n"
    assert patched("one\ntwo", f"@@ -1,2 +1,2 @@\n-one\n+1\n two\n{note}") == "1\ntwo"
    assert patched("one\ntwo", f"@@ -1,2 +1,2 @@\n one\n-two\n{note}+2\n") == "one\n2\n"
