from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from typing import Any

import psycopg
import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Conflict, Held, InputError, NotHolder, StaleLease
from intarsia.kernel import Database, issues, leases, line, sessions
from intarsia.kernel.issues import Draft
from intarsia.kernel.leases import MAX_TTL, Grant, Lease, Mode
from intarsia.kernel.modes import MODES, conflict
from intarsia.kernel.resources import parse
from tests.kernel.worker import workers
from tests.support.postgres import create_database, drop_database
from tests.support.until import until


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
        "agent": "a",
        "issue": None,
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
    lasting, before = acquire(database, "a", "issue:2"), time.time()
    short, after = acquire(database, "a", ttl=1), time.time()
    assert before - 1 < short.expires - 1 < after + 1  # PostgreSQL and we read the time in other ways
    until(lambda: not is_valid(database, short))
    assert is_valid(database, lasting)
    acquire(database, "b")
    database.close()


# Modes and nesting.

RELATED = ["code:", "code:src", "code:src/a.py", "code:src/a.py#f", "code:src/a.py#f/body"]
UNRELATED = [("code:src", "code:src2"), ("code:src/a.py", "code:src/b.py"), ("issue:1", "issue:10")]


def take(database: Database, session: str, ttl: int = 60, **resources: Mode) -> Grant:
    """`take(db, "a", x="shared")` takes code:x."""
    with database.transaction() as tx:
        return leases.acquire_all(tx, session, leases.wants({f"code:{name}": m for name, m in resources.items()}), ttl)


def modes(database: Database, session: str) -> dict[str, str]:
    with database.read() as tx:
        return {lease.resource.removeprefix("code:"): lease.mode for lease in leases.of(tx, session)}


@pytest.mark.parametrize("asked", ["shared", "exclusive"])
@pytest.mark.parametrize("held", ["shared", "exclusive"])
def test_two_modes_go_together_only_if_both_are_shared(database: Database, held: Mode, asked: Mode) -> None:
    for mine, theirs in product(RELATED, RELATED):
        assert go_together(database, (mine, held), (theirs, asked)) == (held == asked == "shared")


@pytest.mark.parametrize("adding", ["insert", "imports", "append"])
def test_adding_conflicts_only_with_what_changes_the_unit_itself(database: Database, adding: Mode) -> None:
    unit = "code:src/a.py#C"
    changes = {"code:src": False, unit: False, f"{unit}/body": False, f"{unit}.m": True, "code:src/a.py#D": True}
    for changed, goes in changes.items():
        assert go_together(database, (unit, adding), (changed, "exclusive")) == goes
        assert go_together(database, (changed, "exclusive"), (unit, adding)) == goes
    others: list[Mode] = ["insert", "imports", "append", "shared"]
    for name, other in product([unit, "code:src/a.py", f"{unit}.m"], others):
        assert go_together(database, (unit, adding), (name, other))


def test_each_way_to_be_granted_follows_the_table_of_modes(real_time: Database) -> None:
    """The function in PostgreSQL is told the table in arrays, and SQLite asks in SQL."""
    names = ["code:src", "code:src/a.py", "code:src/a.py#C", "code:src/a.py#C/body", "code:src/a.py#C.m"]
    for (mine, theirs), held, asked in product(product(names, names[1:4]), MODES, MODES):
        line.acquire(real_time, "me", {mine: held}, 60)
        expected = not conflict(asked, parse(theirs).key, held, parse(mine).key)
        try:
            line.acquire(real_time, "you", {theirs: asked}, 60)
        except Held:
            granted = False
        else:
            granted = True
            line.release(real_time, "you", [theirs])
        assert granted == expected, (held, mine, asked, theirs)
        line.release(real_time, "me", [mine])


def go_together(database: Database, held: tuple[str, Mode], asked: tuple[str, Mode]) -> bool:
    """Whether another session gets what it asks for; who is in the way must be named."""
    with database.transaction() as tx:
        leases.acquire_all(tx, "me", leases.wants({held[0]: held[1]}), 60)
        try:
            leases.acquire_all(tx, "you", leases.wants({asked[0]: asked[1]}), 60)
        except Held as refused:
            assert (refused.data["holder"], refused.data["resource"]) == ("me", held[0])
            return False
        finally:
            leases.release_all(tx, "me")
            leases.release_all(tx, "you")
    return True


@pytest.mark.parametrize(("mine", "theirs"), UNRELATED)
def test_neighbours_do_not_conflict(database: Database, mine: str, theirs: str) -> None:
    acquire(database, "a", mine)
    acquire(database, "b", theirs)
    assert len(holders(database)) == 2


def test_a_session_never_conflicts_with_itself(database: Database) -> None:
    for name in RELATED:
        acquire(database, "a", name)
    assert holders(database) == ["a"] * len(RELATED)


