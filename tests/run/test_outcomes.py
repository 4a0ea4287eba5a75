"""What becomes of a session whose agent did not end its turn well; and what its vendor told meanwhile."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from intarsia.agents import Outcome, Usage
from intarsia.run.outcomes import HANDLING
from intarsia.run.usage import with_figure
from tests.support.sandbox import Sandbox, adds


def test_every_outcome_is_handled() -> None:
    assert set(HANDLING) | {"completed", "stopped"} == set(get_args(Outcome))


@pytest.mark.parametrize("outcome", ["overloaded", "rate_limited", "auth"])
def test_a_session_without_service_is_parked_and_goes_on_later(sandbox: Sandbox, outcome: str) -> None:
    sandbox.issue("it-1")
    away = sandbox.scenario({"it-1": [[{"write": "half.txt", "text": "x"}, {"end": outcome, "text": "Later."}]]})
    assert sandbox.call("run", "--agent", away, env={"INTARSIA_RUN_PATIENCE": "0"}).returncode == 1
    if outcome != "auth":
        sandbox.ok("agent", "resume", "script")
    (session,) = sandbox.sessions()
    assert session["stage"] == "parked"
    assert session["reason"].endswith("Later.")
    assert "work" in sandbox.git("for-each-ref", f"refs/intarsia/archive/{session['id']}")
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": adds("one.txt", "1\n")}))
    assert [s["id"] for s in sandbox.sessions()] == [session["id"]]
    assert "one.txt" in sandbox.files()


@pytest.mark.parametrize(
    ("outcome", "stage", "sessions"),
    [("refused", "blocked", 1), ("api_error", "failed", 3), ("unguarded", "failed", 1), ("exhausted", "failed", 1)],
)
def test_a_session_that_failed(sandbox: Sandbox, outcome: str, stage: str, sessions: int) -> None:
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [[{"end": outcome, "text": "Because."}]]})
    assert sandbox.call("run", "--agent", agent).returncode == 1
    assert [s["stage"] for s in sandbox.sessions()] == [stage] * sessions
    assert sandbox.status("it-1") == "blocked"


def test_an_agent_that_was_cut_off_goes_on(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    cut: list[dict[str, Any]] = [{"write": "one.txt", "text": "1\n"}, {"end": "truncated"}]
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [cut, [{"commit": "Add one"}]]}))
    assert sandbox.show("one.txt") == "1"
    assert sandbox.sessions()[0]["turn"] == 2


def test_a_conversation_and_what_it_cost_are_recorded(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    first: list[dict[str, Any]] = [
        {"conversation": "c-1"},
        {"usage": {"input": 10, "output": 1, "cost": 0.5}},
        {"usage": {"input": 20, "output": 2, "cost": 0.75}},
    ]
    second: list[dict[str, Any]] = [{"usage": {"input": 25, "output": 3, "cost": 1.0}}, *adds("one.txt", "1\n")[0]]
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [first, second]}))
    (session,) = sandbox.sessions()
    assert session["vendor_id"] == "c-1"
    used = session["usage"]
    # The first turn had no conversation when it began, and is a scope of its own.
    assert set(used["scopes"]) == {"turn-1", "c-1"}
    assert (used["input"], used["output"], used["cost"]) == (45, 5, 1.75)


def test_a_figure_of_the_same_scope_replaces_the_one_before() -> None:
    record: dict[str, Any] = {}
    for figure in (Usage("a", 10, 4, 1, 0.1), Usage("a", 20, 8, 2, 0.2), Usage("a", 20, 8, 2, 0.2), Usage("b", 1)):
        record = with_figure(record, figure)
    assert (record["input"], record["cached"], record["output"], record["cost"]) == (21, 8, 2, 0.2)
    assert with_figure({}, Usage("b", 1))["cost"] is None
