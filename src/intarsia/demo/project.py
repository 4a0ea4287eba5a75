"""Making the sample project: files, one commit, issues."""

from __future__ import annotations

import shutil
import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from intarsia.errors import Conflict
from intarsia.kernel import Database, issues
from intarsia.kernel.issues import Draft
from intarsia.workspace.git import Git
from intarsia.workspace.repository import Repository

MARK = "intarsia-demo"
IDENTITY = {"user.name": "Demo", "user.email": "demo@example.invalid"}
DATA = files("intarsia.demo")


def create(directory: Path) -> Repository:
    """The sample project in `directory`, in place of a former one; raises Conflict if anything else is there."""
    clear(directory)
    _copy(DATA / "sample", directory)
    git = Git(directory)
    git.run("init", "--quiet", "--initial-branch=main", "--template=")
    (directory / ".git" / MARK).touch()
    for name, value in IDENTITY.items():
        git.run("config", name, value)
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message=A small library")
    repository = Repository.discover(directory)
    _copy(DATA / "scenario.toml", repository.make_state() / "scenario.toml")
    _file_issues(repository)
    return repository


def clear(directory: Path) -> None:
    """Remove a former demo; an empty directory is as good as none."""
    if (directory / ".git" / MARK).is_file() and not directory.is_symlink():
        shutil.rmtree(directory)
    elif directory.is_symlink() or (directory.exists() and (not directory.is_dir() or any(directory.iterdir()))):
        raise Conflict(
            f"{directory} is there already and is no former demo.",
            hint="Name another directory: python -m intarsia.demo DIRECTORY",
        )


def database(repository: Repository) -> Database:
    return Database(f"sqlite://{repository.state / 'intarsia.db'}", repository.project_id())


def written_issues() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((DATA / "issues.toml").read_text(encoding="utf-8"))["issues"]
    return found


def ends(repository: Repository) -> dict[str, str]:
    """How each issue ended, in the words of issues.toml."""
    opened = database(repository)
    with opened.read() as tx:
        found = {issue.id: _end(issue) for issue in issues.find(tx)}
    opened.close()
    return found


def _end(issue: issues.Issue) -> str:
    return "waiting" if issue.status == "open" else issue.resolution or issue.status


def _file_issues(repository: Repository) -> None:
    opened = database(repository)
    for written in written_issues():
        draft = Draft(**{name: value for name, value in written.items() if name != "ends"})
        with opened.transaction() as tx:
            issues.create(tx, draft, "demo")
    opened.close()


def _copy(source: Traversable, target: Path) -> None:
    """Copy package data. A file called gitignore is .gitignore, which would otherwise hide files from the package."""
    if source.is_file():
        target.write_bytes(source.read_bytes())
        return
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.name != "__pycache__":
            _copy(entry, target / (".gitignore" if entry.name == "gitignore" else entry.name))
