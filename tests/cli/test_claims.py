"""`intarsia issue claim` and what follows it, as agents and people call it; the rules are proven in tests/kernel.

Where Mai failed (reference/mandali-mai.md, B4, B5, B9; `kernel:` is tests/kernel/test_claims.py, `races:` is
tests/test_claim_races.py), and the test that would notice it here:

| Mai | test |
|---|---|
| a second agent claims what another holds | test_a_day_of_two_agents |
| 4 to 11 of 20 processes win | races: test_20_processes_claim_one_issue_50_times |
| claims of finished issues succeed | kernel: test_only_what_is_open_and_ready_can_be_claimed |
| a claim does not show who has it | test_a_day_of_two_agents |
| there is no heartbeat | kernel: test_a_heartbeat_in_time_keeps_the_claim |
| claiming again says "already claimed by you", and renews nothing | kernel: test_claiming_again_renews |
| crash between lock and status: never repaired | kernel: test_whoever_locked_an_issue_first_can_still_claim_it |
| crash in complete: decision without completion | kernel: test_a_conclusion_or_remark_without_a_text_is_refused_whole |
| a conclusion is used as a pattern: bad escape \\d | kernel: test_completing_closes_records_the_decision_and_frees |
| anybody completes, without a lock, again and again | kernel: test_nobody_changes_what_another_holds |
| amend replaces the state; its author is "system" | kernel: test_an_amendment_leaves_the_issue_as_it_is |
| the guardian frees the lock, and the issue stays taken | test_the_guardian_requeues_whoever_fell_silent |
| check-then-unlink deletes a lock that was taken anew | kernel: test_many_guardians_at_once_requeue_once |
| staleness of an unknown agent is a built-in number | test_patience_is_one_and_a_half_heartbeats |
| force-release refuses what is alive | test_lock.py: test_taking_by_force_needs_a_yes_and_is_recorded |
| "No lock to release" with exit code 0 | test_lock.py: test_what_can_not_be_done_is_an_error |
| ids are unique per queue but used globally | test_ids_are_unique_whatever_the_queue |
| an escalation hides the original, has no SLA, a fixed owner | test_an_escalation |
| a newline in the title forges fields | test_texts_stay_what_they_are |
| owner and initiator from an unproven variable | test_agent.py: test_what_is_recorded_names_who_proved_it |
| `--dry-run` writes, and says success | test_dry_run.py |
| queues of one's own are ignored; unknown queue: exit 0 | test_queues.py: test_a_queue_is_what_is_configured |
| overdue counts finished work; queues without SLA are missing | test_queues.py: test_checking_queues |
| blockers are those of one queue, finished ones too | test_queues.py: test_blockers_and_their_reasons |
| history: a bad date is empty; agents by substring; `..` in a date | test_log.py |
| two JSON documents; `command: unknown` | Here.json: every answer is one line |
"""

from __future__ import annotations

import getpass

import pytest

from intarsia.kernel import Database, issues, leases
from tests.support.here import Here

CONFIG = """
[agents.alice]
heartbeat = 100

[agents.slow]
heartbeat = 57600

[agents.odd]
heartbeat = 1

[queues.reviews]
prefix = "REV"
sla = 120
escalate_to = "decisions"

[queues.decisions]
prefix = "DEC"
sla = 30
"""
ESCALATION = [
    "--disagreement", "which parser", "--position", "own: fast", "--position", "library: kept by others",
    "--facts", "own is 3x faster", "--option", "own, fuzzed", "--option", "library\nand wait",
]  # fmt: skip


@pytest.fixture
def team(here: Here) -> Here:
    here.sandbox.write("intarsia.toml", CONFIG)
    here.ok("agent", "join", "alice")
    here.ok("agent", "join", "bob")
    return here


def fall_silent(store: Database, seconds: float = 100_000) -> None:
    """All leases end, as if so much time had passed."""
    with store.transaction() as tx:
        tx.execute("UPDATE leases SET expires = expires - :seconds WHERE project = :project", seconds=seconds)


