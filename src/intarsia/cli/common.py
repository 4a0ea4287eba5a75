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

from intarsia.config import Config, Loaded, load
from intarsia.errors import InputError, NotReady
from intarsia.kernel.database import Database
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

    def show(self, text: str, **data: Any) -> None:
        if self.json:
            click.echo(json.dumps({"ok": True, **data}))
        elif text:
            click.echo(text)


def with_output(command: Command) -> Command:
    """Give a command `--json`, and an Output as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> Any:
        return command(Output(as_json), *args, **kwargs)

    return wrapped


def find_repository() -> Repository:
    return Repository.discover(working_directory())


def working_directory() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise NotReady("The current directory is gone.", hint="Go to one that exists.") from error


def open_project(flags: Mapping[str, Any] | None = None) -> Project:
    """The project around the current directory; raises NotReady, ConfigError or DatabaseError with the cure."""
    repository = find_repository()
    loaded = load(repository.root, flags=flags)
    project = loaded.config.project.id or repository.project_id()
    return Project(repository, loaded, open_database(repository, loaded.config, project))


def open_database(repository: Repository, config: Config, project: str) -> Database:
    state = repository.make_state()
    return Database(config.database.url or f"sqlite://{state / 'intarsia.db'}", project)


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
