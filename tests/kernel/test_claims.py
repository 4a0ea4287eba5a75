from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Conflict, Held, InputError, NotFound, NotHolder
from intarsia.kernel import Database, Transaction, claims, decisions, events, issues, leases, sessions
from intarsia.kernel.decisions import Decision
from intarsia.kernel.issues import Draft, Issue
from tests.support.dump import dump

TTL = 1800


def new(database: Database, id: str = "t-1", **values: Any) -> Issue:
    with database.transaction() as tx:
        return issues.create(tx, Draft(title=f"Do {id}", id=id, **values), "person:test")


def claim(database: Database, who: str = "alice", id: str = "t-1", ttl: int = TTL) -> leases.Lease:
    with database.transaction() as tx:
        return claims.claim(tx, id, who, ttl)


def expire(database: Database) -> list[str]:
    with database.transaction() as tx:
        return claims.expire(tx)


def get(database: Database, id: str = "t-1") -> Issue:
    with database.read() as tx:
        return issues.get(tx, id)


def holder(database: Database, id: str = "t-1") -> str | None:
    with database.read() as tx:
        return next((lease.session for lease in leases.on(tx, f"issue:{id}")), None)


def decided(database: Database, id: str = "t-1") -> list[Decision]:
    with database.read() as tx:
        return decisions.of(tx, id)


def kinds(database: Database, id: str = "t-1") -> list[str]:
    with database.read() as tx:
        return [event.kind for event in events.latest(tx, 1000, issue=id)]


def start_session(database: Database, secret: str = "s", only: str = "t-1") -> str:
    with database.transaction() as tx:
        started = sessions.start(
            tx, run="r", agent="bot", driver="script", supervisor="host:1:1", secret=secret, ttl=60, only=[only]
        )
    assert started
    return started[0].id


# Taking an issue.


def test_a_claim_is_the_issue_its_assignee_and_its_lease(database: Database) -> None:
    new(database)
    lease = claim(database)
    found = get(database)
    assert (found.status, found.assignee, found.attempts) == ("in_progress", "alice", 0)
    assert (lease.resource, lease.session, lease.mode, lease.note) == ("issue:t-1", "alice", "exclusive", "Do t-1")
    assert lease.expires - lease.acquired == TTL
    assert kinds(database) == ["issue_created", "issue_claimed"]


def test_a_second_claimer_is_told_who_holds_it(database: Database) -> None:
    new(database)
    lease = claim(database)
    before = dump(database)
    with pytest.raises(Held) as refused:
        claim(database, "bob")
    answer = refused.value.as_json()
    assert (answer["code"], answer["holder"]) == ("held", "alice")
    assert answer["expires_at"] == lease.as_json()["expires_at"]
    assert dump(database) == before


def test_claiming_again_renews(database: Database, clock: ManualClock) -> None:
    new(database)
    first = claim(database)
    clock.advance(TTL - 1)
    again = claim(database)
    assert (again.token, again.acquired) == (first.token, first.acquired)
    assert again.expires == first.expires + TTL - 1
    assert kinds(database).count("issue_claimed") == 1


def test_only_what_is_open_and_ready_can_be_claimed(database: Database) -> None:
    new(database, "t-1")
    new(database, "t-2", needs=["t-1"])
    new(database, "t-3", type="epic")
    new(database, "t-4")
    with database.transaction() as tx:
        issues.close(tx, "t-4", "done", "test")
    before = dump(database)
    for id, said in [("t-2", "not ready"), ("t-3", "not ready"), ("t-4", "is closed, not open")]:
        with pytest.raises(Conflict, match=said):
            claim(database, id=id)
    with pytest.raises(NotFound):
        claim(database, id="t-9")
    for ttl in (0, -1, 86_401):
        with pytest.raises(InputError):
            claim(database, ttl=ttl)
    assert dump(database) == before


def test_exactly_one_of_20_threads_claims(database_url: str, database: Database) -> None:
    new(database)
    together = threading.Barrier(20)

    def attempt(number: int) -> bool:
        own = Database(database_url, database.project)
        together.wait(60)
        try:
            claim(own, f"m{number}")
        except Held:
            return False
        finally:
            own.close()
        return True

    with ThreadPoolExecutor(20) as executor:
        won = [f"m{number}" for number, success in enumerate(executor.map(attempt, range(20))) if success]
    assert won == [get(database).assignee]
    assert kinds(database).count("issue_claimed") == 1


