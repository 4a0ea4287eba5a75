"""`intarsia session`: what agents did; and `intarsia resolve`, with which an agent says how it ends."""

from __future__ import annotations

import os
from pathlib import Path

import click
from msgspec import to_builtins

from intarsia.cli.common import Output, open_project, table, with_output
from intarsia.cli.identity import client
from intarsia.clock import iso
from intarsia.errors import InputError, NotReady
from intarsia.gateway import words
from intarsia.kernel import events, sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.sessions import Session
from intarsia.run import resolution, usage

SHOWN = 200_000


@click.group(short_help="See what agents did.")
def session() -> None:
    """Look at sessions: one attempt of one agent at one issue each.

    \b
    Example:
      intarsia session list
      intarsia session logs s-1f2e3d4c
    """


@session.command(name="list")
@click.option("--issue", help="Only those of this issue.")
@click.option("--limit", "-n", type=click.IntRange(1), default=50, show_default=True)
@with_output
def list_(output: Output, /, issue: str | None, limit: int) -> None:
    """List sessions, newest first.

    \b
    Example:
      intarsia session list --issue ia-7f3a
    """
    with open_project().database.read() as tx:
        found = sessions.find(tx, issue=issue, limit=limit)
    rows = [[s.id, s.issue, s.agent, s.stage, iso(s.created) or "", s.reason] for s in found]
    output.show(table(rows) or "No sessions yet.", sessions=[s.as_json() for s in found])


@session.command()
@click.argument("id")
@with_output
def show(output: Output, /, id: str) -> None:
    """Show a session and its events.

    \b
    Example:
      intarsia session show s-1f2e3d4c
    """
    project = open_project()
    with project.database.read() as tx:
        found = _find(tx, id)
        history = events.latest(tx, 1000, session=found.id)
    facts = {key: value for key, value in found.as_json().items() if value not in (None, "", {}, [])}
    lines = [f"{key}: {usage.shown(found.usage) if key == 'usage' else value}" for key, value in facts.items()]
    lines += ["", *(f"{iso(e.time)}  {e.kind}  {_short(e.data)}" for e in history)]
    output.show("\n".join(lines), session=found.as_json(), events=[e.as_json() for e in history])


@session.command()
@click.argument("id")
@click.option("--turn", type=click.IntRange(1), help="Only this turn.")
@with_output
def logs(output: Output, /, id: str, turn: int | None) -> None:
    """Print what the agent was told and printed, and what its checks printed.

    ID may also be that of an issue, which means its last session.

    \b
    Example:
      intarsia session logs s-1f2e3d4c
      intarsia session logs ia-7f3a
    """
    project = open_project()
    with project.database.read() as tx:
        found = _find(tx, id)
    folder = project.repository.state / "sessions" / found.id
    files = _files(folder, turn)
    if output.json:
        output.show("", session=found.id, files=[{"path": str(f), "text": _text(f)} for f in files])
        return
    for file in files:
        click.echo(f"── {file.relative_to(project.repository.root)}")
        click.echo(_text(file))


@click.command(short_help="For agents: end without the usual commit.")
@click.argument("kind", type=click.Choice(resolution.KINDS))
@click.argument("rationale")
@with_output
def resolve(output: Output, /, kind: resolution.Kind, rationale: str) -> None:
    """For agents: say that this session ends without the usual commit, and why.

    Takes effect when the turn ends, and is verified then. Needs the session's environment (INTARSIA_SESSION and
    INTARSIA_SECRET).

    \b
    Example:
      intarsia resolve no_change "the flag exists since 1.2"
      intarsia resolve blocked "needs the parser of ia-7f3a"
    """
    identity, secret = os.environ.get("INTARSIA_SESSION"), os.environ.get("INTARSIA_SECRET")
    if not identity or not secret:
        raise NotReady(
            "This is not the environment of a session.", hint="Only an agent that intarsia runs can resolve."
        )
    made = client().call(words.resolve, words.Resolve(kind=kind, rationale=rationale))
    output.show(f"Recorded: {kind}.", **to_builtins(made))


def _find(tx: Transaction, id: str) -> Session:
    of_issue = sessions.find(tx, issue=id, limit=1)
    return of_issue[0] if of_issue else sessions.get(tx, id)


def _files(folder: Path, turn: int | None) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"There is nothing kept of this session on this host: {folder} is missing.")
    names = ("prompt-{}.md", "output-{}.log")
    turns = [turn] if turn else range(1, 1000)
    files = [folder / name.format(number) for number in turns for name in names]
    found = [file for file in files if file.is_file()]
    return found if turn else [*found, *sorted(folder.glob("setup.log")), *sorted(folder.glob("check-*.log"))]


def _text(path: Path) -> str:
    with path.open("rb") as file:
        text = file.read(SHOWN).decode(errors="replace")
    return text + ("\n[… cut]" if path.stat().st_size > SHOWN else "")


def _short(data: dict[str, object]) -> str:
    return "  ".join(f"{key}={value}" for key, value in data.items() if value not in (None, ""))
