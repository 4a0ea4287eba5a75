"""`intarsia lock`: leases on resources, for any agent and any person."""

from __future__ import annotations

import time
from typing import Any

import click

from intarsia.cli.common import Output, Project, open_project, table, with_change, with_output
from intarsia.cli.identity import caller
from intarsia.cli.lazy import LazyGroup
from intarsia.clock import iso
from intarsia.errors import Conflict, Held, InputError, NotHolder, UsageError
from intarsia.kernel import Transaction, claims, leases, line, resources, sessions
from intarsia.kernel.leases import Lease
from intarsia.kernel.line import Waiting
from intarsia.kernel.modes import MODES, Mode

DEFAULT_TTL = 1800


@click.group(cls=LazyGroup, lazy={"guard": "intarsia.cli.guard:guard"})
def lock() -> None:
    """Hold resources: files, symbols, issues, anything with a URI.

    \b
    Example:
      intarsia lock acquire code:src/parser.py --note "rewriting the tokenizer"
      intarsia lock release code:src/parser.py
    """


names = click.argument("names", nargs=-1, required=True, metavar="RESOURCE...")
ttl_option = click.option("--ttl", type=int, default=DEFAULT_TTL, show_default=True, help="Seconds, 1 to 86400.")
wait_option = click.option("--wait", type=float, default=0, show_default=True, help="Seconds to wait for others.")
mode_option = click.option("--mode", type=click.Choice(MODES[::-1]), help="How; exclusive, unless said.")
shared_option = click.option("--shared", is_flag=True, help="The same as --mode shared: only keep it as it is.")


# What these schemes name is given out by intarsia itself, with more than a lease.
RESERVED = ("land", "workspace", "sync")


def lockable(project: Project, uri: str) -> str:
    """The normal form of a resource that may be locked by hand; raises InputError."""
    name = resources.parse(uri, project.repository.root).name
    scheme = name.partition(":")[0]
    if scheme in RESERVED:
        raise InputError(f"{scheme}: is kept for intarsia's own use.", hint="Use another scheme.")
    return name


def chosen(mode: Mode | None, shared: bool) -> Mode:
    """Raises UsageError when two modes are said."""
    if shared and mode not in (None, "shared"):
        raise UsageError(f"--shared and --mode {mode} are two modes.", hint="Say one of them.")
    return "shared" if shared else mode or "exclusive"


@lock.command()
@names
@mode_option
@shared_option
@ttl_option
@wait_option
@click.option("--note", default="", help="What for; shown to those who wait.")
@with_change
def acquire(
    output: Output, /, names: tuple[str, ...], mode: Mode | None, shared: bool, ttl: int, wait: float, note: str
) -> None:
    """Hold all of these resources, or none. A directory holds its files, a file its symbols.

    Those who only add do not stand in each other's way: --mode insert (members of a class or file), imports (of a
    file), append (to the end of a symbol).

    \b
    Example:
      intarsia lock acquire code:src/a.py#Parser.parse code:src/b.py --wait 60
      intarsia lock acquire code:src/a.py#Parser --mode insert

    Exit codes: 0 held; 1 somebody else holds one (code held), or waiting could never end (code deadlock); 4 bad name.
    """
    mode = chosen(mode, shared)
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = caller(project, tx)
    wanted = {lockable(project, name): mode for name in names}
    grant = line.acquire(project.database, me, wanted, ttl, wait=0 if output.dry_run else wait, note=note)
    output.show(f"Held: {', '.join(grant.resources)} (token {grant.token}).", holder=me, mode=mode, **grant.as_json())


@lock.command()
@click.argument("names", nargs=-1, metavar="[RESOURCE...]")
@click.option("--all", "everything", is_flag=True, help="Everything you hold.")
@with_change
def release(output: Output, /, names: tuple[str, ...], everything: bool) -> None:
    """Give resources back; nothing, if you do not hold one of them. An issue you claimed is open again.

    \b
    Example:
      intarsia lock release code:src/a.py
      intarsia lock release --all
    """
    if bool(names) == everything:
        raise UsageError("Name resources, or say --all.")
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = caller(project, tx)
        held = _own(tx, me) if everything else [_mine(project, tx, name, me) for name in names]
        if not held:
            raise NotHolder(f"{me} holds nothing.")
        for lease in held:
            claims.let_go(tx, lease)
    output.show(f"Released: {', '.join(lease.resource for lease in held)}.", released=[le.resource for le in held])


