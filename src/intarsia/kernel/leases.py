"""Fenced, time-limited grants of resources to sessions.

A grant carries a token that increases with every grant of the database. Whoever writes under a lease calls `require`
with that token in the same transaction; after expiry, release or take-over the old token is refused.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from intarsia.clock import iso
from intarsia.errors import Held, InputError, StaleLease
from intarsia.kernel.database import Row, Transaction

MAX_TTL = 86_400


class Lease(Struct, frozen=True):
    resource: str
    session: str
    token: int
    note: str
    acquired: float
    expires: float

    def as_json(self) -> dict[str, Any]:
        return {
            "resource": self.resource,
            "session": self.session,
            "token": self.token,
            "note": self.note,
            "acquired_at": iso(self.acquired),
            "expires_at": iso(self.expires),
        }


def acquire(tx: Transaction, session: str, resource: str, ttl: int, note: str = "") -> Lease:
    """Grant `resource` to `session` alone for `ttl` seconds (1 to 86400); a session may renew its own grant.

    Raises Held while another session's grant has not expired.
    """
    _check_ttl(ttl)
    holder = tx.one(
        "SELECT * FROM leases WHERE project = :project AND resource = :resource AND session <> :session",
        resource=resource,
        session=session,
    )
    if holder and holder["expires"] > tx.now:
        raise _held(_lease(holder))
    tx.execute("DELETE FROM leases WHERE project = :project AND resource = :resource", resource=resource)
    lease = Lease(resource, session, next_token(tx), note, tx.now, tx.now + ttl)
    tx.execute(
        """INSERT INTO leases (project, resource, session, mode, token, note, acquired, expires)
           VALUES (:project, :resource, :session, 'exclusive', :token, :note, :now, :expires)""",
        resource=resource,
        session=session,
        token=lease.token,
        note=note,
        expires=lease.expires,
    )
    return lease


def require(tx: Transaction, resource: str, token: int) -> None:
    """Raise StaleLease unless `token` is the living grant of `resource`."""
    alive = tx.one(
        """SELECT 1 AS one FROM leases
            WHERE project = :project AND resource = :resource AND token = :token AND expires > :now""",
        resource=resource,
        token=token,
    )
    if alive is None:
        raise StaleLease(f"The lease on {resource} is over (token {token}).", resource=resource, token=token)


def renew(tx: Transaction, sessions: list[str], ttl: int) -> int:
    """Move the expiry of all living grants of these sessions to `ttl` seconds from now; returns how many."""
    _check_ttl(ttl)
    return sum(
        tx.execute(
            "UPDATE leases SET expires = :expires WHERE project = :project AND session = :session AND expires > :now",
            session=session,
            expires=tx.now + ttl,
        )
        for session in sessions
    )


def release(tx: Transaction, session: str, resource: str) -> bool:
    """Give one resource back; false if this session does not hold it, or not any more."""
    changed = tx.execute(
        """DELETE FROM leases
            WHERE project = :project AND resource = :resource AND session = :session AND expires > :now""",
        resource=resource,
        session=session,
    )
    return changed == 1


def release_all(tx: Transaction, session: str) -> int:
    return tx.execute("DELETE FROM leases WHERE project = :project AND session = :session", session=session)


def held(tx: Transaction, prefix: str = "") -> list[Lease]:
    """Living grants whose resource starts with `prefix`."""
    rows = tx.all(
        """SELECT * FROM leases WHERE project = :project AND substr(resource, 1, :length) = :prefix AND expires > :now
           ORDER BY resource""",
        length=len(prefix),
        prefix=prefix,
    )
    return [_lease(row) for row in rows]


def lapsed(tx: Transaction, prefix: str) -> list[Lease]:
    """Grants that ran out and were neither released nor taken over."""
    rows = tx.all(
        """SELECT * FROM leases WHERE project = :project AND expires <= :now AND substr(resource, 1, :length) = :prefix
           ORDER BY expires""",
        length=len(prefix),
        prefix=prefix,
    )
    return [_lease(row) for row in rows]


def next_token(tx: Transaction) -> int:
    row = tx.one("UPDATE tokens SET last = last + 1 WHERE id = 1 RETURNING last")
    assert row is not None
    return int(row["last"])


def _check_ttl(ttl: int) -> None:
    if isinstance(ttl, bool) or not isinstance(ttl, int) or not 1 <= ttl <= MAX_TTL:
        raise InputError(f"A lease lasts a whole number of seconds from 1 to {MAX_TTL}, not {ttl!r}.")


def _held(lease: Lease) -> Held:
    return Held(
        f"{lease.resource} is held by {lease.session} since {iso(lease.acquired)}.",
        resource=lease.resource,
        holder=lease.session,
        held_since=iso(lease.acquired),
        expires_at=iso(lease.expires),
        note=lease.note,
    )


def _lease(row: Row) -> Lease:
    return Lease(row["resource"], row["session"], row["token"], row["note"], row["acquired"], row["expires"])
