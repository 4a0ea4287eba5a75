from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Held, InputError, StaleLease
from intarsia.kernel import Database, leases
from intarsia.kernel.leases import MAX_TTL, Lease
from tests.kernel.worker import workers


def acquire(database: Database, session: str, resource: str = "issue:1", ttl: int = 60, note: str = "") -> Lease:
    with database.transaction() as tx:
        return leases.acquire(tx, session, resource, ttl, note)


def renew(database: Database, session: str, ttl: int = 60) -> int:
    with database.transaction() as tx:
        return leases.renew(tx, [session], ttl)


def release(database: Database, session: str, resource: str = "issue:1") -> bool:
    with database.transaction() as tx:
        return leases.release(tx, session, resource)


def is_valid(database: Database, lease: Lease) -> bool:
    try:
        with database.transaction() as tx:
            leases.require(tx, lease.resource, lease.token)
    except StaleLease:
        return False
    return True


def holders(database: Database, prefix: str = "") -> list[str]:
    with database.read() as tx:
        return [lease.session for lease in leases.held(tx, prefix)]


def test_a_resource_has_one_holder(database: Database, clock: ManualClock) -> None:
    acquire(database, "a", note="why")
    clock.advance(5)
    with pytest.raises(Held) as held:
        acquire(database, "b")
    assert held.value.as_json() == {
        "ok": False,
        "code": "held",
        "message": "issue:1 is held by a since 2023-11-14T22:13:20Z.",
        "hint": "",
        "resource": "issue:1",
        "holder": "a",
        "held_since": "2023-11-14T22:13:20Z",
        "expires_at": "2023-11-14T22:14:20Z",
        "note": "why",
    }
    assert held.value.exit_code == 1
    assert holders(database) == ["a"]


def test_different_resources_do_not_conflict(database: Database) -> None:
    acquire(database, "a", "issue:1")
    acquire(database, "b", "issue:10")
    acquire(database, "c", "issues:1")
    assert sorted(holders(database, "issue")) == ["a", "b", "c"]
    assert sorted(holders(database, "issue:1")) == ["a", "b"]
    assert holders(database, "issue:10") == ["b"]


def test_the_same_resource_in_another_project_is_another(database: Database) -> None:
    acquire(database, "a")
    other = Database(database.url, f"{database.project}-other")
    acquire(other, "b")
    assert holders(database) == ["a"]
    other.close()


@pytest.mark.parametrize("ttl", [0, -1, MAX_TTL + 1, 1.5, "60", None, True])
def test_a_ttl_is_a_whole_number_of_seconds_up_to_a_day(database: Database, ttl: Any) -> None:
    with pytest.raises(InputError, match="86400"):
        acquire(database, "a", ttl=ttl)
    assert holders(database) == []
    lease = acquire(database, "a")
    with pytest.raises(InputError, match="86400"):
        renew(database, "a", ttl)
    assert is_valid(database, lease)


@pytest.mark.parametrize("ttl", [1, MAX_TTL])
def test_a_lease_ends_exactly_after_its_ttl(database: Database, clock: ManualClock, ttl: int) -> None:
    lease = acquire(database, "a", ttl=ttl)
    clock.advance(ttl - 0.001)
    assert is_valid(database, lease)
    with pytest.raises(Held):
        acquire(database, "b")
    clock.advance(0.001)
    assert not is_valid(database, lease)
    assert holders(database) == []
    assert is_valid(database, acquire(database, "b"))


def test_renewing_moves_the_end(database: Database, clock: ManualClock) -> None:
    issue, slot = acquire(database, "a"), acquire(database, "a", "workspace:1")
    acquire(database, "b", "issue:2")
    clock.advance(50)
    assert renew(database, "a") == 2
    clock.advance(50)
    assert is_valid(database, issue)
    assert is_valid(database, slot)
    assert sorted(holders(database)) == ["a", "a"]


def test_taking_again_what_one_has_makes_the_old_token_stale(database: Database) -> None:
    first = acquire(database, "a")
    second = acquire(database, "a")
    assert second.token > first.token
    assert is_valid(database, second)
    assert not is_valid(database, first)


def test_after_expiry_the_holder_can_do_nothing_any_more(database: Database, clock: ManualClock) -> None:
    lease = acquire(database, "a")
    clock.advance(60)
    assert not is_valid(database, lease)
    assert renew(database, "a") == 0
    assert not release(database, "a")
    assert not is_valid(database, lease)
    with database.read() as tx:
        assert [lapsed.token for lapsed in leases.lapsed(tx, "issue:")] == [lease.token]


def test_after_a_take_over_the_former_holder_can_do_nothing_any_more(database: Database, clock: ManualClock) -> None:
    former = acquire(database, "a")
    clock.advance(60)
    present = acquire(database, "b")
    assert not is_valid(database, former)
    assert renew(database, "a") == 0
    assert not release(database, "a")
    assert is_valid(database, present)
    with database.read() as tx:
        assert leases.lapsed(tx, "") == []


def test_a_write_under_a_stale_lease_is_undone(database: Database, clock: ManualClock) -> None:
    lease = acquire(database, "a")
    clock.advance(60)
    with pytest.raises(StaleLease) as stale, database.transaction() as tx:
        leases.acquire(tx, "a", "issue:2", 60)
        leases.require(tx, lease.resource, lease.token)
    assert stale.value.exit_code == 1
    assert stale.value.as_json()["token"] == lease.token
    assert holders(database) == []


def test_what_is_released_is_free_at_once(database: Database) -> None:
    lease = acquire(database, "a")
    assert not release(database, "b")
    assert release(database, "a")
    assert not release(database, "a")
    assert not is_valid(database, lease)
    acquire(database, "b")
    assert holders(database) == ["b"]


def test_a_session_gives_back_all_it_holds(database: Database) -> None:
    acquire(database, "a", "issue:1")
    acquire(database, "a", "workspace:1")
    acquire(database, "b", "issue:2")
    with database.transaction() as tx:
        assert leases.release_all(tx, "a") == 2
    assert holders(database) == ["b"]


def test_tokens_increase_with_every_grant_of_any_process(database: Database) -> None:
    first = acquire(database, "me").token
    with workers(4, database.url, database.project) as processes:
        processes.all("open")
        rounds = [[int(token) for token in processes.all("token", f"code:{n}")] for n in range(5)]
    granted = sorted(token for round in rounds for token in round)
    assert len(set(granted)) == 20
    assert first < granted[0]
    for earlier, later in pairwise(rounds):
        assert max(earlier) < min(later)
    assert acquire(database, "me").token > granted[-1]


def test_expiry_is_judged_by_the_servers_clock(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true_time = time.time()
    ahead = Database(postgres_url, f"p-{true_time}")
    behind = Database(postgres_url, ahead.project)
    lease = acquire(behind, "a")
    monkeypatch.setattr(time, "time", lambda: true_time + 1_000_000)  # the host of `ahead` is wrong by days
    with pytest.raises(Held):
        acquire(ahead, "b")
    assert is_valid(ahead, lease)
    with ahead.read() as tx:
        assert abs(tx.now - true_time) < 60
    ahead.close()
    behind.close()


def test_real_time_passes_on_each_database(database_url: str) -> None:
    database = Database(database_url, f"p-{time.time()}")
    lease = acquire(database, "a", ttl=1)
    assert is_valid(database, lease)
    assert abs(lease.expires - time.time() - 1) < 1
    deadline = time.monotonic() + 10
    while is_valid(database, lease):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    acquire(database, "b")
    database.close()