@lock.command()
@click.argument("names", nargs=-1, metavar="[RESOURCE...]")
@ttl_option
@with_change
def heartbeat(output: Output, /, names: tuple[str, ...], ttl: int) -> None:
    """Renew what you hold, all of it unless you name resources.

    \b
    Example:
      intarsia lock heartbeat
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = caller(project, tx)
        held = [_mine(project, tx, name, me) for name in names] if names else _own(tx, me)
        if not held:
            raise NotHolder(f"{me} holds nothing.")
        for lease in held:
            leases.renew_one(tx, me, lease.resource, ttl)
        until = iso(tx.now + ttl)
    output.show(f"Renewed until {until}.", renewed=[lease.resource for lease in held], expires_at=until)


@lock.command(name="list")
@click.option("--prefix", default="", help="Only resources that start with this.")
@with_output
def list_(output: Output, /, prefix: str) -> None:
    """List who holds what, and who waits for what.

    \b
    Example:
      intarsia lock list --prefix code:src/
    """
    with open_project().database.read() as tx:
        held = leases.held(tx, prefix)
        waiting = line.standing(tx)
    rows = [[le.resource, le.mode, le.session, f"until {iso(le.expires)}", le.note] for le in held]
    rows += [[x.resource.name, f"waits ({x.mode})", w.session, f"turn {w.turn}", ""] for w in waiting for x in w.wants]
    output.show(
        table(rows) or "Nothing is held.",
        leases=[lease.as_json() for lease in held],
        waiting=[_waiting(entry) for entry in waiting],
    )


def _waiting(entry: Waiting) -> dict[str, Any]:
    modes = {want.resource.name: want.mode for want in entry.wants}
    return {"session": entry.session, "turn": entry.turn, "wants": list(modes), "modes": modes}


@lock.command()
@click.argument("name", metavar="RESOURCE")
@mode_option
@shared_option
@with_output
def check(output: Output, /, name: str, mode: Mode | None, shared: bool) -> int:
    """Say who stands in the way of holding RESOURCE. Exit code 0 if nobody does, 1 otherwise.

    \b
    Example:
      intarsia lock check code:src/a.py && echo free
    """
    mode = chosen(mode, shared)
    project = open_project()
    resource = resources.parse(name, project.repository.root)
    wanted = leases.wants({resource.name: mode})
    with project.database.transaction() as tx:
        me = caller(project, tx)
        found = line.blockers(tx, me, wanted)
    holders = [entry for entry in found if isinstance(entry, Lease)]
    text = "\n".join(f"{le.resource} is held by {le.session} ({le.mode}) until {iso(le.expires)}" for le in holders)
    waiters = [entry.session for entry in found if not isinstance(entry, Lease)]
    text += f"\n{', '.join(waiters)} waits for it" if waiters else ""
    output.show(
        text.strip() or f"{resource.name} is free.",
        resource=resource.name,
        free=not found,
        holders=[le.as_json() for le in holders],
        waiting=waiters,
    )
    return 1 if found else 0


@lock.command()
@names
@click.option("--timeout", type=float, default=60, show_default=True, help="Seconds to wait at most.")
@with_output
def wait(output: Output, /, names: tuple[str, ...], timeout: float) -> None:
    """Return when nobody else holds these resources; takes nothing. Exit code 1 when the time is over.

    \b
    Example:
      intarsia lock wait code:src/a.py --timeout 300
    """
    check_wait(timeout)
    project = open_project()
    wanted = leases.wants({resources.parse(name, project.repository.root).name: "exclusive" for name in names})
    deadline = time.monotonic() + timeout
    with project.database.transaction() as tx:
        me = caller(project, tx)
    while True:
        seen = project.database.changes()
        with project.database.read() as tx:
            found = line.blockers(tx, me, wanted)
        if not found:
            return output.show("Free.", free=True)
        left = deadline - time.monotonic()
        if left <= 0:
            raise leases.held_error(found[0]) if isinstance(found[0], Lease) else Held("Others wait for it.")
        project.database.wait_for_change(seen, min(left, 1.0))


@lock.command(name="force-release")
@click.argument("name", metavar="RESOURCE")
@click.option("--yes", is_flag=True, help="Really take it from its holder.")
@click.option("--note", default="", help="Why; recorded.")
@with_change
def force_release(output: Output, /, name: str, yes: bool, note: str) -> None:
    """Take a resource from whoever holds it. Its holder's writes are refused from then on; recorded in the log.

    An issue that was claimed is open again. What a session works on is not taken this way: stop its run.

    \b
    Example:
      intarsia lock force-release code:src/a.py --yes --note "bob's laptop is gone"
    """
    project = open_project(dry_run=output.dry_run)
    resource = resources.parse(name, project.repository.root).name
    with project.database.transaction() as tx:
        me = caller(project, tx)
        holders = leases.on(tx, resource)
        if not holders:
            raise Conflict(f"Nobody holds {resource}.")
        if not yes:
            raise UsageError(f"{resource} is held by {holders[0].session}.", hint="Say --yes to take it all the same.")
        for lease in holders:
            _refuse_if_of_a_run(tx, lease)
            claims.take_away(tx, lease, me, note)
    taken = [lease.session for lease in holders]
    output.show(f"Took {resource} from {', '.join(taken)}.", resource=resource, holder=taken[0], holders=taken)


def check_wait(seconds: float) -> None:
    """Raise InputError for what is no time to wait, such as NaN."""
    if not 0 <= seconds <= line.MAX_WAIT:
        raise InputError(f"One waits 0 to {line.MAX_WAIT} seconds, not {seconds}.")


def _mine(project: Project, tx: Transaction, name: str, me: str) -> Lease:
    lease = leases.require_holder(tx, resources.parse(name, project.repository.root).name, me)
    _refuse_if_of_a_run(tx, lease)
    return lease


def _own(tx: Transaction, me: str) -> list[Lease]:
    """All that the caller holds by its own doing."""
    return [lease for lease in leases.of(tx, me) if not sessions.needs(tx, lease)]


def _refuse_if_of_a_run(tx: Transaction, lease: Lease) -> None:
    if sessions.needs(tx, lease):
        raise Conflict(
            f"{lease.resource} is what the session {lease.session} works on; its run renews it and gives it back.",
            hint="Stop that run: Ctrl-C twice.",
        )