def status(here: Here, id: str = "t-1") -> str:
    found: str = here.json("issue", "show", id)["issue"]["status"]
    return found


def test_a_day_of_two_agents(team: Here) -> None:
    team.ok("issue", "new", "Parse dates", "--id", "t-1")
    lease = team.json("issue", "claim", "t-1", me="alice")["lease"]
    assert (lease["resource"], lease["session"], lease["note"]) == ("issue:t-1", "alice", "Parse dates")
    shown = team.json("issue", "show", "t-1")["issue"]
    assert (shown["status"], shown["assignee"]) == ("in_progress", "alice")
    refused = team.call("issue", "claim", "t-1", me="bob")
    assert (refused.code, refused.out) == (1, "")
    assert "issue:t-1 is held by alice since" in refused.err
    assert team.ok("issue", "heartbeat", "t-1", me="alice").startswith("t-1 is yours until ")
    assert team.ok("issue", "complete", "t-1", "use the standard library", me="alice") == "t-1 is completed.\n"
    assert team.ok("issue", "amend", "t-1", "only from 3.11 on", me="bob") == "Recorded for t-1.\n"
    shown = team.json("issue", "show", "t-1")
    assert (shown["issue"]["status"], shown["issue"]["resolution"]) == ("closed", "completed")
    decided = [(d["actor"], d["kind"], d["text"]) for d in shown["decisions"]]
    assert decided == [
        ("alice", "conclusion", "use the standard library"), ("bob", "amendment", "only from 3.11 on"),
    ]  # fmt: skip
    assert "alice: use the standard library" in team.ok("issue", "show", "t-1")


def test_giving_back_setting_aside_and_handing_on(team: Here) -> None:
    team.ok("issue", "new", "Parse dates", "--id", "t-1")
    team.ok("issue", "claim", "t-1", me="alice")
    assert team.ok("issue", "release", "t-1", "--note", "no time", me="alice") == "t-1 is open again.\n"
    assert team.ok("issue", "block", "t-1", "no access", me="bob") == "t-1 is blocked.\n"
    assert team.ok("issue", "unblock", "t-1", "--note", "granted", me="bob") == "t-1 is open.\n"
    team.ok("issue", "claim", "t-1", me="bob")
    moved = team.json("issue", "transfer", "t-1", "reviews", "--note", "for Rita", me="bob")["issue"]
    assert (moved["queue"], moved["status"], moved["assignee"]) == ("reviews", "open", None)
    assert moved["due"] > moved["created"]
    assert team.json("issue", "show", "t-1")["notes"] == [
        "no time", "no access", "granted", "Transferred to reviews.", "for Rita",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "code", "name"),
    [
        (["claim", "t-1"], 1, "held"),
        (["heartbeat", "t-1"], 1, "not_holder"),
        (["complete", "t-1", "done"], 1, "not_holder"),
        (["release", "t-1"], 1, "not_holder"),
        (["block", "t-1", "why"], 1, "not_holder"),
        (["transfer", "t-1", "reviews"], 1, "not_holder"),
        (["transfer", "t-1", "nowhere"], 4, "bad_input"),
        (["unblock", "t-1"], 1, "conflict"),
        (["claim", "t-9"], 4, "not_found"),
        (["claim", "t-2", "--ttl", "0"], 4, "bad_input"),
        (["claim", "t-2", "--ttl", "86401"], 4, "bad_input"),
        (["claim", "t-3"], 1, "conflict"),
        (["heartbeat", "t-2"], 1, "not_holder"),
        (["complete", "t-2", "done"], 1, "not_holder"),
        (["amend", "t-1", " "], 4, "bad_input"),
        (["amend", "t-1"], 2, "usage"),
        (["block", "t-2", ""], 4, "bad_input"),
        (["escalate", "t-1"], 2, "usage"),
        (["close", "t-1"], 1, "held"),
        (["reopen", "t-1"], 1, "held"),
    ],
)
def test_refusals(team: Here, verb: list[str], code: int, name: str) -> None:
    for id in ("t-1", "t-2", "t-3"):
        team.ok("issue", "new", "x", "--id", id)
    team.ok("issue", "claim", "t-1", me="alice")
    team.ok("issue", "close", "t-3")
    before = team.json("issue", "list", "--all")["issues"]
    assert team.refused("issue", *verb, me="bob") == (code, name)
    assert team.json("issue", "list", "--all")["issues"] == before


