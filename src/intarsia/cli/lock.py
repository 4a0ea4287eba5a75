"""`intarsia lock`: leases on resources, for any agent and any person."""

from __future__ import annotations

import os

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, open_project, table, with_change, with_output
from intarsia.cli.identity import SESSION, caller, client
from intarsia.cli.lazy import LazyGroup
from intarsia.errors import Conflict, UsageError
from intarsia.gateway import leases as op
from intarsia.gateway.client import URL
from intarsia.gateway.leases import DEFAULT_TTL
from intarsia.kernel import claims, leases, resources
from intarsia.kernel.modes import MODES, Mode


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
    given = op.Acquire(resources=list(names), mode=chosen(mode, shared), ttl=ttl, wait=wait, note=note)
    if output.dry_run:
        given.wait = 0
    held = client(dry_run=output.dry_run).call(op.acquire, given)
    output.show(f"Held: {', '.join(held.resources)} (token {held.token}).", **to_builtins(held))


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
    done = client(dry_run=output.dry_run).call(op.release, op.Release(resources=list(names), all=everything))
    output.show(f"Released: {', '.join(done.released)}.", **to_builtins(done))


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
    done = client(dry_run=output.dry_run).call(op.heartbeat, op.Heartbeat(resources=list(names), ttl=ttl))
    output.show(f"Renewed until {done.expires_at}.", **to_builtins(done))


@lock.command(name="list")
@click.option("--prefix", default="", help="Only resources that start with this.")
@with_output
def list_(output: Output, /, prefix: str) -> None:
    """List who holds what, and who waits for what.

    \b
    Example:
      intarsia lock list --prefix code:src/
    """
    found = client(anybody=True).call(op.look, op.Look(prefix=prefix))
    rows = [[le.resource, le.mode, le.session, f"until {le.expires_at}", le.note] for le in found.leases]
    rows += [
        [name, f"waits ({w.modes[name]})", w.session, f"turn {w.turn}", ""] for w in found.waiting for name in w.wants
    ]
    output.show(table(rows) or "Nothing is held.", **to_builtins(found))


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
    found = client().call(op.check, op.Check(resource=name, mode=chosen(mode, shared)))
    text = "\n".join(f"{le.resource} is held by {le.session} ({le.mode}) until {le.expires_at}" for le in found.holders)
    text += f"\n{', '.join(found.waiting)} waits for it" if found.waiting else ""
    output.show(text.strip() or f"{found.resource} is free.", **to_builtins(found))
    return 0 if found.free else 1


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
    done = client().call(op.wait, op.Wait(resources=list(names), timeout=timeout))
    output.show("Free.", **to_builtins(done))


@lock.command(name="force-release")
@click.argument("name", metavar="RESOURCE")
@click.option("--yes", is_flag=True, help="Really take it from its holder.")
@click.option("--note", default="", help="Why; recorded.")
@with_change
def force_release(output: Output, /, name: str, yes: bool, note: str) -> None:
    """Take a resource from whoever holds it. Its holder's writes are refused from then on; recorded in the log.

    An issue that was claimed is open again. What a session works on is not taken this way: stop its run. Only people
    and members take by force, where the project is: sessions and the gateway can't.

    \b
    Example:
      intarsia lock force-release code:src/a.py --yes --note "bob's laptop is gone"
    """
    _refuse_for_agents_of_a_run(name)
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
            op.refuse_if_of_a_run(tx, lease)
            claims.take_away(tx, lease, me, note)
    taken = [lease.session for lease in holders]
    output.show(f"Took {resource} from {', '.join(taken)}.", resource=resource, holder=taken[0], holders=taken)


def _refuse_for_agents_of_a_run(name: str) -> None:
    """Who has the database could do it in any way; this is so that no agent takes it for a way out."""
    if os.environ.get(SESSION):
        raise Conflict(
            f"{os.environ[SESSION]} is a session of intarsia run, and takes nothing by force.",
            hint=f'Wait for it: intarsia lock acquire {name} --wait 60. Or ask: intarsia message send --to @human "…"',
        )
    if os.environ.get(URL):
        raise UsageError(
            "By the gateway nothing is taken by force.",
            hint=f"Do it where the project is: env -u {URL} intarsia lock force-release {name} --yes",
        )
