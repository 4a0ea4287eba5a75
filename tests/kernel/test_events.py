from __future__ import annotations

import threading

import pytest

from intarsia.clock import ManualClock
from intarsia.kernel import Database, events
from intarsia.kernel.events import Event


def record(database: Database, kind: str, issue: str | None = None, session: str | None = None) -> None:
    with database.transaction() as tx:
        events.record(tx, kind, actor="test", issue=issue, session=session, said=f"it's {kind} ✓")


def since(database: Database, cursor: int = 0, limit: int = 1000) -> list[Event]:
    with database.read() as tx:
        return events.since(tx, cursor, limit=limit)


def test_an_event_keeps_what_it_was_given(database: Database, clock: ManualClock) -> None:
    with database.transaction() as tx:
        events.record(tx, "it_happened", actor="me", run="r-1", issue="it-1", session="s-1", n=1, deep={"list": [None]})
    (found,) = since(database)
    assert found.as_json() == {
        "id": found.id,
        "time": "2023-11-14T22:13:20Z",
        "run": "r-1",
        "issue": "it-1",
        "session": "s-1",
        "actor": "me",
        "kind": "it_happened",
        "data": {"n": 1, "deep": {"list": [None]}},
    }


def test_events_come_in_order_and_from_a_cursor(database: Database) -> None:
    for n in range(5):
        record(database, f"e{n}")
    found = since(database)
    assert [event.kind for event in found] == ["e0", "e1", "e2", "e3", "e4"]
    assert [event.id for event in found] == sorted({event.id for event in found})
    assert [event.kind for event in since(database, found[2].id)] == ["e3", "e4"]
    assert since(database, found[-1].id) == []
    assert [event.kind for event in since(database, limit=2)] == ["e0", "e1"]


def test_the_latest_come_oldest_first(database: Database) -> None:
    for n in range(5):
        record(database, f"e{n}", issue=f"it-{n % 2}", session=f"s-{n}")
    with database.read() as tx:
        assert [event.kind for event in events.latest(tx, 2)] == ["e3", "e4"]
        assert [event.kind for event in events.latest(tx, 2, issue="it-0")] == ["e2", "e4"]
        assert [event.kind for event in events.latest(tx, 9, session="s-1")] == ["e1"]
        assert [event.kind for event in events.since(tx, issue="it-1")] == ["e1", "e3"]
        assert events.latest(tx, 9, issue="it-0", session="s-1") == []


def test_everything_is_read_in_batches(database: Database) -> None:
    with database.transaction() as tx:
        for n in range(1001):
            events.record(tx, f"e{n}", actor="test")
    with database.read() as tx:
        assert [event.kind for event in events.everything(tx)] == [f"e{n}" for n in range(1001)]


def test_an_event_of_a_transaction_that_failed_did_not_happen(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as tx:
        events.record(tx, "never", actor="test")
        raise ZeroDivisionError
    record(database, "real")
    assert [event.kind for event in since(database)] == ["real"]


def test_a_follower_misses_nothing_and_sees_nothing_twice(database: Database) -> None:
    """Ids are given in the order in which transactions end, so a cursor can't pass one that is still to come."""

    def write(writer: int) -> None:
        own = Database(database.url, database.project)
        for n in range(25):
            with own.transaction() as tx:
                events.record(tx, f"{writer}-{n}", actor="test")
                events.record(tx, f"{writer}-{n}+", actor="test")
        own.close()

    writers = [threading.Thread(target=write, args=[n]) for n in range(3)]
    for writer in writers:
        writer.start()
    seen: list[str] = []
    cursor, running = 0, True
    while running:
        running = any(writer.is_alive() for writer in writers)
        while batch := since(database, cursor, limit=7):
            seen += [event.kind for event in batch]
            cursor = batch[-1].id
    assert len(seen) == len(set(seen)) == 150
    for writer_number in range(3):
        own = [kind for kind in seen if kind.startswith(f"{writer_number}-")]
        assert own == [f"{writer_number}-{n}{end}" for n in range(25) for end in ("", "+")]
