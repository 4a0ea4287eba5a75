"""Accounts that are paused: how long, by whom it is lengthened, and how it ends."""

from __future__ import annotations

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import NotFound
from intarsia.kernel import Database, events, pauses
from intarsia.kernel.pauses import Pause


def pause(database: Database, retry_after: float | None = None, chance: float = 0.0, session: str = "s-1") -> Pause:
    with database.transaction() as tx:
        return pauses.pause(tx, "acme", session, "HTTP 529", chance=chance, retry_after=retry_after)


def paused(database: Database) -> set[str]:
    with database.read() as tx:
        return set(pauses.active(tx))


def test_a_pause_ends_by_itself(database: Database, clock: ManualClock) -> None:
    assert pause(database).until == clock.now() + pauses.FIRST
    assert paused(database) == {"acme"}
    clock.advance(pauses.FIRST - 0.1)
    assert paused(database) == {"acme"}
    clock.advance(0.1)
    assert paused(database) == set()


def test_each_pause_in_a_row_is_twice_as_long_up_to_an_hour(database: Database, clock: ManualClock) -> None:
    lengths = []
    for attempt in range(1, 10):
        made = pause(database)
        assert made.attempt == attempt
        lengths.append(made.until - clock.now())
        clock.advance(lengths[-1])
    assert lengths == pytest.approx([30, 60, 120, 240, 480, 960, 1920, 3600, 3600])


def test_what_the_vendor_says_is_kept_to_and_chance_only_adds(database: Database, clock: ManualClock) -> None:
    assert pause(database, retry_after=100).until == clock.now() + 100
    clock.advance(100)
    assert pause(database, retry_after=100, chance=1.0).until == clock.now() + 125
    clock.advance(125)
    assert pause(database, retry_after=100, chance=0.5).until == clock.now() + 112.5


def test_those_who_meet_the_same_limit_are_no_further_attempt(database: Database, clock: ManualClock) -> None:
    first = pause(database)
    clock.advance(1)
    assert pause(database, session="s-2") == Pause("acme", first.until, first.since, 1, "HTTP 529", "s-2")
    assert pause(database, retry_after=5, session="s-3").until == first.until
    longer = pause(database, retry_after=500, session="s-4")
    assert (longer.until, longer.since, longer.attempt) == (clock.now() + 500, first.since, 1)
    with database.read() as tx:
        assert [e.data["attempt"] for e in events.latest(tx, 10) if e.kind == "account_paused"] == [1, 1]


def test_service_makes_the_next_pause_a_first_one_but_ends_none(database: Database, clock: ManualClock) -> None:
    pause(database)
    with database.transaction() as tx:
        pauses.served(tx, "acme")
    assert paused(database) == {"acme"}
    clock.advance(31)
    with database.transaction() as tx:
        pauses.served(tx, "acme")
    assert pause(database).attempt == 1


def test_a_pause_can_be_lifted_by_hand(database: Database, clock: ManualClock) -> None:
    pause(database)
    with database.transaction() as tx:
        assert pauses.lift(tx, "acme", "person:me").account == "acme"
    assert paused(database) == set()
    for name in ("acme", "other"):
        with database.transaction() as tx, pytest.raises(NotFound):
            pauses.lift(tx, name, "person:me")
    assert pause(database).attempt == 1
