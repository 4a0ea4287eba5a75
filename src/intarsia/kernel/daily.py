"""The daily summary: every day's agents write in turn, then it is collected. Each is bound to its date, in UTC.

Nothing of one day stands in the way of another. Who is to write is fixed when the day is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as calendar_date
from typing import Any, Literal

from msgspec import Struct

from intarsia.clock import iso
from intarsia.errors import ConfigError, Conflict, InputError, NotFound
from intarsia.kernel import events
from intarsia.kernel.database import Transaction

Status = Literal["waiting", "written", "skipped"]


class NotYourTurn(Conflict):
    """`data["turn"]` says whose it is."""

    code = "not_your_turn"


class Entry(Struct, frozen=True):
    """One agent's part; `time` is when it was written or skipped, `text` what was written or why it was skipped."""

    agent: str
    status: Status
    text: str
    time: float | None

    def as_json(self) -> dict[str, Any]:
        return {"agent": self.agent, "status": self.status, "text": self.text, "time": iso(self.time)}

    def as_markdown(self) -> str:
        said = {
            "written": self.text,
            "skipped": f"(skipped at {iso(self.time)}{f': {self.text}' if self.text else ''})",
            "waiting": "(not written yet)",
        }
        return f"## {self.agent}\n\n{said[self.status]}"


class Summary(Struct, frozen=True):
    """`opened` and `collected` (the first time it was complete) are in seconds since the epoch."""

    date: str
    opened: float
    collected: float | None
    entries: list[Entry]

    @property
    def missing(self) -> list[str]:
        return [entry.agent for entry in self.entries if entry.status == "waiting"]

    @property
    def skipped(self) -> list[str]:
        return [entry.agent for entry in self.entries if entry.status == "skipped"]

    @property
    def turn(self) -> str | None:
        """Who writes next; None when all have written or were skipped."""
        return next(iter(self.missing), None)

    @property
    def turn_began(self) -> float | None:
        """When the one before was through, or the day was opened."""
        if self.turn is None:
            return None
        before = self.entries[: [entry.agent for entry in self.entries].index(self.turn)]
        return max([self.opened, *(entry.time for entry in before if entry.time is not None)])

    @property
    def complete(self) -> bool:
        return not self.missing

    def as_json(self) -> dict[str, Any]:
        return {
            "date": self.date,
            "opened": iso(self.opened),
            "collected": iso(self.collected),
            "complete": self.complete,
            "turn": self.turn,
            "turn_began": iso(self.turn_began),
            "missing": self.missing,
            "skipped": self.skipped,
            "entries": [entry.as_json() for entry in self.entries],
        }

    def as_markdown(self) -> str:
        """The whole day; one that is partial says so first."""
        head = f"# Daily summary of {self.date}"
        if not self.complete:
            head += f" (partial)\n\nNot written yet: {', '.join(self.missing)}."
        return "\n\n".join([head, *(entry.as_markdown() for entry in self.entries)])


def day(tx: Transaction, named: str | None = None) -> str:
    """The date named, as YYYY-MM-DD, or today's in UTC by the database's clock; raises InputError."""
    if named is None:
        return (iso(tx.now) or "")[:10]
    try:
        parsed = calendar_date.fromisoformat(named).isoformat()
    except ValueError:
        parsed = ""
    if not parsed or parsed != named:
        raise InputError(f"{named!r} is no date.", hint="Write it as 2026-11-20.")
    return named


def trigger(tx: Transaction, date: str, order: Sequence[str], actor: str) -> Summary:
    """Open a day for these agents, in this order; raises Conflict when it is open, ConfigError for a bad order."""
    if not order:
        raise ConfigError("Nobody is to write a daily summary.", hint='Set it in intarsia.toml: [daily] order = ["…"]')
    if len(set(order)) < len(order) or not all(order):
        raise ConfigError("daily.order names an agent twice, or one without a name.")
    if find(tx, date) is not None:
        raise Conflict(f"The daily summary of {date} is open already.", hint=f"intarsia daily status --date {date}")
    tx.execute("INSERT INTO dailies (project, date, opened) VALUES (:project, :date, :now)", date=date)
    for place, agent in enumerate(order):
        tx.execute(
            """INSERT INTO summaries (project, date, agent, place, status, text)
               VALUES (:project, :date, :agent, :place, 'waiting', '')""",
            date=date,
            agent=agent,
            place=place,
        )
    events.record(tx, "daily_triggered", actor=actor, date=date, order=list(order))
    return get(tx, date)


def write(tx: Transaction, date: str, agent: str, text: str) -> Summary:
    """Give an agent's part and pass the turn on; raises NotYourTurn, Conflict, NotFound or InputError."""
    if not text.strip():
        raise InputError("A summary needs a text.")
    if "\x00" in text:
        raise InputError("The text holds a NUL byte.")
    summary = get(tx, date)
    entry = _entry(summary, agent)
    if entry.status != "waiting":
        raise Conflict(f"{agent} {_was(entry)} for {date}.")
    if summary.turn != agent:
        raise NotYourTurn(f"It is {summary.turn}'s turn, not {agent}'s.", turn=summary.turn)
    _settle(tx, date, agent, "written", text.strip())
    events.record(tx, "daily_written", actor=agent, date=date)
    return get(tx, date)


