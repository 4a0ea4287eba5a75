"""An account that its vendor lets wait is left alone by every run, and used again by itself; others take its place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.sandbox import Sandbox, adds
from tests.support.until import until


def overloaded(**more: Any) -> dict[str, Any]:
    return {"end": "overloaded", "text": "HTTP 529", **more}


def agents(sandbox: Sandbox, *tables: str) -> None:
    sandbox.commit("intarsia.toml", "[run]\nagent = 'first'\n" + "\n".join(tables), "Configure")


def table(sandbox: Sandbox, name: str, scripts: dict[str, Any], more: str = "") -> str:
    made = Path(sandbox.scenario(scripts).removeprefix("script: "))
    path = made.rename(made.with_name(f"{name}.toml"))
    return f"[agents.{name}]\ndriver = 'script'\nscenario = '{path}'\n{more}\n"


def test_a_run_waits_for_its_account_and_goes_on_by_itself(each_sandbox: Sandbox) -> None:
    sandbox = each_sandbox
    for name in ("it-1", "it-2"):
        sandbox.issue(name)
    scripts = {
        "it-1": [[{"write": "half.txt", "text": "x"}, overloaded(retry_after=2, times=2), *adds("one.txt", "1\n")[0]]],
        "it-2": adds("two.txt", "2\n"),
    }
    began = time.monotonic()
    done = sandbox.ok("run", "--agent", sandbox.scenario(scripts), "-n", "1")
    assert time.monotonic() - began > 4
    assert "script is paused until" in done
    assert {"one.txt", "two.txt"} <= sandbox.files()
    assert len(sandbox.sessions()) == 2
    assert sandbox.sessions("it-1")[0]["attempt"] == 1
    assert [e["data"]["attempt"] for e in sandbox.events("account_paused")] == [1, 2]
    assert sandbox.json("status")["paused"] == []


def test_no_other_run_uses_a_paused_account_until_it_is_resumed_by_hand(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    now = {"INTARSIA_RUN_PATIENCE": "0"}
    away = sandbox.scenario({"it-1": [[overloaded(retry_after=1000)]]})
    assert sandbox.call("run", "--agent", away, "--issue", "it-1", env=now).returncode == 1
    (paused,) = sandbox.json("status")["paused"]
    assert (paused["account"], paused["attempt"]) == ("script", 1)
    assert "Account script is paused until" in sandbox.ok("status")
    well = sandbox.scenario({"it-1": adds("one.txt", "1\n"), "it-2": adds("two.txt", "2\n")})
    assert "it-2" in sandbox.call("run", "--agent", well, env=now).stdout
    assert sandbox.files() == {"README.md", ".gitignore"}
    assert sandbox.status("it-2") == "open"
    waiting = sandbox.start("run", "--agent", well)
    said = waiting.stdout
    assert said is not None
    until(lambda: "paused until" in said.readline())
    sandbox.ok("agent", "resume", "script", "--dry-run")
    assert sandbox.json("agent", "resume", "script", "--dry-run")["pause"]  # it is paused still
    sandbox.ok("agent", "resume", "script")
    waiting.communicate(timeout=300)
    assert waiting.returncode == 0
    assert {"one.txt", "two.txt"} <= sandbox.files()
    assert sandbox.json("agent", "resume", "script")["code"] == "not_found"


@pytest.mark.parametrize("outcome", ["overloaded", "rate_limited", "auth"])
def test_the_next_agent_of_the_chain_takes_the_session(sandbox: Sandbox, outcome: str) -> None:
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    end = {"end": outcome, "text": "Later.", **({} if outcome == "auth" else {"retry_after": 1000})}
    agents(
        sandbox,
        table(sandbox, "first", {"*": [[{"conversation": "c-1"}, end]]}, "fallback = ['second', 'third']"),
        table(sandbox, "second", {"*": [[{"end": "auth"}]]}, "account = 'other'"),
        table(sandbox, "third", {"*": adds("done.txt", "1\n")}, "account = 'third'"),
    )
    sandbox.ok("run", "--issue", "it-1")
    (session,) = sandbox.sessions()
    assert (session["agent"], session["stage"]) == ("third", "done")
    moves = [(e["data"]["previous"], e["data"]["agent"]) for e in sandbox.events("session_handed_over")]
    assert moves == [("first", "second"), ("second", "third")]
    assert "done.txt" in sandbox.files()


def test_without_a_login_a_run_ends_and_the_next_one_tries_again(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    sandbox.issue("it-2")
    agent = sandbox.scenario({"*": [[{"end": "auth", "text": "Log in.", "times": 1}, *adds("a.txt", "a\n")[0]]]})
    done = sandbox.call("run", "--agent", agent, "-n", "1")
    assert done.returncode == 1
    assert "script is not used any more in this run" in done.stdout
    assert sandbox.status("it-2") == "open"
    sandbox.ok("run", "--agent", agent, "-n", "1", "--issue", "it-1")


@pytest.mark.parametrize(
    ("fallback", "said"), [("['nobody']", "no other agent"), ("['second']", "same account"), ("['first']", "no other")]
)
def test_who_can_not_take_its_place_is_refused_at_the_start(sandbox: Sandbox, fallback: str, said: str) -> None:
    agents(
        sandbox,
        table(sandbox, "first", {}, f"fallback = {fallback}"),
        table(sandbox, "second", {}),
    )
    done = sandbox.call("run")
    assert done.returncode == 2
    assert said in done.stderr
