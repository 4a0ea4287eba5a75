"""What all commands share: the --json flag, output, and finding the project."""

from __future__ import annotations

import functools
import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from intarsia.config import Config
from intarsia.errors import InputError, NotReady
from intarsia.kernel.database import Database
from intarsia.settings import Loaded, load
from intarsia.workspace.repository import Repository

Command = Callable[..., Any]


@dataclass(frozen=True)
class Project:
    repository: Repository
    loaded: Loaded
    database: Database

    @property
    def config(self) -> Config:
        return self.loaded.config


@dataclass(frozen=True)
class Output:
    """Text for people, or one JSON object for programs; both from the same data."""

    json: bool
    dry_run: bool = False

    def show(self, text: str, /, **data: Any) -> None:
        if self.json:
            click.echo(json.dumps({"ok": True, **({"dry_run": True} if self.dry_run else {}), **data}))
        elif text:
            click.echo(f"Dry run, nothing was changed: {text}" if self.dry_run else text)


def with_output(command: Command) -> Command:
    """Give a command `--json`, and an Output as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> Any:
        return command(Output(as_json), *args, **kwargs)

    return wrapped


def with_change(command: Command) -> Command:
    """Like `with_output`, for a command that changes something: also `--dry-run`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @click.option("--dry-run", is_flag=True, help="Do it all in one transaction, show the result, and roll it back.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, dry_run: bool, **kwargs: Any) -> Any:
        return command(Output(as_json, dry_run), *args, **kwargs)

    return wrapped


def find_repository() -> Repository:
    return Repository.discover(working_directory())


def working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise NotReady("The current directory is gone.", hint="Go to one that exists.") from error


def open_project(flags: Mapping[str, Any] | None = None, *, dry_run: bool = False) -> Project:
    """The project around the current directory; raises NotReady, ConfigError or DatabaseError with the cure."""
    repository = find_repository()
    loaded = load(repository.root, flags=flags)
    project = loaded.config.project.id or repository.project_id(keep=not dry_run)
    database = open_database(repository, loaded.config, project, dry_run=dry_run)
    if context := click.get_current_context(silent=True):
        context.call_on_close(database.close)
        context.call_on_close(repository.close)
    return Project(repository, loaded, database)


def open_database(repository: Repository, config: Config, project: str, *, dry_run: bool = False) -> Database:
    """The project's database; on a dry run one that writes nothing, not even its own file."""
    url = config.database.url or f"sqlite://{repository.state / 'intarsia.db'}"
    if dry_run and url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite://")).exists():
        url = "sqlite://:memory:"
    elif not dry_run:
        repository.make_state()
    return Database(url, project, dry_run=dry_run)


def actor() -> str:
    """Who calls: the session whose environment this is, else the person."""
    return os.environ.get("INTARSIA_SESSION") or f"person:{_user()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def read_text(value: str | None) -> str:
    """An option's text; `-` reads it from standard input."""
    if value != "-":
        return value or ""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InputError(f"Standard input is not UTF-8: {error}") from error


def table(rows: list[list[str]]) -> str:
    """Columns as wide as their widest cell; the last one is free."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )
