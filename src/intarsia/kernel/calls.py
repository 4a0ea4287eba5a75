"""An agent calls another: an issue whose end, and what it gives back, the caller may wait for.

Whoever takes the issue is below the caller: a session's depth is one more than that of the session that called, and
that is where calls that call each other end. Otherwise it is an issue like all others, and outlives its caller.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from intarsia.errors import Conflict, InputError, NotFound
from intarsia.kernel import decisions, events, issues, sessions
from intarsia.kernel.database import Database, Transaction
from intarsia.kernel.engine import Row
from intarsia.kernel.issues import Draft
from intarsia.kernel.sessions import Session

RECHECK = 1.0

Status = Literal["waiting", "running", "done", "failed"]
_STATUSES: dict[str, Status] = {"open": "waiting", "in_progress": "running", "closed": "done"}


class Call(Struct, frozen=True):
    """`issue` is the call's id; `about` is what the calling session worked on; `result` is what came back so far."""

    issue: str
    caller: str
    about: str | None
    depth: int
    status: Status
    resolution: str
    result: str

    @property
    def ended(self) -> bool:
        return self.status in ("done", "failed")


def start(tx: Transaction, caller: str, draft: Draft, limit: int) -> Call:
    """Make the issue; raises Conflict where the caller is `limit` sessions deep already."""
    session = sessions.get(tx, caller) if sessions.exists(tx, caller) else None
    if session and session.depth >= limit:
        raise Conflict(
            f"{caller} is a session, {session.depth} deep, and limits.depth is {limit}: it may call nobody.",
            hint="Do it yourself, or end your turn and say what is missing.",
        )
    if session and session.stage in sessions.ENDED:
        raise Conflict(f"The session {caller} has ended.")
    made = issues.create(tx, draft, caller)
    if session:
        issues.add_dependency(tx, made.id, session.issue, "discovered-from", caller)
    depth = session.depth + 1 if session else 0
    tx.execute(
        """INSERT INTO calls (project, issue, caller, session, about, depth, result)
           VALUES (:project, :issue, :caller, :session, :about, :depth, '')""",
        issue=made.id,
        caller=caller,
        session=session.id if session else None,
        about=session.issue if session else None,
        depth=depth,
    )
    events.record(tx, "call_started", actor=caller, session=session.id if session else None, issue=made.id, depth=depth)
    return _call(tx, made.id)


def get(tx: Transaction, caller: str, issue: str) -> Call:
    """A call of the caller's, or of a session that worked on the same before it; raises NotFound for any other."""
    found = _row(tx, issue)
    about = sessions.get(tx, caller).issue if sessions.exists(tx, caller) else None
    if found is None or (found["caller"] != caller and (about is None or found["about"] != about)):
        raise NotFound(f"{caller} has made no call {issue}.")
    return _call(tx, issue)


def wait(
    database: Database, caller: str, issue: str, seconds: float, withdrawn: Callable[[], bool] = lambda: False
) -> Call:
    """The call as soon as it has ended, or as it is after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        seen = database.changes()
        with database.read() as tx:
            call = get(tx, caller, issue)
        left = deadline - time.monotonic()
        if call.ended or left <= 0 or withdrawn():
            return call
        database.wait_for_change(seen, min(left, RECHECK))


def give_back(tx: Transaction, session: Session, text: str) -> Call:
    """Keep what a session that was called gives back; the last one counts. Raises Conflict for any other session."""
    if not text.strip() or "\x00" in text:
        raise InputError("Give a text back, without NUL bytes.")
    if _row(tx, session.issue) is None:
        raise Conflict(f"{session.id} was not called, so nobody waits for it.", hint="Just end your turn.")
    if session.stage in sessions.ENDED:
        raise Conflict(f"The session {session.id} has ended.")
    tx.execute(
        "UPDATE calls SET result = :text WHERE project = :project AND issue = :issue", issue=session.issue, text=text
    )
    events.record(tx, "call_returned", actor=session.id, session=session.id, issue=session.issue, run=session.run)
    tx.announce()
    return _call(tx, session.issue)


def _call(tx: Transaction, id: str) -> Call:
    row, issue = _row(tx, id), issues.get(tx, id)
    assert row is not None
    return Call(
        issue=id,
        caller=row["caller"],
        about=row["about"],
        depth=row["depth"],
        status=_STATUSES.get(issue.status, "failed"),
        resolution=issue.resolution or "",
        result=row["result"] or _said(tx, id),
    )


def _said(tx: Transaction, issue: str) -> str:
    """Where nothing was given back: what was concluded, or why it is not done."""
    if concluded := decisions.of(tx, issue):
        return concluded[-1].text
    tried = sessions.find(tx, issue=issue, limit=1)
    return tried[0].reason if tried else ""


def _row(tx: Transaction, issue: str) -> Row | None:
    return tx.one("SELECT * FROM calls WHERE project = :project AND issue = :issue", issue=issue)
