"""`intarsia hook`: for agents that run as plain commands, and ask before they use a tool."""

from __future__ import annotations

import json
import os
import sys

import click

from intarsia.cli.common import Output, with_output
from intarsia.cli.identity import client
from intarsia.errors import IntarsiaError
from intarsia.gateway import hooks


@click.command(short_help="For agents: answer a hook of Claude Code or Codex.")
@click.argument("program", type=click.Choice(("claude", "codex")))
@with_output
def hook(output: Output, /, program: hooks.Program) -> None:
    """For agents: answer the hooks PreToolUse and Stop, which come on standard input.

    It is set up as a command of those hooks. In a session's environment, what is not clearly allowed is denied. For a
    member (intarsia agent join), an edit is denied of what another holds; all else is left to the program, unless
    Claude Code runs with --permission-mode dontAsk.

    \b
    Example:
      intarsia hook claude < use.json

    Exit codes: 0 answered, yes or no; 1 it could not be said whether it may stop, so it may; 2 it could not be decided
    whether it may use a tool, which both programs take for a no.
    """
    decided, asks = False, True
    try:
        given = json.loads(sys.stdin.buffer.read())
        asks = not (isinstance(given, dict) and given.get("hook_event_name") == hooks.STOP)
        answer = client().call(hooks.decide, hooks.Use(program=program, input=given))
        click.echo(json.dumps(answer.output))
        sys.stdout.flush()
        decided = True
    except IntarsiaError as error:
        click.echo(f"{error.message} {error.hint}".strip(), err=True)
    finally:
        if not decided:  # whatever it was: for the use of a tool any other exit code is a yes
            if asks:
                click.echo("intarsia could not decide whether this is allowed, so it is not.", err=True)
            sys.stderr.flush()
            os._exit(2 if asks else 1)