def skip(tx: Transaction, date: str, agent: str, actor: str, patience: float | None, reason: str = "") -> Summary:
    """Do without an agent whose turn began `patience` seconds ago or earlier; None: at once, even before its turn.

    Raises NotYourTurn or Conflict when it is too early, NotFound for who is not to write.
    """
    if "\x00" in reason:
        raise InputError("The text holds a NUL byte.")
    summary = get(tx, date)
    entry = _entry(summary, agent)
    if entry.status != "waiting":
        raise Conflict(f"{agent} {_was(entry)} for {date}.")
    if patience is not None:
        _require_patience(tx, summary, agent, patience)
    _settle(tx, date, agent, "skipped", reason.strip())
    events.record(tx, "daily_skipped", actor=actor, date=date, agent=agent, forced=patience is None, reason=reason)
    return get(tx, date)


def collect(tx: Transaction, date: str, actor: str, *, partial: bool = False) -> Summary:
    """The day's parts. Raises Conflict while somebody is still to write, unless a partial one is wanted.

    A partial collection changes nothing about the day; a complete one gives the same again whenever it is repeated.
    """
    summary = get(tx, date)
    if summary.missing and not partial:
        raise Conflict(
            f"Still to write for {date}: {', '.join(summary.missing)}.",
            hint=f"intarsia daily skip {summary.turn}, or collect what there is: --partial",
            turn=summary.turn,
            missing=summary.missing,
        )
    if summary.collected is not None:
        return summary
    if summary.complete:
        tx.execute("UPDATE dailies SET collected = :now WHERE project = :project AND date = :date", date=date)
    events.record(
        tx,
        "daily_collected",
        actor=actor,
        date=date,
        complete=summary.complete,
        missing=summary.missing,
        skipped=summary.skipped,
    )
    return get(tx, date)


def reset(tx: Transaction, date: str, actor: str) -> Summary:
    """Forget a day, so that it can be opened anew; what was written stays in the log. Raises Conflict."""
    summary = get(tx, date)
    tx.execute("DELETE FROM summaries WHERE project = :project AND date = :date", date=date)
    tx.execute("DELETE FROM dailies WHERE project = :project AND date = :date", date=date)
    events.record(tx, "daily_reset", actor=actor, date=date, entries=[entry.as_json() for entry in summary.entries])
    return summary


def find(tx: Transaction, date: str) -> Summary | None:
    row = tx.one("SELECT opened, collected FROM dailies WHERE project = :project AND date = :date", date=date)
    if row is None:
        return None
    entries = tx.all(
        "SELECT agent, status, text, time FROM summaries WHERE project = :project AND date = :date ORDER BY place",
        date=date,
    )
    return Summary(date, row["opened"], row["collected"], [Entry(**entry) for entry in entries])


def get(tx: Transaction, date: str) -> Summary:
    """Raises Conflict that names the days that are open instead."""
    found = find(tx, date)
    if found is None:
        others = uncollected(tx)
        raise Conflict(
            f"The daily summary of {date} was not opened.",
            hint=f"{', '.join(others)} is open: --date {others[-1]}" if others else "intarsia daily trigger",
        )
    return found


def uncollected(tx: Transaction) -> list[str]:
    """The dates of days that were opened and not yet collected in full, oldest first."""
    rows = tx.all("SELECT date FROM dailies WHERE project = :project AND collected IS NULL ORDER BY date")
    return [row["date"] for row in rows]


def _entry(summary: Summary, agent: str) -> Entry:
    found = next((entry for entry in summary.entries if entry.agent == agent), None)
    if found is None:
        order = ", ".join(entry.agent for entry in summary.entries)
        raise NotFound(f"{agent} is not among those who write for {summary.date}: {order}.")
    return found


def _require_patience(tx: Transaction, summary: Summary, agent: str, patience: float) -> None:
    began = summary.turn_began
    if summary.turn != agent or began is None:
        raise NotYourTurn(
            f"It is {summary.turn}'s turn; {agent}'s has not begun.",
            hint="Say --yes to skip it all the same.",
            turn=summary.turn,
        )
    if tx.now < began + patience:
        raise Conflict(
            f"{agent}'s turn began at {iso(began)}; it can be skipped from {iso(began + patience)} on.",
            hint="Say --yes to skip it now.",
            turn=agent,
            skippable_at=iso(began + patience),
        )


def _settle(tx: Transaction, date: str, agent: str, status: Status, text: str) -> None:
    tx.execute(
        """UPDATE summaries SET status = :status, text = :text, time = :now
            WHERE project = :project AND date = :date AND agent = :agent""",
        date=date,
        agent=agent,
        status=status,
        text=text,
    )


def _was(entry: Entry) -> str:
    return ("has written already" if entry.status == "written" else "was skipped") + f" at {iso(entry.time)}"
