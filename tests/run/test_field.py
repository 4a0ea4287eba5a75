from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intarsia.kernel.issues import Issue
from intarsia.kernel.modes import MODES, Mode, conflict
from intarsia.kernel.overlap import POLICIES, Policy
from intarsia.kernel.resources import parse
from intarsia.run.field import PATIENCE, Choice, Field, choose
from intarsia.run.forecast import Forecast, Predicted

NAMES = ["code:s", "code:s/a", "code:s/a#C", "code:s/a#C.m", "code:s/a#C/body", "code:s/a#CD", "code:sa", "code:t"]


def issue(name: str, priority: int = 2) -> Issue:
    return Issue(
        id=name, title=name, body="", acceptance="", type="task", priority=priority, status="open", queue="default",
        labels=[], assignee=None, claims=[], parent=None, external=None, resolution=None, attempts=0, not_before=None,
        due=None, created=0, updated=0, closed=None,
    )  # fmt: skip


def predicted(*names: str, declared: bool = False, mode: Mode = "exclusive") -> list[Predicted]:
    return [Predicted(name, mode, "said" if declared else "guessed", declared) for name in names]


EXPECTED = st.lists(
    st.builds(Predicted, st.sampled_from(NAMES), st.sampled_from(MODES), st.just("why"), st.booleans()),
    max_size=4,
    unique_by=lambda one: one.uri,
)


@settings(max_examples=300, deadline=None)
@given(EXPECTED, st.lists(st.tuples(st.sampled_from("xyz"), EXPECTED), max_size=4))
def test_a_field_finds_what_the_table_of_modes_says(
    mine: list[Predicted], others: list[tuple[str, list[Predicted]]]
) -> None:
    field = Field()
    for owner, expected in others:
        field.add(owner, expected)
    found = {(one.owner, one.mine.uri, one.theirs.uri) for one in field.overlaps(Forecast("it-1", mine))}
    assert found == {
        (owner, one.uri, theirs.uri)
        for one, (owner, expected) in product(mine, others)
        for theirs in expected
        if conflict(one.mode, parse(one.uri).key, theirs.mode, parse(theirs.uri).key)
    }


Backlog = dict[str, list[Predicted]]


def chosen(backlog: Backlog, busy: list[Predicted], policy: Policy, times: dict[str, int] | None = None) -> Choice:
    field = Field()
    field.add("busy", busy)
    return chosen_in(field, backlog, policy, Counter(times or {}))


def chosen_in(field: Field, backlog: Backlog, policy: Policy, times: Counter[str]) -> Choice:
    ready = [issue(name) for name in backlog]
    return choose(ready, lambda one: Forecast(one.id, backlog[one.id]), field, policy, times)


def named(choice: Choice) -> tuple[str | None, list[str]]:
    return choice.issue.id if choice.issue else None, list(choice.passed)


A, B = predicted("code:a"), predicted("code:b")
SAID_A, SAID_B = predicted("code:a", declared=True), predicted("code:b", declared=True)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_overlaps_is_passed_while_there_is_something_else(policy: Policy) -> None:
    for busy, mine in product((A, SAID_A), (A, SAID_A)):
        choice = chosen({"it-1": mine, "it-2": B, "it-3": []}, busy, policy)
        assert named(choice) == ("it-2", ["it-1"])
        assert choice.overlaps == []
    assert named(chosen({"it-1": B, "it-2": []}, A, policy)) == ("it-1", [])
    assert named(chosen({}, A, policy)) == (None, [])


@pytest.mark.parametrize("policy", POLICIES)
def test_no_agent_idles_for_what_is_only_guessed(policy: Policy) -> None:
    for busy, mine in ((A, A), (SAID_A, A), (A, SAID_A)):
        choice = chosen({"it-1": mine, "it-2": mine}, busy, policy)
        assert named(choice) == ("it-1", [])
        assert [one.owner for one in choice.overlaps] == ["busy"]


def test_what_is_claimed_and_held_waits_unless_the_policy_is_to_advise() -> None:
    backlog = {"it-1": SAID_A, "it-2": [*SAID_A, *A], "it-3": A}
    assert named(chosen(backlog, SAID_A, "advise")) == ("it-1", [])
    for policy in ("wait", "refuse"):
        assert named(chosen(backlog, SAID_A, policy)) == ("it-3", ["it-1", "it-2"])
        assert named(chosen({"it-1": SAID_A}, SAID_A, policy)) == (None, ["it-1"])


@pytest.mark.parametrize("policy", POLICIES)
def test_who_was_passed_too_often_is_next(policy: Policy) -> None:
    backlog = {"it-1": A, "it-2": []}
    assert named(chosen(backlog, A, policy, {"it-1": PATIENCE - 1})) == ("it-2", ["it-1"])
    assert named(chosen(backlog, A, policy, {"it-1": PATIENCE})) == ("it-1", [])


def test_nobody_overtakes_who_waited_too_long_on_what_it_claims() -> None:
    """it-1 needs a and b; others that need only b would go on for ever, one after another."""
    backlog = {"it-1": [*SAID_A, *SAID_B], "it-2": SAID_B, "it-3": SAID_A}
    assert named(chosen(backlog, SAID_A, "wait", {"it-1": PATIENCE - 1})) == ("it-2", ["it-1"])
    assert named(chosen(backlog, SAID_A, "wait", {"it-1": PATIENCE})) == (None, ["it-1", "it-2", "it-3"])
    assert named(chosen({**backlog, "it-4": []}, SAID_A, "wait", {"it-1": PATIENCE})) == (
        "it-4",
        ["it-1", "it-2", "it-3"],
    )


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mine", [[*A, *B], [*SAID_A, *SAID_B]])
def test_no_issue_starves(policy: Policy, mine: list[Predicted]) -> None:
    """Three agents, and for ever new issues that change a or b, one of which is always being changed."""
    times: Counter[str] = Counter()
    running = {"old-a": (SAID_A, 2), "old-b": (SAID_B, 3), "other": ([], 1)}  # each with how long it still takes
    for n in range(30):
        running = {name: (expected, left - 1) for name, (expected, left) in running.items() if left > 1}
        while len(running) < 3:
            field = Field()
            for owner, (expected, _) in running.items():
                field.add(owner, expected)
            free = f"{n}-{len(running)}"
            backlog = {"it-1": mine, f"a-{free}": SAID_A, f"b-{free}": SAID_B, f"other-{free}": []}
            choice = chosen_in(field, backlog, policy, times)
            assert choice.issue
            if choice.issue.id == "it-1":
                return
            times.update(choice.passed.keys())
            running[choice.issue.id] = (backlog[choice.issue.id], 2)
    pytest.fail("it-1 was never started")
