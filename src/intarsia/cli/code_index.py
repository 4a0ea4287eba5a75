"""`intarsia code index`, `who` and `conflicts`: what is defined and mentioned where, and what breaks together."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from intarsia.cli.common import Output, find_repository, table, with_output, working_directory
from intarsia.errors import NotFound, UsageError
from intarsia.workspace.git import Git
from intarsia.workspace.repository import Repository
from intarsia.workspace.two_sides import INDEX, semantic_conflicts

if TYPE_CHECKING:
    from intarsia.code.conflicts.source import SemanticConflict
    from intarsia.code.names.index import Index, Place, Refreshed


@click.command(short_help="Build or refresh the index of names.")
@click.option("--rebuild", is_flag=True, help="Read every file again.")
@with_output
def index(output: Output, /, rebuild: bool) -> None:
    """Know which names the tracked files define and mention, as they are in the working tree now.

    Only files that no index has seen are read. Other commands do this by themselves.

    \b
    Example:
      intarsia code index
    """
    repository = find_repository()
    place = repository.make_state() / INDEX
    started = time.perf_counter()
    found, done = _refreshed(place, rebuild=rebuild)
    found.close()
    seconds = time.perf_counter() - started
    text = f"{done.files} files, {done.units} units, {done.lines} lines; {done.read} files read in {seconds:.2f} s."
    output.show(text, **structs.asdict(done), seconds=round(seconds, 3))


@click.command(short_help="Show who defines and who mentions a name.")
@click.argument("name")
@with_output
def who(output: Output, /, name: str) -> None:
    """Show the definitions of NAME (`name` or `Class.method`) and the units that mention them.

    By name, without types: some of the mentions shown mean something else of that name, and a few may be missing.

    \b
    Example:
      intarsia code who Parser.parse
    """
    found, _ = _refreshed(find_repository().make_state() / INDEX)
    definitions, mentions = found.definitions(name), found.mentions(name)
    found.close()
    if not definitions and not mentions:
        raise NotFound(f"No tracked file defines or mentions {name}.", hint="Names are case-sensitive.")
    rows = [_row("defined", each) for each in definitions] + [_row("mentioned", each) for each in mentions]
    data = {"definitions": [_as_json(each) for each in definitions], "mentions": [_as_json(each) for each in mentions]}
    output.show(table(rows), name=name, **data)


@click.command(short_help="Show what two ranges of commits break only together.")
@click.argument("one", metavar="BASE..A")
@click.argument("other", metavar="BASE..B")
@with_output
def conflicts(output: Output, /, one: str, other: str) -> int:
    """Show what the changes of A and B break together though their text merges.

    Provable are an error of syntax that neither side has, a definition made twice, an import of a name that the other
    side took away, and a call that the other side's definition can't take; the last two for Python. The rest are
    notices: worth a look, often nothing.

    Exit codes: 0 nothing provable; 1 something provable; 4 no such range.

    \b
    Example:
      intarsia code conflicts main..feature main..other
    """
    repository = find_repository()
    git = Git(working_directory())
    base, ours, theirs = _ranges(git, one, other)
    found = semantic_conflicts(git, base, ours, theirs, index=_shared(repository))
    names = {"ours": one.partition("..")[2], "theirs": other.partition("..")[2], "both": "both"}
    data = [{**structs.asdict(each), "user": names[each.user], "changer": names[each.changer]} for each in found]
    provable = sum(each.provable for each in found)
    text = "\n".join(_said(each, names) for each in found) or "Nothing that can be told."
    output.show(text, base=base, conflicts=data, provable=provable, notices=len(found) - provable)
    return 1 if provable else 0


def _refreshed(place: Path, *, rebuild: bool = False) -> tuple[Index, Refreshed]:
    from intarsia.code.names.index import Index
    from intarsia.workspace.tracked import Tracked

    tracked = Tracked(working_directory())
    found = Index(place)
    if rebuild:
        found.forget()
    return found, found.refresh(tracked.ids.items(), tracked.read)


def _shared(repository: Repository) -> Path | None:
    """The project's index, if it has a state already."""
    return repository.state / INDEX if repository.state.is_dir() else None


def _ranges(git: Git, one: str, other: str) -> tuple[str, str, str]:
    """The commit that both sides come from, and theirs."""
    (first, ours), (second, theirs) = _range(git, one), _range(git, other)
    if first != second:
        raise UsageError(f"{one} and {other} begin at different commits.", hint="Write BASE..A BASE..B")
    base = git.try_line("merge-base", ours, theirs)
    if base is None:
        raise NotFound(f"{one} and {other} have no commit in common.")
    # Where BASE has gone on since, what matters is where the two parted.
    return (first if _comes_before(git, first, ours) and _comes_before(git, first, theirs) else base), ours, theirs


def _range(git: Git, text: str) -> tuple[str, str]:
    first, dots, last = text.partition("..")
    if not dots or last.startswith("."):
        raise UsageError(f"{text} is no range.", hint="Write BASE..A, with two revisions.")
    return _commit(git, first), _commit(git, last)


def _commit(git: Git, name: str) -> str:
    found = git.try_line("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name or 'HEAD'}^{{commit}}")
    if not found:
        raise NotFound(f"There is no commit {name or 'HEAD'}.")
    return found


def _comes_before(git: Git, first: str, then: str) -> bool:
    return git.try_line("merge-base", "--is-ancestor", first, then) is not None


def _row(what: str, place: Place) -> list[str]:
    return [what, f"{place.path}:{place.line}", place.key]


def _as_json(place: Place) -> dict[str, Any]:
    return {**structs.asdict(place), "uri": place.uri}


def _said(each: SemanticConflict, names: dict[str, str]) -> str:
    weight = "provable" if each.provable else "notice"
    who = "" if each.user == "both" else f" ({names[each.user]} uses, {names[each.changer]} changed)"
    return f"{weight}  {each.kind}  {each.path}:{each.line}  {each.message}{who}"