# A lock on issue:ID is no claim.


def test_whoever_locked_an_issue_first_can_still_claim_it(database: Database) -> None:
    """Mai: after a crash between lock and status, the retry says "already claimed by you" and never repairs it."""
    new(database)
    with database.transaction() as tx:
        leases.acquire(tx, "alice", "issue:t-1", 60)
    with pytest.raises(Held):
        claim(database, "bob")
    claim(database)
    assert (get(database).status, get(database).assignee) == ("in_progress", "alice")


@pytest.mark.parametrize("name", ["issue:t-1", "issue:t-1/part", "issue:"])
def test_a_lock_on_it_around_it_or_inside_it_stands_in_the_way(database: Database, name: str) -> None:
    new(database)
    with database.transaction() as tx:
        leases.acquire(tx, "bob", name, 60)
    with pytest.raises(Held, match="bob"):
        claim(database)
    assert get(database).status == "open"


def test_whoever_has_locked_but_not_claimed_can_not_finish_it(database: Database) -> None:
    new(database)
    with database.transaction() as tx:
        leases.acquire(tx, "bob", "issue:t-1", 60)
    for change in HOLDERS_ONLY.values():
        with pytest.raises(NotHolder, match="locked t-1, not claimed it"), database.transaction() as tx:
            change(tx, "bob")


def test_a_run_takes_the_next_issue_when_one_is_locked(database: Database) -> None:
    new(database, "t-1", priority=0)
    new(database, "t-2")
    with database.transaction() as tx:
        leases.acquire(tx, "bob", "issue:t-1", 60)
        started = sessions.start(tx, run="r", agent="a", driver="script", supervisor="h:1:1", secret="s", ttl=60)
        assert started
        assert started[1].id == "t-2"
        assert not sessions.start(tx, run="r", agent="a", driver="script", supervisor="h:1:1", secret="s", ttl=60)


def test_only_issues_of_the_named_queues_are_taken(database: Database) -> None:
    for id, queue in [("t-1", "a queue's name: 'x' %s :y"), ("t-2", "default"), ("t-3", "other")]:
        new(database, id, queue=queue)
    with database.read() as tx:
        assert [i.id for i in issues.ready(tx, queues=["default", "a queue's name: 'x' %s :y"])] == ["t-1", "t-2"]
        assert [i.id for i in issues.ready(tx, ["t-3"], ["default"])] == []


# Who may do what.

HOLDERS_ONLY: dict[str, Callable[[Transaction, str], object]] = {
    "heartbeat": lambda tx, who: claims.heartbeat(tx, "t-1", who, TTL),
    "complete": lambda tx, who: claims.complete(tx, "t-1", who, "done"),
    "release": lambda tx, who: claims.release(tx, "t-1", who),
}
ALSO_ON_A_CLAIM: dict[str, Callable[[Transaction, str], object]] = {
    "block": lambda tx, who: claims.block(tx, "t-1", who, "why"),
    "transfer": lambda tx, who: claims.transfer(tx, "t-1", who, "other", 0),
}
ALL = HOLDERS_ONLY | ALSO_ON_A_CLAIM


@pytest.mark.parametrize("verb", ALL)
def test_nobody_changes_what_another_holds(database: Database, verb: str) -> None:
    new(database)
    claim(database)
    before = dump(database)
    with pytest.raises(NotHolder) as refused, database.transaction() as tx:
        ALL[verb](tx, "bob")
    assert refused.value.as_json()["holder"] == "alice"
    assert refused.value.exit_code == 1
    assert dump(database) == before
    with database.transaction() as tx:
        ALL[verb](tx, "alice")


