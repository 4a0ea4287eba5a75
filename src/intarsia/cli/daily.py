"""`intarsia daily`: the summary that the agents of a project write in turn, every day."""

from __future__ import annotations

import os

import click

from intarsia.cli.common import Output, Project, actor, open_project, read_text, table, with_change, with_output
from intarsia.cli.identity import AGENT, SESSION, caller
from intarsia.clock import iso
from intarsia.errors import UsageError
from intarsia.kernel import daily as days
from intarsia.kernel import sessions
from intarsia.kernel.daily import Summary
from intarsia.kernel.database import Transaction


@click.group(short_help="Write a summary of the day, in turns.")
def daily() -> None:
    """Let agents write a summary of the day, one after another, and collect it.

    Who writes, and in which order, is `daily.order` in intarsia.toml. A day is a date in UTC.

    \b
    Example:
      intarsia daily trigger
      intarsia daily write "parser done; waiting for the schema"
      intarsia daily collect
    """


date_option = click.option("--date", metavar="YYYY-MM-DD", help="Another day than today, in UTC.")


@daily.command()
@date_option
@with_change
def trigger(output: Output, /, date: str | None) -> None:
    """Open the day's summary. Other days do not matter, collected or not.

    \b
    Example:
      intarsia daily trigger

    Exit codes: 0 opened; 1 it is open already (code conflict); 2 daily.order names nobody.
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        opened = days.trigger(tx, days.day(tx, date), project.config.daily.order, _who(project, tx))
    output.show(f"The daily summary of {opened.date} is open; {opened.turn} begins.", summary=opened.as_json())


@daily.command()
@click.argument("text")
@date_option
@with_change
def write(output: Output, /, text: str, date: str | None) -> None:
    """Write your part, when it is your turn; '-' reads it from standard input.

    After midnight UTC, say which day you mean: --date.

    \b
    Example:
      intarsia daily write "parser done; waiting for the schema"

    Exit codes: 0 written; 1 not your turn (code not_your_turn), or written already (code conflict); 4 you are not
    among those who write.
    """
    project = open_project(dry_run=output.dry_run)
    said = read_text(text)
    with project.database.transaction() as tx:
        summary = days.write(tx, days.day(tx, date), _agent(project, tx), said)
    output.show(f"Written for {summary.date}. {_next(summary)}", summary=summary.as_json())


@daily.command()
@date_option
@click.option("--partial", is_flag=True, help="What there is so far; it can be collected again.")
@with_change
def collect(output: Output, /, date: str | None, partial: bool) -> None:
    """Print the day's summary, once everybody wrote or was skipped.

    \b
    Example:
      intarsia daily collect
      intarsia daily collect --partial

    Exit codes: 0 the summary; 1 somebody is still to write.
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        summary = days.collect(tx, days.day(tx, date), _who(project, tx), partial=partial)
    text = summary.as_markdown()
    output.show(text, summary=summary.as_json(), complete=summary.complete, report=text)


@daily.command()
@date_option
@with_output
def status(output: Output, /, date: str | None) -> None:
    """Show whose turn it is, and who has written.

    \b
    Example:
      intarsia daily status --date 2026-11-20
    """
    with open_project().database.read() as tx:
        named = days.day(tx, date)
        found = days.find(tx, named)
        others = [other for other in days.uncollected(tx) if other != named]
    lines = [f"The daily summary of {named} is not open. Open it: intarsia daily trigger"]
    if found:
        lines = [table([[e.agent, e.status, iso(e.time) or "", e.text.partition("\n")[0]] for e in found.entries])]
        lines += [f"{_next(found)}{f' Collected at {iso(found.collected)}.' if found.collected else ''}"]
    if others:
        lines += [f"Not collected yet: {', '.join(others)}"]
    output.show("\n".join(lines), date=named, summary=found.as_json() if found else None, uncollected=others)


@daily.command()
@click.argument("name")
@date_option
@click.option("--yes", is_flag=True, help="Now, whether the time is over or not.")
@click.option("--note", default="", help="Why; recorded.")
@with_change
def skip(output: Output, /, name: str, date: str | None, yes: bool, note: str) -> None:
    """Go on without NAME, whose turn began `daily.timeout` minutes ago.

    \b
    Example:
      intarsia daily skip bob
      intarsia daily skip carol --yes --note "on holiday"

    Exit codes: 0 skipped; 1 it is too early, or NAME has written; 4 NAME is not among those who write.
    """
    project = open_project(dry_run=output.dry_run)
    patience = None if yes else project.config.daily.timeout * 60
    with project.database.transaction() as tx:
        summary = days.skip(tx, days.day(tx, date), name, _who(project, tx), patience, note)
    output.show(f"Skipped {name} for {summary.date}. {_next(summary)}", summary=summary.as_json())


@daily.command()
@date_option
@click.option("--yes", is_flag=True, help="Really forget it; what was written stays in the log.")
@with_change
def reset(output: Output, /, date: str | None, yes: bool) -> None:
    """Forget a day's summary, so that it can be opened anew.

    \b
    Example:
      intarsia daily reset --yes
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        found = days.get(tx, days.day(tx, date))
        written = [entry.agent for entry in found.entries if entry.status == "written"]
        if not yes:
            raise UsageError(
                f"{', '.join(written) or 'Nobody'} wrote for {found.date}.", hint="Say --yes to forget it all the same."
            )
        days.reset(tx, found.date, _who(project, tx))
    output.show(f"Forgot the daily summary of {found.date}.", summary=found.as_json())


def _next(summary: Summary) -> str:
    if summary.turn:
        return f"It is {summary.turn}'s turn, since {iso(summary.turn_began)}."
    return "All are through." if summary.collected else "All are through: intarsia daily collect"


def _who(project: Project, tx: Transaction) -> str:
    """An agent that says who it is must prove it; a person, or cron, need not have joined to open and collect."""
    return caller(project, tx) if os.environ.get(SESSION) or os.environ.get(AGENT) else actor()


def _agent(project: Project, tx: Transaction) -> str:
    """A session writes as the agent it is a session of."""
    me = caller(project, tx)
    return sessions.get(tx, me).agent if sessions.exists(tx, me) else me
