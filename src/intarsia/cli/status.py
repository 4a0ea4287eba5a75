"""`intarsia status` and `intarsia log`: what is going on, and what happened."""

from __future__ import annotations

import json
import time

import click

from intarsia.cli.common import Output, open_project, table, with_output
from intarsia.clock import iso
from intarsia.kernel import events, issues, leases, sessions
from intarsia.kernel.events import Event


@click.command()
@with_output
def status(output: Output, /) -> None:
    """Show the project: issues by status, running and parked sessions, leases.

    \b
    Example:
      intarsia status
    """
    project = open_project()
    with project.database.read() as tx:
        now = tx.now
        counts = issues.counts(tx)
        ready = len(issues.ready(tx))
        running = sessions.find(tx, stages=sessions.ACTIVE)
        parked = sessions.find(tx, stages=[sessions.PARKED])
        held = leases.held(tx)
    lines = [
        f"Project {project.database.project} in {project.repository.root}",
        "Issues: " + ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n) + f"; {ready} ready",
    ]
    if not any(counts.values()):
        lines[1] = "No issues yet. Make one: intarsia issue new TITLE"
    lines += [table([["  " + s.id, s.issue, s.agent, s.stage, f"{now - s.created:.0f} s"] for s in running])]
    lines += [f"Parked: {s.issue} ({s.id}): {s.reason}" for s in parked]
    output.show(
        "\n".join(line for line in lines if line),
        project=project.database.project,
        root=str(project.repository.root),
        issues=counts,
        ready=ready,
        running=[s.as_json() for s in running],
        parked=[s.as_json() for s in parked],
        leases=[lease.as_json() for lease in held],
    )


@click.command()
@click.option("--issue", help="Only what concerns this issue.")
@click.option("--session", help="Only what concerns this session.")
@click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest.")
@click.option("--follow", "-f", is_flag=True, help="Stay, and print events as they happen.")
@with_output
def log(output: Output, /, issue: str | None, session: str | None, limit: int, follow: bool) -> None:
    """Print the record of what happened, oldest first. With --json --follow: one JSON object per line.

    \b
    Example:
      intarsia log --issue ia-7f3a
      intarsia log --follow --json
    """
    database = open_project().database
    with database.read() as tx:
        found = events.latest(tx, limit, issue=issue, session=session)
    if not follow:
        output.show("\n".join(map(_line, found)) or "Nothing happened yet.", events=[e.as_json() for e in found])
        return
    cursor = 0
    while True:
        for event in found:
            cursor = event.id
            click.echo(json.dumps(event.as_json()) if output.json else _line(event))
        time.sleep(0.5)
        with database.read() as tx:
            found = events.since(tx, cursor, issue=issue, session=session)


def _line(event: Event) -> str:
    data = "  ".join(f"{key}={value}" for key, value in event.data.items() if value not in (None, "", [], {}))
    return f"{iso(event.time)}  {event.issue or '-':<10} {event.kind:<20} {data}"[:240]
