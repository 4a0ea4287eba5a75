"""Writing to agents and people, and reading what they wrote: what `intarsia message` does; and asking a person."""

from __future__ import annotations

import time
from typing import Annotated

from msgspec import Meta

from intarsia.clock import iso
from intarsia.errors import UsageError
from intarsia.gateway.leases import check_wait
from intarsia.gateway.operation import Answer, Caller, Given, Seconds, Text, operation
from intarsia.kernel import messages
from intarsia.kernel.database import Transaction
from intarsia.kernel.messages import HUMAN, Message

RECHECK = 1.0

Limit = Annotated[int, Meta(ge=1, le=1000, description="At most so many.")]
Id = Annotated[int, Meta(extra_json_schema={"minimum": 1, "maximum": 2**63 - 1})]


class Letter(Answer, rename={"sender": "from"}):
    id: int
    time: str | None
    sender: str
    to: list[str]
    kind: str
    body: str
    reply_to: int | None
    thread: int

    @classmethod
    def of(cls, found: Message) -> Letter:
        values = {name: getattr(found, name) for name in cls.__struct_fields__}
        return cls(**{**values, "time": iso(found.time)})


class Send(Given):
    body: Text
    to: Annotated[
        list[Text], Meta(max_length=1000, description="Agents, ids of sessions, @team or @human; empty for a reply.")
    ] = []
    kind: Annotated[Text, Meta(description="A word that programs can go by.")] = "note"
    reply_to: Annotated[Id | None, Meta(description="The message this answers.")] = None


class Sent(Answer):
    message: Letter


class Inbox(Given):
    all: Annotated[bool, Meta(description="Acknowledged ones too: the newest ones.")] = False
    thread: Annotated[Id | None, Meta(description="The conversation of this message.")] = None
    limit: Limit = 50


class Letters(Answer):
    messages: list[Letter]
    unread: int


class Wait(Given):
    timeout: Annotated[Seconds, Meta(description="Seconds to wait at most.")] = 60
    limit: Limit = 50


class Ack(Given):
    id: Annotated[Id | None, Meta(description="Up to this message; without it, all that were shown.")] = None


class Acknowledged(Answer):
    up_to: int
    count: int
    unread: int


class Ask(Given):
    """A new question, or the id of one whose answer has not come yet."""

    question: Annotated[Text, Meta(description="What a person has to know to answer it.")] = ""
    id: Annotated[Id | None, Meta(description="Of a question asked before, to wait for its answer.")] = None
    wait: Annotated[Seconds, Meta(description="Seconds to wait for the answer at most.")] = 50


class Answered(Answer):
    id: int
    answered: bool
    answer: str
    by: str
    meanwhile: str


@operation("messages/send", Send, Sent)
def send(caller: Caller, given: Send) -> Sent:
    """Send to agents, sessions, the team or the people."""
    with caller.database.transaction() as tx:
        sent = messages.send(tx, caller.identify(tx), given.to, given.body, given.kind, given.reply_to)
    return Sent(message=Letter.of(sent))


@operation("messages/inbox", Inbox, Letters)
def inbox(caller: Caller, given: Inbox) -> Letters:
    """Show what was sent to the caller and is not acknowledged, oldest first. It stays until then."""
    if given.all and given.thread is not None:
        raise UsageError("Say --all or --thread, not both.")
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        if given.thread is not None:
            found = messages.thread(tx, me, given.thread, given.limit)
        elif given.all:
            found = messages.received(tx, me, given.limit)
        else:
            found = messages.inbox(tx, me, given.limit)
        return _shown(tx, me, found, new=given.thread is None and not given.all)


@operation("messages/wait", Wait, Letters, waits=True)
def wait(caller: Caller, given: Wait) -> Letters:
    """Answer as soon as something is in the inbox."""
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
    found = messages.wait(caller.database, me, given.timeout, given.limit, caller.withdrawn)
    with caller.database.transaction() as tx:
        return _shown(tx, me, found, new=True)


@operation("messages/ack", Ack, Acknowledged)
def ack(caller: Caller, given: Ack) -> Acknowledged:
    """Take messages out of the inbox."""
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        last, count = messages.ack(tx, me, given.id)
        return Acknowledged(up_to=last, count=count, unread=messages.unread(tx, me))


@operation("ask", Ask, Answered, waits=True)
def ask(caller: Caller, given: Ask) -> Answered:
    """Ask a person, and wait for the answer; it may come later."""
    if bool(given.question.strip()) == (given.id is not None):
        raise UsageError("Give a question, or the id of one that was asked.")
    check_wait(given.wait)
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        asked = (
            messages.get(tx, me, given.id)
            if given.id is not None
            else messages.send(tx, me, [HUMAN], given.question, "question")
        )
    if given.id is None:
        how = f"intarsia message send --human --reply-to {asked.id} TEXT"
        caller.watcher.notice(f"{me} asks: {given.question} (answer with: {how})")
    return _answer(caller, me, asked.id, time.monotonic() + given.wait)


def _answer(caller: Caller, me: str, question: int, deadline: float) -> Answered:
    while True:
        seen = caller.database.changes()
        with caller.database.read() as tx:
            thread = messages.thread(tx, me, question, 1000)
        replies = [one for one in thread if one.reply_to == question and one.sender != me]
        if replies:
            return Answered(id=question, answered=True, answer=replies[0].body, by=replies[0].sender, meanwhile="")
        left = deadline - time.monotonic()
        if left <= 0 or caller.withdrawn():
            later = f"Nobody has answered yet. Go on with what does not depend on it, and ask again with id {question}."
            return Answered(id=question, answered=False, answer="", by="", meanwhile=later)
        caller.database.wait_for_change(seen, min(left, RECHECK))


def _shown(tx: Transaction, me: str, found: list[Message], *, new: bool) -> Letters:
    if new:
        messages.shown(tx, me, found)
    return Letters(messages=[Letter.of(one) for one in found], unread=messages.unread(tx, me))
