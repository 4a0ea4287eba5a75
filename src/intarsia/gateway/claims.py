"""Working on issues without `intarsia run`: what `intarsia issue claim` does, and what follows it."""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta

from intarsia.config import Agent, Config, Queue
from intarsia.errors import InputError
from intarsia.gateway.issues import Id, Note, One, queue_of
from intarsia.gateway.leases import TTL, Holding
from intarsia.gateway.operation import Answer, Caller, Given, Text, operation
from intarsia.kernel import claims, issues
from intarsia.kernel.database import Transaction

PATIENCE = 1.5

Ttl = Annotated[
    int,
    Meta(description="Seconds without a sign of life; default: 1.5 times the heartbeat.", extra_json_schema=TTL),
]
Lines = Annotated[list[Text], Meta(max_length=100)]


class Claim(Given):
    id: Id
    ttl: Ttl | None = None


class Claimed(Answer):
    lease: Holding


class Complete(Given):
    id: Id
    conclusion: Annotated[Text, Meta(description="What it came to; kept as a decision.")]


class Amend(Given):
    id: Id
    remark: Text


class Amended(Answer):
    id: str
    remark: str


class Release(Given):
    id: Id
    note: Note = ""


class Block(Given):
    id: Id
    note: Annotated[Text, Meta(description="What blocks it.")]


class Unblock(Given):
    id: Id
    note: Annotated[Text, Meta(description="Why it can go on.")] = ""


class Transfer(Given):
    id: Id
    queue: Text
    note: Note = ""


class Escalate(Given):
    id: Id
    disagreement: Annotated[Text, Meta(description="What cannot be agreed on.")]
    positions: Annotated[Lines, Meta(description="At least two.")]
    facts: Annotated[Text, Meta(description="What is known for sure.")]
    options: Annotated[Lines, Meta(description="Ways out; at least two.")]
    queue: Annotated[Text | None, Meta(description="Default: escalate_to of the issue's queue.")] = None


class Escalated(One):
    original: str


@operation("issues/claim", Claim, Claimed)
def claim(caller: Caller, given: Claim) -> Claimed:
    """Take an issue to work on it; exactly one can. Claiming what one holds renews it."""
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        lease = claims.claim(tx, given.id, me, _ttl(caller, me, given))
    return Claimed(lease=Holding.of(lease))


@operation("issues/heartbeat", Claim, Claimed)
def heartbeat(caller: Caller, given: Claim) -> Claimed:
    """Say that one still works on an issue that one claimed."""
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
        lease = claims.heartbeat(tx, given.id, me, _ttl(caller, me, given))
    return Claimed(lease=Holding.of(lease))


@operation("issues/complete", Complete, One)
def complete(caller: Caller, given: Complete) -> One:
    """Finish an issue that one claimed."""
    with caller.database.transaction() as tx:
        return One.of(claims.complete(tx, given.id, caller.identify(tx), given.conclusion))


@operation("issues/amend", Amend, Amended)
def amend(caller: Caller, given: Amend) -> Amended:
    """Add a remark to what was decided; the issue's status stays."""
    with caller.database.transaction() as tx:
        claims.amend(tx, given.id, caller.identify(tx), given.remark)
    return Amended(id=given.id, remark=given.remark)


@operation("issues/release", Release, One)
def release(caller: Caller, given: Release) -> One:
    """Give an issue back that one claimed and did not finish."""
    with caller.database.transaction() as tx:
        return One.of(claims.release(tx, given.id, caller.identify(tx), given.note))


@operation("issues/block", Block, One)
def block(caller: Caller, given: Block) -> One:
    """Set an issue aside; if it is claimed, only its holder can."""
    with caller.database.transaction() as tx:
        return One.of(claims.block(tx, given.id, caller.identify(tx), given.note))


@operation("issues/unblock", Unblock, One)
def unblock(caller: Caller, given: Unblock) -> One:
    """Make a blocked issue open again."""
    with caller.database.transaction() as tx:
        return One.of(claims.unblock(tx, given.id, caller.identify(tx), given.note))


@operation("issues/transfer", Transfer, One)
def transfer(caller: Caller, given: Transfer) -> One:
    """Move an issue to another queue. Its SLA starts again; a claim on it ends."""
    sla = queue_of(caller.site.config, given.queue).sla
    with caller.database.transaction() as tx:
        return One.of(claims.transfer(tx, given.id, caller.identify(tx), given.queue, sla, given.note))


@operation("issues/escalate", Escalate, Escalated)
def escalate(caller: Caller, given: Escalate) -> Escalated:
    """Raise a disagreement about an issue as an issue of its own, linked to it, which is not touched."""
    parts = {name: getattr(given, name) for name in ("disagreement", "facts")}
    parts |= {name: _listed(getattr(given, name)) for name in ("positions", "options")}
    if any(parts[name].count("\n- ") < 1 for name in ("positions", "options")):
        raise InputError("An escalation needs at least two positions and two options.")
    with caller.database.transaction() as tx:
        draft = _draft(tx, caller.site.config, given, parts)
        raised = claims.escalate(tx, given.id, caller.identify(tx), draft)
    return Escalated(issue=One.of(raised).issue, original=given.id)


def _draft(tx: Transaction, config: Config, given: Escalate, parts: dict[str, str]) -> issues.Draft:
    original = issues.get(tx, given.id)
    target = given.queue or config.queues.get(original.queue, Queue()).escalate_to
    if not target:
        raise InputError(f"Queue {original.queue} has no escalate_to.", hint="Say --queue NAME, or configure it.")
    settings = queue_of(config, target)
    order = {name: parts[name] for name in ("disagreement", "positions", "facts", "options")}
    return issues.Draft(
        title=f"Decide: {original.title}"[:300],
        body=claims.escalation_body(order, original),
        priority=max(0, original.priority - 1),
        queue=target,
        prefix=settings.prefix,
        sla=settings.sla,
    )


def patience(config: Config, agent: str) -> int:
    """Seconds after its last heartbeat that an agent's claims end."""
    return math.ceil(config.agents.get(agent, Agent()).heartbeat * PATIENCE)


def _ttl(caller: Caller, me: str, given: Claim) -> int:
    return patience(caller.site.config, me) if given.ttl is None else given.ttl


def _listed(lines: list[str]) -> str:
    return "\n".join("- " + line.strip().replace("\n", "\n  ") for line in lines if line.strip())
