"""Calls of agents by agents, on both databases."""

from __future__ import annotations

import threading

import pytest

from intarsia.errors import Conflict, InputError, NotFound
from intarsia.kernel import Database, calls, decisions, issues, members, sessions
from intarsia.kernel.issues import Draft
from intarsia.kernel.sessions import Session
from tests.support.until import until


def begun(database: Database, only: str = "") -> Session:
    """A session on the next issue."""
    with database.transaction() as tx:
        if not only:
            issues.create(tx, Draft("Work"), "tester")
        started = sessions.start(
            tx, run="r", agent="a", driver="script", supervisor="h:1:1", secret="5" * 64, ttl=600,
            only=[only] if only else (),
        )  # fmt: skip
    assert started is not None
    return started[0]


def called(database: Database, by: Session, limit: int = 3) -> str:
    with database.transaction() as tx:
        return calls.start(tx, by.id, Draft("Help"), limit).issue


def test_who_is_called_is_below_and_calls_end_somewhere(database: Database) -> None:
    caller, depths = begun(database), []
    for depth in (1, 2):
        session = begun(database, called(database, caller, limit=2))
        assert (session.parent, session.depth) == (caller.id, depth)
        depths.append(session.depth)
        caller = session
    with pytest.raises(Conflict, match="2 deep"):
        called(database, caller, limit=2)
    with database.read() as tx:
        assert issues.counts(tx)["open"] == 0
        edges = issues.dependencies(tx, caller.issue)
    assert [edge["kind"] for edge in edges] == ["discovered-from"]


def test_a_run_that_is_deeper_still_counts(database: Database) -> None:
    caller = begun(database)
    id = called(database, caller)
    with database.transaction() as tx:
        deep = sessions.update(tx, caller, depth=2)
        started = sessions.start(
            tx, run="r", agent="a", driver="script", supervisor="h:1:1", secret="6" * 64, ttl=60, only=[id], parent=deep
        )
    assert started is not None and started[0].depth == 3


def test_what_comes_back(database: Database) -> None:
    caller = begun(database)
    id = called(database, caller)
    with database.transaction() as tx:
        assert (calls.get(tx, caller.id, id).status, calls.get(tx, caller.id, id).result) == ("waiting", "")
    session = begun(database, id)
    with database.transaction() as tx:
        assert calls.give_back(tx, session, "one").status == "running"
        calls.give_back(tx, session, "two\n" * 2000)
        for bad in ("", " ", "a\0b"):
            with pytest.raises(InputError):
                calls.give_back(tx, session, bad)
        with pytest.raises(Conflict, match="was not called"):
            calls.give_back(tx, caller, "x")
        issues.close(tx, id, "landed", "tester")
        done = calls.get(tx, caller.id, id)
    assert (done.status, done.resolution, done.result) == ("done", "landed", "two\n" * 2000)


def test_without_a_result_it_is_said_what_became_of_it(database: Database) -> None:
    caller = begun(database)
    concluded, blocked = called(database, caller), called(database, caller)
    with database.transaction() as tx:
        decisions.record(tx, concluded, "bob", "conclusion", "It was so.")
        issues.close(tx, concluded, "completed", "bob")
        assert calls.get(tx, caller.id, concluded).result == "It was so."
        issues.block(tx, blocked, "no", "tester")
        assert calls.get(tx, caller.id, blocked).status == "failed"


def test_only_the_caller_sees_it_or_who_goes_on_for_it(database: Database) -> None:
    caller, other = begun(database), begun(database)
    id = called(database, caller)
    with database.transaction() as tx:
        members.join(tx, "alice", "a" * 64)
        for who in (other.id, "alice"):
            with pytest.raises(NotFound):
                calls.get(tx, who, id)
        with pytest.raises(NotFound):
            calls.get(tx, caller.id, caller.issue)
        sessions.end(tx, sessions.get(tx, caller.id), "released")
        issues.change(tx, caller.issue, status="open", assignee=None)
    with pytest.raises(Conflict, match="ended"):
        called(database, caller)
    again = begun(database, caller.issue)
    with database.transaction() as tx:
        assert calls.get(tx, again.id, id).caller == caller.id


def test_a_member_may_call(database: Database) -> None:
    with database.transaction() as tx:
        members.join(tx, "alice", "a" * 64)
        id = calls.start(tx, "alice", Draft("Help"), 0).issue
    session = begun(database, id)
    assert (session.parent, session.depth) == (None, 0)


def test_one_who_waits_learns_when_it_has_ended(database_url: str) -> None:
    database = Database(database_url, "p-calls")
    caller = begun(database)
    id, waiter, got = called(database, caller), Database(database_url, "p-calls"), []
    assert calls.wait(database, caller.id, id, 0).status == "waiting"
    assert calls.wait(database, caller.id, id, 60, lambda: True).status == "waiting"
    waiting = threading.Thread(target=lambda: got.append(calls.wait(waiter, caller.id, id, 60)))
    waiting.start()
    with database.transaction() as tx:
        issues.close(tx, id, "done", "tester")
    until(lambda: bool(got))
    waiting.join()
    assert got[0].status == "done"
    waiter.close()
    database.close()
