from __future__ import annotations

from typing import Any

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Held, NotFound, StaleLease
from intarsia.kernel import Database, events, issues, leases, sessions
from intarsia.kernel.issues import Draft
from intarsia.kernel.sessions import Session

SECRET = "a secret of this session"


def new(database: Database, issue: str = "it-1") -> None:
    with database.transaction() as tx:
        issues.create(tx, Draft(f"Do {issue}", id=issue), "test")


def start(database: Database, *only: str, supervisor: str = "host:1:0", secret: str = SECRET) -> Session:
    with database.transaction() as tx:
        begun = sessions.start(
            tx, run="r-1", agent="a", driver="script", supervisor=supervisor, secret=secret, ttl=60, only=only
        )
    assert begun is not None
    return begun[0]


def started(database: Database, issue: str = "it-1", **values: Any) -> Session:
    new(database, issue)
    return start(database, issue, **values)


def take_over(database: Database, session: Session, supervisor: str = "host:2:0") -> Session:
    with database.transaction() as tx:
        return sessions.take_over(tx, session, supervisor, "r-2", 60)


def get(database: Database, id: str) -> Session:
    with database.read() as tx:
        return sessions.get(tx, id)


def kinds(database: Database, session: Session) -> list[str]:
    with database.read() as tx:
        return [event.kind for event in events.since(tx, session=session.id)]


def held(database: Database) -> list[str]:
    with database.read() as tx:
        return [lease.resource for lease in leases.held(tx)]


def test_nothing_ready_starts_nothing(database: Database) -> None:
    with database.transaction() as tx:
        assert (
            sessions.start(tx, run="r", agent="a", driver="script", supervisor="host:1:0", secret=SECRET, ttl=60)
            is None
        )
        assert sessions.find(tx) == []


def test_a_session_starts_with_its_issue_claimed(database: Database) -> None:
    session = started(database)
    assert (session.issue, session.stage, session.turn, session.attempt) == ("it-1", "working", 1, 1)
    assert session.branch == "intarsia/it-1/1"
    with database.read() as tx:
        assert issues.get(tx, "it-1").assignee == session.id
        assert [(lease.resource, lease.token) for lease in leases.held(tx)] == [("issue:it-1", session.token)]
    assert kinds(database, session) == ["session_started"]


def test_only_the_hash_of_a_secret_is_stored(database: Database) -> None:
    session = started(database)
    with database.read() as tx:
        for table in ("sessions", "events", "leases", "issues"):
            rows = tx.all(f"SELECT * FROM {table} WHERE project = :project")
            assert rows
            assert SECRET not in str(rows)
        row = tx.one("SELECT secret_hash FROM sessions WHERE project = :project")
    assert row == {"secret_hash": sessions.digest(SECRET)}
    assert SECRET not in str(session.as_json())
    assert row["secret_hash"] not in str(session.as_json())