def test_all_or_nothing(database: Database) -> None:
    take(database, "b", y="shared")
    with pytest.raises(Held):
        take(database, "a", x="exclusive", y="exclusive", z="shared")
    assert modes(database, "a") == {}
    grant = take(database, "a", x="exclusive", y="shared", z="shared")
    assert grant.resources == ["code:x", "code:y", "code:z"]
    assert modes(database, "a") == {"x": "exclusive", "y": "shared", "z": "shared"}
    assert {lease.token for lease in held_by(database, "a")} == {grant.token}


def held_by(database: Database, session: str) -> list[Lease]:
    with database.read() as tx:
        return leases.of(tx, session)


def test_one_resource_named_twice_is_asked_for_once_in_the_stronger_mode(database: Database) -> None:
    both: list[dict[str, Mode]] = [
        {"code:x": "shared", "CODE:./x/": "exclusive"},
        {"CODE:./x/": "exclusive", "code:x": "shared"},
    ]
    for n, asked in enumerate(both):
        with database.transaction() as tx:
            assert leases.acquire_all(tx, f"a{n}", leases.wants(asked), 60).resources == ["code:x"]
        assert modes(database, f"a{n}") == {"x": "exclusive"}
        release(database, f"a{n}", "code:x")


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        ("imports", "insert", "insert"),
        ("insert", "append", "insert"),
        ("insert", "shared", "shared"),
        ("shared", "append", "shared"),
        ("exclusive", "insert", "exclusive"),
        ("insert", "exclusive", "exclusive"),
    ],
)
def test_one_grant_has_the_strongest_mode_that_was_asked_for(
    real_time: Database, first: Mode, second: Mode, kept: str
) -> None:
    line.acquire(real_time, "a", {"code:x": first}, 60)
    line.acquire(real_time, "a", {"code:x": second}, 60)
    assert modes(real_time, "a") == {"x": kept}
    with real_time.transaction() as tx:
        leases.acquire_all(tx, "b", leases.wants({"code:y": first, "CODE:y/": second}), 60)
        leases.acquire_all(tx, "c", leases.wants({"code:z": first}), 60)
        leases.acquire_all(tx, "c", leases.wants({"code:z": second}), 60)
    assert modes(real_time, "b") == {"y": kept}
    assert modes(real_time, "c") == {"z": kept}


@pytest.mark.parametrize("asked", [{}, {"code:x": "write"}, {"code:x": None}, {"code:x": True}, {"x": "shared"}])
def test_a_bad_request_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        leases.wants(asked)


def test_shared_becomes_exclusive_when_alone(database: Database, clock: ManualClock) -> None:
    first = take(database, "a", x="shared")
    clock.advance(5)
    second = take(database, "a", x="exclusive")
    assert modes(database, "a") == {"x": "exclusive"}
    assert second.token > first.token
    with pytest.raises(Held):
        take(database, "b", x="shared")


def test_shared_stays_shared_when_not_alone(database: Database) -> None:
    mine, theirs = take(database, "a", x="shared"), take(database, "b", x="shared")
    with pytest.raises(Held):
        take(database, "a", x="exclusive")
    with pytest.raises(Held):
        take(database, "b", x="exclusive")
    assert modes(database, "a") == modes(database, "b") == {"x": "shared"}
    with database.transaction() as tx:
        leases.require(tx, "code:x", mine.token)
        leases.require(tx, "code:x", theirs.token)


def test_taking_again_keeps_held_since_and_never_weakens(database: Database, clock: ManualClock) -> None:
    since = clock.now()
    take(database, "a", x="exclusive")
    clock.advance(5)
    take(database, "a", x="shared")
    with database.read() as tx:
        lease = leases.require_holder(tx, "code:x", "a")
    assert (lease.mode, lease.acquired, lease.expires) == ("exclusive", since, since + 65)
    assert acquire(database, "a", "code:x") == held_by(database, "a")[0]
    with pytest.raises(Held):
        take(database, "b", x="shared")


def test_taking_again_after_expiry_starts_anew(database: Database, clock: ManualClock) -> None:
    take(database, "a", x="exclusive")
    clock.advance(60)
    take(database, "a", x="shared")
    assert modes(database, "a") == {"x": "shared"}
    assert held_by(database, "a")[0].acquired == clock.now()
    take(database, "b", x="shared")


def test_an_expired_shared_lease_does_not_keep_another_alive(database: Database, clock: ManualClock) -> None:
    take(database, "a", ttl=10, x="shared")
    take(database, "b", ttl=20, x="shared")
    clock.advance(10)
    take(database, "b", x="exclusive")
    assert holders(database) == ["b"]


# Late writers.


