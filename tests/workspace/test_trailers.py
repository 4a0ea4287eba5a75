"""Our two trailers, whatever a message says: exactly once, as git itself reads them."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from intarsia.workspace.landing import with_trailers

OURS = ["Issue: it-1", "Intarsia-Session: s-1"]
# The pieces from which a message that confuses a parser of trailers is made.
LINES = st.sampled_from(
    [
        "Add a parser",
        "issue: it-10",
        "Issue: it-1",
        "Issue:it-1",
        "ISSUE : it-2",
        "Intarsia-Session: s-0",
        "intarsia-session:",
        "  Issue: indented",
        " continued",
        "\tcontinued",
        "Signed-off-by: A U Thor <a@example.com>",
        "Co-authored-by: B <b@example.com>",
        "(cherry picked from commit 0123456789)",
        "Note: see below",
        "no colon here",
        "https://example.com/a: b",
        "---",
        "--- a/file",
        "# not a comment",
        "diff --git a/x b/x",
        "Fixes #12: it",
        "Key:",
        "Ünïcode: ✓",
        "# ------------------------ >8 ------------------------",
        "Conflicts:",
        " ",
        "",
    ]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
PARAGRAPH = st.lists(LINES | TEXT, max_size=6).map("\n".join)
MESSAGES = st.lists(PARAGRAPH, max_size=4).map("\n\n".join)


def parsed(message: str) -> list[str]:
    """What git takes for trailers of a commit's message."""
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse", "--no-divider"],
        input=message.encode(),
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().splitlines()


def is_ours(trailer: str) -> bool:
    return trailer.split(":")[0].strip().lower() in ("issue", "intarsia-session")


@given(MESSAGES)
def test_git_reads_our_trailers_exactly_once(message: str) -> None:
    made = with_trailers(message, "it-1", "s-1")
    found = parsed(made)
    assert [trailer for trailer in found if is_ours(trailer)] == OURS
    assert with_trailers(made, "it-1", "s-1") == made


@given(MESSAGES)
def test_all_other_trailers_stay(message: str) -> None:
    assume(">8" not in message)  # what git cuts off there may be anything
    before = [trailer for trailer in parsed(message.strip() + "\n") if not is_ours(trailer)]
    after = [trailer for trailer in parsed(with_trailers(message, "it-1", "s-1")) if not is_ours(trailer)]
    assert set(before) <= set(after)


@given(MESSAGES)
def test_nothing_else_of_the_text_is_lost(message: str) -> None:
    made = with_trailers(message, "it-1", "s-1").split("\n")
    for line in message.strip().split("\n"):
        assert is_ours(line) or line[:1].isspace() or line in made or f"#{line}" in made or not message.strip()


@pytest.mark.parametrize(
    ("message", "made"),
    [
        ("Add it", "Add it\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("Add it\n\nBecause.\n", "Add it\n\nBecause.\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("Add it\n\nA: b\n", "Add it\n\nA: b\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("Add it\n\nIssue: it-10\n", "Add it\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("Add it\n\nissue: it-10\nA: b\n", "Add it\n\nA: b\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("", "(no message)\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("Issue: it crashes", "Issue: it crashes\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("Add it\n\nA: b\n  c\nIssue: x\n  y\n", "Add it\n\nA: b\n  c\nIssue: it-1\nIntarsia-Session: s-1\n"),
        ("fix: the bug", "fix: the bug\n\nIssue: it-1\nIntarsia-Session: s-1\n"),
    ],
)
def test_examples(message: str, made: str) -> None:
    assert with_trailers(message, "it-1", "s-1") == made
