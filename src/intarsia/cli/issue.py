"""`intarsia issue`: the units of work."""

from __future__ import annotations

from typing import Any

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, read_text, table, with_change, with_output
from intarsia.cli.identity import client
from intarsia.cli.lazy import LazyGroup
from intarsia.errors import UsageError
from intarsia.gateway import issues as op
from intarsia.gateway.operation import A, G, Operation
from intarsia.kernel.issues import DEPENDENCY_KINDS, STATUSES, TYPES

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
def new(output: Output, /, words: tuple[str, ...], body: str, type_: op.Type, id_: str | None, **values: Any) -> None:
    """Create an issue, in the queue `default` unless one is named before the title.

    \b
    Example:
      intarsia issue new "Add a --version flag" --body "Print name and version." --priority 1 --blocks ia-7f3a
      intarsia issue new architect-decisions "Which parser?"
    """
    if len(words) > 2:
        raise UsageError("Too many words.", hint="Put the title into quotes.")
    queue, title = words if len(words) == 2 else ("default", words[0])
    values |= {name: list(values[name]) for name in ("labels", "claims", "needs", "blocks")}
    given = op.New(title=title, body=read_text(body), type=type_, id=id_, queue=queue, **values)
    done = _done(output, op.new, given)
    told = f"{done.issue.id} in queue {queue}: {done.issue.title}" if output.dry_run else done.issue.id
    output.show(told, **to_builtins(done))


@issue.command(name="list")
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Default: all but closed.")
@click.option("--label", help="Only those that carry this label.")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@with_output
def list_(output: Output, /, statuses: tuple[op.Status, ...], label: str | None, everything: bool) -> None:
    """List issues, most urgent first.

    \b
    Example:
      intarsia issue list --status blocked
    """
    found = _seen(op.find, op.Find(statuses=list(statuses), label=label, all=everything))
    output.show(_listing(found.issues) or "No issues. Make one: intarsia issue new TITLE", **to_builtins(found))


@issue.command()
@with_output
def ready(output: Output, /) -> None:
    """List what could be worked on now, in the order it will be.

    \b
    Example:
      intarsia issue ready --json
    """
    found = _seen(op.ready, op.Ready())
    output.show(_listing(found.issues) or "Nothing is ready.", **to_builtins(found))


@issue.command()
@click.argument("id")
@with_output
def show(output: Output, /, id: str) -> None:
    """Show an issue with its dependencies, notes and sessions.

    \b
    Example:
      intarsia issue show ia-7f3a
    """
    found = _seen(op.show, op.Show(id=id))
    output.show(_details(found), **to_builtins(found))


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
    done = _done(output, op.close, op.Close(id=id, reason=reason))
    output.show(f"{id} is closed.", **to_builtins(done))


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
    done = _done(output, op.reopen, op.Reopen(id=id, note=note))
    output.show(f"{id} is open.", **to_builtins(done))


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
def dep_add(output: Output, /, id: str, other: str, kind: op.Dependency) -> None:
    """ID waits for OTHER (blocks), is its child (parent-child), or refers to it.

    \b
    Example:
      intarsia issue dep add ia-2 ia-1
    """
    done = _done(output, op.depend, op.Depend(id=id, on=other, kind=kind))
    output.show(f"{id} {_EDGES[kind]} {other}.", **to_builtins(done))


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
    done = _done(output, op.undepend, op.Undepend(id=id, on=other))
    output.show(f"{id} no longer depends on {other}.", **to_builtins(done))


@dep.command(name="list")
@click.argument("id")
@with_output
def dep_list(output: Output, /, id: str) -> None:
    """List what ID waits for and what waits for ID.

    \b
    Example:
      intarsia issue dep list ia-2
    """
    found = _seen(op.dependencies, op.Show(id=id))
    output.show(_edge_lines(found.dependencies) or f"{id} has no dependencies.", **to_builtins(found))


def _seen(operation: Operation[G, A], given: G) -> A:
    return client(anybody=True).call(operation, given)


def _done(output: Output, operation: Operation[G, A], given: G) -> A:
    return client(dry_run=output.dry_run, anybody=True).call(operation, given)


_EDGES = {
    "blocks": "waits for",
    "parent-child": "belongs to",
    "related": "is related to",
    "discovered-from": "was found during",
}


def _listing(found: list[op.Issue]) -> str:
    return table([[i.id, f"P{i.priority}", i.status, i.type, i.title + _waits(i)] for i in found])


def _waits(found: op.Issue) -> str:
    return f"  (after {', '.join(found.needs)})" if found.needs and found.status == "open" else ""


def _edge_lines(edges: list[op.Edge]) -> str:
    return "\n".join(f"{edge.issue} {_EDGES[edge.kind]} {edge.target}" for edge in edges)


def _details(shown: op.Shown) -> str:
    found = shown.issue
    head = f"{found.id}: {found.title}\n{found.type}, P{found.priority}, {found.status}"
    facts = {
        "queue": found.queue,
        "assignee": found.assignee,
        "due": found.due,
        "resolution": found.resolution,
        "labels": ", ".join(found.labels),
        "claims": ", ".join(found.claims),
        "external": found.external,
        "created": found.created,
        "closed": found.closed,
    }
    parts = [head, "\n".join(f"{name}: {value}" for name, value in facts.items() if value), found.body]
    for title, lines in {
        "Acceptance": found.acceptance.splitlines(),
        "Dependencies": _edge_lines(shown.dependencies).splitlines(),
        "Decisions": [f"{d.time} {d.actor}: {d.text}" for d in shown.decisions],
        "Notes": shown.notes,
        "Sessions": [f"{s['id']} {s['stage']} {s['reason']}" for s in reversed(shown.sessions)],
    }.items():
        if lines:
            parts.append(f"{title}\n" + "\n".join(f"  {line}" for line in lines))
    return "\n\n".join(part for part in parts if part)
