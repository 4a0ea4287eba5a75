"""`intarsia mirror`: the project as Markdown files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click

from intarsia.cli.common import Output, open_project, with_change
from intarsia.errors import UsageError

PAUSE = 1.0


@click.command(short_help="Keep readable pages of everything in a folder.")
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--follow", "-f", is_flag=True, help="Stay, and write changes as they happen.")
@click.option("--rebuild", is_flag=True, help="Look at every page again, also those nothing has happened to.")
@with_change
def mirror(output: Output, /, directory: Path, follow: bool, rebuild: bool) -> None:
    """Keep DIR a readable copy of queues, issues, history and daily summaries. One way: nothing is read back.

    DIR must be new, empty, or a mirror of this project. Only files that change are written.

    \b
    Example:
      intarsia mirror ../project-mirror
      intarsia mirror ../project-mirror --follow
    """
    from intarsia.outside.mirror import Mirror

    if follow and output.dry_run:
        raise UsageError("A dry run does not follow.")
    project = open_project(dry_run=output.dry_run)
    copy = Mirror(project.database, directory, project.config.queues, dry_run=output.dry_run)
    done = copy.update(rebuild=rebuild)
    changed = "\n".join(f"  {name}" for name in done.files) if output.dry_run else ""
    text = f"{directory} is complete up to event {done.cursor}; {len(done.files)} files written."
    if not follow:
        output.show(f"{text}\n{changed}".strip(), directory=str(directory), **done.as_json())
        return
    while True:
        if done.files:
            text = f"up to event {done.cursor}: {len(done.files)} files written"
            click.echo(json.dumps({"ok": True, **done.as_json()}) if output.json else text)
        time.sleep(PAUSE)
        done = copy.update()
