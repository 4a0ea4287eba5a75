"""`intarsia issue`: the units of work."""

from __future__ import annotations

from typing import Any

import click

from intarsia.cli.common import Output, open_project, read_text, table, with_change, with_output
from intarsia.cli.identity import who
from intarsia.cli.lazy import LazyGroup
from intarsia.cli.queues import find_queue
from intarsia.clock import iso
from intarsia.errors import Conflict, UsageError
from intarsia.kernel import decisions, issues, leases, sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.decisions import Decision
from intarsia.kernel.issues import DEPENDENCY_KINDS, STATUSES, TYPES, Draft, Issue

CLAIMS = ("claim", "heartbeat", "complete", "amend", "release", "block", "unblock", "transfer", "escalate")


@click.group(cls=LazyGroup, lazy={name: f"intarsia.cli.claims:{name}" for name in CLAIMS})
def issue() -> None:
    """Create, list and change issues.

    \b
    Example:
      intarsia issue new "Parse dates" --priority 1
      intarsia issue ready
    """


@issue.command()
@click.argument("words", nargs=-1, required=True, metavar="[QUEUE] TITLE")
@click.option("--body", "-b", default="", help="What is wanted; '-' reads it from standard input.")
@click.option("--acceptance", default="", help="How to tell that it is done.")
@click.option("--type", "type_", type=click.Choice(TYPES), default="task", show_default=True)
@click.option("--priority", "-p", type=click.IntRange(0, 4), default=2, show_default=True, help="0 is the most urgent.")
@click.option("--label", "labels", multiple=True, help="May be given several times.")
@click.option("--claims", multiple=True, help="A resource it expects to write, such as code:src/a.py.")
@click.option("--parent", help="The epic or issue it belongs to.")
@click.option("--needs", multiple=True, metavar="ID", help="An issue that must be closed before this one starts.")
@click.option("--blocks", multiple=True, metavar="ID", help="An issue that waits for this one.")
@click.option("--external", help="Its name in another tracker.")
@click.option("--id", "id_", help="Its id; by default a short one is made.")
@with_change
def new(output: Output, /, words: tuple[str, ...], body: str, type_: str, id_: str | None, **values: Any) -> None:
    """Create an issue, in the queue `default` unless one is named before the title.

    \b
    Example:
      intarsia issue new "Add a --version flag" --body "Print name and version." --priority 1 --blocks ia-7f3a
      intarsia issue new architect-decisions "Which parser?"
    """
    if len(words) > 2:
        raise UsageError("Too many words.", hint="Put the title into quotes.")
    queue, title = words if len(words) == 2 else ("default", words[0])
    project = open_project(dry_run=output.dry_run)
    settings = find_queue(project, queue)
    draft = Draft(
        title=title,
        body=read_text(body),
        type=type_,
        id=id_,
        queue=queue,
        prefix=settings.prefix,
        sla=settings.sla,
        **values,
    )
    with project.database.transaction() as tx:
        created = issues.create(tx, draft, who(project, tx))
    told = f"{created.id} in queue {queue}: {created.title}" if output.dry_run else created.id
    output.show(told, issue=created.as_json())


@issue.command(name="list")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Default: all but closed.")
@click.option("--label", help="Only those that carry this label.")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@with_output
def list_(output: Output, /, statuses: tuple[str, ...], label: str | None, everything: bool) -> None:
    """List issues, most urgent first.

    \b
    Example:
      intarsia issue list --status blocked
    """
    wanted = statuses or (STATUSES if everything else [s for s in STATUSES if s != "closed"])
    with open_project().database.read() as tx:
        found = issues.find(tx, statuses=wanted, label=label)
    output.show(_listing(found) or "No issues. Make one: intarsia issue new TITLE", issues=[i.as_json() for i in found])


@issue.command()
@with_output
def ready(output: Output, /) -> None:
    """List what could be worked on now, in the order it will be.

    \b
    Example:
      intarsia issue ready --json
    """
    with open_project().database.read() as tx:
        found = issues.ready(tx)
    output.show(_listing(found) or "Nothing is ready.", issues=[i.as_json() for i in found])


@issue.command()
@click.argument("id")
@with_output
def show(output: Output, /, id: str) -> None:
    """Show an issue with its dependencies, notes and sessions.

    \b
    Example:
      intarsia issue show ia-7f3a
    """
    with open_project().database.read() as tx:
        found = issues.get(tx, id)
        edges = issues.dependencies(tx, id)
        notes = issues.notes(tx, id)
        tried = sessions.find(tx, issue=id)
        decided = decisions.of(tx, id)
    output.show(
        _details(found, edges, notes, decided, [f"{s.id} {s.stage} {s.reason}" for s in reversed(tried)]),
        issue=found.as_json(),
        dependencies=edges,
        notes=notes,
        decisions=[decision.as_json() for decision in decided],
        sessions=[s.as_json() for s in tried],
    )


