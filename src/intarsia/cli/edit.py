"""Changing files as a session: in the tree that all share, or in its own; the commands are the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, find_repository, with_output, working_directory
from intarsia.cli.identity import SESSION, client
from intarsia.errors import InputError, NotReady
from intarsia.gateway import files as op
from intarsia.gateway.client import Client
from intarsia.gateway.operation import G, Operation

file_argument = click.argument("file")


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
    texts = op.encoded(old=_content(old), new=_content(new))
    _apply(output, op.edit, op.Edit(path=file, **texts, all=everywhere, here=_here()))


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
    _apply(output, op.write, op.Write(path=file, **op.encoded(text=_content("-")), here=_here()))


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
    places: dict[op.Where, str] = {"after": after, "before": before, "into": into}
    named = [(where, symbol) for where, symbol in places.items() if symbol]
    if len(named) != 1:
        raise InputError("Say where: one of --after, --before and --into.")
    where, symbol = named[0]
    text = op.encoded(text=_content("-"))
    _apply(output, op.insert, op.Insert(path=file, where=where, symbol=symbol, **text, here=_here()))


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
    text = op.encoded(statement=statement.encode(errors="surrogateescape"))
    _apply(output, op.import_, op.Import(path=file, **text, here=_here()))


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
    found = _session().call(op.read, op.Read(path=file, encoding="base64", here=_here()))
    content = op.decoded(found.text, found.encoding)
    if output.json:
        output.show("", path=found.path, content=content.decode(errors="surrogateescape"))
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
    _apply(output, op.remove, op.Remove(path=file, here=_here()))


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
    done = _session().call(op.move, op.Move(path=file, to=to, here=_here()))
    output.show(f"{done.before} is {done.path} now.", **to_builtins(done))


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
    made = _session().call(op.commit, op.Commit(message=message, here=_here()))
    output.show(f"Committed {made.commit[:10]}.", **to_builtins(made))


def _apply(output: Output, operation: Operation[G, op.Edited], given: G) -> None:
    done = _session().call(operation, given)
    output.show(done.said, **to_builtins(done))


def _session() -> Client:
    """Raises NotReady for who is no session."""
    if not os.environ.get(SESSION):
        raise op.no_session()
    return client()


def _here() -> str:
    """Where paths start from: where we are, unless that is no tree of a project, such as in a container."""
    try:
        find_repository()
    except NotReady:
        return ""
    return str(working_directory())


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
