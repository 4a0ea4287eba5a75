"""Accounts that get nothing from their vendor for now: all sessions of the project, on every host, leave them alone.

An account is what agents share a vendor's patience by. Its pause ends by itself; the next in a row lasts longer.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from intarsia.clock import iso
from intarsia.errors import NotFound
from intarsia.kernel import events
from intarsia.kernel.database import Transaction

FIRST = 30.0
LONGEST = 3600.0
SPREAD = 0.25


class Pause(Struct, frozen=True):
    """`until` and `since` are in seconds since the epoch; `attempt` counts pauses in a row; `session` met it last."""

    account: str
    until: float
    since: float
    attempt: int
    reason: str
    session: str

    def as_json(self) -> dict[str, Any]:
        return {**structs.asdict(self), "until": iso(self.until), "since": iso(self.since)}

    @property
    def text(self) -> str:
        return f"{self.account} is paused until {iso(self.until)}: {self.reason}"


def pause(
    tx: Transaction, account: str, session: str, reason: str, *, chance: float, retry_after: float | None = None
) -> Pause:
    """Pause an account for as long as its vendor says, in seconds, else twice as long as the last time.

    `chance`, from 0 to 1, makes it up to a quarter longer, so that not all come back at once. Sessions that meet the
    same limit at the same time may lengthen a pause, but are no further attempt.
    """
    before = _find(tx, account)
    lasts = before is not None and before.until > tx.now
    attempt = (before.attempt if before else 0) + (0 if lasts else 1)
    doubled = 2.0 ** min(attempt - 1, 20)
    seconds = min(FIRST * doubled, LONGEST) if retry_after is None else max(retry_after, min(doubled, LONGEST))
    until = tx.now + seconds * (1 + SPREAD * chance)
    if before is not None and lasts:
        until = max(until, before.until) if retry_after is not None else before.until
    since = before.since if before and lasts else tx.now
    tx.execute(
        """INSERT INTO pauses (project, account, until, since, attempt, reason, session)
           VALUES (:project, :account, :until, :since, :attempt, :reason, :session)
           ON CONFLICT (project, account) DO UPDATE SET until = excluded.until, since = excluded.since,
               attempt = excluded.attempt, reason = excluded.reason, session = excluded.session""",
        account=account,
        until=until,
        since=since,
        attempt=attempt,
        reason=reason,
        session=session,
    )
    made = Pause(account, until, since, attempt, reason, session)
    if made.until != (before.until if before else None):
        facts: dict[str, Any] = {"account": account, "until": iso(until), "attempt": attempt, "reason": reason}
        events.record(tx, "account_paused", actor=session, session=session, **facts)
    return made


def active(tx: Transaction) -> dict[str, Pause]:
    """Those that last, by account."""
    rows = tx.all("SELECT * FROM pauses WHERE project = :project AND until > :now ORDER BY account")
    return {row["account"]: Pause(**{name: row[name] for name in Pause.__struct_fields__}) for row in rows}


def served(tx: Transaction, account: str) -> None:
    """An account did its work again: the next pause is a first one. A pause that lasts stays."""
    tx.execute("DELETE FROM pauses WHERE project = :project AND account = :account AND until <= :now", account=account)


def lift(tx: Transaction, account: str, actor: str) -> Pause:
    """End a pause by hand; raises NotFound when there is none."""
    lasting = active(tx).get(account)
    if lasting is None:
        raise NotFound(f"The account {account} is not paused.", hint="See: intarsia status")
    tx.execute("DELETE FROM pauses WHERE project = :project AND account = :account", account=account)
    events.record(tx, "account_resumed", actor=actor, account=account)
    return lasting


def _find(tx: Transaction, account: str) -> Pause | None:
    row = tx.one("SELECT * FROM pauses WHERE project = :project AND account = :account", account=account)
    return Pause(**{name: row[name] for name in Pause.__struct_fields__}) if row else None