@pytest.mark.parametrize("taken", ["expired", "requeued", "taken by bob"])
@pytest.mark.parametrize("verb", ALL)
def test_a_holder_that_comes_late_changes_nothing(
    database: Database, clock: ManualClock, verb: str, taken: str
) -> None:
    new(database)
    claim(database)
    clock.advance(TTL)
    if taken == "requeued":
        expire(database)
    elif taken == "taken by bob":
        claim(database, "bob")
    if taken == "requeued" and verb in ALSO_ON_A_CLAIM:
        verb = "heartbeat"  # to block or transfer it is anybody's right again
    before = dump(database)
    with pytest.raises(NotHolder), database.transaction() as tx:
        ALL[verb](tx, "alice")
    assert dump(database) == before


@pytest.mark.parametrize("verb", HOLDERS_ONLY)
def test_what_nobody_holds_is_not_renewed_completed_or_released(database: Database, verb: str) -> None:
    """Mai completes and releases without a lock, and as often as one likes."""
    new(database)
    with pytest.raises(NotHolder), database.transaction() as tx:
        ALL[verb](tx, "alice")
    claim(database)
    with database.transaction() as tx:
        claims.complete(tx, "t-1", "alice", "done")
    before = dump(database)
    with pytest.raises(NotHolder), database.transaction() as tx:
        ALL[verb](tx, "alice")
    assert dump(database) == before


def test_a_session_can_not_finish_its_issue_by_hand_or_claim_another(database: Database) -> None:
    """Else an agent could close its issue without the checks."""
    new(database)
    new(database, "t-2")
    session = start_session(database)
    before = dump(database)
    for change in ALL.values():
        with pytest.raises(Conflict, match="session of intarsia run"), database.transaction() as tx:
            change(tx, session)
    with pytest.raises(Conflict, match="session of intarsia run"):
        claim(database, session, "t-2")
    for change in ALL.values():
        with pytest.raises(NotHolder), database.transaction() as tx:
            change(tx, "alice")
    assert dump(database) == before


# Finishing.


def test_completing_closes_records_the_decision_and_frees(database: Database, clock: ManualClock) -> None:
    new(database)
    claim(database)
    clock.advance(60)
    conclusion = r"use \d+ and \1, not *.py; {x} %s 'quoted'" + "\nsecond line: ✅ 完成"
    with database.transaction() as tx:
        done = claims.complete(tx, "t-1", "alice", f"  {conclusion}\n")
    assert (done.status, done.resolution, done.assignee, done.closed) == ("closed", "completed", None, clock.now())
    assert holder(database) is None
    (decision,) = decided(database)
    assert (decision.actor, decision.kind, decision.text, decision.time) == (
        "alice", "conclusion", conclusion, clock.now(),
    )  # fmt: skip
    assert kinds(database)[-1] == "issue_closed"


@pytest.mark.parametrize("text", ["", " \n", "a\x00b"])
def test_a_conclusion_or_remark_without_a_text_is_refused_whole(database: Database, text: str) -> None:
    new(database)
    claim(database)
    before = dump(database)
    with pytest.raises(InputError), database.transaction() as tx:
        claims.complete(tx, "t-1", "alice", text)
    with pytest.raises(InputError), database.transaction() as tx:
        claims.amend(tx, "t-1", "bob", text)
    assert dump(database) == before


@pytest.mark.parametrize("state", ["open", "in_progress", "blocked", "closed"])
def test_an_amendment_leaves_the_issue_as_it_is(database: Database, state: str) -> None:
    new(database)
    if state != "open":
        claim(database)
    with database.transaction() as tx:
        if state == "closed":
            claims.complete(tx, "t-1", "alice", "first")
        elif state == "blocked":
            claims.block(tx, "t-1", "alice", "why")
    before = get(database)
    with database.transaction() as tx:
        claims.amend(tx, "t-1", "bob", "but not on Sundays")
    assert get(database) == before
    assert (decided(database)[-1].actor, decided(database)[-1].kind) == ("bob", "amendment")
    with pytest.raises(NotFound), database.transaction() as tx:
        claims.amend(tx, "t-9", "bob", "x")


def test_decisions_are_only_added_to(database: Database, clock: ManualClock) -> None:
    new(database)
    seen: list[Decision] = []
    for number in range(3):
        claim(database)
        with database.transaction() as tx:
            claims.complete(tx, "t-1", "alice", f"conclusion {number}")
            claims.amend(tx, "t-1", "bob", f"amendment {number}")
            issues.reopen(tx, "t-1", "bob")
        clock.advance(1)
        now = decided(database)
        assert now[:-2] == seen
        assert [d.text for d in now[-2:]] == [f"conclusion {number}", f"amendment {number}"]
        seen = now
    assert [d.id for d in seen] == sorted(d.id for d in seen)


