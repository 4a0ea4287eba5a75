"""Waiting for leases: order, wake-ups, deadlocks.

Defects of other systems' locks (reference/mandali-mai.md B5 and B9, mala.md §3.10 and §4, action-llama.md §3), and the
tests that show their absence here:

| system | defect | test |
|---|---|---|
| Mai | a second claimer overwrites the holder | test_a_resource_has_one_holder |
| Mai | 4 to 11 winners of 20 processes | test_grants_of_many_processes_never_overlap |
| Mai | "locked by  (TTL…)": a holder without a name, from a torn read | test_who_is_refused_always_learns_by_whom |
| Mai | no heartbeat: every lock goes stale while its holder works | test_renewing_moves_the_end |
| Mai | claiming again does not renew | test_taking_again_keeps_held_since_and_never_weakens |
| Mai | check, then unlink: a lock that was taken again is deleted | test_what_is_taken_by_force_is_fenced |
| Mai | a crash in between leaves a lock without a holder | test_grants_of_many_processes_never_overlap |
| Mai | a lock without fencing | test_a_late_writer_is_refused_every_time |
| Mai | one issue's lock is another's: ids per queue | test_the_same_resource_in_another_project_is_another |
| Mai | anyone completes or releases what another holds | test_what_is_released_is_free_at_once |
| mala | a request that timed out makes a false deadlock | test_who_stopped_waiting_is_in_no_deadlock |
| mala | one edge per agent: misses cycles | test_a_wait_for_several_resources_has_all_their_edges |
| mala | a wait from before its holder held is not seen | test_a_wait_is_for_whoever_holds_it_now |
| mala | trying in a loop shows in no graph | test_trying_without_waiting_is_no_deadlock |
| mala | the youngest of a cycle is killed, and its work lost | test_the_others_of_a_refused_circle_go_on |
| mala | no time limit, process or host: a crash leaves locks for ever | test_a_lease_ends_exactly_after_its_ttl |
| mala | exclusive only; a directory is independent of its files | test_two_modes_go_together_only_if_both_are_shared |
| mala | no order among those who wait | test_first_come_first_served |
| mala | waiting is a poll of 100 to 500 ms | test_who_waits_is_served_at_once_on_release |
| mala | a partial acquire keeps what it got | test_all_or_nothing, test_who_gave_up_holds_nothing |
| mala | released paths are reported even if not held | test_what_is_released_is_free_at_once |
| mala | a symlinked root gives other keys | test_all_ways_to_a_file_are_one_resource |
| Action Llama | keys verbatim: three spellings are three locks | test_a_uri_has_one_normal_form |
| Action Llama | a TTL of -5, "60" or 1e9 is accepted | test_a_ttl_is_a_whole_number_of_seconds_up_to_a_day |
| Action Llama | taking again resets held-since | test_taking_again_keeps_held_since_and_never_weakens |
| Action Llama | no fencing token | test_a_late_writer_is_refused_every_time |
| Action Llama | a late heartbeat is not told who has it now | test_a_late_holder_is_told_who_has_it_now |
| Action Llama | who skips leaves an edge: false deadlocks | test_trying_without_waiting_is_no_deadlock |
| Action Llama | one edge per holder | test_a_wait_for_several_resources_has_all_their_edges |
| Action Llama | no shared mode, no queue, no wait | test_those_who_go_together_do_not_wait_for_each_other |
| Action Llama | a restart frees the locks of who works on | test_a_restart_frees_nothing |
| Action Llama | lock writes are not durable when they are acknowledged | test_a_restart_frees_nothing |
| Action Llama | locks of an ended run stay | test_the_end_of_a_session_gives_back_all_it_holds |
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Conflict, Held, InputError, NotHolder
from intarsia.kernel import Database, issues, leases, line, postgresql, sessions
from intarsia.kernel.issues import Draft
from intarsia.kernel.leases import Grant, Mode
from intarsia.kernel.line import MAX_WAIT, WAITER_TTL, Deadlock
from tests.support.until import until

Asked = dict[str, Mode]
X: Asked = {"code:x": "exclusive"}


def exclusive(*names: str) -> Asked:
    return {f"code:{name}": "exclusive" for name in names}


def shared(*names: str) -> Asked:
    return {f"code:{name}": "shared" for name in names}


def take(database: Database, session: str, asked: Asked, turn: int | None = None) -> Grant:
    """Try once; `turn` is a place in the line, which is given up when this succeeds."""
    with database.transaction() as tx:
        grant = line.request(tx, session, leases.wants(asked), 60, turn=turn)
        if turn is not None:
            line.leave(tx, turn)
    return grant


def join(database: Database, session: str, asked: Asked) -> int:
    with database.transaction() as tx:
        return line.join(tx, session, leases.wants(asked))


def stay(database: Database, session: str, asked: Asked, turn: int) -> None:
    with database.transaction() as tx:
        line.stay(tx, session, leases.wants(asked), turn)


def leave(database: Database, turn: int) -> None:
    with database.transaction() as tx:
        line.leave(tx, turn)


def free(database: Database, session: str, *names: str) -> None:
    with database.transaction() as tx:
        for name in names:
            assert leases.release(tx, session, f"code:{name}")


def standing(database: Database) -> list[str]:
    with database.read() as tx:
        return [waiting.session for waiting in line.standing(tx)]


def held(database: Database) -> list[tuple[str, str]]:
    with database.read() as tx:
        return [(lease.session, lease.resource) for lease in leases.held(tx)]


def refused(database: Database, session: str, asked: Asked, turn: int | None = None) -> dict[str, Any]:
    with pytest.raises(Held) as error:
        take(database, session, asked, turn)
    return error.value.data


def cycle(database: Database, session: str, asked: Asked) -> str:
    with pytest.raises(Deadlock) as error:
        join(database, session, asked)
    assert error.value.code == "deadlock"
    path = " → ".join(error.value.data["cycle"])
    assert path in error.value.message
    assert session not in standing(database)
    return path


def test_every_defect_has_its_test() -> None:
    assert __doc__
    named = set(re.findall(r"\btest_\w+", __doc__))
    modules = [file.read_text() for file in Path(__file__).parent.glob("test_*.py")]
    written = {name for text in modules for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert named - written == set()


# Order.


def test_who_holds_what_a_request_waits_for(database: Database) -> None:
    take(database, "a", X)
    take(database, "d", {"code:y": "exclusive"})
    join(database, "b", X)
    with database.read() as tx:
        assert [line.is_waited_for(tx, session) for session in "abd"] == [True, False, False]


def test_first_come_first_served(database: Database) -> None:
    take(database, "a", X)
    b, c = join(database, "b", X), join(database, "c", X)
    assert standing(database) == ["b", "c"]
    assert refused(database, "b", X, b)["holder"] == "a"
    free(database, "a", "x")
    assert refused(database, "c", X, c)["waiting"] == "b"
    assert refused(database, "a", X)["waiting"] == "b"
    take(database, "b", X, b)
    assert refused(database, "c", X, c)["holder"] == "b"
    free(database, "b", "x")
    assert refused(database, "a", X)["waiting"] == "c"
    take(database, "c", X, c)
    assert standing(database) == []


def test_those_who_go_together_do_not_wait_for_each_other(database: Database) -> None:
    take(database, "a", X)
    b, c, d = (join(database, name, asked) for name, asked in [("b", shared("x")), ("c", shared("x")), ("d", X)])
    free(database, "a", "x")
    take(database, "c", shared("x"), c)
    take(database, "b", shared("x"), b)
    assert refused(database, "d", X, d)["holder"] in ("b", "c")


def test_a_reader_does_not_overtake_a_writer_that_waits(database: Database) -> None:
    take(database, "a", shared("x"))
    join(database, "writer", X)
    assert refused(database, "b", shared("x"))["waiting"] == "writer"
    assert refused(database, "b", shared("x/y"))["waiting"] == "writer"
    take(database, "b", shared("xy"))


def test_who_adds_waits_behind_who_came_first_to_change_it(database: Database) -> None:
    take(database, "a", {"code:x#C": "insert"})
    join(database, "writer", {"code:x#C": "exclusive"})
    assert refused(database, "b", {"code:x#C": "insert"})["waiting"] == "writer"
    assert refused(database, "b", {"code:x#C.D": "append"})["waiting"] == "writer"
    take(database, "b", {"code:x": "imports"})
    take(database, "c", {"code:x": "insert"})


def test_two_that_add_and_then_want_it_for_themselves_are_a_deadlock(database: Database) -> None:
    for session in "ab":
        take(database, session, {"code:x#C": "insert"})
    join(database, "a", {"code:x#C": "exclusive"})
    with database.transaction() as tx, pytest.raises(Deadlock) as told:
        line.join(tx, "b", leases.wants({"code:x#C/body": "exclusive"}))
    assert told.value.data["cycle"] == ["b", "code:x#C", "a", "code:x#C", "b"]


def test_who_waits_for_other_things_is_not_in_the_way(database: Database) -> None:
    take(database, "a", exclusive("x", "y"))
    x, y = join(database, "b", X), join(database, "c", exclusive("y"))
    free(database, "a", "x", "y")
    take(database, "c", exclusive("y"), y)
    take(database, "b", X, x)


def test_a_holder_overtakes_who_waits_for_it(database: Database) -> None:
    """In strict order, a would wait for b, and b for a, though nobody holds code:src/b.py."""
    take(database, "a", exclusive("src/a.py"))
    join(database, "b", exclusive("src"))
    take(database, "a", exclusive("src/b.py"))
    assert refused(database, "c", exclusive("src/c.py"))["waiting"] == "b"
    take(database, "a", exclusive("src"))


def test_a_holder_may_take_again_what_others_wait_for(database: Database) -> None:
    take(database, "a", shared("x"))
    join(database, "b", X)
    take(database, "a", shared("x"))
    take(database, "a", X)


def test_a_holder_overtakes_who_waits_for_it_in_a_longer_way(database: Database) -> None:
    """w waits for b and b for a; so if a waited for w, all three would, though nobody holds code:z."""
    take(database, "a", X)
    take(database, "b", exclusive("y"))
    join(database, "b", X)
    join(database, "w", exclusive("y", "z"))
    take(database, "a", exclusive("z"))


def test_a_holder_overtakes_who_is_behind_one_that_waits_for_it(database: Database) -> None:
    """w is behind v, which waits for a."""
    take(database, "a", X)
    join(database, "v", exclusive("x", "y"))
    join(database, "w", exclusive("y", "z"))
    assert refused(database, "c", exclusive("z"))["waiting"] == "w"
    take(database, "a", exclusive("z"))


def test_to_be_first_is_given_up_where_it_would_close_a_circle_later(database: Database) -> None:
    """w is behind v; then a, for which v waits, asks for what w holds. w has to go first."""
    take(database, "a", X)
    take(database, "w", exclusive("q"))
    join(database, "v", exclusive("x", "y"))
    w = join(database, "w", exclusive("y"))
    assert refused(database, "w", exclusive("y"), w)["waiting"] == "v"
    a = join(database, "a", exclusive("q"))
    take(database, "w", exclusive("y"), w)
    free(database, "w", "q", "y")
    take(database, "a", exclusive("q"), a)


def test_who_died_in_the_line_is_passed_over(database: Database, clock: ManualClock) -> None:
    take(database, "a", X)
    dead, alive = join(database, "dead", X), join(database, "b", X)
    free(database, "a", "x")
    clock.advance(WAITER_TTL - 0.001)
    assert refused(database, "b", X, alive)["waiting"] == "dead"
    stay(database, "b", X, alive)
    clock.advance(0.001)
    assert standing(database) == ["b"]
    take(database, "b", X, alive)
    # It was only asleep: it has its place again.
    stay(database, "dead", X, dead)
    last = join(database, "c", X)
    free(database, "b", "x")
    assert refused(database, "c", X, last)["waiting"] == "dead"
    take(database, "dead", X, dead)


# Deadlocks.


def test_a_circle_of_two_is_told(database: Database) -> None:
    take(database, "a", exclusive("x"))
    take(database, "b", exclusive("y"))
    join(database, "b", exclusive("x"))
    assert cycle(database, "a", exclusive("y")) == "a → code:y → b → code:x → a"


def test_a_circle_of_three_is_told(database: Database) -> None:
    for session, name in [("a", "x"), ("b", "y"), ("c", "z")]:
        take(database, session, exclusive(name))
    join(database, "a", exclusive("y"))
    join(database, "b", exclusive("z"))
    assert cycle(database, "c", exclusive("x/inside")) == "c → code:x → a → code:y → b → code:z → c"


def test_two_who_share_and_both_want_more_are_a_circle(database: Database) -> None:
    take(database, "a", shared("x"))
    take(database, "b", shared("x"))
    a = join(database, "a", X)
    assert cycle(database, "b", X) == "b → code:x → a → code:x → b"
    free(database, "b", "x")
    take(database, "a", X, a)


def test_the_others_of_a_refused_circle_go_on(database: Database) -> None:
    take(database, "a", exclusive("x"))
    take(database, "b", exclusive("y"))
    b = join(database, "b", exclusive("x"))
    cycle(database, "a", exclusive("y"))
    assert held(database) == [("a", "code:x"), ("b", "code:y")]
    free(database, "a", "x")
    take(database, "b", exclusive("x"), b)


def test_who_stopped_waiting_is_in_no_deadlock(database: Database, clock: ManualClock) -> None:
    take(database, "a", exclusive("x"))
    take(database, "b", exclusive("y"))
    leave(database, join(database, "b", exclusive("x")))
    leave(database, join(database, "a", exclusive("y")))
    with pytest.raises(Held):
        line.acquire(database, "b", exclusive("x"), 60, wait=0.01)
    leave(database, join(database, "a", exclusive("y")))
    join(database, "b", exclusive("x"))  # and dies
    clock.advance(WAITER_TTL)
    join(database, "a", exclusive("y"))


def test_trying_without_waiting_is_no_deadlock(database: Database) -> None:
    take(database, "a", exclusive("x"))
    take(database, "b", exclusive("y"))
    for _ in range(10):
        for session, name in [("a", "y"), ("b", "x")]:
            with pytest.raises(Held) as error:
                line.acquire(database, session, exclusive(name), 60, wait=0)
            assert error.value.code == "held"
    assert standing(database) == []
    assert join(database, "a", exclusive("y"))


def test_a_wait_for_several_resources_has_all_their_edges(database: Database) -> None:
    for session, name in [("a", "x"), ("b", "y"), ("c", "z")]:
        take(database, session, exclusive(name))
    join(database, "a", exclusive("y", "z"))
    assert cycle(database, "b", exclusive("x")) == "b → code:x → a → code:y → b"
    assert cycle(database, "c", exclusive("x")) == "c → code:x → a → code:z → c"


def test_two_waits_of_one_session_both_count(database: Database) -> None:
    for session, name in [("a", "x"), ("b", "y"), ("c", "z")]:
        take(database, session, exclusive(name))
    join(database, "a", exclusive("y"))
    join(database, "a", exclusive("z"))
    assert cycle(database, "b", exclusive("x")) == "b → code:x → a → code:y → b"
    assert cycle(database, "c", exclusive("x")) == "c → code:x → a → code:z → c"


def test_a_wait_is_for_whoever_holds_it_now(database: Database) -> None:
    take(database, "a", exclusive("x"))
    take(database, "b", exclusive("y"))
    join(database, "a", exclusive("y"))
    with database.transaction() as tx:
        leases.release_all(tx, "b")
        leases.acquire(tx, "c", "code:y", 60)  # as issues and workspaces are granted, past the line
    assert cycle(database, "c", exclusive("x")) == "c → code:x → a → code:y → c"
    join(database, "b", exclusive("x"))


def test_a_circle_that_closes_while_one_waits_is_told(database: Database) -> None:
    take(database, "a", exclusive("x"))
    take(database, "b", exclusive("y"))
    a = join(database, "a", exclusive("y"))
    with database.transaction() as tx:
        leases.release_all(tx, "b")
    join(database, "c", exclusive("x"))
    with database.transaction() as tx:
        leases.acquire(tx, "c", "code:y", 60)
    with pytest.raises(Deadlock):
        stay(database, "a", exclusive("y"), a)


def test_expired_leases_are_in_no_deadlock(database: Database, clock: ManualClock) -> None:
    take(database, "a", exclusive("x"))
    take(database, "b", exclusive("y"))
    clock.advance(60)
    take(database, "c", exclusive("y"))
    join(database, "b", exclusive("x", "y"))
    join(database, "a", exclusive("y"))


# Requests and answers.


@pytest.mark.parametrize("wait", [-1, -0.001, MAX_WAIT + 1, float("nan"), float("inf"), True, "5", None])
def test_one_waits_a_number_of_seconds_up_to_a_day(database: Database, wait: Any) -> None:
    with pytest.raises(InputError, match="86400"):
        line.acquire(database, "a", X, 60, wait=wait)
    assert held(database) == []


@pytest.mark.parametrize("wait", [0, 5])
@pytest.mark.parametrize("ttl", [0, 86401, 1.0, "60", True])
def test_the_ttl_is_looked_at_however_one_asks(real_time: Database, ttl: Any, wait: int) -> None:
    with pytest.raises(InputError, match="86400"):
        line.acquire(real_time, "a", X, ttl, wait=wait)
    assert held(real_time) == []


def test_a_late_holder_is_told_who_has_it_now(database: Database, clock: ManualClock) -> None:
    take(database, "a", X)
    clock.advance(60)
    take(database, "b", X)
    with pytest.raises(NotHolder) as error, database.transaction() as tx:
        leases.require_holder(tx, "code:x", "a")
    assert error.value.data["holder"] == "b"


def test_a_restart_frees_nothing(real_time: Database) -> None:
    grant = line.acquire(real_time, "a", X, 60)
    again = Database(real_time.url, real_time.project)
    assert held(again) == [("a", "code:x")]
    refused(again, "b", X)
    with again.transaction() as tx:
        leases.require(tx, "code:x", grant.token)
    again.close()


def test_who_only_tries_does_not_overtake(real_time: Database) -> None:
    line.acquire(real_time, "a", X, 60)
    b = join(real_time, "b", exclusive("x", "y"))
    for asked in (exclusive("y"), shared("y/z"), shared("")):
        with pytest.raises(Held) as error:
            line.acquire(real_time, "c", asked, 60)
        assert error.value.data["holder"] == "a" or error.value.data["waiting"] == "b"
    line.acquire(real_time, "a", exclusive("y"), 60)
    leave(real_time, b)
    line.acquire(real_time, "c", exclusive("z"), 60)


@pytest.mark.parametrize("inside", ["", "/y"])
def test_of_many_who_try_at_the_same_time_one_gets_it(real_time: Database, inside: str) -> None:
    """Without a line, and in threads that meet at a barrier before each round."""
    threads = 6
    start, done = threading.Barrier(threads), threading.Barrier(threads)
    winners: list[list[str]] = [[] for _ in range(25)]

    def compete(n: int) -> None:
        database = Database(real_time.url, real_time.project)
        session, name = f"s{n}", "x" + inside * (n % 2)
        for winning in winners:
            start.wait(30)
            try:
                line.acquire(database, session, exclusive(name), 60)
                winning.append(name)
            except Held:
                pass
            done.wait(30)
            line.release(database, session, [f"code:{name}"])
        database.close()

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(compete, n) for n in range(threads)]:
            future.result(60)
    assert [len(winning) for winning in winners] == [1] * len(winners)


def test_what_is_released_is_named(real_time: Database) -> None:
    line.acquire(real_time, "a", exclusive("x", "y"), 60)
    line.acquire(real_time, "b", exclusive("z"), 60)
    assert line.release(real_time, "a", ["code:x", "code:z", "CODE:y/"]) == ["code:x", "CODE:y/"]
    assert held(real_time) == [("b", "code:z")]
    assert line.release(real_time, "a", ["code:x"]) == []


def test_nothing_is_granted_inside_of_a_transaction_that_may_be_undone(real_time: Database) -> None:
    with real_time.transaction(), pytest.raises(RuntimeError, match="nest"):
        line.acquire(real_time, "a", X, 60)
    assert held(real_time) == []


# Waiting, for real.


@pytest.fixture
def real_time(database_url: str) -> Iterator[Database]:
    """Without a clock of ours, so that PostgreSQL grants by its function, as it does in real life."""
    opened = Database(database_url, f"p-{secrets.token_hex(6)}")
    yield opened
    opened.close()


class Others:
    """Sessions that wait in threads; each on a connection of its own unless they are to share one."""

    def __init__(self, database: Database, *, shared: bool = False) -> None:
        self._database, self._shared = database, shared
        self._pool = ThreadPoolExecutor(16)

    def wait(self, session: str, asked: Asked, wait: float = 60, ttl: int = 60) -> Future[float]:
        """Returns when it stands in the line; the result is when (time.monotonic) it got its grant."""
        future = self._pool.submit(self._run, session, asked, wait, ttl)
        until(lambda: session in standing(self._database) or future.done())
        return future

    def _run(self, session: str, asked: Asked, wait: float, ttl: int) -> float:
        database = self._database
        if not self._shared:
            database = Database(database.url, database.project, database._clock)
        try:
            line.acquire(database, session, asked, ttl, wait=wait)
            return time.monotonic()
        finally:
            if not self._shared:
                database.close()

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who missed that it was woken would wait for longer than any test."""
    monkeypatch.setattr(line, "SIGN_OF_LIFE", 3600.0)
    monkeypatch.setattr(line, "WAITER_TTL", 7200.0)


