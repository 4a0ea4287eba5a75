"""Holding resources: what `intarsia lock` does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from intarsia.clock import iso
from intarsia.errors import Conflict, Held, InputError, NotHolder, UsageError
from intarsia.gateway.operation import Answer, Caller, Given, Seconds, Text, operation
from intarsia.kernel import claims, leases, line, resources, sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.leases import Grant, Lease
from intarsia.kernel.modes import Mode

DEFAULT_TTL = 1800
# What these schemes name is given out by intarsia itself, with more than a lease.
RESERVED = ("land", "workspace", "sync")

Some = Annotated[list[Text], Meta(min_length=1, max_length=1000, description="URIs such as code:src/a.py#C.method.")]
Names = Annotated[list[Text], Meta(max_length=1000, description="URIs such as code:src/a.py#Class.method.")]
How = Annotated[Mode, Meta(description="insert, imports and append only add, and go with each other.")]
TTL = {"minimum": 1, "maximum": leases.MAX_TTL}
Ttl = Annotated[int, Meta(description="Seconds until it ends by itself.", extra_json_schema=TTL)]


class Acquire(Given):
    resources: Some
    mode: How = "exclusive"
    ttl: Ttl = DEFAULT_TTL
    wait: Annotated[Seconds, Meta(description="Seconds to wait for others.")] = 0
    note: Annotated[Text, Meta(description="What for; shown to those who wait.")] = ""
    alone: Annotated[bool, Meta(description="What the caller holds already stands in the way too.")] = False


class Granted(Answer):
    holder: str
    mode: Mode
    resources: list[str]
    token: int
    expires_at: str | None


class Release(Given):
    resources: Names = []
    all: Annotated[bool, Meta(description="Everything that the caller holds; then no resources are named.")] = False


class Released(Answer):
    released: list[str]


class Heartbeat(Given):
    """Without resources: all that the caller holds."""

    resources: Names = []
    ttl: Ttl = DEFAULT_TTL


class Renewed(Answer):
    renewed: list[str]
    expires_at: str | None


class Check(Given):
    resource: Text
    mode: How = "exclusive"


class Holding(Answer):
    resource: str
    session: str
    mode: Mode
    token: int
    note: str
    held_since: str | None
    expires_at: str | None

    @classmethod
    def of(cls, lease: Lease) -> Holding:
        return cls(**lease.as_json())


class Checked(Answer):
    resource: str
    free: bool
    holders: list[Holding]
    waiting: list[str]


class Wait(Given):
    resources: Some
    timeout: Annotated[Seconds, Meta(description="Seconds to wait at most.")] = 60


class Free(Answer):
    free: bool


class Look(Given):
    prefix: Annotated[Text, Meta(description="Only resources that start with this.")] = ""


class Standing(Answer):
    session: str
    turn: int
    wants: list[str]
    modes: dict[str, Mode]


class Listed(Answer):
    leases: list[Holding]
    waiting: list[Standing]


@operation("leases/acquire", Acquire, Granted, waits=True)
def acquire(caller: Caller, given: Acquire) -> Granted:
    """Hold all of these resources, or none. A directory holds its files, a file its symbols."""
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
    wanted = {lockable(caller.site.root, name): given.mode for name in given.resources}
    grant = (_alone if given.alone else _acquired)(caller, me, wanted, given, given.wait)
    return Granted(holder=me, mode=given.mode, **grant.as_json())


def _acquired(caller: Caller, me: str, wanted: Mapping[str, Mode], given: Acquire, wait: float) -> Grant:
    return line.acquire(caller.database, me, wanted, given.ttl, wait=wait, note=given.note, withdrawn=caller.withdrawn)


def _alone(caller: Caller, me: str, wanted: Mapping[str, Mode], given: Acquire, wait: float) -> Grant:
    """The same for one of several processes of a member: a lease of another of them is not one to join in."""
    check_wait(wait)
    deadline = time.monotonic() + wait
    while mine := _mine_of(caller, me, wanted):
        left = deadline - time.monotonic()
        if left <= 0 or caller.withdrawn():
            raise leases.held_error(mine[0])
        caller.database.wait_for_change(caller.database.changes(), min(left, 0.1))
    grant = _acquired(caller, me, wanted, given, max(0.0, deadline - time.monotonic()))
    for lease in _mine_of(caller, me, wanted):
        if lease.acquired + given.ttl < grant.expires:
            raise leases.held_error(lease)  # by one who began at the same moment
    return grant


def _mine_of(caller: Caller, me: str, wanted: Mapping[str, Mode]) -> list[Lease]:
    with caller.database.read() as tx:
        return [lease for lease in leases.of(tx, me) if lease.resource in wanted]


@operation("leases/release", Release, Released)
def release(caller: Caller, given: Release) -> Released:
    """Give resources back; nothing, if the caller does not hold one of them."""
    if bool(given.resources) == given.all:
        raise UsageError("Name resources, or say that all of them are meant.")
    with caller.database.transaction() as tx:
        held = _held(caller, tx, given.resources)
        for lease in held:
            claims.let_go(tx, lease)
    return Released(released=[lease.resource for lease in held])


@operation("leases/heartbeat", Heartbeat, Renewed)
def heartbeat(caller: Caller, given: Heartbeat) -> Renewed:
    """Renew what the caller holds."""
    with caller.database.transaction() as tx:
        held = _held(caller, tx, given.resources)
        for lease in held:
            leases.renew_one(tx, lease.session, lease.resource, given.ttl)
        return Renewed(renewed=[lease.resource for lease in held], expires_at=iso(tx.now + given.ttl))


@operation("leases/check", Check, Checked)
def check(caller: Caller, given: Check) -> Checked:
    """Say who stands in the way of holding a resource."""
    resource = resources.parse(given.resource, caller.site.root)
    with caller.database.transaction() as tx:
        found = line.blockers(tx, caller.identify(tx), leases.wants({resource.name: given.mode}))
    return Checked(
        resource=resource.name,
        free=not found,
        holders=[Holding.of(entry) for entry in found if isinstance(entry, Lease)],
        waiting=[entry.session for entry in found if not isinstance(entry, Lease)],
    )


@operation("leases/wait", Wait, Free, waits=True)
def wait(caller: Caller, given: Wait) -> Free:
    """Answer when nobody else holds these resources; takes nothing."""
    check_wait(given.timeout)
    root = caller.site.root
    wanted = leases.wants({resources.parse(name, root).name: "exclusive" for name in given.resources})
    deadline = time.monotonic() + given.timeout
    with caller.database.transaction() as tx:
        me = caller.identify(tx)
    while True:
        seen = caller.database.changes()
        with caller.database.read() as tx:
            found = line.blockers(tx, me, wanted)
        if not found:
            return Free(free=True)
        left = deadline - time.monotonic()
        if left <= 0 or caller.withdrawn():
            raise leases.held_error(found[0]) if isinstance(found[0], Lease) else Held("Others wait for it.")
        caller.database.wait_for_change(seen, min(left, 1.0))


@operation("leases/list", Look, Listed)
def look(caller: Caller, given: Look) -> Listed:
    """List who holds what, and who waits for what."""
    with caller.database.transaction() as tx:
        caller.identify(tx)
        held, waiting = leases.held(tx, given.prefix), line.standing(tx)
    return Listed(
        leases=[Holding.of(lease) for lease in held],
        waiting=[
            Standing(
                session=entry.session,
                turn=entry.turn,
                wants=[want.resource.name for want in entry.wants],
                modes={want.resource.name: want.mode for want in entry.wants},
            )
            for entry in waiting
        ],
    )


def lockable(root: Path, uri: str) -> str:
    """The normal form of a resource that may be locked by hand; raises InputError."""
    name = resources.parse(uri, root).name
    scheme = name.partition(":")[0]
    if scheme in RESERVED:
        raise InputError(f"{scheme}: is kept for intarsia's own use.", hint="Use another scheme.")
    return name


def check_wait(seconds: float) -> None:
    """Raise InputError for what is no time to wait, such as NaN."""
    if not 0 <= seconds <= line.MAX_WAIT:
        raise InputError(f"One waits 0 to {line.MAX_WAIT} seconds, not {seconds}.")


def refuse_if_of_a_run(tx: Transaction, lease: Lease) -> None:
    if sessions.needs(tx, lease):
        raise Conflict(
            f"{lease.resource} is what the session {lease.session} works on; its run renews it and gives it back.",
            hint="Stop that run: Ctrl-C twice.",
        )


def _held(caller: Caller, tx: Transaction, names: list[str]) -> list[Lease]:
    """What is named, or all that the caller holds by its own doing; raises NotHolder."""
    me = caller.identify(tx)
    if names:
        return [_mine(caller.site.root, tx, name, me) for name in names]
    held = [lease for lease in leases.of(tx, me) if not sessions.needs(tx, lease)]
    if not held:
        raise NotHolder(f"{me} holds nothing.")
    return held


def _mine(root: Path, tx: Transaction, name: str, me: str) -> Lease:
    lease = leases.require_holder(tx, resources.parse(name, root).name, me)
    refuse_if_of_a_run(tx, lease)
    return lease