def test_releasing_ends_the_claim_and_is_no_attempt(database: Database) -> None:
    new(database)
    claim(database)
    with database.transaction() as tx:
        given = claims.release(tx, "t-1", "alice", "needs the parser's author")
        assert issues.notes(tx, "t-1") == ["needs the parser's author"]
    assert (given.status, given.assignee, given.attempts, holder(database)) == ("open", None, 0, None)
    claim(database, "bob")


def test_blocking_ends_the_claim_and_says_why(database: Database) -> None:
    new(database)
    claim(database)
    with pytest.raises(InputError), database.transaction() as tx:
        claims.block(tx, "t-1", "alice", "  ")
    with database.transaction() as tx:
        claims.block(tx, "t-1", "alice", "no access")
    assert (get(database).status, get(database).assignee, holder(database)) == ("blocked", None, None)
    with pytest.raises(Conflict, match="is blocked"):
        claim(database)
    with pytest.raises(Conflict, match="is blocked"), database.transaction() as tx:
        claims.block(tx, "t-1", "bob", "again")
    with database.transaction() as tx:
        claims.unblock(tx, "t-1", "bob", "access granted")
        assert issues.notes(tx, "t-1") == ["no access", "access granted"]
    with pytest.raises(Conflict, match="is open"), database.transaction() as tx:
        claims.unblock(tx, "t-1", "bob")
    claim(database)


def test_anybody_can_block_what_nobody_works_on(database: Database) -> None:
    new(database)
    with database.transaction() as tx:
        assert claims.block(tx, "t-1", "bob", "later").status == "blocked"


def test_reopening_a_blocked_issue_clears_that_it_needs_somebody(database: Database) -> None:
    new(database, labels=["parser"])
    with database.transaction() as tx:
        issues.block(tx, "t-1", "checks fail", "intarsia")
        assert issues.get(tx, "t-1").labels == ["needs-followup", "parser"]
        assert issues.reopen(tx, "t-1", "person:me").labels == ["parser"]


# Queues and their SLA.


def test_a_transfer_ends_the_claim_and_starts_the_sla_again(database: Database, clock: ManualClock) -> None:
    created = new(database, sla=120)
    assert created.due == clock.now() + 7200
    claim(database)
    clock.advance(600)
    with database.transaction() as tx:
        moved = claims.transfer(tx, "t-1", "alice", "other", 30, "not ours")
    assert (moved.queue, moved.status, moved.assignee, holder(database)) == ("other", "open", None, None)
    assert moved.due == clock.now() + 1800
    with database.transaction() as tx:
        assert claims.transfer(tx, "t-1", "bob", "third", 0).due is None
        claims.block(tx, "t-1", "bob", "why")
        assert claims.transfer(tx, "t-1", "bob", "other", 1).status == "blocked"


def test_what_is_finished_or_there_already_is_not_transferred(database: Database) -> None:
    new(database)
    with pytest.raises(Conflict, match="in default already"), database.transaction() as tx:
        claims.transfer(tx, "t-1", "alice", "default", 0)
    with database.transaction() as tx:
        issues.close(tx, "t-1", "done", "test")
    with pytest.raises(Conflict, match="closed already"), database.transaction() as tx:
        claims.transfer(tx, "t-1", "alice", "other", 0)


def overdue(database: Database, queue: str | None = None) -> list[str]:
    with database.read() as tx:
        return [issue.id for issue in claims.overdue(tx, queue)]


