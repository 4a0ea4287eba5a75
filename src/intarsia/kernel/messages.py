"""What agents and people tell each other: addressed, typed, in order, each read once by whom it was sent to.

A reader is a member, a session, or a person at a machine (`person:NAME`), who reads what is sent to `@human`. Every
reader has two marks in the stream: up to where it was shown messages, and up to where it acknowledged them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection
from typing import Any, Literal

from msgspec import Struct

from intarsia.clock import iso
from intarsia.errors import Conflict, InputError, NotFound
from intarsia.kernel import events, members, sessions
from intarsia.kernel.database import Database, Transaction
from intarsia.kernel.engine import Row

TEAM = "@team"
HUMAN = "@human"
PERSON = "person:"
MAX_WAIT = 86_400
RECHECK = 1.0
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_LAST_ID = 2**63 - 1

Mark = Literal["shown", "acknowledged"]


class NothingCame(Conflict):
    code = "nothing_came"


class Message(Struct, frozen=True):
    """`to` is as the sender wrote it; `thread` is the id of the first message of a conversation."""

    id: int
    time: float
    sender: str
    to: list[str]
    kind: str
    body: str
    reply_to: int | None
    thread: int

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "time": iso(self.time),
            "from": self.sender,
            "to": self.to,
            "kind": self.kind,
            "body": self.body,
            "reply_to": self.reply_to,
            "thread": self.thread,
        }


def send(
    tx: Transaction, sender: str, to: Collection[str], body: str, kind: str = "note", reply_to: int | None = None
) -> Message:
    """Send to members, sessions, `@team` (who is a member now) and `@human`; a reply may leave `to` empty.

    Raises InputError for a bad text, kind or recipient, NotFound for recipients or a `reply_to` that are not there,
    Conflict if nobody would get it.
    """
    _check(body, kind)
    answered = None if reply_to is None else get(tx, sender, reply_to)
    addressed = list(dict.fromkeys(to or _answering(answered, sender)))
    row = tx.one(
        """INSERT INTO messages (project, time, sender, addressed, kind, body, reply_to, thread)
           VALUES (:project, :now, :sender, :addressed, :kind, :body, :reply_to, :thread) RETURNING *""",
        sender=sender,
        addressed=json.dumps(addressed),
        kind=kind,
        body=body,
        reply_to=reply_to,
        thread=answered.thread if answered else None,
    )
    assert row is not None
    sent = _message(row)
    for recipient in _recipients(tx, sender, addressed):
        tx.execute(
            "INSERT INTO recipients (project, recipient, message) VALUES (:project, :recipient, :message)",
            recipient=recipient,
            message=sent.id,
        )
    session = sender if sessions.exists(tx, sender) else None
    events.record(tx, "message_sent", actor=sender, session=session, message=sent.id, to=addressed, message_kind=kind)
    tx.announce()
    return sent


def inbox(tx: Transaction, reader: str, limit: int) -> list[Message]:
    """What came since the reader last acknowledged, oldest first; nobody gets what they sent themselves."""
    return _received(tx, reader, _mark(tx, reader, "acknowledged"), limit)


def received(tx: Transaction, reader: str, limit: int) -> list[Message]:
    """The newest `limit` messages the reader ever got, acknowledged or not, oldest first."""
    return _received(tx, reader, 0, limit, newest=True)


def unread(tx: Transaction, reader: str) -> int:
    """How many messages `inbox` would give without a limit."""
    return _count(tx, reader, _mark(tx, reader, "acknowledged"), _LAST_ID)


def get(tx: Transaction, reader: str, message: int) -> Message:
    """A message the reader wrote or got; any other is as if it did not exist (NotFound)."""
    row = tx.one(f"{_VISIBLE} AND id = :message", reader=reader, mailbox=_mailbox(reader), message=_id(message))
    if row is None:
        raise NotFound(f"There is no message {message} from or to {reader}.", hint="See: intarsia message inbox --all")
    return _message(row)


def thread(tx: Transaction, reader: str, message: int, limit: int) -> list[Message]:
    """The newest `limit` messages of the conversation of `message`, as far as the reader wrote or got them."""
    rows = tx.all(
        f"{_VISIBLE} AND (id = :thread OR thread = :thread) ORDER BY id DESC LIMIT :limit",
        reader=reader,
        mailbox=_mailbox(reader),
        thread=get(tx, reader, message).thread,
        limit=limit,
    )
    return [_message(row) for row in reversed(rows)]


def shown(tx: Transaction, reader: str, found: Collection[Message]) -> None:
    """Remember that the reader saw this part of its inbox: `ack` without an id goes that far and no further."""
    last = max((message.id for message in found), default=0)
    if last > _mark(tx, reader, "shown"):
        _set_mark(tx, reader, "shown", last)


def ack(tx: Transaction, reader: str, up_to: int | None = None) -> tuple[int, int]:
    """Take messages out of the inbox, up to this one or all that were shown; returns up to which, and how many.

    Raises NotFound for what the reader never got, Conflict when there is nothing left to acknowledge.
    """
    before = _mark(tx, reader, "acknowledged")
    if up_to is not None and not _count(tx, reader, _id(up_to) - 1, up_to):
        raise NotFound(f"{reader} got no message {up_to}.", hint="See: intarsia message inbox")
    last = _mark(tx, reader, "shown") if up_to is None else up_to
    if last <= before:
        waiting = unread(tx, reader)
        raise Conflict(
            f"Nothing to acknowledge: {f'message {up_to} is already' if up_to else 'nothing new was shown to you'}.",
            hint=f"{waiting} wait to be read: intarsia message inbox" if waiting else "",
        )
    count = _count(tx, reader, before, last)
    _set_mark(tx, reader, "acknowledged", last)
    return last, count


def wait(
    database: Database, reader: str, seconds: float, limit: int, withdrawn: Callable[[], bool] = lambda: False
) -> list[Message]:
    """Return the inbox as soon as there is something in it; raises NothingCame after so many seconds.

    Within RECHECK seconds also when `withdrawn` says that nobody waits any more.
    """
    if not 0 <= seconds <= MAX_WAIT:
        raise InputError(f"One waits 0 to {MAX_WAIT} seconds, not {seconds}.")
    deadline = time.monotonic() + seconds
    while True:
        seen = database.changes()
        with database.read() as tx:
            found = inbox(tx, reader, limit)
        if found:
            return found
        left = deadline - time.monotonic()
        if left <= 0 or withdrawn():
            raise NothingCame(f"Nothing came for {reader} in {seconds:g} s.")
        database.wait_for_change(seen, min(left, RECHECK))


def _check(body: str, kind: str) -> None:
    if not body.strip():
        raise InputError("A message needs a text.")
    if "\x00" in body:
        raise InputError("The text holds a NUL byte.")
    if not _KIND.fullmatch(kind):
        raise InputError(
            f"{kind!r} can't be the kind of a message.", hint="Use a-z, then a-z, 0-9, '_' and '-', at most 40."
        )


def _answering(answered: Message | None, sender: str) -> list[str]:
    """Whom a reply goes to if nobody is named; what one adds to one's own message goes to the same ones."""
    if answered is None:
        return []
    return answered.to if answered.sender == sender else [_mailbox(answered.sender)]


