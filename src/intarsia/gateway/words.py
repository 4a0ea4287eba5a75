"""What an agent says of its own work: what it is doing, what is to be remembered, and how it ends."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from intarsia.errors import InputError, NotReady
from intarsia.gateway import files
from intarsia.gateway.operation import Answer, Caller, Given, Text, Words, operation
from intarsia.kernel import claims, events, sessions
from intarsia.run import resolution
from intarsia.run.resolution import Kind


class Status(Given):
    text: Annotated[Words, Meta(description="In a few words, for the people who watch.")]


class Said(Answer):
    agent: str
    text: str


class Note(Given):
    about: Annotated[Words, Meta(description="A word for its kind.")]
    text: Words


class Happened(Answer):
    id: int
    time: str | None
    run: str | None
    issue: str | None
    session: str | None
    actor: str
    kind: str
    data: dict[str, Any]


class Noted(Answer):
    agent: str
    about: str
    text: str
    event: Happened


class Resolve(Given):
    kind: Kind
    rationale: Annotated[Words, Meta(description="Why; for already_complete also the commit, for blocked the issue.")]


class Resolution(Answer):
    kind: Kind
    rationale: str


class Resolved(Answer):
    session: str
    resolution: Resolution


class Done(Given):
    issue: Annotated[Text, Meta(description="For members: the issue they claimed.")] = ""
    conclusion: Annotated[Text, Meta(description="For members: what it came to.")] = ""


class Finished(Answer):
    done: bool
    missing: str


@operation("status", Status, Said)
def status(caller: Caller, given: Status) -> Said:
    """Say what you are doing."""
    if not given.text.strip():
        raise InputError("Say in a few words what you are doing.")
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        sessions.say(tx, me, given.text)
    caller.watcher.activity(me, given.text)
    return Said(agent=me, text=given.text)


@operation("note", Note, Noted)
def note(caller: Caller, given: Note) -> Noted:
    """Write something into the record that others should find later."""
    if not given.about.strip() or not given.text.strip():
        raise InputError("A note needs a kind and a text.")
    with caller.database.transaction() as tx:
        session, me = caller.session(tx), caller.identify(tx)
        about, text = given.about.strip(), given.text.strip()
        events.record(
            tx,
            "note",
            actor=me,
            run=session.run if session else None,
            issue=session.issue if session else None,
            session=session.id if session else None,
            about=about,
            text=text,
        )
        written = events.latest(tx, 1)[0]
    return Noted(agent=me, about=about, text=text, event=Happened(**written.as_json()))


@operation("resolve", Resolve, Resolved)
def resolve(caller: Caller, given: Resolve) -> Resolved:
    """Say that this session ends without the usual commit, and why. Verified when the turn ends."""
    made = resolution.make(given.kind, given.rationale)
    with caller.database.transaction() as tx:
        me = caller.session(tx)
        if me is None:
            raise NotReady("This is not a session.", hint="Only an agent that intarsia runs can resolve.")
        resolution.declare(tx, me, made)
    return Resolved(session=me.id, resolution=Resolution(kind=made.kind, rationale=made.rationale))


@operation("done", Done, Finished)
def done(caller: Caller, given: Done) -> Finished:
    """Say that the work is finished: a session learns what is still missing; a member completes its issue."""
    with caller.database.transaction() as tx:
        session, me = caller.session(tx), caller.identify(tx)
        if session is None:
            if not given.issue or not given.conclusion.strip():
                raise InputError("A member names its issue and what it came to.", hint="Say issue and conclusion.")
            claims.complete(tx, given.issue, me, given.conclusion)
    if session is None or session.resolution is not None:
        return Finished(done=True, missing="")
    missing = files.unfinished(caller.site, session)
    return Finished(done=not missing, missing=missing)
