"""Calling another agent, and giving back what it came to: what `intarsia call` does."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from intarsia.config import Config, Queue
from intarsia.errors import InputError, NotReady
from intarsia.gateway.leases import check_wait
from intarsia.gateway.operation import Answer, Caller, Given, Seconds, Text, Words, operation
from intarsia.kernel import calls, sessions
from intarsia.kernel.calls import Call
from intarsia.kernel.database import Transaction
from intarsia.kernel.issues import Draft

RETURN = "intarsia call return"


class Start(Given):
    title: Annotated[Words, Meta(description="What another agent is to do, in one line.")]
    body: Annotated[Text, Meta(description="All that it has to know: it knows nothing of you.")] = ""
    agent: Annotated[Text, Meta(description="Who is called; else whoever is free.")] = ""


class Wait(Given):
    call: Annotated[Text, Meta(description="The id of a call.")]
    timeout: Annotated[Seconds, Meta(description="Seconds to wait at most.")] = 50


class Return(Given):
    text: Annotated[Words, Meta(description="What it came to, for who called.")]


class Called(Answer):
    """`result`: what was given back, else what was concluded, or why it is not done."""

    call: str
    status: calls.Status
    resolution: str
    result: str
    meanwhile: str

    @classmethod
    def of(cls, call: Call) -> Called:
        return cls(
            call=call.issue,
            status=call.status,
            resolution=call.resolution,
            result=call.result,
            meanwhile="" if call.ended else _MEANWHILE.format(call.issue),
        )


_MEANWHILE = (
    "It is not done yet. Go on with what does not depend on it and wait again; if nothing is left, or nobody is free "
    "to do it, end your turn as blocked, and name {} as the reason: you go on when it is done."
)


class Returned(Answer):
    call: str
    result: str


@operation("calls/start", Start, Called)
def start(caller: Caller, given: Start) -> Called:
    """Let another agent do something, as an issue of its own. Sessions may call so deep as limits.depth says."""
    config = caller.site.config
    queue = _queue_for(config, given.agent)
    settings = config.queues.get(queue, Queue())
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        draft = Draft(
            title=given.title, body=_body(tx, me, given), queue=queue, prefix=settings.prefix, sla=settings.sla
        )
        made = calls.start(tx, me, draft, config.limits.depth)
    return Called.of(made)


@operation("calls/wait", Wait, Called, waits=True)
def wait(caller: Caller, given: Wait) -> Called:
    """Wait until a call has ended, and see what came back."""
    check_wait(given.timeout)
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
    return Called.of(calls.wait(caller.database, me, given.call, given.timeout, caller.withdrawn))


@operation("calls/return", Return, Returned)
def give_back(caller: Caller, given: Return) -> Returned:
    """Give back to who called what it came to. The last one counts; end the turn as usual then."""
    with caller.database.transaction() as tx:
        session = caller.session(tx)
        if session is None:
            raise NotReady("This is for sessions that were called.", hint="Say it by: intarsia issue complete ID TEXT")
        call = calls.give_back(tx, session, given.text)
    return Returned(call=call.issue, result=call.result)


def _body(tx: Transaction, me: str, given: Start) -> str:
    session = sessions.get(tx, me) if sessions.exists(tx, me) else None
    who = f"{session.agent} ({me}), who works on {session.issue}" if session else me
    waits = f"{who} called you, and waits for what you give back: `{RETURN} TEXT`, before you end your turn."
    return f"{given.body.rstrip()}\n\n{waits}".lstrip()


def _queue_for(config: Config, agent: str) -> str:
    """The queue of an agent; raises InputError where it has none of its own."""
    if not agent:
        return "default"
    found = [name for name, queue in config.queues.items() if queue.handler == agent]
    if not found:
        handlers = sorted({queue.handler for queue in config.queues.values() if queue.handler})
        raise InputError(
            f"No queue is handled by {agent!r} (handlers: {', '.join(handlers) or 'none'}).",
            hint=f'Add to intarsia.toml: [queues.NAME] with handler = "{agent}", or call whoever is free.',
        )
    return found[0]