@pytest.fixture(params=["connections of their own", "one connection"])
def others(real_time: Database, request: pytest.FixtureRequest) -> Iterator[Others]:
    threads = Others(real_time, shared=request.param == "one connection")
    yield threads
    threads.close()


def test_who_waits_is_served_at_once_on_release(real_time: Database, others: Others, no_second_look: None) -> None:
    for _ in range(8):
        line.acquire(real_time, "a", X, 60)
        waiting = [others.wait(session, X) for session in ("b", "c")]
        for session, future, former in zip(("b", "c"), waiting, ("a", "b"), strict=True):
            assert line.release(real_time, former, ["code:x"])
            future.result(60)
            assert held(real_time) == [(session, "code:x")]
        line.release(real_time, "c", ["code:x"])
    assert standing(real_time) == []


def test_who_waits_is_served_at_once_on_expiry(real_time: Database, others: Others, no_second_look: None) -> None:
    for n in range(3):
        asked = exclusive(f"x{n}")
        grant = line.acquire(real_time, "a", asked, 1)
        others.wait("b", asked).result(60)
        with real_time.read() as tx:
            assert tx.now >= grant.expires
        assert held(real_time)[-1] == ("b", f"code:x{n}")


def test_who_waits_is_served_when_the_holder_is_taken_its_lease_by_force(real_time: Database, others: Others) -> None:
    line.acquire(real_time, "a", X, 60)
    future = others.wait("b", X)
    with real_time.transaction() as tx:
        leases.drop(tx, leases.on(tx, "code:x")[0])
    future.result(60)
    assert held(real_time) == [("b", "code:x")]