def test_secrets_are_long_and_differ() -> None:
    made = {sessions.new_secret() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43  # 256 bits in base64


def test_the_secret_is_the_identity(database: Database) -> None:
    one, two = started(database, "it-1"), started(database, "it-2", secret="another")
    with database.read() as tx:
        assert sessions.authenticate(tx, one.id, SECRET) == one
        for identity, secret in [(one.id, "another"), (two.id, SECRET), (one.id, ""), ("s-none", SECRET)]:
            with pytest.raises(NotFound, match="not the identity"):
                sessions.authenticate(tx, identity, secret)


def test_every_stage_is_an_event_of_the_same_transaction(database: Database) -> None:
    session = started(database)
    for stage in ("checking", "landing"):
        with database.transaction() as tx:
            session = sessions.advance(tx, session, stage, f"to {stage}", head="abc")
    assert (session.stage, session.reason, session.head) == ("landing", "to landing", "abc")
    with pytest.raises(ZeroDivisionError), database.transaction() as tx:
        sessions.end(tx, session, "done")
        raise ZeroDivisionError
    assert kinds(database, session) == ["session_started", "session_checking", "session_landing"]
    with database.transaction() as tx:
        ended = sessions.end(tx, session, "done", "landed")
    assert ended.ended is not None
    assert kinds(database, session)[3:] == ["session_done"]
    assert held(database) == []


def test_a_session_that_ended_can_not_move_any_more(database: Database) -> None:
    session = started(database)
    with database.transaction() as tx:
        ended = sessions.end(tx, session, "failed", "why")
    for stage in ("working", "done"):
        with pytest.raises(StaleLease), database.transaction() as tx:
            sessions.advance(tx, ended, stage)
    assert get(database, session.id) == ended


def test_an_expired_lease_lets_its_session_write_nothing(database: Database, clock: ManualClock) -> None:
    session = started(database)
    clock.advance(60)
    with pytest.raises(StaleLease), database.transaction() as tx:
        sessions.advance(tx, session, "checking")
    assert get(database, session.id) == session
    assert kinds(database, session) == ["session_started"]


def test_a_take_over_fences_the_former_supervisor(database: Database, clock: ManualClock) -> None:
    former = started(database)
    present = take_over(database, former)
    assert (present.supervisor, present.run, present.stage) == ("host:2:0", "r-2", "working")
    assert present.token > former.token
    for change in (sessions.advance, sessions.end):
        with pytest.raises(StaleLease), database.transaction() as tx:
            change(tx, former, "done")
    with pytest.raises(StaleLease):
        take_over(database, former, "host:3:0")
    clock.advance(30)
    with database.transaction() as tx:
        assert sessions.renew(tx, former.supervisor, 60) == 0
        assert sessions.renew(tx, present.supervisor, 60) == 1
    clock.advance(40)
    with database.transaction() as tx:
        assert sessions.advance(tx, present, "checking").stage == "checking"
    assert kinds(database, former) == ["session_started", "session_taken_over", "session_checking"]


def test_one_of_two_supervisors_takes_a_session_over(database: Database) -> None:
    seen = started(database)
    take_over(database, seen, "host:2:0")
    with pytest.raises(StaleLease, match="host:2:0"):
        take_over(database, seen, "host:3:0")
    assert get(database, seen.id).supervisor == "host:2:0"


def test_a_take_over_keeps_what_is_held_of_the_code_under_a_new_token(database: Database, clock: ManualClock) -> None:
    session = started(database)
    with database.transaction() as tx:
        symbol = leases.acquire(tx, session.id, "code:a.py#f", 60)
        leases.acquire(tx, session.id, "code:b.py", 20)
        leases.acquire(tx, session.id, "land:main", 60)
    clock.advance(30)
    take_over(database, session)
    assert held(database) == ["code:a.py#f", "issue:it-1"]
    with database.transaction() as tx:
        kept = leases.require_holder(tx, "code:a.py#f", session.id)
        assert (kept.token > symbol.token, kept.acquired, kept.expires) == (True, symbol.acquired, tx.now + 60)
        with pytest.raises(StaleLease):
            leases.require(tx, symbol.resource, symbol.token)
    with pytest.raises(Held), database.transaction() as tx:
        leases.acquire(tx, "another", "code:a.py", 60)


def test_a_take_over_keeps_the_workspace_only_if_it_is_free(database: Database, clock: ManualClock) -> None:
    session = started(database)
    with database.transaction() as tx:
        leases.acquire(tx, session.id, "workspace:host/1", 60)
        session = sessions.update(tx, session, workspace="workspace:host/1")
    session = take_over(database, session, "host:2:0")
    assert session.workspace == "workspace:host/1"
    assert held(database) == ["issue:it-1", "workspace:host/1"]
    clock.advance(60)
    with database.transaction() as tx:
        leases.acquire(tx, "another", "workspace:host/1", 60)
    assert take_over(database, session, "host:3:0").workspace is None


def test_a_parked_session_is_resumed_where_it_stopped(database: Database) -> None:
    session = started(database)
    with database.transaction() as tx:
        session = sessions.advance(tx, session, "checking")
        parked = sessions.park(tx, session, "interrupted", "checking")
    assert (parked.stage, parked.resume, parked.ended) == ("parked", "checking", None)
    assert held(database) == []
    with database.transaction() as tx:
        assert issues.ready(tx) == []
    resumed = take_over(database, parked)
    assert (resumed.stage, resumed.resume) == ("checking", None)
    assert held(database) == ["issue:it-1"]


def test_a_parked_session_is_cancelled_with_an_event(database: Database) -> None:
    session, other = started(database, "it-1"), started(database, "it-2")
    with database.transaction() as tx:
        parked = sessions.park(tx, session, "interrupted", "working")
        sessions.cancel_parked(tx, "it-1", "person:me")
        sessions.cancel_parked(tx, "it-2", "person:me")
    cancelled = get(database, session.id)
    assert cancelled.stage == "cancelled"
    assert cancelled.ended is not None
    assert get(database, other.id).stage == "working"
    assert kinds(database, session)[-2:] == ["session_parked", "session_cancelled"]
    with pytest.raises(StaleLease):
        take_over(database, parked)


def test_expiry_gives_the_issue_back_in_one_transaction(database: Database, clock: ManualClock) -> None:
    lost = started(database, "it-1")
    clock.advance(30)
    alive = started(database, "it-2")
    clock.advance(30)
    with pytest.raises(ZeroDivisionError), database.transaction() as tx:
        sessions.expire(tx)
        raise ZeroDivisionError
    assert get(database, lost.id).stage == "working"
    with database.transaction() as tx:
        assert [session.id for session in sessions.expire(tx)] == [lost.id]
        assert sessions.expire(tx) == []
    with database.read() as tx:
        issue = issues.get(tx, "it-1")
        assert (issue.status, issue.assignee, issue.attempts) == ("open", None, 1)
        assert issues.notes(tx, "it-1") == [
            f"The lease of {lost.id} ran out at 2023-11-14T22:14:20Z: nobody renewed it."
        ]
        assert issues.get(tx, "it-2").status == "in_progress"
    gone = get(database, lost.id)
    assert gone.stage == "released"
    assert gone.ended == clock.now()
    assert get(database, alive.id).stage == "working"
    assert held(database) == ["issue:it-2"]
    with pytest.raises(StaleLease):
        take_over(database, lost)
    again = start(database, "it-1")
    assert (again.attempt, again.branch) == (2, "intarsia/it-1/2")


def test_a_host_spares_its_own_as_it_can_resume_them(database: Database, clock: ManualClock) -> None:
    ours = started(database, "it-1", supervisor="here:1:0")
    theirs = started(database, "it-2", supervisor="there:1:0")
    alike = started(database, "it-3", supervisor="here-too:1:0")
    clock.advance(60)
    with database.transaction() as tx:
        assert {session.id for session in sessions.expire(tx, spare_host="here")} == {theirs.id, alike.id}
    assert take_over(database, ours).stage == "working"


def test_two_sessions_never_hold_one_issue(database: Database, clock: ManualClock) -> None:
    first = started(database)
    with database.transaction() as tx:
        tx.execute("UPDATE issues SET status = 'open' WHERE project = :project")
        assert not sessions.start(tx, run="r-1", agent="a", driver="script", supervisor="h:1:0", secret="s", ttl=60)
    clock.advance(60)
    second = start(database)
    with pytest.raises(Held):
        take_over(database, first)
    assert get(database, first.id) == first
    assert get(database, second.id) == second


def test_sessions_are_found_newest_first(database: Database, clock: ManualClock) -> None:
    ids = []
    for n in range(3):
        clock.advance(1)
        ids.append(started(database, f"it-{n}").id)
    with database.transaction() as tx:
        sessions.park(tx, sessions.get(tx, ids[0]), "why", "working")
        assert [session.id for session in sessions.find(tx)] == ids[::-1]
        assert [session.id for session in sessions.find(tx, stages=sessions.ACTIVE)] == ids[:0:-1]
        assert [session.id for session in sessions.find(tx, issue="it-1")] == [ids[1]]
        assert [session.id for session in sessions.find(tx, limit=1)] == [ids[2]]
        with pytest.raises(NotFound, match="s-none"):
            sessions.get(tx, "s-none")
