"""`intarsia clean`: remove what sessions left and nobody needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from intarsia.cli.common import Output, Project, open_project, with_output
from intarsia.kernel import sessions
from intarsia.run.context import host_name
from intarsia.workspace import pool
from intarsia.workspace.repository import Repository
from intarsia.workspace.worktree import ARCHIVE, Worktree

BRANCHES = "refs/heads/intarsia/"


@dataclass
class Sweep:
    """What can go, and what is kept because it holds work that did not land."""

    worktrees: list[Worktree] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


@click.command(short_help="Remove idle workspaces and landed branches.")
@click.option("--discard", is_flag=True, help="Also remove branches, archives and workspaces whose work did not land.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed; change nothing.")
@with_output
def clean(output: Output, /, discard: bool, dry_run: bool) -> int:
    """Remove idle workspaces, and branches and archives of sessions that landed.

    What holds work that did not land is kept, and named, unless --discard is given. Nothing of a running or parked
    session is touched. Exit code 1 if something was kept.

    \b
    Example:
      intarsia clean --dry-run
      intarsia clean --discard
    """
    project = open_project()
    sweep = _survey(project, discard)
    if not dry_run:
        _sweep_tree(project)
        _remove(project.repository, sweep)
    verb = "Would remove" if dry_run else "Removed"
    lines = [f"{verb} {len(sweep.worktrees)} workspaces and {len(sweep.refs)} branches and archives."]
    lines += [f"  kept: {name}" for name in sweep.kept]
    if sweep.kept:
        lines.append("Look at them with git; to remove them: intarsia clean --discard")
    output.show(
        "\n".join(lines),
        dry_run=dry_run,
        workspaces=[str(w.slot) for w in sweep.worktrees],
        refs=sweep.refs,
        kept=sweep.kept,
    )
    return 1 if sweep.kept else 0


def _survey(project: Project, discard: bool) -> Sweep:
    sweep = Sweep()
    with project.database.read() as tx:
        idle = pool.idle(tx, project.repository, host_name())
        known = {s.id: s for s in sessions.find(tx, limit=1_000_000)}
    for worktree in idle:
        if worktree.owner is None or discard:
            sweep.worktrees.append(worktree)
        else:
            sweep.kept.append(f"{worktree.slot} (work of {worktree.owner})")
    by_branch = {f"refs/heads/{s.branch}": s for s in known.values()}
    for ref in project.repository.refs():
        if ref.startswith(BRANCHES):
            session = by_branch.get(ref)
        elif ref.startswith(f"{ARCHIVE}/"):
            session = known.get(ref.removeprefix(f"{ARCHIVE}/").split("/")[0])
        else:
            continue
        if session is not None and session.stage not in sessions.ENDED:
            continue
        landed = session is not None and session.stage == "done"
        (sweep.refs if landed or discard else sweep.kept).append(ref)
    return sweep


def _sweep_tree(project: Project) -> None:
    """What sessions that ended left in the shared tree, if there is one, goes to the archive."""
    if not (project.repository.state / "shared.db").exists():
        return
    from intarsia.run import sharing  # and with it the grammars

    target = project.repository.target(project.config.land.target)
    tree = sharing.open_tree(project.repository, project.database, project.config, target)
    sharing.sweep(tree, project.repository, project.database, project.config, target)


def _remove(repository: Repository, sweep: Sweep) -> None:
    for worktree in sweep.worktrees:
        worktree.remove()
    for ref in sweep.refs:
        repository.delete_ref(ref)