def test_who_waits_is_served_when_one_before_gives_up(real_time: Database, others: Others) -> None:
    line.acquire(real_time, "a", shared("x"), 60)
    writer = others.wait("writer", X, wait=0.5)
    reader = others.wait("reader", shared("x"))
    with pytest.raises(Held):
        writer.result(60)
    reader.result(60)
    assert held(real_time) == [("a", "code:x"), ("reader", "code:x")]


def test_who_gave_up_holds_nothing(real_time: Database) -> None:
    line.acquire(real_time, "a", exclusive("y"), 60)
    began = time.monotonic()
    with pytest.raises(Held) as error:
        line.acquire(real_time, "b", exclusive("x", "y", "z"), 60, wait=0.3)
    assert time.monotonic() - began >= 0.3
    assert error.value.data["holder"] == "a"
    assert held(real_time) == [("a", "code:y")]
    assert standing(real_time) == []


def test_a_circle_ends_one_wait_and_the_other_is_served(real_time: Database, others: Others) -> None:
    line.acquire(real_time, "a", exclusive("x"), 60)
    line.acquire(real_time, "b", exclusive("y"), 60)
    first = others.wait("a", exclusive("y"))
    with pytest.raises(Deadlock):
        line.acquire(real_time, "b", exclusive("x"), 60, wait=60)
    line.release(real_time, "b", ["code:y"])
    first.result(60)
    assert standing(real_time) == []


