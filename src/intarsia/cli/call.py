"""`intarsia call`: an agent lets another one do something, and waits for what it gives back."""

from __future__ import annotations

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, read_text, with_change, with_output
from intarsia.cli.identity import client
from intarsia.gateway import calls as op


@click.group(short_help="For agents: let another agent do something.")
def call() -> None:
    """Let another agent do something, and wait for what it gives back.

    A call is an issue of its own that any run takes, whose session is below the one that called: limits.depth says how
    deep that may go.

    \b
    Example:
      intarsia call start "Which functions use parse()?" --body "Only in src/. Change nothing."
      intarsia call wait ia-7f3a --timeout 600
    """


@call.command()
@click.argument("title")
@click.option("--body", "-b", default="", help="All that it has to know; '-' reads it from standard input.")
@click.option("--to", default="", metavar="NAME", help="Who is called: the handler of a queue. Else who is free.")
@with_change
def start(output: Output, /, title: str, body: str, to: str) -> None:
    """Call an agent to do TITLE; prints the call's id.

    \b
    Example:
      intarsia call start "Which functions use parse()?" --to reader

    Exit codes: 0 called; 1 the caller is as deep as sessions may be (limits.depth); 4 no queue is that agent's.
    """
    given = op.Start(title=title, body=read_text(body), agent=to)
    made = client(dry_run=output.dry_run).call(op.start, given)
    output.show(made.call, **to_builtins(made))


@call.command()
@click.argument("id")
@click.option("--timeout", type=float, default=60, show_default=True, help="Seconds to wait at most.")
@with_output
def wait(output: Output, /, id: str, timeout: float) -> int:
    """Wait until the call ID has ended, and print what came back.

    \b
    Example:
      intarsia call wait ia-7f3a --timeout 600

    Exit codes: 0 done; 1 not done yet, or failed (status says which); 4 it is no call of yours.
    """
    found = client().call(op.wait, op.Wait(call=id, timeout=timeout))
    output.show(
        found.result if found.status == "done" else f"{found.status}. {found.meanwhile or found.result}",
        **to_builtins(found),
    )
    return 0 if found.status == "done" else 1


@call.command(name="return")
@click.argument("text")
@with_output
def return_(output: Output, /, text: str) -> None:
    """For sessions that were called: give TEXT back ('-' reads it from standard input). Then end your turn as usual.

    \b
    Example:
      intarsia call return "load() and check(), both in src/load.py"

    Exit codes: 0 kept; 1 this session was not called; 2 this is no session.
    """
    done = client().call(op.give_back, op.Return(text=read_text(text)))
    output.show(f"Given back for {done.call}.", **to_builtins(done))
