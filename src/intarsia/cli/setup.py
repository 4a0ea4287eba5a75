"""`intarsia init`, `intarsia config` and `intarsia completion`."""

from __future__ import annotations

import os
from typing import Any

import click

from intarsia.cli.common import Output, find_repository, open_database, table, with_output
from intarsia.config import FILE, flatten, load
from intarsia.errors import Conflict, InputError
from intarsia.kernel.database import without_password

TEMPLATE = """\
# intarsia: agents work on issues, intarsia proves and lands their work. All settings: intarsia config show

# The commands that must pass on exactly the tree that lands.
[checks]
{checks}

# Programs that do the work. {{prompt_file}} holds the task; without it the task is on standard input.
# [agents.claude]
# driver = "command"
# command = "claude -p --permission-mode acceptEdits --allowedTools=Bash"
"""

KNOWN_CHECKS = {
    "pyproject.toml": 'test = "python3 -m pytest -q"',
    "package.json": 'test = "npm test"',
    "Cargo.toml": 'test = "cargo test"',
    "go.mod": 'test = "go test ./..."',
    "Makefile": 'test = "make test"',
}


@click.command()
@with_output
def init(output: Output, /) -> None:
    """Prepare the repository around here: a commented intarsia.toml and the state directory .intarsia/.

    \b
    Example:
      cd my-project && intarsia init
    """
    repository = find_repository()
    repository.require_git()
    repository.require_commit()
    repository.require_identity()
    path = repository.root / FILE
    if path.exists():
        raise Conflict(f"{path} exists already.", hint="Edit it, or see: intarsia config show")
    guess = next((line for name, line in KNOWN_CHECKS.items() if (repository.root / name).is_file()), None)
    config = load(repository.root).config
    database = open_database(repository, config, config.project.id or repository.project_id())
    try:
        path.write_text(TEMPLATE.format(checks=guess or '# test = "make test"'), encoding="utf-8")
    except OSError:
        path.unlink(missing_ok=True)
        raise
    text = f"Made {path}.\n" + (
        f"It runs this check before anything lands: {guess}\n" if guess else "Name your checks in it.\n"
    )
    text += "Next: intarsia issue new TITLE, then: intarsia run --agent 'command: my-agent --task {prompt_file}'"
    output.show(text, config=str(path), state=str(repository.state), project=database.project)


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
    rows = [[name, repr(value), loaded.origin(name)] for name, value in values.items()]
    output.show(table(rows), settings={name: {"value": v, "origin": loaded.origin(name)} for name, v in values.items()})


def _masked(value: Any) -> Any:
    return without_password(value) if isinstance(value, str) else value


@click.command()
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