def test_a_person_does_not_close_or_reopen_what_another_holds(team: Here, store: Database) -> None:
    team.ok("issue", "new", "x", "--id", "t-1")
    team.ok("issue", "claim", "t-1", me="alice")
    for verb in ("close", "reopen"):
        for env in ({}, {"INTARSIA_AGENT": "bob"}, {"INTARSIA_AGENT": "alice"}):
            refused = team.call("issue", verb, "t-1", "--json", env=env)
            assert (refused.code, refused.json["code"], refused.json["holder"]) == (1, "held", "alice")
            assert "force-release issue:t-1" in refused.json["hint"]
    assert status(team) == "in_progress"
    fall_silent(store)
    team.ok("issue", "reopen", "t-1")
    assert status(team) == "open"


def test_reopening_a_blocked_issue_clears_needs_followup(team: Here, store: Database) -> None:
    team.ok("issue", "new", "x", "--id", "t-1", "--label", "parser")
    with store.transaction() as tx:
        issues.block(tx, "t-1", "checks fail", "intarsia")
    assert team.json("issue", "show", "t-1")["issue"]["labels"] == ["needs-followup", "parser"]
    assert team.json("issue", "reopen", "t-1")["issue"]["labels"] == ["parser"]


@pytest.mark.parametrize(("name", "seconds"), [("alice", 150), ("bob", 1800), ("slow", 86_400), ("odd", 2)])
def test_patience_is_one_and_a_half_heartbeats(team: Here, store: Database, name: str, seconds: int) -> None:
    if name not in ("alice", "bob"):
        team.ok("agent", "join", name)
    team.ok("issue", "new", "x", "--id", "t-1")

    def lasts() -> float:
        """From the claim to its end, and so a little more after a heartbeat."""
        with store.read() as tx:
            (lease,) = leases.held(tx)
            return lease.expires - lease.acquired

    team.ok("issue", "claim", "t-1", me=name)
    assert lasts() == pytest.approx(seconds)
    team.ok("issue", "claim", "t-1", "--ttl", "4000", me=name)
    assert 4000 < lasts() < 4060
    team.ok("issue", "heartbeat", "t-1", me=name)
    assert seconds < lasts() < seconds + 60
    team.ok("issue", "heartbeat", "t-1", "--ttl", "4000", me=name)
    assert 4000 < lasts() < 4060


def test_the_guardian_requeues_whoever_fell_silent(team: Here, store: Database) -> None:
    for id in ("t-1", "t-2"):
        team.ok("issue", "new", "x", "--id", id)
        team.ok("issue", "claim", id, me="alice")
    team.ok("lock", "acquire", "code:a", me="alice")
    assert team.json("guardian") == {"ok": True, "requeued": [], "ended": []}
    assert team.ok("guardian") == "Everybody is alive.\n"
    fall_silent(store)
    team.ok("issue", "claim", "t-2", me="bob")
    assert team.json("guardian") == {"ok": True, "requeued": ["t-1"], "ended": ["code:a"]}
    assert team.json("guardian")["requeued"] == []
    assert (status(team), status(team, "t-2")) == ("open", "in_progress")
    assert team.refused("issue", "complete", "t-1", "late", me="alice") == (1, "not_holder")
    note = team.json("issue", "show", "t-1")["notes"][0]
    assert note.startswith("alice sent no heartbeat; its claim ran out at ")


