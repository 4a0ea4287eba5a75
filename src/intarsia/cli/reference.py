"""The generated part of the documentation: `python -m intarsia.cli.reference docs/reference`."""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click
from msgspec import UNSET, Meta

from intarsia.cli import cli
from intarsia.config import Config
from intarsia.settings import Described, describe

NOTE = "<!-- Generated from the code by `make docs`; changes made here are lost. -->"
TYPES = {
    "str": "text",
    "int": "number",
    "float": "number",
    "bool": "true or false",
    "list": "list of texts",
    "Optional": "number",
}
LONGEST_DEFAULT = 60

COMMANDS_INTRO = """\
Every command works from any subdirectory and any linked worktree of the repository, takes `--help`, and, with `--json`,
prints one JSON object: `{"ok": true, …}`, or `{"ok": false, "code": …, "message": …, "hint": …}` when it fails.

| Exit code | Meaning |
|---|---|
| 0 | done, or nothing to do |
| 1 | an issue failed, is blocked or waits to land; or the state of things does not allow this now |
| 2 | wrong usage, wrong configuration, or something is missing: git, a commit, an identity, disk space |
| 3 | aborted |
| 4 | a value handed in is wrong, or the thing named does not exist |
| 130 | interrupted |
"""

CONFIGURATION_INTRO = """\
All settings are optional, and so is the file `intarsia.toml` at the root of the repository. A value is taken from a
flag, else from a variable `INTARSIA_SECTION_KEY` such as `INTARSIA_RUN_AGENTS=8`, else from the file, else it is the
default. Variables exist for project, database, run, limits, workspace and land; lists are separated by commas. What is
not a known key, or of the wrong type, is refused. `intarsia config show` prints the effective values and where each
came from.

```toml
[checks]
test = "make test"                                    # short form
lint = { command = "ruff check .", timeout = 60 }

[run]
agent = "claude"
agents = 4

[agents.claude]
driver = "claude"
env = ["ANTHROPIC_API_KEY"]
```
"""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("Usage: python -m intarsia.cli.reference DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(arguments[0])
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (directory / name).write_text(text, encoding="utf-8")
    return 0


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {"commands.md": commands(), "configuration.md": configuration()}


def commands() -> str:
    sections = [_section(name, command) for name, command in _walk("intarsia", cli)]
    return "\n".join([NOTE, "", "# Commands", "", COMMANDS_INTRO, *sections])


def configuration() -> str:
    parts = [NOTE, "", "# Configuration", "", CONFIGURATION_INTRO]
    for table, settings in groupby(describe(), key=lambda setting: setting.key.rpartition(".")[0]):
        parts += [f"## [{table}]", "", _table_description(table), "", "| Key | Type | Default | |", "|---|---|---|---|"]
        parts += [_setting(setting) for setting in settings]
        parts.append("")
    return "\n".join(parts)


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if name != "intarsia":
        yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from _walk(f"{name} {child}", found)


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"## {name}", "", "```", usage, "```", "", _help(command.help or "")]
    if options := [_option(param, context) for param in command.params if isinstance(param, click.Option)]:
        lines += ["", "| Option | |", "|---|---|", *options]
    return "\n".join([*lines, ""])


def _help(text: str) -> str:
    """The help of a command; what click must not wrap (after `\\b`) is an example, whose first line is its title."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        kept, _, lines = paragraph.partition("\b\n")
        if lines:
            title, _, example = lines.partition("\n")
            paragraphs.append(f"{title}\n\n```sh\n{textwrap.dedent(example).strip()}\n```")
        else:
            paragraphs.append(kept.strip())
    return "\n\n".join(paragraphs)


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    flags, explanation = record or (", ".join(option.opts), "")
    return f"| `{_cell(flags)}` | {_cell(explanation)} |"


def _setting(setting: Described) -> str:
    key = setting.key.rpartition(".")[2]
    return f"| `{key}` | {TYPES[setting.type]} | {_shown(setting.default)} | {_cell(setting.description)} |"


def _shown(default: Any) -> str:
    if default is UNSET or default is None:
        return "required" if default is UNSET else "none"
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= LONGEST_DEFAULT else "see `intarsia config show`"


def _table_description(table: str) -> str:
    hint = get_type_hints(Config, include_extras=True)[table.partition(".")[0]]
    return next((m.description or "" for m in get_args(hint) if isinstance(m, Meta)), "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
