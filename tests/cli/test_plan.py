"""`intarsia run --plan`; what a plan is, is proven in tests/run/test_rounds.py."""

from __future__ import annotations

import pytest

from intarsia.kernel import Database
from tests.support.dump import dump
from tests.support.here import Here


@pytest.fixture
def work(here: Here) -> Here:
    here.sandbox.commit("a.py", "def one():\n    pass\n\n\ndef two():\n    pass\n", "Add a.py")
    here.ok("issue", "new", "Speed one() up", "--id", "it-1")
    here.ok("issue", "new", "Rename `one`", "--id", "it-2", "--claims", "code:a.py#one")
    here.ok("issue", "new", "Remove two()", "--id", "it-3")
    here.ok("issue", "new", "Document it", "--id", "it-4", "--needs", "it-1")
    return here


def test_a_plan_shows_what_goes_side_by_side_and_changes_nothing(work: Here, store: Database) -> None:
    before, refs = dump(store), work.sandbox.git("for-each-ref")
    text = work.ok("run", "--plan", "--agents", "2")
    assert text.splitlines()[:4] == [
        "4 issues for 2 agents: 2 rounds.",
        "",
        "Round 1",
        "  it-1  P2  Speed one() up  code:a.py#one (named in its text)",
    ]
    plan = work.json("run", "--plan", "--agents", "2")
    assert [[one["id"] for one in round] for round in plan["rounds"]] == [["it-1", "it-3"], ["it-2", "it-4"]]
    assert plan["rounds"][1][0]["expected"] == [{"resource": "code:a.py#one", "mode": "exclusive", "why": "declared"}]
    assert [pair["issues"] for pair in plan["overlaps"]] == [["it-1", "it-2"]]
    assert (plan["longest_chain"], plan["policy"], plan["left"]) == (["it-1", "it-4"], "advise", {})
    assert (dump(store), work.sandbox.git("for-each-ref")) == (before, refs)


def test_a_plan_of_some_issues(work: Here) -> None:
    plan = work.json("run", "--plan", "--issue", "it-2", "--issue", "it-4")
    assert [[one["id"] for one in round] for round in plan["rounds"]] == [["it-2"]]
    assert plan["left"] == {"it-4": "needs it-1"}
    assert work.refused("run", "--plan", "--issue", "it-9") == (4, "not_found")


def test_locked_issues_are_in_no_round(work: Here) -> None:
    work.ok("agent", "join", "ann")
    work.ok("lock", "acquire", "issue:it-3", me="ann")
    assert work.json("run", "--plan")["left"] == {"it-3": "is held by ann"}


def test_a_plan_of_nothing(here: Here) -> None:
    assert here.ok("run", "--plan") == "Nothing is open.\n"