def test_an_escalation(team: Here) -> None:
    team.ok("issue", "new", "reviews", "Which parser?", "--id", "t-1", "--body", "Two ways.", "--priority", "2")
    team.ok("issue", "claim", "t-1", me="alice")
    before = team.json("issue", "show", "t-1")["issue"]
    answer = team.json("issue", "escalate", "t-1", *ESCALATION, me="bob")
    raised = answer["issue"]
    assert (answer["original"], raised["queue"], raised["title"]) == ("t-1", "decisions", "Decide: Which parser?")
    assert raised["id"].startswith("DEC-")
    assert raised["priority"] == 1
    assert raised["due"] is not None
    assert raised["body"] == (
        "## Disagreement\n\nwhich parser\n\n## Positions\n\n- own: fast\n- library: kept by others\n\n"
        "## Facts\n\nown is 3x faster\n\n## Options\n\n- own, fuzzed\n- library\n  and wait\n\n"
        "## About\n\nt-1: Which parser?\n\nTwo ways."
    )
    shown = team.json("issue", "show", "t-1")
    assert shown["issue"] == before
    edge = {"issue": raised["id"], "target": "t-1", "kind": "related"}
    assert shown["dependencies"] == team.json("issue", "show", raised["id"])["dependencies"] == [edge]
    assert team.refused("issue", "escalate", "t-1", *ESCALATION, me="bob") == (1, "conflict")  # it is open already
    team.ok("issue", "close", raised["id"])
    there = team.json("issue", "escalate", "t-1", *ESCALATION, "--queue", "default", me="bob")["issue"]
    assert (there["queue"], there["due"], there["id"][:3]) == ("default", None, "ia-")


@pytest.mark.parametrize(
    ("given", "instead", "code"),
    [
        ("which parser", " ", 4),
        ("own is 3x faster", "", 4),
        ("library: kept by others", " ", 4),
        ("library\nand wait", "\n", 4),
    ],
)
def test_an_escalation_with_a_part_missing_is_refused(team: Here, given: str, instead: str, code: int) -> None:
    team.ok("issue", "new", "reviews", "x", "--id", "t-1")
    parts = [instead if part == given else part for part in ESCALATION]
    assert team.refused("issue", "escalate", "t-1", *parts, me="bob") == (code, "bad_input")
    assert team.refused("issue", "escalate", "t-1", *ESCALATION[:-2], me="bob") == (4, "bad_input")
    assert team.refused("issue", "escalate", "t-1", *ESCALATION[2:], me="bob") == (2, "usage")
    assert team.refused("issue", "escalate", "t-1", *ESCALATION, "--queue", "x", me="bob") == (4, "bad_input")
    team.ok("issue", "new", "x", "--id", "t-2")
    assert team.refused("issue", "escalate", "t-2", *ESCALATION, me="bob") == (4, "bad_input")
    assert len(team.json("issue", "list")["issues"]) == 2


def test_ids_are_unique_whatever_the_queue(team: Here) -> None:
    made = [team.json("issue", "new", queue, "x")["issue"]["id"] for queue in ["default", "reviews"] * 20]
    assert len(set(made)) == 40
    assert {id.partition("-")[0] for id in made} == {"ia", "REV"}
    assert team.refused("issue", "new", "reviews", "x", "--id", made[0]) == (4, "bad_input")


def test_texts_stay_what_they_are(team: Here) -> None:
    assert team.refused("issue", "new", "x\nstatus: closed") == (4, "bad_input")
    team.ok("issue", "new", "**状态:** ✅ 完成 \\d {x} %s", "--id", "t-1", "--body", "## Notes\n\nstatus: closed")
    team.ok("issue", "claim", "t-1", me="alice")
    text = "\\1 \\d+ ## 结论\n**状态:** open"
    team.ok("issue", "complete", "t-1", text, me="alice")
    shown = team.json("issue", "show", "t-1")
    assert (shown["issue"]["title"], shown["decisions"][0]["text"]) == ("**状态:** ✅ 完成 \\d {x} %s", text)


def test_people_are_recorded_by_their_user_name(team: Here) -> None:
    team.ok("issue", "new", "x", "--id", "t-1")
    team.ok("issue", "close", "t-1")
    assert {event["actor"] for event in team.json("log", "--issue", "t-1")["events"]} == {f"person:{getpass.getuser()}"}
