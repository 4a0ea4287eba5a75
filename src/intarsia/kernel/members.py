"""People and foreign agents that take part without being run by intarsia: a name and a secret."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from intarsia.clock import iso
from intarsia.errors import Conflict, InputError, NotFound
from intarsia.kernel import events
from intarsia.kernel.database import Transaction
from intarsia.kernel.sessions import digest, matches

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
_SESSION = re.compile(r"s-[0-9a-f]{8}")
_RESERVED = ("guardian", "intarsia")


class Member(Struct, frozen=True):
    name: str
    joined: float
    seen: float

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "joined": iso(self.joined), "seen": iso(self.seen)}


def join(tx: Transaction, name: str, secret: str) -> Member:
    """Register a name for whoever has this secret; raises Conflict when the name is taken, InputError for a bad one."""
    check_name(name)
    if tx.one("SELECT 1 AS one FROM members WHERE project = :project AND name = :name", name=name):
        raise Conflict(f"{name} has joined already.", hint="Use another name, or the secret that was made then.")
    tx.execute(
        """INSERT INTO members (project, name, secret_hash, joined, seen)
           VALUES (:project, :name, :secret_hash, :now, :now)""",
        name=name,
        secret_hash=digest(secret),
    )
    events.record(tx, "agent_joined", actor=name, agent=name)
    return Member(name, tx.now, tx.now)


def check_name(name: str) -> None:
    """Raise InputError for what is no name, looks like a session, or is what intarsia calls itself in the log."""
    if not _NAME.fullmatch(name) or _SESSION.fullmatch(name) or name.lower() in _RESERVED:
        raise InputError(
            f"{name!r} can't be an agent's name.",
            hint="Use a letter, then letters, digits, '.', '_' and '-', at most 40.",
        )


def authenticate(tx: Transaction, name: str, secret: str) -> Member:
    """The member whose secret this is; anything else is as if it did not exist."""
    row = tx.one("SELECT * FROM members WHERE project = :project AND name = :name", name=name)
    if row is None or not matches(secret, row["secret_hash"]):
        raise NotFound("This is not the identity of any agent of this project.", hint="intarsia agent join NAME")
    return Member(row["name"], row["joined"], row["seen"])


def touch(tx: Transaction, name: str) -> None:
    tx.execute("UPDATE members SET seen = :now WHERE project = :project AND name = :name", name=name)


def everybody(tx: Transaction) -> list[Member]:
    rows = tx.all("SELECT name, joined, seen FROM members WHERE project = :project ORDER BY name")
    return [Member(**row) for row in rows]
