"""`intarsia agent`: people and foreign agents that take part."""

from __future__ import annotations

import os
from pathlib import Path

import click

from intarsia.cli.common import Output, open_project, table, with_output
from intarsia.cli.identity import caller, folder
from intarsia.clock import iso
from intarsia.kernel import members, sessions


@click.group()
def agent() -> None:
    """Take part without being run by intarsia: join once, then claim issues and hold leases.

    \b
    Example:
      intarsia agent join alice
    """


@agent.command()
@click.argument("name")
@with_output
def join(output: Output, /, name: str) -> None:
    """Register NAME, and keep its secret in a file that only you can read.

    With several agents on one machine, each says who it is by INTARSIA_AGENT=NAME.

    \b
    Example:
      intarsia agent join alice
    """
    project = open_project()
    secret = sessions.new_secret()
    with project.database.transaction() as tx:
        member = members.join(tx, name, secret)
        _store(folder(project) / name, secret)
    output.show(f"{name} has joined.", agent=member.as_json())


@agent.command()
@with_output
def whoami(output: Output, /) -> None:
    """Say as whom this environment would claim and lock.

    \b
    Example:
      INTARSIA_AGENT=alice intarsia agent whoami
    """
    project = open_project()
    with project.database.transaction() as tx:
        name = caller(project, tx)
    output.show(name, agent=name)


@agent.command(name="list")
@with_output
def list_(output: Output, /) -> None:
    """List who has joined, and when each was last seen.

    \b
    Example:
      intarsia agent list
    """
    with open_project().database.read() as tx:
        found = members.everybody(tx)
    rows = [[member.name, f"joined {iso(member.joined)}", f"seen {iso(member.seen)}"] for member in found]
    output.show(table(rows) or "Nobody has joined. Do: intarsia agent join NAME", agents=[m.as_json() for m in found])


def _store(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secret)
