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
    """For agents: answer the hook PreToolUse, which comes on standard input. What is not clearly allowed is denied.

    It is set up as a command of that hook, in a session's environment.

    \b
    Example:
      intarsia hook claude < use.json

    Exit codes: 0 answered, yes or no; 2 it could not be decided, which both programs take for a no.
    """
    decided = False
    try:
        given = json.loads(sys.stdin.buffer.read())
        answer = client().call(hooks.decide, hooks.Use(program=program, input=given))
        click.echo(json.dumps(answer.output))
        sys.stdout.flush()
        decided = True
    except IntarsiaError as error:
        click.echo(f"{error.message} {error.hint}".strip(), err=True)
    finally:
        if not decided:  # whatever it was: any other exit code is a yes
            click.echo("intarsia could not decide whether this is allowed, so it is not.", err=True)
            sys.stderr.flush()
            os._exit(2)
