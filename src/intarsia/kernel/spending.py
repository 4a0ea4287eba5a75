"""What was used up, in a ledger: by session, run, issue and day, so that each of them can have a limit.

Sessions are told figures that replace earlier ones, and are taken over by other runs; the ledger gets the differences,
each on the day and under the run in which it was told.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from intarsia.clock import iso
from intarsia.kernel import sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.sessions import Session

Scope = Literal["session", "issue", "run", "day"]
COUNTED = ("turns", "input", "cached", "output", "cost", "unpriced")


class Spent(Struct, frozen=True):
    """Turns; tokens, those from a cache among the input; dollars; and the tokens whose price nobody knows."""

    turns: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        return self.input + self.output

    def as_json(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def day(now: float) -> str:
    """The date in UTC."""
    return (iso(now) or "")[:10]


def book(tx: Transaction, session: Session, usage: dict[str, Any]) -> Session:
    """Record what a session used up by now; raises StaleLease when another supervisor has it."""
    known = sessions.get(tx, session.id)
    more = {name: (usage.get(name) or 0) - (known.usage.get(name) or 0) for name in COUNTED}
    if any(more.values()):
        tx.execute(
            """INSERT INTO spending
                   (project, session, run, issue, day, turns, input, cached, output, cost, unpriced)
               VALUES (:project, :session, :run, :issue, :day, :turns, :input, :cached, :output, :cost, :unpriced)
               ON CONFLICT (project, session, run, day) DO UPDATE SET
                   turns = spending.turns + excluded.turns, input = spending.input + excluded.input,
                   cached = spending.cached + excluded.cached, output = spending.output + excluded.output,
                   cost = spending.cost + excluded.cost, unpriced = spending.unpriced + excluded.unpriced""",
            session=session.id,
            run=session.run,
            issue=session.issue,
            day=day(tx.now),
            **more,
        )
    return sessions.update(tx, session, usage=usage)


def of(tx: Transaction, scope: Scope, name: str) -> Spent:
    """All that was used up by that session, issue or run, or in the project on that day."""
    sums = ", ".join(f"coalesce(sum({column}), 0) AS {column}" for column in COUNTED)
    row = tx.one(f"SELECT {sums} FROM spending WHERE project = :project AND {scope} = :name", name=name)
    assert row is not None
    counts = {column: int(row[column]) for column in COUNTED if column != "cost"}
    return Spent(**counts, cost=round(float(row["cost"]), 6))


def today(tx: Transaction) -> Spent:
    return of(tx, "day", day(tx.now))
