"""Fenced, time-limited grants of resources to sessions: in several modes, nesting, many at once or none.

A grant carries a token that increases with every grant of the database. Whoever writes under a lease calls `require`
with that token in the same transaction; after expiry, release or take-over the old token is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from intarsia.clock import iso
from intarsia.errors import Conflict, Held, InputError, NotHolder, StaleLease
from intarsia.kernel.database import Transaction
from intarsia.kernel.engine import Row
from intarsia.kernel.modes import ANYWHERE, MODES, conflict, stronger, within
from intarsia.kernel.modes import Mode as Mode
from intarsia.kernel.resources import Resource, parse

MAX_TTL = 86_400
NOT_ENDED = "NOT EXISTS (SELECT 1 FROM sessions WHERE project = :project AND id = :session AND ended IS NOT NULL)"


class Lease(Struct, frozen=True):
    """A grant; `agent` and `issue` say who holds it when that is a session, as far as they were asked for."""

    resource: str
    key: str
    session: str
    mode: Mode
    token: int
    note: str
    acquired: float
    expires: float
    agent: str | None = None
    issue: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "resource": self.resource,
            "session": self.session,
            "mode": self.mode,
            "token": self.token,
            "note": self.note,
            "held_since": iso(self.acquired),
            "expires_at": iso(self.expires),
        }


class Grant(Struct, frozen=True):
    """What a session was given: all these resources under one token, until `expires` (seconds since the epoch)."""

    session: str
    resources: list[str]
    token: int
    expires: float

    def as_json(self) -> dict[str, Any]:
        return {"resources": self.resources, "token": self.token, "expires_at": iso(self.expires)}


class Want(Struct, frozen=True):
    resource: Resource
    mode: Mode


def wants(resources: Mapping[str, Mode]) -> list[Want]:
    """Parse a request; raises InputError for a bad name or mode, or when nothing is asked for."""
    found: dict[str, Want] = {}
    for name, mode in resources.items():
        resource = parse(name)
        before = found.get(resource.key)
        found[resource.key] = Want(resource, stronger(check_mode(mode), before.mode) if before else check_mode(mode))
    if not found:
        raise InputError("Name at least one resource.")
    return [found[key] for key in sorted(found)]


def check_mode(mode: str) -> Mode:
    if mode not in MODES:
        raise InputError(f"A lease is {', '.join(MODES[:-1])} or {MODES[-1]}, not {mode!r}.")
    return mode


def acquire(tx: Transaction, session: str, resource: str, ttl: int, note: str = "") -> Lease:
    """Grant a single resource exclusively; see `acquire_all`."""
    acquire_all(tx, session, wants({resource: "exclusive"}), ttl, note)
    return require_holder(tx, resource, session)


def acquire_all(tx: Transaction, session: str, asked: Collection[Want], ttl: int, note: str = "") -> Grant:
    """Grant all or nothing for `ttl` seconds (1 to 86400); a session never conflicts with itself.

    Raises Held while another session holds one of them, or something around or inside it. Those who wait are not
    asked: `line.request` does that.
    """
    check_ttl(ttl)
    if holders := conflicting(tx, session, asked):
        raise held_error(holders[0])
    return write(tx, session, asked, ttl, note)


def conflicting(tx: Transaction, session: str, asked: Collection[Want]) -> list[Lease]:
    """Living grants of other sessions that do not go with these wants, each once."""
    found = {(lease.key, lease.session): lease for want in asked for lease in _against(tx, session, want)}
    return list(found.values())


_HOLDER = """
    (SELECT s.agent FROM sessions s WHERE s.project = l.project AND s.id = l.session) AS agent,
    (SELECT s.issue FROM sessions s WHERE s.project = l.project AND s.id = l.session) AS issue"""


def _against(tx: Transaction, session: str, want: Want) -> list[Lease]:
    """Looks up what is on, around and inside a resource, and lets the table of modes decide."""
    resource = want.resource
    keys = {f"around{n}": key for n, key in enumerate([*resource.around, resource.key])}
    low, high, _ = within(resource, want.mode)
    rows = tx.all(
        f"""SELECT l.*, {_HOLDER} FROM leases l
             WHERE project = :project AND key IN ({", ".join(f":{name}" for name in keys)})
               AND session <> :session AND expires > :now {_IN_MODES[want.mode]}
            UNION ALL
            SELECT l.*, {_HOLDER} FROM leases l
             WHERE project = :project AND key >= :low AND key < :high
               AND session <> :session AND expires > :now {_IN_MODES[want.mode]}""",
        session=session,
        low=low,
        high=high,
        **keys,
    )
    return [_lease(row) for row in rows if conflict(want.mode, resource.key, row["mode"], row["key"])]


_IN_MODES = {
    mode: "" if len(held) == len(MODES) else f"AND mode IN ({', '.join(repr(one) for one in sorted(held))})"
    for mode, held in ANYWHERE.items()
}


def go_together(one: Want, other: Want) -> bool:
    """The same rule between two requests."""
    return not conflict(one.mode, one.resource.key, other.mode, other.resource.key)


# The mode of a lease that is taken again while it lives: the stronger one. `modes` says the same in Python.
_STRENGTH = " ".join(f"WHEN '{mode}' THEN {n}" for n, mode in enumerate(MODES))
_KEPT = f"CASE leases.mode {_STRENGTH} END > CASE excluded.mode {_STRENGTH} END"


def write(tx: Transaction, session: str, asked: Collection[Want], ttl: int, note: str) -> Grant:
    """Write the grant; the caller has made sure that nothing conflicts. A stronger mode held already is kept.

    Raises Conflict for a session that has ended: nothing would ever give back what it is granted.
    """
    token, expires = next_token(tx), tx.now + ttl
    for want in asked:
        tx.execute(
            "DELETE FROM leases WHERE project = :project AND key = :key AND expires <= :now AND session <> :session",
            key=want.resource.key,
            session=session,
        )
        written = tx.execute(
            f"""INSERT INTO leases (project, key, resource, session, mode, token, note, acquired, expires)
               SELECT :project, :key, :resource, :session, :mode, :token, :note, :now, :expires WHERE {NOT_ENDED}
               ON CONFLICT (project, key, session) DO UPDATE SET
                   mode = CASE WHEN leases.expires > excluded.acquired AND {_KEPT}
                               THEN leases.mode ELSE excluded.mode END,
                   acquired = CASE WHEN leases.expires > excluded.acquired
                                   THEN leases.acquired ELSE excluded.acquired END,
                   token = excluded.token, note = excluded.note, expires = excluded.expires""",
            key=want.resource.key,
            resource=want.resource.name,
            session=session,
            mode=want.mode,
            token=token,
            note=note,
            expires=expires,
        )
        if not written:
            raise ended_error(session)
    return Grant(session, [want.resource.name for want in asked], token, expires)


def require(tx: Transaction, resource: str, token: int) -> None:
    """Raise StaleLease unless `token` is the living grant of `resource`."""
    alive = tx.one(
        "SELECT 1 AS one FROM leases WHERE project = :project AND key = :key AND token = :token AND expires > :now",
        key=parse(resource).key,
        token=token,
    )
    if alive is None:
        raise StaleLease(f"The lease on {resource} is over (token {token}).", resource=resource, token=token)


def require_holder(tx: Transaction, resource: str, session: str) -> Lease:
    """The living grant of `session` on exactly this resource; raises NotHolder."""
    holders = on(tx, resource)
    found = next((lease for lease in holders if lease.session == session), None)
    if found is None:
        holder = holders[0].session if holders else None
        raise NotHolder(f"{session} does not hold {resource}.", resource=resource, holder=holder)
    return found


def renew(tx: Transaction, sessions: Collection[str], ttl: int) -> int:
    """Move the expiry of all living grants of these sessions to `ttl` seconds from now; returns how many."""
    check_ttl(ttl)
    return sum(
        tx.execute(
            "UPDATE leases SET expires = :expires WHERE project = :project AND session = :session AND expires > :now",
            session=session,
            expires=tx.now + ttl,
        )
        for session in sessions
    )


def refence(tx: Transaction, session: str, ttl: int) -> None:
    """Put a new token on all that a session holds: under the old ones nobody can write for it any more."""
    check_ttl(ttl)
    tx.execute(
        """UPDATE leases SET token = :token, expires = :expires
            WHERE project = :project AND session = :session AND expires > :now""",
        token=next_token(tx),
        session=session,
        expires=tx.now + ttl,
    )


def renew_one(tx: Transaction, session: str, resource: str, ttl: int) -> bool:
    """Move the expiry of one living grant; false if this session does not hold it."""
    check_ttl(ttl)
    changed = tx.execute(
        """UPDATE leases SET expires = :expires
            WHERE project = :project AND key = :key AND session = :session AND expires > :now""",
        key=parse(resource).key,
        session=session,
        expires=tx.now + ttl,
    )
    return changed == 1


def drop(tx: Transaction, lease: Lease) -> None:
    """Forget a grant, living or not, if it is still the same one."""
    tx.execute(
        "DELETE FROM leases WHERE project = :project AND key = :key AND session = :session AND token = :token",
        key=lease.key,
        session=lease.session,
        token=lease.token,
    )
    tx.wake()


def release(tx: Transaction, session: str, resource: str) -> bool:
    """Give one resource back; false if this session does not hold it, or not any more."""
    changed = tx.execute(
        "DELETE FROM leases WHERE project = :project AND key = :key AND session = :session AND expires > :now",
        key=parse(resource).key,
        session=session,
    )
    if changed:
        tx.wake()
    return changed == 1


def release_all(tx: Transaction, session: str) -> int:
    changed = tx.execute("DELETE FROM leases WHERE project = :project AND session = :session", session=session)
    if changed:
        tx.wake()
    return changed


def held(tx: Transaction, prefix: str = "") -> list[Lease]:
    """Living grants whose resource starts with `prefix`."""
    return _starting_with(tx, prefix, "expires > :now ORDER BY resource, session")


def lapsed(tx: Transaction, prefix: str) -> list[Lease]:
    """Grants that ran out and were neither released nor taken over."""
    return _starting_with(tx, prefix, "expires <= :now ORDER BY expires")


def of(tx: Transaction, session: str) -> list[Lease]:
    """What a session holds now."""
    rows = tx.all(
        "SELECT * FROM leases WHERE project = :project AND session = :session AND expires > :now ORDER BY resource",
        session=session,
    )
    return [_lease(row) for row in rows]


def on(tx: Transaction, resource: str) -> list[Lease]:
    """Who holds exactly this resource."""
    rows = tx.all(
        f"""SELECT l.*, {_HOLDER} FROM leases l
             WHERE project = :project AND key = :key AND expires > :now ORDER BY acquired, session""",
        key=parse(resource).key,
    )
    return [_lease(row) for row in rows]


def next_token(tx: Transaction) -> int:
    row = tx.one(tx.next_token_sql)
    assert row is not None
    return int(row["last"])


def check_ttl(ttl: int) -> None:
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= MAX_TTL:
        raise InputError(f"A lease lasts a whole number of seconds from 1 to {MAX_TTL}, not {ttl!r}.")


def held_error(lease: Lease) -> Held:
    return Held(
        f"{lease.resource} is held by {lease.session} since {iso(lease.acquired)}.",
        resource=lease.resource,
        holder=lease.session,
        agent=lease.agent or lease.session,
        issue=lease.issue,
        held_since=iso(lease.acquired),
        expires_at=iso(lease.expires),
        note=lease.note,
    )


def ended_error(session: str) -> Conflict:
    return Conflict(f"The session {session} has ended, and can hold nothing any more.")


def _starting_with(tx: Transaction, prefix: str, rest: str) -> list[Lease]:
    rows = tx.all(
        f"SELECT * FROM leases WHERE project = :project AND substr(resource, 1, :length) = :prefix AND {rest}",
        length=len(prefix),
        prefix=prefix,
    )
    return [_lease(row) for row in rows]


def _lease(row: Row) -> Lease:
    return Lease(**{name: row[name] for name in Lease.__struct_fields__ if name in row})
