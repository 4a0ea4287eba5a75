from __future__ import annotations

import json
from typing import Any

import pytest

from intarsia.kernel import Database
from tests.cli.test_claims import fall_silent
from tests.support.here import Here
from tests.support.sandbox import adds

CONFIG = """
[agents.script]
driver = "script"

[queues.questions]
handler = "alice"
sla = 120
prefix = "REQ"

[queues."code reviews"]
sla = 60
prefix = "REV"

[queues.own]
handler = "script"
"""


@pytest.fixture
def team(here: Here) -> Here:
    here.sandbox.write("intarsia.toml", CONFIG)
    here.ok("agent", "join", "alice")
    return here


def make_late(store: Database, *ids: str) -> None:
    with store.transaction() as tx:
        for id in ids:
            tx.execute("UPDATE issues SET due = 1 WHERE project = :project AND id = :id", id=id)


def ids(answer: dict[str, Any], key: str = "issues") -> list[str]:
    return [issue["id"] for issue in answer[key]]


def test_a_queue_is_what_is_configured(team: Here) -> None:
    made = team.json("issue", "new", "questions", "Which parser?")["issue"]
    assert (made["queue"], made["title"], made["id"][:4]) == ("questions", "Which parser?", "REQ-")
    assert made["due"] is not None
    assert team.json("issue", "new", "Parse dates")["issue"]["queue"] == "default"
    for args in (["issue", "new", "nowhere", "x"], ["queue", "check", "nowhere"]):
        refused = team.call(*args, "--json")
        assert (refused.code, refused.json["code"]) == (4, "bad_input")
        assert "known: default, questions, code reviews, own" in refused.json["message"]
    assert team.refused("issue", "new", "a", "b", "c") == (2, "usage")
    assert team.refused("issue", "new", "questions", " ") == (4, "bad_input")
    listed = {queue.pop("name"): queue for queue in team.json("queue", "list")["queues"]}
    assert listed == {
        "default": {"handler": "", "sla_minutes": 0, "unfinished": 1},
        "questions": {"handler": "alice", "sla_minutes": 120, "unfinished": 1},
        "code reviews": {"handler": "", "sla_minutes": 60, "unfinished": 0},
        "own": {"handler": "script", "sla_minutes": 0, "unfinished": 0},
    }
    assert "questions     alice   SLA 120 min  1\n" in team.ok("queue", "list")


def test_the_deadline_is_kept_when_settings_change(team: Here) -> None:
    due = team.json("issue", "new", "questions", "x", "--id", "t-1")["issue"]["due"]
    team.sandbox.write("intarsia.toml", CONFIG.replace("sla = 120", "sla = 1"))
    assert team.json("issue", "show", "t-1")["issue"]["due"] == due
    team.sandbox.write("intarsia.toml", "")  # the queue is gone, its issues are not
    assert team.json("issue", "show", "t-1")["issue"]["due"] == due
    assert ids(team.json("queue", "check")) == ["t-1"]


def test_checking_queues(team: Here, store: Database) -> None:
    for id, queue in [("t-1", "questions"), ("t-2", "questions"), ("t-3", "code reviews"), ("t-4", "default")]:
        team.ok("issue", "new", queue, f"Do {id}", "--id", id)
    assert team.ok("queue", "check", "--overdue") == "Nothing is overdue.\n"
    assert ids(team.json("queue", "check")) == ["t-1", "t-2", "t-3", "t-4"]
    assert ids(team.json("queue", "check", "code reviews")) == ["t-3"]
    assert ids(team.json("queue", "check", "default")) == ["t-4"]
    make_late(store, "t-1", "t-2", "t-3")
    team.ok("issue", "claim", "t-1", me="alice")
    team.ok("issue", "complete", "t-1", "done", me="alice")
    team.ok("issue", "block", "t-3", "why", me="alice")
    assert ids(team.json("queue", "check", "--overdue")) == ["t-2", "t-3"]
    assert ids(team.json("queue", "check", "--overdue", "questions")) == ["t-2"]
    text = team.ok("queue", "check", "--overdue")
    assert "t-2  questions     open     -  overdue since 1970-01-01T00:00:01Z  Do t-2\n" in text
    assert team.ok("queue", "check", "own") == "Nothing is unfinished.\n"