def test_who_waits_gives_signs_of_life_and_keeps_its_place(real_time: Database, others: Others) -> None:
    line.acquire(real_time, "a", X, 60)
    future = others.wait("b", X)
    with real_time.transaction() as tx:  # as if it had been stopped for long, and others had swept it away
        tx.execute("DELETE FROM line WHERE project = :project")
    until(lambda: standing(real_time) == ["b"])
    line.release(real_time, "a", ["code:x"])
    future.result(60)
    assert standing(real_time) == []


def test_a_session_that_ends_while_it_waits_is_granted_nothing(real_time: Database, others: Others) -> None:
    with real_time.transaction() as tx:
        issues.create(tx, Draft("It"), "me")
        started = sessions.start(tx, run="r", agent="a", driver="script", supervisor="s", secret="x", ttl=60)
    assert started is not None
    line.acquire(real_time, "a", X, 60)
    future = others.wait(started[0].id, X)
    with real_time.transaction() as tx:
        sessions.end(tx, started[0], "failed", "its agent was killed")
    with pytest.raises(Conflict, match="ended"):
        future.result(60)
    assert standing(real_time) == []
    line.release(real_time, "a", ["code:x"])
    assert held(real_time) == []


def test_those_who_wait_do_not_wake_each_other(real_time: Database, others: Others, no_second_look: None) -> None:
    """A change of the database may wake who waits; if waking changed it, they would never sleep."""
    line.acquire(real_time, "a", X, 60)
    waiting = [others.wait(f"w{n}", X) for n in range(3)]
    watcher = Database(real_time.url, real_time.project)
    seen = watcher.changes()
    watcher.wait_for_change(seen, 0.5)
    assert watcher.changes() == seen
    watcher.close()
    serve(real_time, "a", waiting)


