"""`intarsia message`: what agents and people tell each other."""

from __future__ import annotations

import os
import textwrap

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, read_text, with_change, with_output
from intarsia.cli.identity import SESSION, client
from intarsia.errors import UsageError
from intarsia.gateway import messages as op
from intarsia.gateway.client import Client


@click.group(short_help="Write and read messages.")
def message() -> None:
    """Write to agents, sessions and people, and read what they wrote to you.

    \b
    Example:
      intarsia message send --to bob "parse() takes a Path from now on"
      intarsia message inbox && intarsia message ack
    """


human_option = click.option("--human", is_flag=True, help="As the person at this machine, who need not have joined.")
most = click.IntRange(1, 1000)
limit_option = click.option("--limit", "-n", type=most, default=50, show_default=True, help="At most.")


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
    given = op.Send(body=read_text(body), to=list(to), kind=kind, reply_to=reply_to)
    sent = _client(human, dry_run=output.dry_run).call(op.send, given).message
    output.show(f"Message {sent.id} to {', '.join(sent.to)}.", message=to_builtins(sent))


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
    found = _client(human).call(op.inbox, op.Inbox(all=everything, thread=thread, limit=limit))
    _show(output, found, more=thread is None and not everything)


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
    _show(output, _client(human).call(op.wait, op.Wait(timeout=timeout, limit=limit)), more=True)


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
    done = _client(human, dry_run=output.dry_run).call(op.ack, op.Ack(id=id))
    plural = "" if done.count == 1 else "s"
    output.show(f"Acknowledged {done.count} message{plural}, up to {done.up_to}.", **to_builtins(done))


def _client(human: bool, *, dry_run: bool = False) -> Client:
    if human and os.environ.get(SESSION):
        raise UsageError(f"--human is for people, and this is session {os.environ[SESSION]}.")
    return client(dry_run=dry_run, person=human)


def _show(output: Output, found: op.Letters, *, more: bool) -> None:
    text = "\n".join(map(_lines, found.messages)) or "No messages."
    if more and found.unread > len(found.messages):
        text += f"\n{found.unread - len(found.messages)} more wait; acknowledge these first: intarsia message ack"
    output.show(text, **to_builtins(found))


def _lines(entry: op.Letter) -> str:
    answers = f", answers {entry.reply_to}" if entry.reply_to else ""
    head = f"{entry.id}  {entry.time}  {entry.sender} → {', '.join(entry.to)}  ({entry.kind}{answers})"
    return f"{head}\n{textwrap.indent(entry.body.rstrip(), '    ')}"