@issue.command()
@click.argument("id")
@click.option("--reason", "-r", default="done", show_default=True, help="Recorded as its resolution.")
@with_change
def close(output: Output, /, id: str, reason: str) -> None:
    """Close an issue by hand.

    \b
    Example:
      intarsia issue close ia-7f3a --reason "fixed elsewhere"
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = who(project, tx)
        _refuse_if_worked_on(tx, id)
        sessions.cancel_parked(tx, id, me)
        closed = issues.close(tx, id, reason, me)
    output.show(f"{id} is closed.", issue=closed.as_json())


@issue.command()
@click.argument("id")
@click.option("--note", default="", help="Why; agents are not told, people are.")
@with_change
def reopen(output: Output, /, id: str, note: str) -> None:
    """Make a closed or blocked issue open again, so that the next run takes it.

    \b
    Example:
      intarsia issue reopen ia-7f3a --note "the missing key is there now"
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = who(project, tx)
        _refuse_if_worked_on(tx, id)
        sessions.cancel_parked(tx, id, me)
        opened = issues.reopen(tx, id, me, note)
    output.show(f"{id} is open.", issue=opened.as_json())


@issue.group()
def dep() -> None:
    """Say which issue waits for which.

    \b
    Example:
      intarsia issue dep add ia-2 ia-1      # ia-2 waits for ia-1
    """


@dep.command(name="add")
@click.argument("id")
@click.argument("other")
@click.option("--kind", type=click.Choice(DEPENDENCY_KINDS), default="blocks", show_default=True)
@with_change
def dep_add(output: Output, /, id: str, other: str, kind: str) -> None:
    """ID waits for OTHER (blocks), is its child (parent-child), or refers to it.

    \b
    Example:
      intarsia issue dep add ia-2 ia-1
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        issues.add_dependency(tx, id, other, kind, who(project, tx))
        edges = issues.dependencies(tx, id)
    output.show(f"{id} {_EDGES[kind]} {other}.", id=id, dependencies=edges)


@dep.command(name="remove")
@click.argument("id")
@click.argument("other")
@with_change
def dep_remove(output: Output, /, id: str, other: str) -> None:
    """Forget that ID depends on OTHER.

    \b
    Example:
      intarsia issue dep remove ia-2 ia-1
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        issues.remove_dependency(tx, id, other, who(project, tx))
        edges = issues.dependencies(tx, id)
    output.show(f"{id} no longer depends on {other}.", id=id, dependencies=edges)


@dep.command(name="list")
@click.argument("id")
@with_output
def dep_list(output: Output, /, id: str) -> None:
    """List what ID waits for and what waits for ID.

    \b
    Example:
      intarsia issue dep list ia-2
    """
    with open_project().database.read() as tx:
        issues.get(tx, id)
        edges = issues.dependencies(tx, id)
    output.show(_edge_lines(edges) or f"{id} has no dependencies.", id=id, dependencies=edges)


_EDGES = {
    "blocks": "waits for",
    "parent-child": "belongs to",
    "related": "is related to",
    "discovered-from": "was found during",
}


def _refuse_if_worked_on(tx: Transaction, issue_id: str) -> None:
    for session in sessions.find(tx, issue=issue_id, stages=sessions.ACTIVE):
        raise Conflict(
            f"{issue_id} is being worked on by session {session.id}.",
            hint="Wait for it, or stop the run (Ctrl-C twice) first.",
        )
    for lease in leases.on(tx, issues.get(tx, issue_id).resource):
        held = leases.held_error(lease)
        held.hint = (
            f"{lease.session} completes or releases it; or take it: intarsia lock force-release {lease.resource}"
        )
        raise held


def _listing(found: list[Issue]) -> str:
    return table([[i.id, f"P{i.priority}", i.status, i.type, i.title + _waits(i)] for i in found])


def _waits(found: Issue) -> str:
    return f"  (after {', '.join(found.needs)})" if found.needs and found.status == "open" else ""


def _edge_lines(edges: list[dict[str, str]]) -> str:
    return "\n".join(f"{edge['issue']} {_EDGES[edge['kind']]} {edge['target']}" for edge in edges)


def _details(
    found: Issue, edges: list[dict[str, str]], notes: list[str], decided: list[Decision], tried: list[str]
) -> str:
    head = f"{found.id}: {found.title}\n{found.type}, P{found.priority}, {found.status}"
    facts = {
        "queue": found.queue,
        "assignee": found.assignee or "",
        "due": iso(found.due) or "",
        "resolution": found.resolution or "",
        "labels": ", ".join(found.labels),
        "claims": ", ".join(found.claims),
        "external": found.external or "",
        "created": iso(found.created) or "",
        "closed": iso(found.closed) or "",
    }
    parts = [head, "\n".join(f"{name}: {value}" for name, value in facts.items() if value), found.body]
    for title, lines in {
        "Acceptance": found.acceptance.splitlines(),
        "Dependencies": _edge_lines(edges).splitlines(),
        "Decisions": [f"{iso(d.time)} {d.actor}: {d.text}" for d in decided],
        "Notes": notes,
        "Sessions": tried,
    }.items():
        if lines:
            parts.append(f"{title}\n" + "\n".join(f"  {line}" for line in lines))
    return "\n\n".join(part for part in parts if part)
