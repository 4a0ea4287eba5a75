"""`intarsia init`, `intarsia config` and `intarsia completion`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from intarsia.cli.common import Output, actor, find_repository, open_database, table, with_change, with_output
from intarsia.config import FILE
from intarsia.errors import Conflict, InputError, UsageError
from intarsia.kernel.database import Database
from intarsia.kernel.postgresql import without_password
from intarsia.settings import flatten, load

if TYPE_CHECKING:
    from intarsia.outside.imports import Imported
    from intarsia.outside.mai import Mai

TEMPLATE = """\
# intarsia: agents work on issues, intarsia proves and lands their work. All settings: intarsia config show

# The commands that must pass on exactly the tree that lands.
[checks]
{checks}

# Who does the work: claude, codex, or a program of your own; {{prompt_file}} holds its task.
# [run]
# agent = "claude"
# [agents.mine]
# driver = "command"
# command = "my-agent --task {{prompt_file}}"
"""

KNOWN_CHECKS = {
    "pyproject.toml": 'test = "python3 -m pytest -q"',
    "package.json": 'test = "npm test"',
    "Cargo.toml": 'test = "cargo test"',
    "go.mod": 'test = "go test ./..."',
    "Makefile": 'test = "make test"',
}


class BrokenFiles(Conflict):
    """`data["broken"]` names the files and says what is wrong with each."""

    code = "broken_files"


@click.command(short_help="Prepare this repository.")
@click.option("--from-mai", type=click.Path(path_type=Path), metavar="DIR", help="Import the Mai project in DIR.")
@click.option("--skip-broken", is_flag=True, help="Import what can be read, and leave out what can't.")
@click.option("--agents-md", is_flag=True, help="Add a block about intarsia to AGENTS.md, or renew it there.")
@click.option("--skill", is_flag=True, help="Write a skill about our commands: .claude/skills/intarsia/SKILL.md.")
@with_change
def init(
    output: Output, /, from_mai: Path | None, skip_broken: bool, *, agents_md: bool = False, skill: bool = False
) -> None:
    """Prepare the repository around here: a commented intarsia.toml and the state directory .intarsia/.

    With --agents-md or --skill a repository that is prepared already gets, or renews, only those.

    \b
    Example:
      cd my-project && intarsia init
      intarsia init --agents-md --skill
      intarsia init --from-mai ../old-project --dry-run

    Exit codes: 0 done; 1 there is an intarsia.toml, or a file of Mai's can't be read; 2 its config.json can't be.
    """
    if skip_broken and from_mai is None:
        raise UsageError("--skip-broken goes with --from-mai.")
    repository = find_repository()
    repository.require_git()
    repository.require_commit()
    repository.require_identity()
    path = repository.root / FILE
    wanted = {"agents_md": agents_md, "skill": skill}
    written = _instruct(repository.root, **wanted, dry_run=True)
    if path.exists() and written and from_mai is None:
        _instruct(repository.root, **wanted, dry_run=output.dry_run)
        text = "".join(f"{'Wrote' if changed else 'As it should be'}: {name}\n" for name, changed in written.items())
        return output.show(text.rstrip(), written=written)
    if path.exists():
        raise Conflict(f"{path} exists already.", hint="Edit it, or see: intarsia config show")
    guess = next((line for name, line in KNOWN_CHECKS.items() if (repository.root / name).is_file()), None)
    text = TEMPLATE.format(checks=guess or '# test = "make test"')
    mai = _read_mai(from_mai, skip_broken) if from_mai is not None else None
    if mai is not None:
        text = f"{text}\n{_settings(mai)}"
    config = load(repository.root).config
    project = config.project.id or repository.project_id(keep=not output.dry_run)
    database = open_database(repository, config, project, dry_run=output.dry_run)
    imported = None
    if mai is not None:
        imported = _store(database, mai)
    if not output.dry_run:
        _write(path, text)
        _instruct(repository.root, **wanted)
    told = f"Made {path}.\n" + "".join(f"Wrote {name}.\n" for name in written) + _report(mai, imported)
    told += f"It runs this check before anything lands: {guess}\n" if guess else "Name your checks in it.\n"
    told += "Next: intarsia issue new TITLE, then: intarsia run --agent claude"
    more = {} if mai is None or imported is None else {"imported": imported.as_json(), "broken": _broken(mai)}
    output.show(told, config=str(path), state=str(repository.state), project=database.project, written=written, **more)
    return None


def _instruct(root: Path, *, agents_md: bool, skill: bool, dry_run: bool = False) -> dict[str, bool]:
    """Write what is asked for; by file, whether it changed."""
    from intarsia.cli import instructions

    written = {}
    if agents_md:
        written[instructions.AGENTS] = instructions.write_agents_md(root, dry_run=dry_run)
    if skill:
        written["/".join((*instructions.SKILL, "SKILL.md"))] = instructions.write_skill(root, dry_run=dry_run)
    return written


def _read_mai(directory: Path, skip_broken: bool) -> Mai:
    from intarsia.outside.mai import read

    mai = read(directory)
    if mai.broken and not skip_broken:
        listing = "".join(f"\n  {broken.file}: {broken.reason}" for broken in mai.broken)
        raise BrokenFiles(
            f"{len(mai.broken)} files can't be read, so nothing was imported:{listing}",
            hint="Repair or remove them, or leave them out: --skip-broken",
            broken=_broken(mai),
        )
    return mai


def _settings(mai: Mai) -> str:
    from intarsia.outside.rules import settings

    return settings(mai.rules)


def _store(database: Database, mai: Mai) -> Imported:
    from intarsia.outside.imports import store

    with database.transaction() as tx:
        return store(tx, mai, actor())


def _broken(mai: Mai) -> list[dict[str, Any]]:
    return [broken.as_json() for broken in mai.broken]


def _report(mai: Mai | None, imported: Imported | None) -> str:
    if mai is None or imported is None:
        return ""
    if imported.again:
        return f"{mai.root} was imported before; only its settings were missing.\n"
    lines = [
        f"Imported {mai.rules.name}: {len(imported.issues)} issues in {len(mai.rules.queues)} queues, "
        f"{imported.decisions} decisions, {imported.history} lines of history, {imported.summaries} daily summaries.",
        *(f"Several issues were {old}: {', '.join(new)}" for old, new in imported.collisions.items()),
        *(f"Left out {broken.file}: {broken.reason}" for broken in mai.broken),
        *imported.remarks,
    ]
    return "".join(f"{line}\n" for line in lines)


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    from intarsia.outside.folder import Folder

    folder = Folder.open(path.parent)
    try:
        folder.write(path.name, text.encode())
        folder.settle()
    finally:
        folder.close()


@click.group()
def config() -> None:
    """Look at the configuration.

    \b
    Example:
      intarsia config show
    """


@config.command()
@click.argument("key", required=False)
@with_output
def show(output: Output, /, key: str | None) -> None:
    """Print the effective settings and where each came from: flag, INTARSIA_… variable, intarsia.toml or default.

    \b
    Example:
      intarsia config show
      intarsia config show run.agents
    """
    loaded = load(find_repository().root)
    values = {name: _masked(value) for name, value in flatten(loaded.config).items()}
    if key is not None:
        values = {name: value for name, value in values.items() if name == key or name.startswith(f"{key}.")}
        if not values:
            raise InputError(f"There is no setting {key}.", hint="See: intarsia config show")
    rows = [[name, loaded.origin(name), repr(value)] for name, value in values.items()]
    output.show(table(rows), settings={name: {"value": v, "origin": loaded.origin(name)} for name, v in values.items()})


def _masked(value: Any) -> Any:
    return without_password(value) if isinstance(value, str) else value


@click.command(short_help="Turn shell completion on.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), required=False)
@with_output
def completion(output: Output, /, shell: str | None) -> None:
    """Print the line that turns shell completion on.

    \b
    Example:
      eval "$(intarsia completion bash)"
    """
    name = shell or os.path.basename(os.environ.get("SHELL", "bash"))  # noqa: PTH119
    lines = {
        "bash": 'eval "$(_INTARSIA_COMPLETE=bash_source intarsia)"',
        "zsh": 'eval "$(_INTARSIA_COMPLETE=zsh_source intarsia)"',
        "fish": "_INTARSIA_COMPLETE=fish_source intarsia | source",
    }
    if name not in lines:
        raise InputError(f"There is no completion for {name!r}.", hint="Name bash, zsh or fish.")
    output.show(lines[name], shell=name, line=lines[name])
