"""`intarsia queue` and `intarsia guardian`: what waits where, what is late, and who fell silent."""

from __future__ import annotations

import click

from intarsia.cli.common import Output, open_project, table, with_change, with_output
from intarsia.clock import iso
from intarsia.gateway.issues import queue_of
from intarsia.kernel import Transaction, claims, events, issues, leases, sessions
from intarsia.kernel.issues import Issue

UNFINISHED = ("open", "in_progress", "blocked", "deferred")


@click.group(short_help="Look at queues and what is overdue.")
def queue() -> None:
    """Look at queues; they are configured under [queues] in intarsia.toml.

    \b
    Example:
      intarsia queue check --overdue
    """


@queue.command(name="list")
@with_output
def list_(output: Output, /) -> None:
    """List the queues, their handlers and SLAs, and how much is in them.

    \b
    Example:
      intarsia queue list
    """
    project = open_project()
    with project.database.read() as tx:
        unfinished = issues.find(tx, statuses=UNFINISHED)
    names = sorted({"default", *project.config.queues, *(issue.queue for issue in unfinished)})
    found = [
        {
            "name": name,
            "handler": settings.handler if (settings := project.config.queues.get(name)) else "",
            "sla_minutes": settings.sla if settings else 0,
            "unfinished": sum(issue.queue == name for issue in unfinished),
        }
        for name in names
    ]
    rows = [[str(q["name"]), str(q["handler"]), f"SLA {q['sla_minutes']} min", f"{q['unfinished']}"] for q in found]
    output.show(table(rows), queues=found)


@queue.command()
@click.argument("name", required=False)
@click.option("--overdue", is_flag=True, help="Only what is past its SLA.")
@with_output
def check(output: Output, /, name: str | None, overdue: bool) -> None:
    """List what is unfinished in a queue, or in all of them. Finished work is never overdue.

    \b
    Example:
      intarsia queue check programmer-questions
      intarsia queue check --overdue
    """
    project = open_project()
    if name is not None:
        queue_of(project.config, name)
    with project.database.read() as tx:
        found = claims.overdue(tx, name) if overdue else _unfinished(issues.find(tx, statuses=UNFINISHED), name)
        now = tx.now
    rows = [[i.id, i.queue, i.status, i.assignee or "-", _due(i, now), i.title] for i in found]
    nothing = "Nothing is overdue." if overdue else "Nothing is unfinished."
    output.show(table(rows) or nothing, issues=[i.as_json() for i in found])


@queue.command()
@with_output
def blockers(output: Output, /) -> None:
    """List the issues that are blocked, with the reason given last.

    \b
    Example:
      intarsia queue blockers
    """
    with open_project().database.read() as tx:
        found = issues.find(tx, statuses=["blocked"])
        reasons = {i.id: _why_blocked(tx, i.id) for i in found}
    rows = [[i.id, i.queue, i.title, reasons[i.id]] for i in found]
    output.show(
        table(rows) or "Nothing is blocked.", blockers=[{**i.as_json(), "reason": reasons[i.id]} for i in found]
    )


@click.command(short_help="End the claims of those who fell silent.")
@with_change
def guardian(output: Output, /) -> None:
    """End the claims and leases of those who fell silent, and put their issues back. Safe to run from cron.

    Every running `intarsia run` does the same by itself.

    \b
    Example:
      */5 * * * *  cd /home/me/project && intarsia guardian --json
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        requeued = claims.expire(tx) + [session.issue for session in sessions.expire(tx)]
        dropped = [lease.resource for lease in leases.lapsed(tx, "")]
        for lease in leases.lapsed(tx, ""):
            leases.drop(tx, lease)
    lines = [
        f"Requeued: {', '.join(requeued)}." if requeued else "",
        f"Ended: {', '.join(dropped)}." if dropped else "",
    ]
    output.show(" ".join(filter(None, lines)) or "Everybody is alive.", requeued=requeued, ended=dropped)


def _why_blocked(tx: Transaction, issue_id: str) -> str:
    notes = [e.data.get("note", "") for e in events.latest(tx, 1000, issue=issue_id) if e.kind == "issue_blocked"]
    return notes[-1] if notes else ""


def _unfinished(found: list[Issue], name: str | None) -> list[Issue]:
    return [issue for issue in found if name in (None, issue.queue)]


def _due(issue: Issue, now: float) -> str:
    if issue.due is None:
        return "no SLA"
    return f"overdue since {iso(issue.due)}" if issue.due < now else f"due {iso(issue.due)}"
