"""`intarsia policy`: which shell commands agents may run."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from intarsia.cli.common import Output, find_repository, with_output, working_directory
from intarsia.settings import load


@click.group(short_help="See which shell commands agents may run.")
def policy() -> None:
    """Shell commands are judged by their words before an agent runs them; [policy] in intarsia.toml changes what is.

    \b
    Example:
      intarsia policy check 'git stash'
    """


@policy.command(context_settings={"ignore_unknown_options": True})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@with_output
def check(output: Output, /, command: tuple[str, ...]) -> int:
    """Say whether an agent that works here may run COMMAND, and why not. Nothing is run.

    One argument is a command line as in a shell; several are the words of one command.

    \b
    Example:
      intarsia policy check 'make && git push --force'
      intarsia policy check -- rm -rf build

    Exit codes: 0 allowed; 1 refused.
    """
    from intarsia.workspace.policy import Policy, judge

    root = find_repository().root
    config = load(root).config
    shared = config.workspace.kind == "shared"
    source = command[0] if len(command) == 1 else shlex.join(command)
    verdict = judge(source, working_directory(), root, Policy.of(config.policy, shared=shared))
    files = [_relative(path, root) for path in verdict.writes.paths]
    lines = ["Allowed." if verdict.allowed else f"Refused: {verdict.reason}"]
    lines += [f"  in: {verdict.command}"] if verdict.command not in ("", source) else []
    lines += [f"  → {verdict.instead}"] if verdict.instead else []
    lines += [f"  writes: {', '.join(files)}"] if verdict.allowed and files else []
    lines += ["  may write other files, too"] if verdict.allowed and not verdict.writes.complete else []
    output.show(
        "\n".join(lines),
        allowed=verdict.allowed,
        reason=verdict.reason,
        instead=verdict.instead,
        command=verdict.command,
        writes=files,
        writes_complete=verdict.writes.complete,
    )
    return 0 if verdict.allowed else 1


def _relative(path: Path, root: Path) -> str:
    real_root = os.path.realpath(root)
    return str(path.relative_to(real_root)) if path.is_relative_to(real_root) else str(path)
