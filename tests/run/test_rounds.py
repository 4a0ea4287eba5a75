from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from intarsia.cli.common import table
from intarsia.kernel.issues import Issue
from intarsia.kernel.overlap import POLICIES, Policy
from intarsia.run.field import Field
from intarsia.run.forecast import Forecast, Predicted
from intarsia.run.rounds import Backlog, Rounds, plan, text_of
from tests.run.test_field import issue, predicted


def backlog(*issues: Issue, only: tuple[str, ...] = (), locked: dict[str, str] | None = None) -> Backlog:
    return Backlog(issues, ["default"], only, 100.0, locked or {})


def needing(name: str, *needs: str, **values: object) -> Issue:
    return replace(issue(name), needs=list(needs), **values)


def planned(found: Backlog, expected: dict[str, list[Predicted]], agents: int = 2, policy: Policy = "advise") -> Rounds:
    return plan(found, Field(), forecasts(expected), agents, policy)


def forecasts(expected: dict[str, list[Predicted]]) -> Callable[[Issue], Forecast]:
    return lambda one: Forecast(one.id, expected.get(one.id, []))


def rounds(found: Rounds) -> list[list[str]]:
    return [[one.issue.id for one in round] for round in found.rounds]


SAID = predicted("code:a", declared=True)


def test_dependencies_and_the_number_of_agents_make_rounds() -> None:
    work = backlog(needing("a"), needing("b"), needing("c"), needing("d", "a"), needing("e", "d", "b"))
    assert rounds(planned(work, {}, agents=2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert rounds(planned(work, {}, agents=8)) == [["a", "b", "c"], ["d"], ["e"]]
    assert rounds(planned(work, {}, agents=1)) == [["a"], ["b"], ["c"], ["d"], ["e"]]
    assert planned(work, {}).chain == ["a", "d", "e"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("advise", [["a", "c"], ["b", "d"]]),
        ("wait", [["a", "c"], ["b"], ["d"]]),
        ("refuse", [["a", "c"], ["b"], ["d"]]),
    ],
)
def test_what_changes_the_same_is_put_apart_as_long_as_no_agent_idles(
    policy: Policy, expected: list[list[str]]
) -> None:
    work = backlog(*map(needing, "abcd"))
    found = planned(work, {"a": SAID, "b": SAID, "d": SAID}, policy=policy)
    assert rounds(found) == expected
    assert found.best == 2
    beside = {one.issue.id: [overlap.owner for overlap in one.beside] for round in found.rounds for one in round}
    assert beside == {"a": [], "b": [], "c": [], "d": ["b"] if policy == "advise" else []}
    assert [(pair.one, pair.other) for pair in found.pairs] == [("a", "b"), ("a", "d"), ("b", "d")]


def test_who_waits_for_the_other_anyway_is_no_pair() -> None:
    work = backlog(needing("a"), needing("b", "a"), needing("c", "b"), needing("d"))
    found = planned(work, {"a": SAID, "c": SAID, "d": SAID})
    assert [(pair.one, pair.other) for pair in found.pairs] == [("a", "d"), ("c", "d")]


def test_what_is_worked_on_already_counts_in_the_first_round() -> None:
    work = backlog(needing("a", status="in_progress"), needing("b"), needing("c"), needing("d", "a"))
    found = planned(work, {"a": SAID, "b": SAID}, agents=1, policy="wait")
    assert (found.running, rounds(found)) == (["a"], [["c"], ["b"], ["d"]])


def test_what_a_person_holds_is_free_after_the_first_round() -> None:
    held = Field()
    held.add("ann", SAID)
    work = backlog(needing("a"), needing("b"))
    assert rounds(plan(work, held, forecasts({"a": SAID}), 2, "wait")) == [["b"], ["a"]]
    assert rounds(plan(backlog(needing("a")), held, forecasts({"a": SAID}), 2, "wait")) == [["a"]]


def test_what_is_in_no_round_says_why() -> None:
    work = backlog(
        needing("a", status="blocked"),
        needing("b", "a"),
        needing("c", parent="e"),
        needing("d", not_before=1000.0),
        needing("e", "b", type="epic"),
        needing("f", queue="other"),
        needing("g", "e"),
        needing("h"),
        needing("i", status="deferred"),
        locked={"h": "ann"},
    )
    found = planned(work, {})
    assert found.rounds == []
    assert found.left == {
        "a": "is blocked",
        "b": "needs a",
        "c": "needs b",
        "d": "not before 1970-01-01T00:16:40Z",
        "f": "is in the queue other",
        "g": "needs e",
        "h": "is held by ann",
        "i": "is deferred",
    }


def test_a_circle_that_a_foreign_hand_made_is_in_no_round() -> None:
    found = planned(backlog(needing("a", "b"), needing("b", "a"), needing("c")), {"a": SAID, "b": SAID})
    assert (rounds(found), found.left) == ([["c"]], {"a": "needs b", "b": "needs a"})


def test_only_some_issues() -> None:
    work = backlog(needing("a"), needing("b", "a"), needing("c"), only=("b", "c"))
    found = planned(work, {})
    assert (rounds(found), found.left) == ([["c"]], {"b": "needs a"})


NAMES = [f"n{n}" for n in range(7)]
DAGS = st.tuples(*(st.sets(st.sampled_from(NAMES[:n])) if n else st.just(set[str]()) for n in range(len(NAMES))))
EXPECTED = st.dictionaries(
    st.sampled_from(NAMES),
    st.lists(
        st.builds(Predicted, st.sampled_from(["code:a", "code:b"]), st.just("exclusive"), st.just(""), st.booleans()),
        max_size=2,
    ),
)


@settings(max_examples=200, deadline=None)
@given(DAGS, EXPECTED, st.integers(1, 4), st.sampled_from(POLICIES))
def test_every_plan_has_each_issue_once_after_all_it_needs(
    needs: tuple[set[str], ...], expected: dict[str, list[Predicted]], agents: int, policy: Policy
) -> None:
    work = backlog(*(needing(name, *sorted(above)) for name, above in zip(NAMES, needs, strict=True)))
    found = planned(work, expected, agents, policy)
    order = [name for round in rounds(found) for name in round]
    assert sorted(order) == NAMES
    assert all(1 <= len(round) <= agents for round in rounds(found))
    for name, above in zip(NAMES, needs, strict=True):
        number = next(n for n, round in enumerate(rounds(found)) if name in round)
        assert all(any(need in round for round in rounds(found)[:number]) for need in above)
    assert max(len(found.chain), -(-len(NAMES) // agents)) <= found.best <= len(found.rounds)
    if policy == "advise":
        assert len(found.rounds) <= len(NAMES)
    else:
        assert not any(overlap.certain for round in found.rounds for one in round for overlap in one.beside)


def test_a_plan_for_people() -> None:
    work = backlog(
        needing("it-1", title="Make the parser faster, and also a good deal smaller"),
        needing("it-2", priority=1),
        needing("it-3", "it-1"),
        needing("it-4", status="blocked"),
    )
    found = planned(
        work, {"it-1": predicted("code:a#f", "code:b", "code:c"), "it-2": predicted("code:a", declared=True)}
    )
    assert text_of(found, table) == (
        "3 issues for 2 agents: 2 rounds.\n"
        "\n"
        "Round 1\n"
        "  it-1  P2  Make the parser faster, and also a good…  code:a#f (guessed), code:b (guessed) and 1 more\n"
        "  it-2  P1  it-2                                      code:a (said)\n"
        "    it-2 at the same time as it-1: code:a (said), it-1: code:a#f (guessed)\n"
        "\n"
        "Round 2\n"
        "  it-3  P2  it-3  -\n"
        "\n"
        "Change the same\n"
        "  it-1 and it-2: code:a (said), it-1: code:a#f (guessed)\n"
        "\n"
        "Longest chain: it-1 → it-3\n"
        "\n"
        "In no round\n"
        "  it-4  is blocked"
    )
    assert text_of(planned(backlog(), {}), table) == "Nothing is open."
    assert found.as_json()["rounds"][0][1]["beside"][0]["with"] == "it-1"