def _recipients(tx: Transaction, sender: str, addressed: Collection[str]) -> list[str]:
    """The mailboxes to put it in; raises for every way in which nobody, or the wrong one, would get it."""
    if not addressed:
        raise InputError("A message needs a recipient.", hint=f"A name, a session's id, {TEAM} or {HUMAN}.")
    if sender in addressed:
        raise InputError(f"{sender} is yourself.")
    team = {member.name for member in members.everybody(tx)}
    named = [name for name in addressed if name not in (TEAM, HUMAN)]
    unknown = [name for name in named if name not in team and not sessions.exists(tx, name)]
    if unknown:
        raise NotFound(
            f"No member or session is named {', '.join(unknown)}.",
            hint=f"See: intarsia agent list, intarsia session list; or {TEAM}, {HUMAN}.",
        )
    for name in named:
        if name not in team and sessions.get(tx, name).stage in sessions.ENDED:
            raise Conflict(f"Session {name} has ended and reads nothing any more.")
    mailboxes = {*named, *(team if TEAM in addressed else ()), *({HUMAN} & set(addressed))} - {sender}
    if not mailboxes:
        raise Conflict("Nobody but you has joined, so nobody would get it.", hint="intarsia agent join NAME")
    return sorted(mailboxes)


def _mailbox(reader: str) -> str:
    return HUMAN if reader.startswith(PERSON) else reader


_VISIBLE = """
    SELECT * FROM messages m
     WHERE project = :project AND (sender = :reader OR EXISTS (
               SELECT 1 FROM recipients r WHERE r.project = m.project AND r.recipient = :mailbox AND r.message = m.id))
"""


def _received(tx: Transaction, reader: str, after: int, limit: int, *, newest: bool = False) -> list[Message]:
    rows = tx.all(
        f"""SELECT m.* FROM recipients r JOIN messages m ON m.id = r.message
             WHERE r.project = :project AND r.recipient = :mailbox AND r.message > :after AND m.sender <> :reader
             ORDER BY r.message {"DESC" if newest else ""} LIMIT :limit""",
        mailbox=_mailbox(reader),
        reader=reader,
        after=after,
        limit=limit,
    )
    return [_message(row) for row in (reversed(rows) if newest else rows)]


def _count(tx: Transaction, reader: str, after: int, up_to: int) -> int:
    row = tx.one(
        """SELECT count(*) AS n FROM recipients r JOIN messages m ON m.id = r.message
            WHERE r.project = :project AND r.recipient = :mailbox AND r.message > :after AND r.message <= :up_to
              AND m.sender <> :reader""",
        mailbox=_mailbox(reader),
        reader=reader,
        after=after,
        up_to=up_to,
    )
    return int(row["n"]) if row else 0


def _mark(tx: Transaction, reader: str, mark: Mark) -> int:
    row = tx.one(
        "SELECT position FROM cursors WHERE project = :project AND reader = :reader AND kind = :mark",
        reader=reader,
        mark=mark,
    )
    return int(row["position"]) if row else 0


def _set_mark(tx: Transaction, reader: str, mark: Mark, position: int) -> None:
    tx.execute(
        """INSERT INTO cursors (project, reader, kind, position) VALUES (:project, :reader, :mark, :position)
           ON CONFLICT (project, reader, kind) DO UPDATE SET position = excluded.position""",
        reader=reader,
        mark=mark,
        position=position,
    )


def _id(message: int) -> int:
    if not 1 <= message <= _LAST_ID:
        raise InputError(f"{message} can't be the id of a message.")
    return message


def _message(row: Row) -> Message:
    return Message(
        id=row["id"],
        time=row["time"],
        sender=row["sender"],
        to=json.loads(row["addressed"]),
        kind=row["kind"],
        body=row["body"],
        reply_to=row["reply_to"],
        thread=row["thread"] or row["id"],
    )
