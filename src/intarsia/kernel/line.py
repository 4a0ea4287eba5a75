"""The line of requests that wait for resources: first come, first served, without strict order's own deadlocks.

A request that waits is a row with a number. It goes on counting for WAITER_TTL seconds after its last sign of life, so
whoever dies in the line is passed over. Waiting that would close a circle is refused, and the circle is told.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Collection, Mapping

from msgspec import Struct

from intarsia.errors import Conflict, Held, InputError
from intarsia.kernel import leases, swift
from intarsia.kernel.database import Database, Transaction
from intarsia.kernel.leases import Grant, Lease, Mode, Want, go_together, wants
from intarsia.kernel.resources import parse

MAX_WAIT = 86_400
WAITER_TTL = 5.0
SIGN_OF_LIFE = 1.0


class Deadlock(Conflict):
    """`data["cycle"]` alternates sessions and what each of them waits for, back to the first."""

    code = "deadlock"


class Waiting(Struct, frozen=True):
    """A request in the line; `turn` is its place."""

    turn: int
    session: str
    wants: list[Want]


def acquire(
    database: Database,
    session: str,
    resources: Mapping[str, Mode],
    ttl: int,
    *,
    wait: float = 0,
    note: str = "",
    withdrawn: Callable[[], bool] = lambda: False,
) -> Grant:
    """Grant all resources or none, waiting up to `wait` seconds (0: try once) for those who hold them or were first.

    Raises Held when that time is over, or within SIGN_OF_LIFE seconds of `withdrawn` saying that nobody wants it any
    more; Deadlock when waiting could never end; InputError for a bad request.
    """
    asked = wants(resources)
    leases.check_ttl(ttl)
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait <= MAX_WAIT:
        raise InputError(f"One waits 0 to {MAX_WAIT} seconds, not {wait!r}.")
    if granted := swift.acquire(database, session, asked, ttl, note):
        return granted
    if not wait:
        with database.transaction() as tx:
            return request(tx, session, asked, ttl, note)
    return _wait_in_line(database, session, asked, ttl, note, time.monotonic() + wait, withdrawn)


def release(database: Database, session: str, resources: Collection[str]) -> list[str]:
    """Give these resources back in one transaction; returns those that the session did hold."""
    keys = {name: parse(name).key for name in resources}
    released = swift.release(database, session, keys.values())
    if released is not None:
        return [name for name, key in keys.items() if key in released]
    with database.transaction() as tx:
        return [name for name in resources if leases.release(tx, session, name)]


def request(
    tx: Transaction, session: str, asked: Collection[Want], ttl: int, note: str = "", turn: int | None = None
) -> Grant:
    """Grant at once what nobody holds and nobody waits for with an earlier turn; raises Held."""
    if in_the_way := blockers(tx, session, asked, turn):
        raise _error(in_the_way)
    return leases.write(tx, session, asked, ttl, note)


def blockers(tx: Transaction, session: str, asked: Collection[Want], turn: int | None = None) -> list[Lease | Waiting]:
    """Grants that conflict, and requests to be served before (`turn` is the own place, None at the end of the line)."""
    return [*leases.conflicting(tx, session, asked), *_ahead(tx, session, asked, turn)]


def _ahead(tx: Transaction, session: str, asked: Collection[Want], turn: int | None) -> list[Waiting]:
    """Requests with an earlier turn that do not go together with this one.

    One that itself waits for `session`, for what it holds or in any longer way, is passed over: else a holder that asks
    for more would wait for one that waits for it.
    """
    line = standing(tx)
    before = [other for other in line if turn is None or other.turn < turn]
    rivals = [other for other in before if other.session != session and _conflict(asked, other.wants)]
    if not rivals or not (any(other.session == session for other in before) or leases.of(tx, session)):
        return rivals
    graph = _waits_for(tx, line, before)
    return [other for other in rivals if not _leads(graph, other.session, session)]


def _waits_for(tx: Transaction, line: list[Waiting], before: list[Waiting]) -> dict[str, set[str]]:
    """Which session waits for which: all for those who hold, and those of `before` for who was first.

    Turn by turn, the second kind is left out where it would close a circle; what circles remain are of holders only.
    """
    graph: dict[str, set[str]] = {}
    for one in line:
        holders = leases.conflicting(tx, one.session, one.wants)
        graph.setdefault(one.session, set()).update(lease.session for lease in holders)
    for n, one in enumerate(before):
        for other in before[:n]:
            rivals = other.session != one.session and _conflict(one.wants, other.wants)
            if rivals and not _leads(graph, other.session, one.session):
                graph[one.session].add(other.session)
    return graph


def _leads(graph: Mapping[str, set[str]], start: str, goal: str) -> bool:
    seen, todo = {start}, [start]
    while todo:
        following = graph.get(todo.pop(), set()) - seen
        if goal in following:
            return True
        seen |= following
        todo += following
    return False


def _conflict(some: Collection[Want], others: Collection[Want]) -> bool:
    return not all(go_together(one, other) for one in some for other in others)


def standing(tx: Transaction) -> list[Waiting]:
    """All requests that wait now, first come first."""
    rows = tx.all("SELECT turn, session, wants FROM line WHERE project = :project AND expires > :now ORDER BY turn")
    return [Waiting(row["turn"], row["session"], _decode(row["wants"])) for row in rows]


def is_waited_for(tx: Transaction, session: str) -> bool:
    """Whether one of those requests waits for what the session holds."""
    return any(
        lease.session == session
        for waiting in standing(tx)
        for lease in leases.conflicting(tx, waiting.session, waiting.wants)
    )


def join(tx: Transaction, session: str, asked: Collection[Want]) -> int:
    """Stand at the end of the line; returns the turn. Raises Deadlock."""
    turn = leases.next_token(tx)
    stay(tx, session, asked, turn)
    return turn


def stay(tx: Transaction, session: str, asked: Collection[Want], turn: int) -> None:
    """Give a sign of life; raises Deadlock, or Conflict when the session has ended.

    Who was passed over, because it gave none for too long, gets its place back.
    """
    _refuse_deadlock(tx, session, asked)
    standing = tx.execute(
        f"""INSERT INTO line (project, turn, session, wants, since, expires)
            SELECT :project, :turn, :session, :wants, :now, :expires WHERE {leases.NOT_ENDED}
            ON CONFLICT (project, turn) DO UPDATE SET expires = excluded.expires""",
        turn=turn,
        session=session,
        wants=_encode(asked),
        expires=tx.now + WAITER_TTL,
    )
    if not standing:
        raise leases.ended_error(session)


def leave(tx: Transaction, turn: int) -> None:
    """Go, and let those behind look again. Who was passed over for long is taken out as well."""
    tx.execute("DELETE FROM line WHERE project = :project AND (turn = :turn OR expires <= :now)", turn=turn)
    tx.wake()


def _wait_in_line(
    database: Database,
    session: str,
    asked: list[Want],
    ttl: int,
    note: str,
    deadline: float,
    withdrawn: Callable[[], bool],
) -> Grant:
    turn: int | None = None
    try:
        while True:
            seen = database.changes()
            with database.transaction() as tx:
                outcome = attempt(tx, session, asked, ttl, note, turn)
            if isinstance(outcome, Grant):
                turn = None
                return outcome
            turn, held = outcome
            if time.monotonic() >= deadline or withdrawn():
                raise held
            _watch(database, session, asked, turn, seen, min(deadline, time.monotonic() + SIGN_OF_LIFE))
    finally:
        if turn is not None:
            with database.transaction() as tx:
                leave(tx, turn)


def attempt(
    tx: Transaction, session: str, asked: Collection[Want], ttl: int, note: str = "", turn: int | None = None
) -> Grant | tuple[int, Held]:
    """A grant, with which the place in the line is given up; or the place (a new one, if None), and why not yet.

    Raises Deadlock, or Conflict when the session has ended; the place is to be left then.
    """
    if in_the_way := blockers(tx, session, asked, turn):
        if turn is None:
            return join(tx, session, asked), _error(in_the_way)
        stay(tx, session, asked, turn)
        return turn, _error(in_the_way)
    grant = leases.write(tx, session, asked, ttl, note)
    if turn is not None:
        leave(tx, turn)
    return grant


def _watch(database: Database, session: str, asked: list[Want], turn: int, seen: object, until: float) -> None:
    """Return when nothing stands in the way any more, or at `until`.

    Only reads: others that wait would take a change for a reason to look, and wake this one in turn.
    """
    while (left := until - time.monotonic()) > 0:
        with database.read() as tx:
            in_the_way = blockers(tx, session, asked, turn)
            ends = min((lease.expires for lease in in_the_way if isinstance(lease, Lease)), default=math.inf)
            pause = min(left, max(0.0, ends - tx.now))
        if not in_the_way:
            return
        database.wait_for_change(seen, pause)
        seen = database.changes()


def _error(in_the_way: list[Lease | Waiting]) -> Held:
    first = in_the_way[0]
    return leases.held_error(first) if isinstance(first, Lease) else _behind(first)


def _refuse_deadlock(tx: Transaction, session: str, asked: Collection[Want]) -> None:
    """Walk along who waits for what is held by whom, among the requests that wait now; raise Deadlock on a way back.

    Who was first does not count: where that would close a circle, it is passed over.
    """
    wanted: dict[str, list[Want]] = {}
    for other in standing(tx):
        wanted.setdefault(other.session, []).extend(other.wants)
    wanted[session] = list(asked)
    came_from: dict[str, tuple[str, str]] = {}
    todo = [session]
    while todo:
        here = todo.pop(0)
        for lease in leases.conflicting(tx, here, wanted.get(here, [])):
            if lease.session == session:
                raise _deadlock(session, here, lease.resource, came_from)
            if lease.session not in came_from:
                came_from[lease.session] = (here, lease.resource)
                todo.append(lease.session)


def _deadlock(me: str, last: str, name: str, came_from: dict[str, tuple[str, str]]) -> Deadlock:
    steps = [(last, name)]
    while steps[0][0] != me:
        steps.insert(0, came_from[steps[0][0]])
    cycle = [*(part for step in steps for part in step), me]
    return Deadlock(
        f"Waiting would never end: {' → '.join(cycle)}.", hint="Release what you hold, or ask for less.", cycle=cycle
    )


def _behind(first: Waiting) -> Held:
    name = first.wants[0].resource.name
    return Held(f"{first.session} has waited longer for {name}.", resource=name, holder=None, waiting=first.session)


def _encode(asked: Collection[Want]) -> str:
    return json.dumps({want.resource.name: want.mode for want in asked})


def _decode(text: str) -> list[Want]:
    return [Want(parse(name), mode) for name, mode in json.loads(text).items()]
