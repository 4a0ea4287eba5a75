"""`intarsia ask` and `intarsia done`: for agents that have a shell and none of our tools."""

from __future__ import annotations

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, read_text, with_output
from intarsia.cli.identity import client
from intarsia.gateway import messages, words


@click.command(short_help="For agents: ask a person.")
@click.argument("question", default="")
@click.option("--id", type=int, metavar="ID", help="Instead of a question: one asked before, to wait for its answer.")
@click.option("--wait", type=float, default=50, show_default=True, help="Seconds to wait for the answer at most.")
@with_output
def ask(output: Output, /, question: str, id: int | None, wait: float) -> int:
    """For agents: ask a person QUESTION ('-' reads it from standard input), and print the answer.

    A person answers with: intarsia message send --human --reply-to ID TEXT

    \b
    Example:
      intarsia ask "May I drop the table users_old?" --wait 300
      intarsia ask --id 12

    Exit codes: 0 answered; 1 not yet: ask again by its id, meanwhile do what does not depend on it.
    """
    found = client().call(messages.ask, messages.Ask(question=read_text(question), id=id, wait=wait))
    output.show(found.answer if found.answered else found.meanwhile, **to_builtins(found))
    return 0 if found.answered else 1


@click.command(short_help="For agents: learn whether anything is missing.")
@with_output
def done(output: Output, /) -> int:
    """For agents of a run: say that your work is finished, and learn what is still missing. Then end your turn.

    Members finish their issue with: intarsia issue complete

    \b
    Example:
      intarsia done

    Exit codes: 0 nothing is missing; 1 something is; 4 this is no session.
    """
    found = client().call(words.done, words.Done())
    output.show(found.missing or "Nothing is missing: end your turn.", **to_builtins(found))
    return 0 if found.done else 1
