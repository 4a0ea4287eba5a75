"""What was concluded about an issue, and what was amended later; never changed, only added to."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, structs

from intarsia.clock import iso
from intarsia.errors import InputError
from intarsia.kernel.database import Transaction

Kind = Literal["conclusion", "amendment"]


class Decision(Struct, frozen=True):
    id: int
    issue: str
    actor: str
    kind: Kind
    text: str
    time: float

    def as_json(self) -> dict[str, Any]:
        return {**structs.asdict(self), "time": iso(self.time)}


def record(tx: Transaction, issue: str, actor: str, kind: Kind, text: str) -> None:
    """Raises InputError for an empty text, or one with a NUL byte."""
    if not text.strip():
        raise InputError(f"A {kind} needs a text.")
    if "\x00" in text:
        raise InputError("The text holds a NUL byte.")
    tx.execute(
        """INSERT INTO decisions (project, issue, actor, kind, text, time)
           VALUES (:project, :issue, :actor, :kind, :text, :now)""",
        issue=issue,
        actor=actor,
        kind=kind,
        text=text.strip(),
    )


def of(tx: Transaction, issue: str) -> list[Decision]:
    """Oldest first."""
    rows = tx.all(
        """SELECT id, issue, actor, kind, text, time FROM decisions
            WHERE project = :project AND issue = :issue ORDER BY id""",
        issue=issue,
    )
    return [Decision(**row) for row in rows]
