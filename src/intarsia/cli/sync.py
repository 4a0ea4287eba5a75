"""`intarsia sync`: events for other systems, handed to commands of yours."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Collection
from typing import Any, NoReturn

import click

from intarsia.cli.common import Output, Project, open_project, table, with_change, with_output
from intarsia.clock import iso
from intarsia.config import Sync
from intarsia.errors import Conflict, Held, NotFound, NotReady, UsageError
from intarsia.outside import sync as outbound
from intarsia.outside.sync import Status

PAUSE = 1.0


class SyncFailed(Conflict):
    """Not everything could be handed over; `data["syncs"]` says of each how it stands."""

    code = "sync_failed"


@click.group(short_help="Hand events to other systems.")
def sync() -> None:
    """Hand events to a command, in order, as JSON lines on its standard input: [sync.NAME] in intarsia.toml.

    \b
    Example:
      intarsia sync run
      intarsia sync status
    """


@sync.command()
@click.argument("name", required=False)
@click.option("--follow", "-f", is_flag=True, help="Stay, and hand events over as they happen.")
@with_change
def run(output: Output, /, name: str | None, follow: bool) -> None:
    """Hand over what each sync (or NAME) has not got yet. Made for cron: whoever runs already is left alone.

    A batch is at most 500 events, and counts when the command exits with 0. After a failure the same batch is tried
    again, first after 5 seconds, then after 10, 20, … up to an hour.

    \b
    Example:
      intarsia sync run
      intarsia sync run tracker --follow

    Exit codes: 0 all got everything; 1 one failed, waits for its next try, or is being run by another process.
    """
    if follow and output.dry_run:
        raise UsageError("A dry run does not follow.")
    project = open_project(dry_run=output.dry_run)
    chosen = _chosen(project, name)
    if output.dry_run:
        return _foretell(output, project, chosen)
    signal.signal(signal.SIGTERM, _interrupt)
    if follow:
        _follow(output, project, chosen)
    found = [_deliver(project, each, chosen[each]) for each in chosen]
    if any(one.state != "current" for one in found):
        raise _failed(found)
    return output.show(_listing(found), syncs=[one.as_json() for one in found])


@sync.command(name="status")
@with_output
def status_(output: Output, /) -> None:
    """Show of each sync how far it is, how many events it is behind, and its failures in a row.

    \b
    Example:
      intarsia sync status --json
    """
    project = open_project()
    with project.database.read() as tx:
        found = [outbound.status(tx, name, sync) for name, sync in project.config.sync.items()]
    output.show(_listing(found) or "There is no [sync.NAME] in intarsia.toml.", syncs=[one.as_json() for one in found])


@sync.command()
@click.argument("name")
@with_change
def retry(output: Output, /, name: str) -> None:
    """Try a sync that failed again now, also one that has stopped.

    \b
    Example:
      intarsia sync retry tracker

    Exit codes: 0 it got everything; 1 it failed again, or there was nothing to retry.
    """
    project = open_project(dry_run=output.dry_run)
    chosen = _chosen(project, name)
    with project.database.read() as tx:
        before = outbound.status(tx, name, chosen[name])
    if not before.failures:
        raise Conflict(f"There is nothing to retry: {name} has not failed.", hint=f"intarsia sync run {name}")
    if output.dry_run:
        return _foretell(output, project, chosen)
    signal.signal(signal.SIGTERM, _interrupt)
    found = outbound.deliver(project.database, name, chosen[name], project.repository.root, now=True)
    if found.state != "current":
        raise _failed([found])
    return output.show(_listing([found]), syncs=[found.as_json()])


def _chosen(project: Project, name: str | None) -> dict[str, Sync]:
    configured = project.config.sync
    if not configured:
        raise NotReady("There is no [sync.NAME] in intarsia.toml.", hint='Write: [sync.NAME] command = "…"')
    if name is None:
        return configured
    if name not in configured:
        raise NotFound(f"There is no sync {name!r}.", hint=f"There is: {', '.join(configured)}")
    return {name: configured[name]}


def _deliver(project: Project, name: str, sync: Sync) -> Status:
    try:
        return outbound.deliver(project.database, name, sync, project.repository.root)
    except Held:
        with project.database.read() as tx:
            return outbound.status(tx, name, sync)


def _follow(output: Output, project: Project, chosen: dict[str, Sync]) -> NoReturn:
    told: dict[str, tuple[Any, ...]] = {}
    while True:
        for name, sync in chosen.items():
            found = _deliver(project, name, sync)
            news = (found.cursor, found.failures, found.state == "stopped")
            if told.get(name) != news:
                told[name] = news
                click.echo(json.dumps({"ok": True, **found.as_json()}) if output.json else _listing([found]))
        time.sleep(PAUSE)


def _foretell(output: Output, project: Project, chosen: dict[str, Sync]) -> None:
    with project.database.read() as tx:
        batches = {name: [event.id for event in outbound.pending(tx, name, sync)] for name, sync in chosen.items()}
    lines = [f"{name}: the next batch has {len(ids)} events" for name, ids in batches.items()]
    output.show("\n".join(lines), batches=batches)


def _failed(found: Collection[Status]) -> SyncFailed:
    late = [one for one in found if one.state != "current"]
    stopped = next((one.name for one in late if one.state == "stopped"), None)
    return SyncFailed(
        "; ".join(_sentence(one) for one in late) + ".",
        hint=f"When it is repaired: intarsia sync retry {stopped}" if stopped else "See: intarsia sync status",
        syncs=[one.as_json() for one in found],
    )


def _sentence(found: Status) -> str:
    what = f"{found.name} is {found.behind} events behind"
    if found.state == "running":
        return f"{what}, and another process is at it"
    last = found.problem.splitlines()[0] if found.problem else ""
    then = "stopped" if found.state == "stopped" else f"next try at {iso(found.next_try)}"
    return f"{what} after {found.failures} failures, {then}: {last.rstrip('.')}" if found.failures else what


def _listing(found: Collection[Status]) -> str:
    return table(
        [
            [
                one.name,
                one.state,
                f"at event {one.cursor}",
                f"{one.behind} behind",
                f"{one.failures} failures",
                f"next try {iso(one.next_try)}" if one.next_try is not None and one.failures else "",
                one.problem.splitlines()[0] if one.problem else "",
            ]
            for one in found
        ]
    )


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