def refused(database: Database, former: Lease) -> None:
    """Nothing that the former holder tries has any effect, however often it tries."""
    before = held_by(database, "b")
    for _ in range(3):
        assert not is_valid(database, former)
        assert renew(database, former.session) == 0
        assert not release(database, former.session, former.resource)
        with database.transaction() as tx:
            assert not leases.renew_one(tx, former.session, former.resource, 60)
            assert leases.of(tx, former.session) == []
            leases.drop(tx, former)
        with pytest.raises(NotHolder), database.transaction() as tx:
            leases.require_holder(tx, former.resource, former.session)
    assert held_by(database, "b") == before


@pytest.mark.parametrize("taken", ["code:src/a.py", "code:src", "code:src/a.py#f"])
def test_a_late_writer_is_refused_every_time(database: Database, clock: ManualClock, taken: str) -> None:
    former = acquire(database, "a", "code:src/a.py")
    clock.advance(60)
    present = acquire(database, "b", taken, ttl=1000)
    refused(database, former)
    clock.advance(500)
    refused(database, former)
    assert is_valid(database, present)
    release(database, "b", taken)
    refused(database, former)


def test_a_late_writer_that_takes_again_has_a_new_token(database: Database, clock: ManualClock) -> None:
    former = acquire(database, "a")
    clock.advance(60)
    between = acquire(database, "b", ttl=1)
    clock.advance(1)
    again = acquire(database, "a")
    assert former.token < between.token < again.token
    assert not is_valid(database, former)
    assert is_valid(database, again)


def test_what_is_taken_by_force_is_fenced(database: Database) -> None:
    former = acquire(database, "a")
    with database.transaction() as tx:
        leases.drop(tx, former)
    refused(database, former)
    again = acquire(database, "a")
    with database.transaction() as tx:
        leases.drop(tx, former)  # of the earlier grant: it must not end the new one
    assert is_valid(database, again)


def test_a_token_is_good_for_its_own_resources_only(database: Database) -> None:
    one, other = acquire(database, "a", "code:src"), acquire(database, "a", "code:docs")
    for resource, token in [("code:src", other.token), ("code:src/a.py", one.token), ("code:", one.token)]:
        with pytest.raises(StaleLease), database.transaction() as tx:
            leases.require(tx, resource, token)


def test_a_token_is_of_one_project_only(database: Database) -> None:
    lease = acquire(database, "a")
    other = Database(database.url, f"{database.project}-other")
    assert not is_valid(other, lease)
    other.close()


# Sessions.


@pytest.fixture
def real_time(database_url: str) -> Iterator[Database]:
    """Without a clock of ours, so that PostgreSQL grants by its function, as it does in real life."""
    opened = Database(database_url, f"p-{secrets.token_hex(6)}")
    yield opened
    opened.close()


def ended_session(database: Database) -> str:
    with database.transaction() as tx:
        issues.create(tx, Draft("It"), "me")
        started = sessions.start(tx, run="r", agent="a", driver="script", supervisor="s", secret="x", ttl=60)
        assert started is not None
        leases.acquire(tx, started[0].id, "code:src", 60)
        sessions.end(tx, started[0], "done")
    return started[0].id


def test_the_end_of_a_session_gives_back_all_it_holds(database: Database) -> None:
    ended_session(database)
    assert holders(database) == []


def test_a_session_that_has_ended_is_granted_nothing(real_time: Database) -> None:
    """A child of its agent may still run, and nothing would ever give back what that takes."""
    session = ended_session(real_time)
    with pytest.raises(Conflict, match="ended"):
        acquire(real_time, session)
    for wait in (0, 5):
        with pytest.raises(Conflict, match="ended"):
            line.acquire(real_time, session, {"code:src": "shared"}, 60, wait=wait)
    assert holders(real_time) == []


@pytest.fixture
def serializable_url(postgres_url: str) -> Iterator[str]:
    """A database whose transactions see, unless they say otherwise, what was there when they began."""
    name = f"serializable_{secrets.token_hex(6)}"
    url = create_database(postgres_url, name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'")
    yield url
    drop_database(postgres_url, name)


def lock_waits(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            """SELECT count(*) FROM pg_locks WHERE NOT granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
        ).fetchone()
    assert found
    return int(found[0])


def by_line(database: Database, session: str) -> Grant:
    return line.acquire(database, session, {"issue:1": "exclusive"}, 60)


@pytest.mark.parametrize("way", [acquire, by_line])
def test_what_was_read_before_the_lock_is_not_believed(
    serializable_url: str, way: Callable[[Database, str], object]
) -> None:
    one, other = Database(serializable_url, "p"), Database(serializable_url, "p")
    with ThreadPoolExecutor(1) as pool:
        with one.transaction() as tx:
            late = pool.submit(way, other, "b")
            until(lambda: lock_waits(serializable_url))
            leases.acquire(tx, "a", "issue:1", 60)
        with pytest.raises(Held):
            late.result()
    one.close()
    other.close()