def test_blockers_and_their_reasons(team: Here) -> None:
    assert team.ok("queue", "blockers") == "Nothing is blocked.\n"
    for id, queue in [("t-1", "questions"), ("t-2", "default"), ("t-3", "default")]:
        team.ok("issue", "new", queue, f"Do {id}", "--id", id)
        team.ok("issue", "block", id, f"first reason of {id}", me="alice")
    team.ok("issue", "unblock", "t-1", me="alice")
    team.ok("issue", "block", "t-1", "no access", me="alice")
    team.ok("issue", "transfer", "t-1", "own", "--note", "a note that is no reason", me="alice")
    team.ok("issue", "close", "t-3")
    found = {b["id"]: b["reason"] for b in team.json("queue", "blockers")["blockers"]}
    assert found == {"t-1": "no access", "t-2": "first reason of t-2"}
    assert "t-1  own      Do t-1  no access\n" in team.ok("queue", "blockers")


# What a run takes.


def run(team: Here, *args: str, issues: list[str]) -> list[str]:
    """The issues that a run of the agent `script` landed."""
    agent = team.sandbox.scenario({id: adds(f"{id}.txt", "x\n") for id in issues})
    scenario = agent.removeprefix("script: ")
    team.sandbox.write(
        "intarsia.toml", CONFIG.replace('driver = "script"', f'driver = "script"\nscenario = "{scenario}"')
    )
    summary = team.json("run", "--agent", "script", "--dry-run")
    foretold = ids(summary)
    lines = team.sandbox.ok("run", "--agent", "script", "--json", *args).splitlines()
    landed = sorted(entry["issue"] for entry in json.loads(lines[-1])["landed"])
    assert args or landed == sorted(foretold)
    return landed


def test_a_run_works_on_its_own_queues_and_on_those_of_nobody(team: Here) -> None:
    queues = {"t-1": "default", "t-2": "questions", "t-3": "code reviews", "t-4": "own"}
    for id, queue in queues.items():
        team.ok("issue", "new", queue, f"Do {id}", "--id", id)
    assert run(team, issues=list(queues)) == ["t-1", "t-3", "t-4"]
    assert team.json("issue", "show", "t-2")["issue"]["status"] == "open"
    refused = team.call("run", "--agent", "script", "--issue", "t-2", "--json")
    assert (refused.code, refused.json["code"]) == (1, "conflict")
    assert "questions" in refused.json["message"]


def test_a_run_for_which_there_is_no_queue_says_so(team: Here) -> None:
    team.sandbox.write("intarsia.toml", '[queues.default]\nhandler = "alice"\n')
    team.ok("issue", "new", "x", "--id", "t-1")
    agent = team.sandbox.scenario({"t-1": adds("a.txt", "x\n")})
    assert team.refused("run", "--agent", agent) == (2, "config")


def test_a_run_is_also_a_guardian(team: Here, store: Database) -> None:
    team.ok("issue", "new", "x", "--id", "t-1")
    team.ok("issue", "claim", "t-1", me="alice")
    assert run(team, issues=["t-1"]) == []
    fall_silent(store)
    team.sandbox.ok("run", "--agent", "script")
    shown = team.json("issue", "show", "t-1")
    assert (shown["issue"]["status"], shown["issue"]["attempts"]) == ("closed", 1)
    assert [e["actor"] for e in team.json("log", "--issue", "t-1")["events"] if e["kind"] == "issue_requeued"] == [
        "guardian"
    ]


def test_a_run_goes_on_when_an_issue_is_locked(team: Here) -> None:
    team.ok("issue", "new", "x", "--id", "t-1", "--priority", "0")
    team.ok("issue", "new", "x", "--id", "t-2")
    team.ok("lock", "acquire", "issue:t-1", me="alice")
    agent = team.sandbox.scenario({id: adds(f"{id}.txt", "x\n") for id in ("t-1", "t-2")})
    team.sandbox.ok("run", "--agent", agent)
    assert [team.json("issue", "show", id)["issue"]["status"] for id in ("t-1", "t-2")] == ["open", "closed"]
