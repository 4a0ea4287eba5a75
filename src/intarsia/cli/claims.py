"""`intarsia issue claim` and what follows it: working on issues without `intarsia run`."""

from __future__ import annotations

import math

import click

from intarsia.cli.common import Output, Project, open_project, read_text, with_change
from intarsia.cli.identity import caller
from intarsia.cli.queues import find_queue
from intarsia.clock import iso
from intarsia.config import Agent, Queue
from intarsia.errors import InputError
from intarsia.kernel import claims as work
from intarsia.kernel import issues
from intarsia.kernel.issues import Draft, Issue

PATIENCE = 1.5

issue_id = click.argument("id")


@click.command()
@issue_id
@click.option(
    "--ttl", type=int, help="Seconds without a heartbeat that end the claim; default: 1.5 times your heartbeat."
)
@with_change
def claim(output: Output, /, id: str, ttl: int | None) -> None:
    """Take an issue to work on it; exactly one can. Claiming what you hold renews it.

    \b
    Example:
      intarsia issue claim REQ-7f3a

    Exit codes: 0 yours; 1 somebody else's (code held), or not open or not ready (code conflict).
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = caller(project, tx)
        lease = work.claim(tx, id, me, patience(project, me) if ttl is None else ttl)
    until = iso(lease.expires)
    output.show(f"{id} is yours until {until}; renew with: intarsia issue heartbeat {id}", lease=lease.as_json())


@click.command()
@issue_id
@click.option(
    "--ttl", type=int, help="Seconds without a heartbeat that end the claim; default: 1.5 times your heartbeat."
)
@with_change
def heartbeat(output: Output, /, id: str, ttl: int | None) -> None:
    """Say that you still work on an issue you claimed.

    \b
    Example:
      intarsia issue heartbeat REQ-7f3a
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = caller(project, tx)
        lease = work.heartbeat(tx, id, me, patience(project, me) if ttl is None else ttl)
    output.show(f"{id} is yours until {iso(lease.expires)}.", lease=lease.as_json())


@click.command()
@issue_id
@click.argument("conclusion")
@with_change
def complete(output: Output, /, id: str, conclusion: str) -> None:
    """Finish an issue you claimed. The conclusion is kept as a decision; '-' reads it from standard input.

    \b
    Example:
      intarsia issue complete REQ-7f3a "use the streaming parser; measured in bench/parse.md"
    """
    project = open_project(dry_run=output.dry_run)
    text = read_text(conclusion)
    with project.database.transaction() as tx:
        done = work.complete(tx, id, caller(project, tx), text)
    output.show(f"{id} is completed.", issue=done.as_json())


@click.command()
@issue_id
@click.argument("remark")
@with_change
def amend(output: Output, /, id: str, remark: str) -> None:
    """Add a remark to what was decided; the issue's status stays.

    \b
    Example:
      intarsia issue amend REQ-7f3a "only for files over 1 MB"
    """
    project = open_project(dry_run=output.dry_run)
    text = read_text(remark)
    with project.database.transaction() as tx:
        work.amend(tx, id, caller(project, tx), text)
    output.show(f"Recorded for {id}.", id=id, remark=text)


@click.command()
@issue_id
@click.option("--note", default="", help="Why.")
@with_change
def release(output: Output, /, id: str, note: str) -> None:
    """Give an issue back that you claimed and did not finish.

    \b
    Example:
      intarsia issue release REQ-7f3a --note "needs somebody who knows the parser"
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        given = work.release(tx, id, caller(project, tx), note)
    output.show(f"{id} is open again.", issue=given.as_json())


@click.command()
@issue_id
@click.argument("note")
@with_change
def block(output: Output, /, id: str, note: str) -> None:
    """Set an issue aside and say what blocks it; if it is claimed, only its holder can.

    \b
    Example:
      intarsia issue block REQ-7f3a "no access to the staging database"
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        blocked = work.block(tx, id, caller(project, tx), note)
    output.show(f"{id} is blocked.", issue=blocked.as_json())


@click.command()
@issue_id
@click.option("--note", default="", help="Why it can go on.")
@with_change
def unblock(output: Output, /, id: str, note: str) -> None:
    """Make a blocked issue open again.

    \b
    Example:
      intarsia issue unblock REQ-7f3a --note "access granted"
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        opened = work.unblock(tx, id, caller(project, tx), note)
    output.show(f"{id} is open.", issue=opened.as_json())


@click.command()
@issue_id
@click.argument("queue")
@click.option("--note", default="", help="Why.")
@with_change
def transfer(output: Output, /, id: str, queue: str, note: str) -> None:
    """Move an issue to another queue. Its SLA starts again; your claim on it ends.

    \b
    Example:
      intarsia issue transfer REQ-7f3a architect-decisions
    """
    project = open_project(dry_run=output.dry_run)
    sla = find_queue(project, queue).sla
    with project.database.transaction() as tx:
        moved = work.transfer(tx, id, caller(project, tx), queue, sla, note)
    output.show(f"{id} is in {queue}.", issue=moved.as_json())


@click.command()
@issue_id
@click.option("--disagreement", required=True, help="What cannot be agreed on.")
@click.option("--position", "positions", multiple=True, required=True, help="A position; give at least two.")
@click.option("--facts", required=True, help="What is known for sure.")
@click.option("--option", "options", multiple=True, required=True, help="A way out; give at least two.")
@click.option("--queue", help="Where it goes; default: escalate_to of the issue's queue.")
@with_change
def escalate(
    output: Output,
    /,
    id: str,
    disagreement: str,
    positions: tuple[str, ...],
    facts: str,
    options: tuple[str, ...],
    queue: str | None,
) -> None:
    """Raise a disagreement about an issue as an issue of its own, linked to it. The original is not touched.

    \b
    Example:
      intarsia issue escalate REQ-7f3a --disagreement "which parser" --position "own: fast" \\
          --position "library: kept by others" --facts "own is 3x faster, bench/parse.md" \\
          --option "own, with fuzzing" --option "library, accept the speed"
    """
    parts = {"disagreement": disagreement, "positions": _list(positions), "facts": facts, "options": _list(options)}
    if any(parts[name].count("\n- ") < 1 for name in ("positions", "options")):
        raise InputError("An escalation needs at least two positions and two options.")
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        original = issues.get(tx, id)
        target = queue or _queue_of(project, original).escalate_to
        if not target:
            raise InputError(f"Queue {original.queue} has no escalate_to.", hint="Say --queue NAME, or configure it.")
        settings = find_queue(project, target)
        draft = Draft(
            title=f"Decide: {original.title}"[:300],
            body=work.escalation_body(parts, original),
            priority=max(0, original.priority - 1),
            queue=target,
            prefix=settings.prefix,
            sla=settings.sla,
        )
        raised = work.escalate(tx, id, caller(project, tx), draft)
    output.show(f"{raised.id} in {target}, about {id}.", issue=raised.as_json(), original=id)


def patience(project: Project, agent: str) -> int:
    """Seconds after its last heartbeat that an agent's claims end."""
    settings = project.config.agents.get(agent)
    return math.ceil((settings or Agent()).heartbeat * PATIENCE)


def _queue_of(project: Project, issue: Issue) -> Queue:
    return project.config.queues.get(issue.queue, Queue())


def _list(lines: tuple[str, ...]) -> str:
    return "\n".join("- " + line.strip().replace("\n", "\n  ") for line in lines if line.strip())
