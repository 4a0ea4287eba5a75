"""`intarsia status` and `intarsia log`: what is going on, and what happened."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import click
from click.core import ParameterSource
from msgspec import to_builtins

from intarsia.cli.common import Output, open_project, read_text, table, with_change, with_output
from intarsia.cli.identity import client
from intarsia.clock import iso
from intarsia.errors import UsageError
from intarsia.kernel import daily, events, issues, leases, pauses, sessions, spending
from intarsia.kernel.events import Event
from intarsia.kernel.sessions import Session

DAY = 86_400


@click.command(short_help="Show issues, sessions and leases; for agents: say what you are doing.")
@click.argument("text", required=False)
@with_output
def status(output: Output, /, text: str | None) -> None:
    """Show the project: issues by status, running and parked sessions, leases.

    With TEXT, for agents: say in a few words what you are doing, for the people who watch.

    \b
    Example:
      intarsia status
      intarsia status "writing the tests for the parser"
    """
    if text is not None:
        from intarsia.gateway import words

        said = client().call(words.status, words.Status(text=read_text(text)))
        output.show(f"Shown: {said.text}", **to_builtins(said))
    else:
        _show(output)


def _show(output: Output) -> None:
    from intarsia.run import usage

    project = open_project()
    with project.database.read() as tx:
        now = tx.now
        counts = issues.counts(tx)
        ready = len(issues.ready(tx))
        running = sessions.find(tx, stages=sessions.ACTIVE)
        parked = sessions.find(tx, stages=[sessions.PARKED])
        held = leases.held(tx)
        today = spending.today(tx)
        paused = list(pauses.active(tx).values())
    lines = [
        f"Project {project.database.project} in {project.repository.root}",
        "Issues: " + ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n) + f"; {ready} ready",
    ]
    if not any(counts.values()):
        lines[1] = "No issues yet. Make one: intarsia issue new TITLE"
    rows = [["  " + s.id, s.issue, s.agent, s.stage, f"{now - s.created:.0f} s", _used(s)] for s in running]
    lines += [table(rows)]
    lines += [f"Parked: {s.issue} ({s.id}): {s.reason}" for s in parked]
    lines += [f"Account {each.text} (sooner: intarsia agent resume {each.account})" for each in paused]
    lines += [f"Used today: {usage.shown(today.as_json())}"] if today.turns else []
    output.show(
        "\n".join(line for line in lines if line),
        project=project.database.project,
        root=str(project.repository.root),
        issues=counts,
        ready=ready,
        running=[s.as_json() for s in running],
        parked=[s.as_json() for s in parked],
        leases=[lease.as_json() for lease in held],
        today=today.as_json(),
        paused=[each.as_json() for each in paused],
    )


def _used(session: Session) -> str:
    from intarsia.run import usage

    return usage.shown(session.usage) if session.usage.get("input") else ""


@click.group(invoke_without_command=True, short_help="Print what happened.")
@click.option("--issue", help="Only what concerns this issue.")
@click.option("--session", help="Only what concerns this session.")
@click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="How many, the newest.")
@click.option("--follow", "-f", is_flag=True, help="Stay, and print events as they happen.")
@with_output
@click.pass_context
def log(
    ctx: click.Context, output: Output, /, issue: str | None, session: str | None, limit: int, follow: bool
) -> None:
    """Print the record of what happened, oldest first. With --json --follow: one JSON object per line.

    \b
    Example:
      intarsia log --issue ia-7f3a
      intarsia log --follow --json
    """
    if ctx.invoked_subcommand:
        given = [name for name in ctx.params if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE]
        if given:
            raise UsageError(f"Options of intarsia log {ctx.invoked_subcommand} are written behind it.")
        return
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


@log.command()
@click.option("--date", metavar="YYYY-MM-DD", help="Only this day, in UTC.")
@click.option("--agent", metavar="NAME", help="Only what exactly this agent, member, session or person did.")
@click.option("--limit", "-n", type=click.IntRange(1), default=1000, show_default=True, help="How many, the newest.")
@with_output
def history(output: Output, /, date: str | None, agent: str | None, limit: int) -> None:
    """Print who did what, oldest first.

    \b
    Example:
      intarsia log history --date 2026-11-20 --agent alice
    """
    with open_project().database.read() as tx:
        start, end = 0.0, None
        if date is not None:
            start = datetime.fromisoformat(f"{daily.day(tx, date)}T00:00:00+00:00").timestamp()
            end = start + DAY
        found = events.history(tx, since=start, until=end, agent=agent, limit=limit)
    text = "\n".join(f"{iso(e.time)}  {_plain(e.actor):<16} {_line(e)[22:]}" for e in found)
    output.show(text or "Nothing happened.", date=date, agent=agent, events=[e.as_json() for e in found])


@log.command()
@click.argument("kind")
@click.argument("text")
@with_change
def write(output: Output, /, kind: str, text: str) -> None:
    """Write a note of your own into the record: a word for its KIND, and TEXT; '-' reads it from standard input.

    \b
    Example:
      intarsia log write meeting "we keep the old parser until March"
    """
    from intarsia.gateway import words

    given = words.Note(about=kind, text=read_text(text))
    written = client(dry_run=output.dry_run).call(words.note, given).event
    told = _row(written.time, written.issue, written.kind, written.data)
    output.show(f"Written: {told}", event=to_builtins(written))


def _line(event: Event) -> str:
    return _row(iso(event.time), event.issue, event.kind, event.data)


def _row(time: str | None, issue: str | None, kind: str, data: dict[str, Any]) -> str:
    facts = "  ".join(f"{key}={value}" for key, value in data.items() if value not in (None, "", [], {}))
    return _plain(f"{time}  {issue or '-':<10} {kind:<20} {facts}")[:240]


def _plain(text: str) -> str:
    """One line that can't steer a terminal or pass for another entry."""
    return "".join(c if c.isprintable() else " " for c in text)
