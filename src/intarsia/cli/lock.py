"""`intarsia lock`: leases on resources, for any agent and any person."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from intarsia.cli.common import Output, Project, open_project, table, with_change, with_output
from intarsia.cli.identity import caller
from intarsia.clock import iso
from intarsia.errors import Conflict, Held, NotHolder, UsageError
from intarsia.kernel import Transaction, events, leases, line, resources
from intarsia.kernel.leases import Grant, Lease, Mode

DEFAULT_TTL = 1800


@click.group()
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


@lock.command()
@names
@click.option("--shared", is_flag=True, help="Only keep others from holding it exclusively.")
@ttl_option
@wait_option
@click.option("--note", default="", help="What for; shown to those who wait.")
@with_change
def acquire(output: Output, /, names: tuple[str, ...], shared: bool, ttl: int, wait: float, note: str) -> None:
    """Hold all of these resources, or none. A directory holds its files, a file its symbols.

    \b
    Example:
      intarsia lock acquire code:src/a.py#Parser.parse code:src/b.py --wait 60

    Exit codes: 0 held; 1 somebody else holds one (code held), or waiting could never end (code deadlock); 4 bad name.
    """
    project = open_project(dry_run=output.dry_run)
    mode: Mode = "shared" if shared else "exclusive"
    with project.database.transaction() as tx:
        me = caller(project, tx)
    wanted = {resources.parse(name, project.repository.root).name: mode for name in names}
    grant = line.acquire(project.database, me, wanted, ttl, wait=0 if output.dry_run else wait, note=note)
    output.show(f"Held: {', '.join(grant.resources)} (token {grant.token}).", holder=me, mode=mode, **grant.as_json())


@lock.command()
@click.argument("names", nargs=-1, metavar="[RESOURCE...]")
@click.option("--all", "everything", is_flag=True, help="Everything you hold.")
@with_change
def release(output: Output, /, names: tuple[str, ...], everything: bool) -> None:
    """Give resources back. Raises an error, and gives back nothing, if you do not hold one of them.

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
        held = leases.of(tx, me) if everything else [_mine(project, tx, name, me) for name in names]
        if not held:
            raise NotHolder(f"{me} holds nothing.")
        for lease in held:
            leases.release(tx, me, lease.resource)
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
        held = [_mine(project, tx, name, me) for name in names] if names else leases.of(tx, me)
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
    rows += [[w.wants[0].resource.name, "waits", w.session, f"turn {w.turn}", ""] for w in waiting]
    output.show(
        table(rows) or "Nothing is held.",
        leases=[lease.as_json() for lease in held],
        waiting=[{"session": w.session, "turn": w.turn, "wants": [x.resource.name for x in w.wants]} for w in waiting],
    )


@lock.command()
@click.argument("name", metavar="RESOURCE")
@click.option("--shared", is_flag=True, help="Whether it could be held shared.")
@with_output
def check(output: Output, /, name: str, shared: bool) -> int:
    """Say who stands in the way of holding RESOURCE. Exit code 0 if nobody does, 1 otherwise.

    \b
    Example:
      intarsia lock check code:src/a.py && echo free
    """
    project = open_project()
    resource = resources.parse(name, project.repository.root)
    wanted = leases.wants({resource.name: "shared" if shared else "exclusive"})
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
        if resource.startswith("issue:"):
            raise UsageError("An issue is taken back by its own command.", hint="intarsia issue reopen ID")
        for lease in holders:
            leases.drop(tx, lease)
            events.record(tx, "lock_forced", actor=me, resource=resource, holder=lease.session, note=note)
    output.show(f"Released {resource}, held by {holders[0].session}.", resource=resource, holder=holders[0].session)


@lock.command()
@click.option("--on", "on", multiple=True, required=True, metavar="RESOURCE", help="May be given several times.")
@click.option("--shared", is_flag=True)
@ttl_option
@wait_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@with_output
def guard(output: Output, /, on: tuple[str, ...], shared: bool, ttl: int, wait: float, command: tuple[str, ...]) -> int:
    """Hold resources while a command runs, renewing by itself. Its exit code is ours.

    The command is ended (SIGTERM) when the resources are lost, for instance by force.

    \b
    Example:
      intarsia lock guard --on code:migrations --wait 60 -- ./manage.py makemigrations
    """
    project = open_project()
    mode: Mode = "shared" if shared else "exclusive"
    with project.database.transaction() as tx:
        me = caller(project, tx)
    wanted = {resources.parse(name, project.repository.root).name: mode for name in on}
    grant = line.acquire(project.database, me, wanted, ttl, wait=wait, note=" ".join(command)[:200])
    with _held(project, me, grant):
        process = subprocess.Popen(command)
        with _renewing(project, grant, ttl, process):
            code = process.wait()
    if output.json:
        output.show("", exit_code=code, **grant.as_json())
    return code if code >= 0 else 128 - code


@contextmanager
def _held(project: Project, me: str, grant: Grant) -> Iterator[None]:
    try:
        yield
    finally:
        with project.database.transaction() as tx:
            for resource in grant.resources:
                leases.release(tx, me, resource)


@contextmanager
def _renewing(project: Project, grant: Grant, ttl: int, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Renew every third of the TTL; without the lease the command must not go on."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(ttl / 3):
            with project.database.transaction() as tx:
                alive = all(leases.renew_one(tx, grant.session, name, ttl) for name in grant.resources)
            if not alive:
                print("intarsia: the lease was lost; ending the command.", file=sys.stderr)
                process.send_signal(signal.SIGTERM)
                return

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _mine(project: Project, tx: Transaction, name: str, me: str) -> Lease:
    return leases.require_holder(tx, resources.parse(name, project.repository.root).name, me)