def serve(database: Database, holder: str, waiting: list[Future[float]]) -> None:
    """Those who wait for X, `w0` first, each when the one before gives it back."""
    for n, future in enumerate(waiting):
        line.release(database, holder, ["code:x"])
        future.result(60)
        holder = f"w{n}"


def test_a_transaction_need_not_wait_for_threads_that_wait_in_the_line(
    real_time: Database, no_second_look: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would keep the connection to themselves for as long as they wait for a change."""
    monkeypatch.setattr(postgresql, "LISTENING_SECONDS", 90.0)  # longer than any of them
    threads = Others(real_time, shared=True)
    line.acquire(real_time, "a", X, 60)
    waiting = [threads.wait(f"w{n}", X) for n in range(3)]
    for n in range(20):
        with real_time.transaction() as tx:
            leases.acquire(tx, "b", f"code:y{n}", 60)
    assert not any(future.done() for future in waiting)
    serve(real_time, "a", waiting)
    threads.close()


def test_who_is_refused_always_learns_by_whom(real_time: Database) -> None:
    """While the resource goes from hand to hand."""
    over = threading.Event()

    def hand_over() -> None:
        database = Database(real_time.url, real_time.project)
        while not over.is_set():
            for session in ("a", "b"):
                line.acquire(database, session, X, 60, wait=30)
                line.release(database, session, ["code:x"])
        database.close()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(hand_over)
        named: set[str] = set()
        while len(named) < 2 and not running.done():
            try:
                line.acquire(real_time, "me", exclusive("x/y"), 60)
            except Held as error:
                named.add(error.data["holder"] or error.data["waiting"])
            else:
                line.release(real_time, "me", ["code:x/y"])
        over.set()
        running.result(60)
    assert named == {"a", "b"}


def test_all_who_wait_are_served_in_turn(real_time: Database, others: Others) -> None:
    """Eight sessions add to one number, each when it holds the lease; none is forgotten and none is interrupted."""
    total = 0
    line.acquire(real_time, "first", X, 60)
    with ThreadPoolExecutor(8) as pool:

        def add(n: int) -> None:
            nonlocal total
            for _ in range(4):
                others.wait(f"s{n}", X).result(60)
                before = total
                time.sleep(0.001)
                total = before + 1
                assert line.release(real_time, f"s{n}", ["code:x"])

        working = [pool.submit(add, n) for n in range(8)]
        until(lambda: len(standing(real_time)) == 8)
        line.release(real_time, "first", ["code:x"])
        for future in working:
            future.result(60)
    assert total == 32


def test_the_clocks_of_the_clients_change_nothing(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is the server's: a host that is wrong by an hour is neither passed over nor does it pass over others."""
    true_time = time.time
    one = Database(postgres_url, f"p-{secrets.token_hex(6)}")
    grant = line.acquire(one, "a", X, 60)
    for offset in (3600, -3600):
        monkeypatch.setattr(time, "time", lambda: true_time() + offset)  # noqa: B023
        wrong = Database(postgres_url, one.project)
        join(wrong, "b", X)
        monkeypatch.undo()
        assert "b" in standing(one)
        monkeypatch.setattr(time, "time", lambda: true_time() + offset)  # noqa: B023
        assert standing(wrong)[0] == "b"
        with pytest.raises(Held):
            line.acquire(wrong, "c", X, 60)
        with pytest.raises(Held):
            line.acquire(wrong, "c", X, 60, wait=0.05)
        fine = line.acquire(wrong, f"d{offset}", exclusive(f"y{offset}"), 60)
        with wrong.transaction() as tx:
            leases.require(tx, "code:x", grant.token)
            assert leases.renew(tx, ["a"], 60) == 1
        assert abs(fine.expires - 60 - true_time()) < 30
        wrong.close()
        monkeypatch.undo()
    one.close()
