"""Runs that dispatch around what others change, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intarsia.kernel import messages
from tests.run.test_crash import finish, opened
from tests.support.sandbox import Sandbox, Step, after
from tests.support.until import until
from tests.workspace.test_landing import WAIT_FOR

A = ("--claims", "code:a.txt")


def turns(name: str, *before: Step) -> list[list[Step]]:
    return [[*before, {"write": f"{name}.txt", "text": f"{name}\n"}, {"commit": f"Do {name}"}]]


def go(box: Sandbox) -> Path:
    """A file that sessions wait for; outside of the repository."""
    return box.root.parent / "go"


def started(box: Sandbox) -> list[str]:
    return [event["issue"] for event in box.events("session_started")]


def alone(box: Sandbox, one: str, other: str) -> bool:
    """Whether the session of `other` began after that of `one` had ended."""
    kinds = [(event["kind"], event["issue"]) for event in box.events("session_started", "session_done")]
    return kinds.index(("session_done", one)) < kinds.index(("session_started", other))


def events_of(box: Sandbox, kind: str, issue: str) -> list[dict[str, Any]]:
    return [event for event in box.events(kind) if event["issue"] == issue]


def test_what_changes_something_else_is_started_first(each_sandbox: Sandbox) -> None:
    box = each_sandbox
    box.issue("it-1", *A)
    box.issue("it-2", "--body", "Change a.txt")
    box.issue("it-3")
    box.commit("a.txt", "a\n", "Add a.txt")
    begins: Step = {"shell": f"touch '{go(box)}'"}
    landed: Step = {"shell": WAIT_FOR.format("it-1.txt")}
    third = turns("it-3", begins, landed)  # it leaves its place to it-2 when it-1 is over
    agent = box.scenario({"it-1": turns("it-1", after(go(box))), "it-2": turns("it-2"), "it-3": third})
    box.ok("run", "--agent", agent, "--agents", "2")
    assert started(box) == ["it-1", "it-3", "it-2"]
    (passed,) = events_of(box, "issue_passed_over", "it-2")
    assert "code:a.txt (named in its text; it-1:" in passed["data"]["reason"]
    assert [box.status(name) for name in ("it-1", "it-2", "it-3")] == ["closed"] * 3


def test_in_worktrees_who_overlaps_is_told_and_works_at_the_same_time(sandbox: Sandbox) -> None:
    box = sandbox
    box.issue("it-1", *A)
    box.issue("it-2", *A, "--claims", "code:b.txt")
    agent = box.scenario({name: turns(name, after(go(box))) for name in ("it-1", "it-2")})
    run = box.start("run", "--agent", agent, "--agents", "2")
    until(lambda: len(started(box)) == 2)
    held = box.json("lock", "list", "--prefix", "code:")["leases"]
    by = {session["id"]: session["issue"] for session in box.sessions()}
    assert {(lease["resource"], by[lease["session"]]) for lease in held} == {
        ("code:a.txt", "it-1"),
        ("code:b.txt", "it-2"),
    }
    go(box).touch()
    finish(run)
    (told,) = events_of(box, "overlap_advised", "it-2")
    assert told["data"]["obstacles"][0]["held"] == "code:a.txt"
    assert not events_of(box, "overlap_advised", "it-1")
    assert box.json("lock", "list", "--prefix", "code:")["leases"] == []


def test_who_is_only_guessed_to_overlap_is_told_too(sandbox: Sandbox) -> None:
    box = sandbox
    box.commit("a.txt", "a\n", "Add a.txt")
    box.issue("it-1", "--body", "a.txt")
    box.issue("it-2", "--body", "a.txt")
    second = turns("it-2", {"shell": f"touch '{go(box)}'"})
    box.ok("run", "--agent", box.scenario({"it-1": turns("it-1", after(go(box))), "it-2": second}), "--agents", "2")
    assert not alone(box, "it-1", "it-2")
    (told,) = box.events("overlap_expected")
    assert told["issue"] == "it-2"
    said = "code:a.txt (named in its text; it-1: named in its text)"
    assert [said in prompt(box, name) for name in ("it-1", "it-2")] == [False, True]


def prompt(box: Sandbox, issue: str, turn: int = 1) -> str:
    return (box.root / f".intarsia/sessions/{box.sessions(issue)[0]['id']}/prompt-{turn}.md").read_text()


def test_what_others_say_is_told_with_the_next_prompt_once(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[checks]\nthree = 'test -e three.txt'\n", "Configure")
    sandbox.issue("it-1")
    names = ("one", "two", "three")
    one, two, three = ([{"write": f"{name}.txt", "text": name}, {"commit": name}] for name in names)
    run = sandbox.start("run", "--agent", sandbox.scenario({"it-1": [[after(go(sandbox)), *one], two, three]}))
    until(lambda: any((sandbox.root / ".intarsia/sessions").glob("*/prompt-1.md")))
    session = sandbox.sessions()[0]["id"]
    with opened(sandbox).transaction() as tx:
        messages.send(tx, "ann", [session], "Mind the gap")
    go(sandbox).touch()
    finish(run)
    assert ["From ann (note" in prompt(sandbox, "it-1", turn) for turn in (1, 2, 3)] == [False, True, False]


@pytest.mark.parametrize("policy", ["wait", "refuse"])
def test_with_another_policy_claims_are_waited_for(each_sandbox: Sandbox, policy: str) -> None:
    box = each_sandbox
    for name in ("it-1", "it-2"):
        box.issue(name, *A)
    agent = box.scenario({"it-1": turns("it-1", after(go(box))), "it-2": turns("it-2")})
    run = box.start("run", "--agent", agent, "--agents", "2", env={"INTARSIA_RUN_ON_OVERLAP": policy})
    until(lambda: events_of(box, "issue_passed_over", "it-2"))
    go(box).touch()
    said = finish(run)
    assert "it-2 waits: code:a.txt (declared; it-1:" in said
    assert alone(box, "it-1", "it-2")
    assert [box.status(name) for name in ("it-1", "it-2")] == ["closed"] * 2


def test_what_a_person_holds_is_waited_for_or_left(sandbox: Sandbox) -> None:
    box = sandbox
    box.issue("it-1", *A)
    box.ok("agent", "join", "ann")
    box.ok("lock", "acquire", "code:a.txt", "--note", "by hand")
    agent = box.scenario({"it-1": turns("it-1")})
    said = box.ok("run", "--agent", agent, env={"INTARSIA_RUN_ON_OVERLAP": "refuse"})
    assert "it-1 waits: code:a.txt (declared; ann: held)" in said
    assert (started(box), box.status("it-1")) == ([], "open")
    run = box.start("run", "--agent", agent, env={"INTARSIA_RUN_ON_OVERLAP": "wait"})
    until(lambda: len(events_of(box, "issue_passed_over", "it-1")) == 2)
    assert run.poll() is None
    box.ok("lock", "release", "code:a.txt")
    finish(run)
    assert box.status("it-1") == "closed"


def test_a_run_that_waits_does_not_stay_for_what_somebody_else_closed(sandbox: Sandbox) -> None:
    box = sandbox
    box.issue("it-1", *A)
    box.ok("agent", "join", "ann")
    box.ok("lock", "acquire", "code:a.txt")
    run = box.start("run", "--agent", box.scenario({}), env={"INTARSIA_RUN_ON_OVERLAP": "wait"})
    until(lambda: bool(events_of(box, "issue_passed_over", "it-1")))
    box.ok("issue", "close", "it-1")
    finish(run)


def test_a_session_that_is_resumed_has_its_claims_again(sandbox: Sandbox) -> None:
    box = sandbox
    box.issue("it-1", *A)
    agent = box.scenario({"it-1": turns("it-1", after(go(box)))})
    run = box.start("run", "--agent", agent)
    until(lambda: bool(started(box)))
    run.kill()
    run.wait()
    again = box.start("run", "--agent", agent)
    until(lambda: bool(box.events("session_taken_over")))
    held = box.json("lock", "list", "--prefix", "code:")["leases"]
    assert [lease["resource"] for lease in held] == ["code:a.txt"]
    go(box).touch()
    finish(again)
    assert box.status("it-1") == "closed"
