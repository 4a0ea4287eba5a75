"""The `intarsia` command. Each command is imported when it is called, as agents call this all day."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

import click

import intarsia
from intarsia.cli.lazy import LazyGroup
from intarsia.errors import IntarsiaError, NotReady

COMMANDS = {
    "init": "intarsia.cli.setup:init",
    "issue": "intarsia.cli.issue:issue",
    "run": "intarsia.cli.run:run",
    "lock": "intarsia.cli.lock:lock",
    "agent": "intarsia.cli.agent:agent",
    "message": "intarsia.cli.message:message",
    "call": "intarsia.cli.call:call",
    "ask": "intarsia.cli.ask:ask",
    "done": "intarsia.cli.ask:done",
    "daily": "intarsia.cli.daily:daily",
    "queue": "intarsia.cli.queues:queue",
    "read": "intarsia.cli.edit:read",
    "edit": "intarsia.cli.edit:edit",
    "write": "intarsia.cli.edit:write",
    "insert": "intarsia.cli.edit:insert",
    "import": "intarsia.cli.edit:import_",
    "remove": "intarsia.cli.edit:remove",
    "move": "intarsia.cli.edit:move",
    "commit": "intarsia.cli.edit:commit",
    "guardian": "intarsia.cli.queues:guardian",
    "status": "intarsia.cli.status:status",
    "log": "intarsia.cli.status:log",
    "session": "intarsia.cli.session:session",
    "resolve": "intarsia.cli.session:resolve",
    "code": "intarsia.cli.code:code",
    "merge-driver": "intarsia.cli.merge_driver:merge_driver",
    "mirror": "intarsia.cli.mirror:mirror",
    "sync": "intarsia.cli.sync:sync",
    "gateway": "intarsia.cli.gateway:gateway",
    "mcp": "intarsia.cli.gateway:mcp",
    "hook": "intarsia.cli.hook:hook",
    "policy": "intarsia.cli.policy:policy",
    "clean": "intarsia.cli.clean:clean",
    "config": "intarsia.cli.setup:config",
    "doctor": "intarsia.cli.doctor:doctor",
    "completion": "intarsia.cli.setup:completion",
}


@click.group(
    cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(intarsia.__version__, "-V", "--version", prog_name="intarsia")
def cli() -> None:
    """Run a team of coding agents on one codebase, and land only proven work.

    \b
    First steps, in a git repository:
      intarsia init
      intarsia issue new "Add a --version flag" --body "Print name and version."
      intarsia run --agent claude

    Exit codes: 0 done or nothing to do; 1 something failed, is blocked or not allowed now; 2 usage, configuration or
    environment; 3 aborted; 4 bad input; 130 interrupted.
    """


def program() -> NoReturn:
    """The process that does nothing else: taking the interpreter apart at its end is a fifth of a short command."""
    try:
        main()
    except SystemExit as end:
        if threading.active_count() > 1:
            raise
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)


def main() -> NoReturn:
    """Run the command of `sys.argv`; ends in SystemExit."""
    wants_json = "--json" in sys.argv[1:]
    try:
        code = cli.main(standalone_mode=False, prog_name="intarsia")
        sys.stdout.flush()
    except IntarsiaError as error:
        _say(error, wants_json)
        code = error.exit_code
    except click.ClickException as error:
        if wants_json:
            print(json.dumps({"ok": False, "code": "usage", "message": error.format_message(), "hint": ""}))
        else:
            error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        print("Interrupted.", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # The reader of our output has gone, as with `| head`; leave without a complaint at exit.
        sys.stdout = None
        code = 0
    except OSError as error:
        trouble = _explained(error)
        _say(trouble, wants_json)
        code = trouble.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _explained(error: OSError) -> NotReady:
    """Any file may turn out unwritable at any time: a full disk, a read-only one, a directory that went away."""
    place = f"{error.filename}: " if error.filename else ""
    return NotReady(f"{place}{error.strerror or error}.", hint="Make it writable and leave room on its disk.")


def _say(error: IntarsiaError, wants_json: bool) -> None:
    if wants_json:
        print(json.dumps(error.as_json()))
        return
    print(f"intarsia: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  → {error.hint}", file=sys.stderr)