def test_overdue_is_what_is_unfinished_after_its_stored_deadline(database: Database, clock: ManualClock) -> None:
    """Mai counts completed issues, and judges by today's settings instead of the deadline that was promised."""
    for id, sla, queue in [("t-1", 2, "default"), ("t-2", 1, "other"), ("t-3", 0, "other"), ("t-4", 1, "other")]:
        new(database, id, sla=sla, queue=queue)
    clock.advance(60)
    assert overdue(database) == []
    clock.advance(1)
    assert overdue(database) == ["t-2", "t-4"]
    clock.advance(60)
    assert overdue(database) == ["t-2", "t-4", "t-1"]
    assert overdue(database, "other") == ["t-2", "t-4"]
    claim(database, id="t-2")
    with database.transaction() as tx:
        claims.complete(tx, "t-2", "alice", "done")
    assert overdue(database) == ["t-4", "t-1"]


@pytest.mark.parametrize("status", ["open", "in_progress", "blocked", "deferred"])
def test_work_that_waits_or_goes_on_can_be_overdue(database: Database, clock: ManualClock, status: str) -> None:
    new(database, sla=1)
    with database.transaction() as tx:
        issues.change(tx, "t-1", status=status)
    clock.advance(61)
    assert overdue(database) == ["t-1"]


# Escalation.


def test_an_escalation_is_an_issue_of_its_own_and_the_original_stays(database: Database, clock: ManualClock) -> None:
    new(database, body="Two ways.\n## Facts\n", sla=120, labels=["x"], priority=3)
    claim(database)
    parts = {"disagreement": "which parser", "positions": "- a\n- b", "facts": "a is fast", "options": "- a\n- b"}

    def original() -> list[dict[str, Any]]:
        found = dump(database)
        return [row for table in ("issues", "leases") for row in found[table] if "t-1" in str(row)]

    before = original()
    clock.advance(60)
    with database.transaction() as tx:
        body = claims.escalation_body(parts, issues.get(tx, "t-1"))
        draft = Draft(title="Decide", body=body, queue="decisions", prefix="DEC", sla=30)
        raised = claims.escalate(tx, "t-1", "bob", draft)
    assert [row for row in original() if row.get("id") != raised.id] == before
    assert raised.id.startswith("DEC-")
    assert (raised.queue, raised.due, raised.status) == ("decisions", clock.now() + 1800, "open")
    for part in parts.values():
        assert part in raised.body
    assert "t-1: Do t-1\n\nTwo ways." in raised.body
    with database.read() as tx:
        for id in ("t-1", raised.id):
            assert issues.dependencies(tx, id) == [{"issue": raised.id, "target": "t-1", "kind": "related"}]
        assert [i.id for i in issues.ready(tx)] == [raised.id]
        escalated = events.latest(tx, 100, issue="t-1")[-1]
    assert (escalated.kind, escalated.actor, escalated.data) == (
        "issue_escalated", "bob", {"to": raised.id, "queue": "decisions"},
    )  # fmt: skip


@pytest.mark.parametrize("missing", ["disagreement", "positions", "facts", "options"])
def test_an_escalation_needs_all_its_parts(database: Database, missing: str) -> None:
    original = new(database)
    parts = dict.fromkeys(["disagreement", "positions", "facts", "options"], "said") | {missing: " \n"}
    with pytest.raises(InputError, match=f"needs its {missing}"):
        claims.escalation_body(parts, original)


# The guardian.


def test_a_claim_without_a_heartbeat_is_requeued_and_not_a_second_before(
    database: Database, clock: ManualClock
) -> None:
    new(database)
    claim(database)
    clock.advance(TTL - 1)
    assert expire(database) == []
    assert get(database).assignee == "alice"
    clock.advance(1)
    assert expire(database) == ["t-1"]
    found = get(database)
    assert (found.status, found.assignee, found.attempts) == ("open", None, 1)
    assert dump(database)["leases"] == []
    with database.read() as tx:
        event = events.latest(tx, 1)[0]
    assert (event.kind, event.actor, event.issue) == ("issue_requeued", "guardian", "t-1")
    assert event.data["note"] == "alice sent no heartbeat; its claim ran out at 2023-11-14T22:43:20Z."


def test_a_heartbeat_in_time_keeps_the_claim(database: Database, clock: ManualClock) -> None:
    new(database)
    claim(database)
    for _ in range(5):
        clock.advance(TTL - 1)
        with database.transaction() as tx:
            claims.heartbeat(tx, "t-1", "alice", TTL)
        assert expire(database) == []
    clock.advance(TTL)
    assert expire(database) == ["t-1"]


