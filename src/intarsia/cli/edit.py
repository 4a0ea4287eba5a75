"""Changing files as a session: in the tree that all share, or in its own; the commands are the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from intarsia.cli.common import Output, open_project, with_output, working_directory
from intarsia.cli.identity import SESSION, caller, site_of
from intarsia.errors import InputError, NotFound
from intarsia.gateway.files import Desk, desk_of
from intarsia.kernel import sessions
from intarsia.run.edit_tools import said
from intarsia.workspace.edits import Delete, Edit, Write, exchange, import_of, insertion

file_argument = click.argument("file")


def open_desk() -> Desk:
    """Raises NotReady for who is no session, and NotFound for who can't prove to be one."""
    if not os.environ.get(SESSION):
        return desk_of(site_of(open_project()), None)
    project = open_project()
    with project.database.transaction() as tx:
        session = sessions.get(tx, caller(project, tx))
    return desk_of(site_of(project), session, working_directory())


@click.command()
@file_argument
@click.option("--old", required=True, help="Text that stands in the file; @PATH takes it from a file, - from input.")
@click.option("--new", required=True, help="Text to put there; @PATH or - as well.")
@click.option("--all", "everywhere", is_flag=True, help="Replace it wherever it stands.")
@with_output
def edit(output: Output, /, file: str, old: str, new: str, everywhere: bool) -> None:
    """Replace a text of a file that stands there once.

    What others change in the same file meanwhile is kept.

    \b
    Example:
      intarsia edit src/a.py --old "return 1" --new "return 2"

    Exit codes: 0 done; 1 another session holds or changed what this touches, and nothing was done; 4 bad input.
    """
    _apply(output, file, exchange(_content(old), _content(new), everywhere=everywhere))


@click.command()
@file_argument
@with_output
def write(output: Output, /, file: str) -> None:
    """Write a whole file, from standard input. One that is there must have been read before: intarsia read.

    What others changed since you read it is kept.

    \b
    Example:
      intarsia write src/new.py < draft.py

    Exit codes: 0 done; 1 another session holds or changed what this touches, and nothing was done; 4 bad input.
    """
    _apply(output, file, Write(_content("-")))


@click.command()
@file_argument
@click.option("--after", default="", metavar="SYMBOL", help="Put it behind this symbol.")
@click.option("--before", default="", metavar="SYMBOL", help="Put it in front of this symbol.")
@click.option("--into", default="", metavar="SYMBOL", help="Put it at the end of this class or other container.")
@with_output
def insert(output: Output, /, file: str, after: str, before: str, into: str) -> None:
    """Insert standard input beside a symbol, such as Parser.parse, indented as it is to be.

    \b
    Example:
      intarsia insert src/a.py --after Parser.parse < method.py

    Exit codes: 0 done; 1 another session holds or changed what this touches, and nothing was done; 4 bad input.
    """
    given = [(where, symbol) for where, symbol in (("after", after), ("before", before), ("into", into)) if symbol]
    if len(given) != 1:
        raise InputError("Say where: one of --after, --before and --into.")
    where, symbol = given[0]
    _apply(output, file, insertion(_content("-"), where, symbol))  # type: ignore[arg-type]


@click.command("import")
@file_argument
@click.argument("statement")
@with_output
def import_(output: Output, /, file: str, statement: str) -> None:
    """Add an import line to a file, unless it has it.

    \b
    Example:
      intarsia import src/a.py "from pathlib import Path"

    Exit codes: 0 done; 1 another session holds or changed what this touches, and nothing was done; 4 bad input.
    """
    _apply(output, file, import_of(statement.encode()))


@click.command()
@file_argument
@with_output
def read(output: Output, /, file: str) -> None:
    """Print a file as it is now. Read it so before you write it whole.

    \b
    Example:
      intarsia read src/a.py

    Exit codes: 0 printed; 4 there is no such file.
    """
    desk = open_desk()
    path = desk.path(file)
    content = desk.place.read(path)
    if content is None:
        raise NotFound(f"There is no file {path}.")
    if output.json:
        output.show("", path=path, content=content.decode(errors="surrogateescape"))
    else:
        sys.stdout.buffer.write(content)


@click.command()
@file_argument
@with_output
def remove(output: Output, /, file: str) -> None:
    """Delete a file.

    \b
    Example:
      intarsia remove src/old.py

    Exit codes: 0 done; 1 another session holds or changed what this touches, and nothing was done; 4 bad input.
    """
    _apply(output, file, Delete())


@click.command()
@file_argument
@click.argument("to")
@with_output
def move(output: Output, /, file: str, to: str) -> None:
    """Give a file another name.

    \b
    Example:
      intarsia move src/old.py src/new.py

    Exit codes: 0 done; 1 another session holds or changed what this touches, and nothing was done; 4 bad input.
    """
    desk = open_desk()
    done = desk.place.move(desk.path(file), desk.path(to))
    output.show(f"{done[1].path} is {done[0].path} now.", path=done[0].path)


@click.command()
@click.option("-m", "--message", required=True, help="What was done and why; the first line is the subject.")
@with_output
def commit(output: Output, /, message: str) -> None:
    """Commit what you changed, and nothing of what others have in the same files. It lands when your turn has ended.

    \b
    Example:
      intarsia commit -m "Add a --version flag"

    Exit codes: 0 committed; 1 there is nothing to commit, or the branch has changed the same (code overlap).
    """
    made = open_desk().commit(message)
    output.show(f"Committed {made[:10]}.", commit=made)


def _apply(output: Output, file: str, change: Edit) -> None:
    desk = open_desk()
    done = desk.place.apply(desk.path(file), change)
    changes = [{"kind": one.kind, "key": one.key} for one in done.changes]
    output.show(said(done), path=done.path, changes=changes, merged=done.merged, advice=done.advice)


def _content(value: str) -> bytes:
    """The bytes of an option: of the file after `@`, of standard input for `-`, or its own; `@@` stands for `@`."""
    if value == "-":
        return sys.stdin.buffer.read()
    if value.startswith("@@"):
        return value[1:].encode(errors="surrogateescape")
    if value.startswith("@"):
        try:
            return Path(value[1:]).read_bytes()
        except OSError as error:
            raise InputError(f"{value[1:]} can't be read: {error.strerror}.") from error
    return value.encode(errors="surrogateescape")
