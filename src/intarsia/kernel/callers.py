"""Whose secret it is: a session's or a member's. Nobody says who they are; only their secret does."""

from __future__ import annotations

from intarsia.errors import NotFound
from intarsia.kernel import members, sessions
from intarsia.kernel.database import Transaction


def of(tx: Transaction, secret: str) -> str:
    """The session's id or the member's name; raises NotFound. Looks through all of them."""
    row = tx.one(
        """SELECT id AS name, secret_hash FROM sessions WHERE project = :project AND secret_hash = :hash
            UNION ALL
           SELECT name, secret_hash FROM members WHERE project = :project AND secret_hash = :hash""",
        hash=sessions.digest(secret),
    )
    if row is None or not sessions.matches(secret, row["secret_hash"]):
        raise NotFound("This is the secret of nobody in this project.")
    return str(row["name"])


def authenticate(tx: Transaction, name: str, secret: str) -> str:
    """The same, for a name that was found before; raises NotFound."""
    if sessions.exists(tx, name):
        return sessions.authenticate(tx, name, secret).id
    return members.authenticate(tx, name, secret).name


def digest_of(tx: Transaction, name: str) -> str | None:
    """The hash of the secret of a session or member, if there is one of this name."""
    row = tx.one(
        """SELECT secret_hash FROM sessions WHERE project = :project AND id = :name
            UNION ALL
           SELECT secret_hash FROM members WHERE project = :project AND name = :name""",
        name=name,
    )
    return str(row["secret_hash"]) if row else None
