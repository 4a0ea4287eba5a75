"""What agents may use up: limits are kept on every figure that is told, named when reached, and lose nothing."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from intarsia.agents import Usage
from intarsia.clock import ManualClock
from intarsia.config import Config, Limits, Price
from intarsia.kernel import Database, issues, sessions, spending
from intarsia.kernel.sessions import Session
from intarsia.kernel.spending import Scope
from intarsia.run import prices
from intarsia.run.limits import ALL, SCOPES, before_turn
from intarsia.run.usage import shown, unpriced_models, with_figure
from tests.support.sandbox import Sandbox, Step, adds


def uses(**figures: Any) -> Step:
    return {"usage": figures}


def limited(**limits: float) -> dict[str, str]:
    return {f"INTARSIA_LIMITS_{name.upper()}": str(value) for name, value in limits.items()}


def summary(sandbox: Sandbox, *args: str, env: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sandbox.call("run", "--json", *args, env=env).stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"session_tokens": 100}, "limits.session_tokens is 100, and 110 are used."),
        ({"session_cost": 1.5}, "limits.session_cost is $1.50, and $2.00 are used."),
        ({"issue_tokens": 100}, "limits.issue_tokens is 100, and 110 are used."),
    ],
)
def test_a_limit_of_a_session_or_issue_ends_the_turn_at_once(
    sandbox: Sandbox, limits: dict[str, float], said: str
) -> None:
    sandbox.issue("it-1")
    steps = [{"write": "half.txt", "text": "x"}, uses(input=90, output=20, cost=2.0), {"commit": "Too late"}]
    done = sandbox.call("run", "--agent", sandbox.scenario({"it-1": [steps]}), env=limited(**limits))
    assert done.returncode == 1
    (session,) = sandbox.sessions()
    assert said in session["reason"]
    assert session["stage"] == ("blocked" if "issue_tokens" in limits else "failed")
    assert sandbox.status("it-1") == "blocked"
    assert sandbox.files() == {"README.md", ".gitignore"}
    archived = sandbox.git("for-each-ref", "--format=%(refname)", "refs/intarsia/archive").splitlines()
    assert any("half.txt" in sandbox.files(at=ref) for ref in archived)


def test_figures_below_the_limit_end_nothing(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [[uses(input=50), uses(input=99), *adds("one.txt", "1\n")[0]]]})
    sandbox.ok("run", "--agent", agent, env=limited(session_tokens=100, day_tokens=100, issue_tokens=100))
    assert "one.txt" in sandbox.files()


def test_no_turn_begins_when_a_session_had_all_of_its_turns(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[checks]\nno = 'false'\n", "Configure")
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [*adds("one.txt", "1\n"), *adds("two.txt", "2\n"), *adds("three.txt", "3\n")]})
    assert sandbox.call("run", "--agent", agent, env=limited(session_turns=2)).returncode == 1
    (session,) = sandbox.sessions()
    assert session["usage"]["turns"] == 2
    assert "limits.session_turns is 2, and 2 are used. The check no" in session["reason"]
    assert {"one.txt", "two.txt"} <= sandbox.files(at=session["branch"])


def test_an_issue_that_is_spent_gets_no_more_attempts(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [[uses(input=60), {"end": "failed"}]]})
    sandbox.call("run", "--agent", agent, env={**limited(issue_tokens=100), "INTARSIA_RUN_ATTEMPTS": "5"})
    newest, *_ = found = sandbox.sessions()
    assert len(found) == 2
    assert newest["stage"] == "blocked"
    assert newest["reason"].endswith("limits.issue_tokens is 100, and 120 are used.")


@pytest.mark.parametrize("scope", ["run", "day"])
def test_a_limit_of_a_run_or_day_lets_end_what_runs_and_begins_nothing_more(each_sandbox: Sandbox, scope: str) -> None:
    sandbox = each_sandbox
    for name in ("it-1", "it-2", "it-3"):
        sandbox.issue(name)
    scripts = {name: [[uses(input=60), *adds(f"{name}.txt", "x\n")[0]]] for name in ("it-1", "it-2", "it-3")}
    agent, limits = sandbox.scenario(scripts), limited(**{f"{scope}_tokens": 100})
    first = summary(sandbox, "--agent", agent, "-n", "1", env=limits)
    assert first == {**first, "exit_code": 1, "parked": [], "waiting": ["it-3"]}
    assert first["limit"] == f"limits.{scope}_tokens is 100, and 120 are used."
    assert first["used"]["input"] == 120
    assert {"it-1.txt", "it-2.txt"} <= sandbox.files()
    again = summary(sandbox, "--agent", agent, env=limits)
    assert again["waiting"] == ([] if scope == "run" else ["it-3"])
    assert ("it-3.txt" in sandbox.files()) == (scope == "run")
    assert sandbox.json("status")["today"]["input"] == (180 if scope == "run" else 120)


def test_a_limit_of_a_run_parks_what_would_need_another_turn_and_the_next_run_goes_on(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[checks]\nanswer = 'grep -q 42 answer.txt'\n", "Configure")
    sandbox.issue("it-1")
    first = [uses(input=100), {"write": "answer.txt", "text": "41\n"}, {"commit": "Answer"}]
    second: list[Step] = [{"write": "answer.txt", "text": "42\n"}, {"commit": "Correct"}]
    agent = sandbox.scenario({"it-1": [first, second]})
    assert sandbox.call("run", "--agent", agent, env=limited(run_tokens=100)).returncode == 1
    (session,) = sandbox.sessions()
    assert (session["stage"], session["turn"]) == ("parked", 2)
    assert session["reason"] == "limits.run_tokens is 100, and 100 are used."
    sandbox.ok("run", "--agent", agent, env=limited(run_tokens=100))
    assert sandbox.show("answer.txt") == "42"
    assert len(sandbox.sessions()) == 1


def test_a_limit_that_can_not_be_kept_is_refused_before_anything_begins(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    for limits, agent in (
        ({"run_tokens": 5}, "command: true"),
        ({"day_cost": 5}, sandbox.scenario({"it-1": [[uses(input=1)]]})),
    ):
        done = sandbox.call("run", "--agent", agent, env=limited(**limits))
        assert done.returncode == 2
        assert f"limits.{next(iter(limits))} can't be kept" in done.stderr
    assert '[prices."MODEL"]' in done.stderr
    assert sandbox.sessions() == []


def test_your_price_is_used_and_keeps_a_limit_of_cost(sandbox: Sandbox) -> None:
    scenario = sandbox.scenario({"it-1": [[uses(input=1_000_000, cached=500_000), *adds("a.txt", "a\n")[0]]]})
    price = '[prices."my-model"]\ninput = 2.0\ncached = 0.5\noutput = 8\n'
    table = f'[agents.a]\ndriver = "script"\nmodel = "my-model"\nscenario = "{scenario.partition(": ")[2]}"\n'
    sandbox.commit("intarsia.toml", table + price, "Configure")
    sandbox.issue("it-1")
    assert sandbox.call("run", env=limited(session_cost=1.25)).returncode == 1
    (session,) = sandbox.sessions()
    assert session["usage"]["cost"] == 1.25
    assert "limits.session_cost is $1.25, and $1.25 are used." in session["reason"]
    assert "$1.25" in sandbox.ok("session", "show", session["id"])


def test_a_model_whose_price_is_unknown_stops_a_session_with_a_limit_of_cost(sandbox: Sandbox) -> None:
    scenario = sandbox.scenario({"it-1": [[uses(input=10, model="other"), *adds("a.txt", "a\n")[0]]]})
    table = f'[agents.a]\ndriver = "script"\nmodel = "gpt-5.5"\nscenario = "{scenario.partition(": ")[2]}"\n'
    sandbox.commit("intarsia.toml", table, "Configure")
    sandbox.issue("it-1")
    assert sandbox.call("run", env=limited(run_cost=1)).returncode == 1
    (session,) = sandbox.sessions()
    assert "limits.run_cost can't be kept: the price of other is not known" in session["reason"]
    assert session["usage"]["cost"] is None


def test_sessions_that_start_sessions_are_counted_down(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[limits]\ndepth = 1\n", "Configure")
    for name in ("it-1", "it-2"):
        sandbox.issue(name)
    inner = sandbox.root.parent / "inner.toml"
    inner.write_text(
        "[issues.it-2]\nturns = [{steps = ["
        '{shell = \'cd $INTARSIA_ROOT && env -u INTARSIA_SESSION intarsia run --agent "command: true" --json '
        ">../deeper.json || true'},"
        "{write = 'b.txt', text = 'b'}, {commit = 'Add b'}]}]\n"
    )
    run = f"intarsia run --agent 'script: {inner}' --issue it-2"
    shell = f"cd $INTARSIA_ROOT && env -u INTARSIA_SESSION {run} >/dev/null"
    steps = [{"shell": shell}, *adds("a.txt", "a\n")[0]]
    sandbox.ok("run", "--issue", "it-1", "--agent", sandbox.scenario({"it-1": [steps]}))
    child, top = sandbox.sessions("it-2")[0], sandbox.sessions("it-1")[0]
    assert (top["depth"], top["parent"]) == (0, None)
    assert (child["depth"], child["parent"], child["stage"]) == (1, top["id"], "done")
    refused = json.loads((sandbox.root.parent / "deeper.json").read_text())
    assert refused["code"] == "conflict"
    assert "limits.depth is 1" in refused["message"]


MINE = {"m": Price(input=10, output=20)}


@pytest.mark.parametrize(
    ("figure", "own", "model", "cost"),
    [
        (Usage("s", 1_000_000, model="m"), MINE, "", 10),
        (Usage("s", 1_000_000, model="m-2026-01-31", cost=3.0), MINE, "", 10),  # yours wins over what the vendor says
        (Usage("s", 1_000_000, 0, 1_000_000), MINE, "m", 30),
        (Usage("s", 1_000_000, cost=3.0), MINE, "x", 3.0),
        (Usage("s", 1_000_000, 400_000, 100_000, model="gpt-5.5"), {}, "", 0.6 * 5 + 0.4 * 0.5 + 0.1 * 30),
        (Usage("s", 300, 100, written=200, model="claude-opus-4-5-20251101"), {}, "", (50 + 200 * 6.25) / 1e6),
        (Usage("s", 1, model="unheard-of"), {}, "m", None),
        (Usage("s", 2, cost=7.0, parts=(Usage("s", 1, model="x"), Usage("s", 1, model="y"))), MINE, "", 7.0),
        (Usage("s", 2, cost=7.0, parts=(Usage("s", 10**6, model="m"), Usage("s", cost=1.0))), MINE, "", 11.0),
        (Usage("s", 2, cost=7.0, parts=(Usage("s", 10**6, model="m"), Usage("s", 1, model="x"))), MINE, "", None),
    ],
)
def test_what_tokens_cost(figure: Usage, own: dict[str, Price], model: str, cost: float | None) -> None:
    assert prices.cost(figure, own, model) == (None if cost is None else pytest.approx(cost))


def test_a_cost_that_is_not_known_is_shown_as_such() -> None:
    unknown = with_figure({}, Usage("a", 1200, 0, 3, model="x"))
    assert shown(unknown) == "1,200 tokens read, 3 written, $?"
    assert unpriced_models(unknown) == ["x"]
    assert shown(with_figure(unknown, Usage("b", 0, cost=2.5))) == "1,200 tokens read, 3 written, $2.50 + ?"
    assert shown({}) == "nothing yet"


def test_the_table_of_prices_says_when_and_where_each_was_found() -> None:
    table = prices.table()
    assert table.collected <= date.today()
    assert table.sources.keys() == table.prices.keys()
    assert all(source.startswith("https://") for source in table.sources.values())
    assert all(price.output > price.input > (price.cached or 0) for price in table.prices.values())


USED = {"turns": 3, "input": 70, "cached": 10, "output": 40, "cost": 2.5, "unpriced": 0}
REACHED: dict[str, tuple[float, float]] = {"turns": (3, 4), "tokens": (110, 111), "cost": (2.5, 2.51)}
"""Of each kind a limit that is reached by that, and one that is not."""


def started(database: Database, run: str, issue: str) -> Session:
    with database.transaction() as tx:
        found = sessions.start(
            tx, run=run, agent="a", driver="script", supervisor="h:1:1", secret="5" * 64, ttl=600, only=[issue]
        )
    assert found is not None
    return found[0]


@pytest.mark.parametrize("scope", SCOPES)
def test_every_limit_counts_what_belongs_to_it_and_nothing_else(
    database: Database, clock: ManualClock, scope: Scope
) -> None:
    """What a session used up counts for another one that has but its issue, its run or its day in common with it."""
    with database.transaction() as tx:
        for name in ("it-1", "it-2"):
            issues.create(tx, issues.Draft(name, id=name), "tester")
    session = started(database, "r-1", "it-1")
    with database.transaction() as tx:
        session = spending.book(tx, session, USED)
        if scope == "issue":
            sessions.end(tx, session, "released")
            issues.requeue(tx, "it-1", "again", "tester")
    if scope in ("issue", "run"):
        clock.advance(86_400)
    if scope != "session":
        run, issue = ("r-1" if scope == "run" else "r-2"), ("it-1" if scope == "issue" else "it-2")
        session = started(database, run, issue)
    for other in SCOPES:
        for kind, (reached, above) in REACHED.items():
            counts = other == scope or scope == "session"
            for limit in (reached, above):
                config = Config(limits=Limits(**{f"{other}_{kind}": limit}))  # type: ignore[arg-type]
                with database.read() as tx:
                    found = before_turn(tx, config, session)
                assert (found.scope if found else None) == (other if counts and limit == reached else None)
                assert found is None or f"limits.{other}_{kind} is" in found.text


def test_there_is_no_limit_that_nobody_looks_at() -> None:
    counted = {f"{scope}_{kind}" for scope in SCOPES for kind in ALL}
    assert set(Limits.__struct_fields__) == counted | {"wall", "idle", "output", "depth"}


def test_an_agent_may_have_a_wall_of_its_own(sandbox: Sandbox) -> None:
    scenario = sandbox.scenario({"it-1": [[{"hang": True}]]}).removeprefix("script: ")
    mine = f"[agents.mine]\ndriver = 'script'\nscenario = '{scenario}'\nwall = 1\n"
    sandbox.commit("intarsia.toml", f"[limits]\nwall = 600\n{mine}", "Configure")
    sandbox.issue("it-1")
    assert sandbox.call("run").returncode == 1
    assert "It ran longer than 1 s." in sandbox.sessions()[0]["reason"]
