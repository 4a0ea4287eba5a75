"""The line of requests that wait for resources: first come, first served, without strict order's own deadlocks.

A request that waits is a row with a number. It goes on counting for WAITER_TTL seconds after its last sign of life, so
whoever dies in the line is passed over. Waiting that would close a circle is refused, and the circle is told.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping

from msgspec import Struct

from intarsia.errors import Conflict, Held, InputError
from intarsia.kernel import leases
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
) -> Grant:
    """Grant all resources or none, waiting up to `wait` seconds (0: try once) for those who hold them or were first.

    Raises Held when that time is over, Deadlock when waiting could never end, InputError for a bad request.
    """
    asked = wants(resources)
    leases.check_ttl(ttl)
    if not 0 <= wait <= MAX_WAIT:
        raise InputError(f"One waits 0 to {MAX_WAIT} seconds, not {wait}.")
    if not wait:
        with database.transaction() as tx:
            return request(tx, session, asked, ttl, note)
    return _wait_in_line(database, session, asked, ttl, note, time.monotonic() + wait)


def request(
    tx: Transaction, session: str, asked: Collection[Want], ttl: int, note: str = "", turn: int | None = None
) -> Grant:
    """Grant at once what nobody holds and nobody waits for with an earlier turn; raises Held."""
    in_the_way = blockers(tx, session, asked, turn)
    if in_the_way:
        first = in_the_way[0]
        raise leases.held_error(first) if isinstance(first, Lease) else _behind(first)
    return leases.write(tx, session, asked, ttl, note)


def blockers(tx: Transaction, session: str, asked: Collection[Want], turn: int | None = None) -> list[Lease | Waiting]:
    """Grants that conflict, and requests ahead in the line.

    A request that itself waits for `session` is passed over: else a holder that asks for more would wait for one that
    waits for it.
    """
    found: list[Lease | Waiting] = list(leases.conflicting(tx, session, asked))
    for other in standing(tx):
        if other.session == session or (turn is not None and other.turn >= turn):
            continue
        if not all(go_together(mine, theirs) for mine in asked for theirs in other.wants):
            holders = leases.conflicting(tx, other.session, other.wants)
            if all(lease.session != session for lease in holders):
                found.append(other)
    return found


def standing(tx: Transaction) -> list[Waiting]:
    """All requests that wait now, first come first."""
    rows = tx.all("SELECT turn, session, wants FROM line WHERE project = :project AND expires > :now ORDER BY turn")
    return [Waiting(row["turn"], row["session"], _decode(row["wants"])) for row in rows]


def join(tx: Transaction, session: str, asked: Collection[Want]) -> int:
    """Stand at the end of the line; returns the turn. Raises Deadlock."""
    turn = leases.next_token(tx)
    _refuse_deadlock(tx, session, asked, turn)
    tx.execute(
        """INSERT INTO line (project, turn, session, wants, since, expires)
           VALUES (:project, :turn, :session, :wants, :now, :expires)""",
        turn=turn,
        session=session,
        wants=_encode(asked),
        expires=tx.now + WAITER_TTL,
    )
    return turn


def leave(tx: Transaction, turn: int) -> None:
    tx.execute("DELETE FROM line WHERE project = :project AND (turn = :turn OR expires <= :now)", turn=turn)
    tx.wake()


def _wait_in_line(database: Database, session: str, asked: list[Want], ttl: int, note: str, deadline: float) -> Grant:
    turn: int | None = None
    try:
        while True:
            seen = database.changes()
            with database.transaction() as tx:
                obstacle = _try_in_line(tx, session, asked, ttl, note, turn)
                if isinstance(obstacle, Grant):
                    return obstacle
                turn, held, until = obstacle
                left = deadline - time.monotonic()
                pause = min(SIGN_OF_LIFE, left, max(0.0, until - tx.now))
            if left <= 0:
                raise held
            database.wait_for_change(seen, pause)
    finally:
        if turn is not None:
            with database.transaction() as tx:
                leave(tx, turn)


def _try_in_line(
    tx: Transaction, session: str, asked: list[Want], ttl: int, note: str, turn: int | None
) -> Grant | tuple[int, Held, float]:
    """A grant; or the turn, what stands in the way, and when the first of it would run out by itself."""
    in_the_way = blockers(tx, session, asked, turn)
    if not in_the_way:
        return leases.write(tx, session, asked, ttl, note)
    if turn is None:
        turn = join(tx, session, asked)
    else:
        _refuse_deadlock(tx, session, asked, turn)
        tx.execute(
            "UPDATE line SET expires = :expires WHERE project = :project AND turn = :turn",
            turn=turn,
            expires=tx.now + WAITER_TTL,
        )
    first = in_the_way[0]
    held = leases.held_error(first) if isinstance(first, Lease) else _behind(first)
    return turn, held, min((lease.expires for lease in in_the_way if isinstance(lease, Lease)), default=tx.now + 1)


def _refuse_deadlock(tx: Transaction, session: str, asked: Collection[Want], turn: int) -> None:
    """Walk along who waits for whom among the requests that wait now; raise Deadlock on the way back to us."""
    by_session: dict[str, list[Waiting]] = {}
    for other in standing(tx):
        if other.session != session:
            by_session.setdefault(other.session, []).append(other)
    came_from: dict[str, tuple[str, str]] = {}
    todo = [Waiting(turn, session, list(asked))]
    while todo:
        here = todo.pop()
        for blocker in blockers(tx, here.session, here.wants, here.turn):
            name = blocker.resource if isinstance(blocker, Lease) else blocker.wants[0].resource.name
            if blocker.session == session:
                raise _deadlock(session, here.session, name, came_from)
            if blocker.session not in came_from:
                came_from[blocker.session] = (here.session, name)
                todo += by_session.get(blocker.session, [])


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
