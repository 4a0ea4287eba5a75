"""`intarsia agent`: people and foreign agents that take part."""

from __future__ import annotations

import click

from intarsia.cli.common import Output, open_project, table, with_change, with_output
from intarsia.cli.identity import caller, store_secret, stored_secret
from intarsia.clock import iso
from intarsia.kernel import members, sessions


@click.group(short_help="Join, and see who has joined.")
def agent() -> None:
    """Take part without being run by intarsia: join once, then claim issues and hold leases.

    \b
    Example:
      intarsia agent join alice
    """


@agent.command()
@click.argument("name")
@with_change
def join(output: Output, /, name: str) -> None:
    """Register NAME, and keep its secret in a file that only you can read.

    With several agents on one machine, each says who it is by INTARSIA_AGENT=NAME.

    \b
    Example:
      intarsia agent join alice
    """
    members.check_name(name)
    project = open_project(dry_run=output.dry_run)
    # One that is there is of a try that was interrupted, or of another database, where it goes on to be used.
    secret = stored_secret(project, name) or sessions.new_secret()
    with project.database.transaction() as tx:
        member = members.join(tx, name, secret)
        if not output.dry_run:
            store_secret(project, name, secret)
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
