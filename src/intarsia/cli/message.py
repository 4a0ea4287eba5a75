"""`intarsia message`: what agents and people tell each other."""

from __future__ import annotations

import os
import textwrap

import click

from intarsia.cli.common import Output, Project, actor, open_project, read_text, with_change, with_output
from intarsia.cli.identity import SESSION, caller
from intarsia.clock import iso
from intarsia.errors import UsageError
from intarsia.kernel import messages
from intarsia.kernel.database import Transaction
from intarsia.kernel.messages import Message


@click.group(short_help="Write and read messages.")
def message() -> None:
    """Write to agents, sessions and people, and read what they wrote to you.

    \b
    Example:
      intarsia message send --to bob "parse() takes a Path from now on"
      intarsia message inbox && intarsia message ack
    """


human_option = click.option("--human", is_flag=True, help="As the person at this machine, who need not have joined.")
limit_option = click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True, help="At most.")


@message.command()
@click.argument("body")
@click.option("--to", multiple=True, metavar="NAME", help="An agent, a session's id, @team or @human; may be repeated.")
@click.option("--kind", default="note", show_default=True, help="A word that programs can go by.")
@click.option("--reply-to", type=int, metavar="ID", help="The message this answers; then --to may be left out.")
@human_option
@with_change
def send(output: Output, /, body: str, to: tuple[str, ...], kind: str, reply_to: int | None, human: bool) -> None:
    """Send BODY ('-' reads it from standard input). @team is everybody who has joined, @human the people.

    \b
    Example:
      intarsia message send --to alice --to bob "the schema has moved to db/schema.sql"
      intarsia message send --reply-to 12 "thanks, adapted"

    Exit codes: 0 sent; 1 nobody would get it; 4 a recipient or message that is not there.
    """
    project = open_project(dry_run=output.dry_run)
    text = read_text(body)
    with project.database.transaction() as tx:
        sent = messages.send(tx, _who(project, tx, human), to, text, kind, reply_to)
    output.show(f"Message {sent.id} to {', '.join(sent.to)}.", message=sent.as_json())


@message.command()
@click.option("--all", "everything", is_flag=True, help="Acknowledged ones too: the newest ones.")
@click.option("--thread", type=int, metavar="ID", help="The conversation of this message, with what you wrote.")
@limit_option
@human_option
@with_output
def inbox(output: Output, /, everything: bool, thread: int | None, limit: int, human: bool) -> None:
    """Show what was sent to you and you have not acknowledged, oldest first. It stays until you do.

    \b
    Example:
      intarsia message inbox
      intarsia message inbox --thread 12
    """
    if everything and thread is not None:
        raise UsageError("Say --all or --thread, not both.")
    project = open_project()
    with project.database.transaction() as tx:
        me = _who(project, tx, human)
        if thread is not None:
            found = messages.thread(tx, me, thread, limit)
        elif everything:
            found = messages.received(tx, me, limit)
        else:
            found = messages.inbox(tx, me, limit)
            messages.shown(tx, me, found)
        unread = messages.unread(tx, me)
    _show(output, found, unread, more=thread is None and not everything)


@message.command()
@click.option("--timeout", type=float, default=60, show_default=True, help="Seconds to wait at most.")
@limit_option
@human_option
@with_output
def wait(output: Output, /, timeout: float, limit: int, human: bool) -> None:
    """Wait until something is in your inbox, and show it; returns at once if there is already.

    \b
    Example:
      intarsia message wait --timeout 600

    Exit codes: 0 something came; 1 nothing came (code nothing_came).
    """
    project = open_project()
    with project.database.transaction() as tx:
        me = _who(project, tx, human)
    found = messages.wait(project.database, me, timeout, limit)
    with project.database.transaction() as tx:
        messages.shown(tx, me, found)
        unread = messages.unread(tx, me)
    _show(output, found, unread, more=True)


@message.command()
@click.argument("id", type=int, required=False)
@human_option
@with_change
def ack(output: Output, /, id: int | None, human: bool) -> None:
    """Take messages out of your inbox: up to ID, or all that were shown to you.

    \b
    Example:
      intarsia message ack
      intarsia message ack 12

    Exit codes: 0 done; 1 there was nothing to acknowledge; 4 you never got message ID.
    """
    project = open_project(dry_run=output.dry_run)
    with project.database.transaction() as tx:
        me = _who(project, tx, human)
        last, count = messages.ack(tx, me, id)
        unread = messages.unread(tx, me)
    plural = "" if count == 1 else "s"
    output.show(f"Acknowledged {count} message{plural}, up to {last}.", up_to=last, count=count, unread=unread)


def _who(project: Project, tx: Transaction, human: bool) -> str:
    if not human:
        return caller(project, tx)
    if os.environ.get(SESSION):
        raise UsageError(f"--human is for people, and this is session {os.environ[SESSION]}.")
    return actor()


def _show(output: Output, found: list[Message], unread: int, *, more: bool) -> None:
    text = "\n".join(map(_lines, found)) or "No messages."
    if more and unread > len(found):
        text += f"\n{unread - len(found)} more wait; acknowledge these first: intarsia message ack"
    output.show(text, messages=[entry.as_json() for entry in found], unread=unread)


def _lines(entry: Message) -> str:
    answers = f", answers {entry.reply_to}" if entry.reply_to else ""
    head = f"{entry.id}  {iso(entry.time)}  {entry.sender} → {', '.join(entry.to)}  ({entry.kind}{answers})"
    return f"{head}\n{textwrap.indent(entry.body.rstrip(), '    ')}"