def test_expiring_again_changes_nothing(database: Database, clock: ManualClock) -> None:
    new(database)
    claim(database)
    clock.advance(TTL)
    expire(database)
    before = dump(database)
    assert expire(database) == []
    assert dump(database) == before


def test_expiring_is_whole_or_not_at_all(database: Database, clock: ManualClock) -> None:
    new(database)
    claim(database)
    clock.advance(TTL)
    before = dump(database)
    with pytest.raises(RuntimeError), database.transaction() as tx:
        claims.expire(tx)
        raise RuntimeError("killed")
    assert dump(database) == before


def test_many_guardians_at_once_requeue_once(database_url: str, database: Database, clock: ManualClock) -> None:
    for number in range(5):
        new(database, f"t-{number}")
        claim(database, id=f"t-{number}")
    clock.advance(TTL)
    together = threading.Barrier(4)

    def guard(_: int) -> list[str]:
        own = Database(database_url, database.project, clock)
        together.wait(60)
        found = expire(own)
        own.close()
        return found

    with ThreadPoolExecutor(4) as executor:
        found = sorted(id for some in executor.map(guard, range(4)) for id in some)
    assert found == [f"t-{number}" for number in range(5)]
    assert {get(database, id).attempts for id in found} == {1}
    assert [kinds(database, id).count("issue_requeued") for id in found] == [1] * 5


def test_a_claim_that_ran_out_does_not_stand_in_the_way(database: Database, clock: ManualClock) -> None:
    """Also before any guardian came by."""
    new(database)
    claim(database)
    clock.advance(TTL)
    claim(database, "bob")
    assert (get(database).assignee, get(database).attempts) == ("bob", 1)
    assert kinds(database) == ["issue_created", "issue_claimed", "issue_requeued", "issue_claimed"]
    assert expire(database) == []


def test_a_claim_whose_lease_was_replaced_by_a_lock_is_not_forgotten(database: Database, clock: ManualClock) -> None:
    new(database)
    claim(database)
    clock.advance(TTL)
    with database.transaction() as tx:
        leases.acquire(tx, "bob", "issue:t-1", 60)
    assert expire(database) == ["t-1"]
    assert (get(database).status, holder(database)) == ("open", "bob")


def test_sessions_and_mere_locks_are_not_the_guardians(database: Database, clock: ManualClock) -> None:
    new(database)
    start_session(database)
    with database.transaction() as tx:
        leases.acquire(tx, "alice", "issue:t-9", 60)
    clock.advance(TTL)
    before = dump(database)
    assert expire(database) == []
    assert dump(database) == before


# Giving back and taking away leases, whatever they are.


def lease_on(tx: Transaction, name: str) -> leases.Lease:
    return leases.on(tx, name)[0]


def test_letting_go_of_a_claim_opens_its_issue(database: Database) -> None:
    new(database)
    claim(database)
    with database.transaction() as tx:
        leases.acquire(tx, "alice", "code:a", 60)
        for name in ("issue:t-1", "code:a"):
            claims.let_go(tx, lease_on(tx, name))
        assert leases.of(tx, "alice") == []
    assert get(database).status == "open"


def test_what_is_taken_away_is_recorded_and_open_again(database: Database) -> None:
    new(database)
    claim(database)
    with database.transaction() as tx:
        leases.acquire(tx, "alice", "code:a", 60)
        for name in ("issue:t-1", "code:a"):
            claims.take_away(tx, lease_on(tx, name), "bob", "on holiday")
        forced = [e for e in events.latest(tx, 10) if e.kind == "lock_forced"]
        assert leases.of(tx, "alice") == []
        assert issues.notes(tx, "t-1") == ["Taken from alice by bob: on holiday."]
    assert [(e.actor, e.data["resource"], e.data["holder"]) for e in forced] == [
        ("bob", "issue:t-1", "alice"), ("bob", "code:a", "alice"),
    ]  # fmt: skip
    found = get(database)
    assert (found.status, found.assignee, found.attempts) == ("open", None, 0)
    with pytest.raises(NotHolder), database.transaction() as tx:
        claims.complete(tx, "t-1", "alice", "late")
