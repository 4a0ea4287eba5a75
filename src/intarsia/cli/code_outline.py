"""`intarsia code outline` and `touched`: a file's symbols, and those that an edit touches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from intarsia.cli.common import Output, find_repository, table, with_output, working_directory
from intarsia.errors import InputError, NotFound
from intarsia.workspace.git import Git

if TYPE_CHECKING:
    from intarsia.code.outline import Unit
    from intarsia.code.touched import Change


@click.command(short_help="Show the symbols of a file.")
@click.argument("file", type=click.Path(path_type=Path))
@with_output
def outline(output: Output, /, file: Path) -> None:
    """Show the symbols of FILE: names as locks take them, kinds, and lines.

    A file of no known language, or of more than a megabyte, is one unit.

    \b
    Example:
      intarsia code outline src/parser.py

    Exit codes: 0 done; 4 the file can't be read.
    """
    from intarsia.code.languages import language_of
    from intarsia.code.outline import outline as outline_of

    data = read(file)
    found = outline_of(data, language_of(file.name, data))
    lines = _Lines(data)
    rows = [list(row) for row in _rows(found.units, lines, 0)]
    units = [_as_json(unit, lines) for unit in found.units]
    output.show(table(rows), path=str(file), language=found.language, broken=found.broken, units=units)


@click.command(short_help="Show which symbols an edit touches.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--base", type=click.Path(path_type=Path), metavar="OLD", help="The file before; default: as in HEAD.")
@with_output
def touched(output: Output, /, file: Path, base: Path | None) -> None:
    """Show which symbols FILE changes against what it was, how, and the leases that such an edit takes.

    \b
    Example:
      intarsia code touched src/parser.py

    Exit codes: 0 done, also when nothing is touched; 4 one of the files can't be read.
    """
    from intarsia.code.languages import language_of
    from intarsia.code.leases import needs
    from intarsia.code.outline import outline as outline_of
    from intarsia.code.touched import touched as touched_by

    new = read(file)
    path, old = (str(file), read(base)) if base is not None else _committed(file)
    changes = touched_by(outline_of(old, language_of(file.name, old)), new)
    wanted = needs(path, changes)
    text = table([[change.kind, _said(change)] for change in changes])
    leases = table([[mode, uri] for uri, mode in wanted.items()])
    said = f"{text}\n\nLeases:\n{leases}" if leases else text or "Nothing is touched."
    output.show(said, path=path, changes=[structs.asdict(change) for change in changes], leases=wanted)


def read(file: Path) -> bytes:
    """The content; raises NotFound or InputError."""
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {file}.", hint="Give a path from the current directory.") from error
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}.", hint="Give a file that is readable.") from error


def _committed(file: Path) -> tuple[str, bytes]:
    """The path in the repository, and the content in HEAD."""
    repository = find_repository()
    here = (working_directory() / file).resolve()
    tree = Path(Git(here.parent).line("rev-parse", "--show-toplevel"))
    if not here.is_relative_to(tree.resolve()):
        raise InputError(f"{file} is not in {repository.root}.", hint="Name the old version: --base FILE")
    path = here.relative_to(tree.resolve()).as_posix()
    old = Git(tree).read("cat-file", "blob", f"HEAD:{path}")
    if old is None:
        raise NotFound(f"HEAD has no file {path}.", hint="Name the old version: --base FILE")
    return path, old


class _Lines:
    """Offsets as numbers of lines."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def of(self, unit: Unit) -> tuple[int, int]:
        first = self._data.count(b"\n", 0, unit.core) + 1
        text = self._data[unit.core : unit.end]
        return first, first + text.rstrip().count(b"\n")


def _rows(units: list[Unit], lines: _Lines, depth: int) -> list[tuple[str, str, str]]:
    rows = []
    for unit in units:
        first, last = lines.of(unit)
        rows.append((f"{first}-{last}", unit.kind, "  " * depth + (unit.key or "(file)")))
        rows += _rows(unit.units or [], lines, depth + 1)
    return rows


def _as_json(unit: Unit, lines: _Lines) -> dict[str, Any]:
    first, last = lines.of(unit)
    data = {"key": unit.key, "kind": unit.kind, "name": unit.name, "first_line": first, "last_line": last}
    if unit.units is None:
        return data
    return {**data, "units": [_as_json(member, lines) for member in unit.units]}


def _said(change: Change) -> str:
    if change.kind == "renamed":
        return f"{change.key} → {change.into}"
    return f"{change.key} (in {change.into})" if change.into else change.key
