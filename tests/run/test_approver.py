"""What an agent is allowed by default: to change its workspace, wherever links lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from intarsia.agents import Ask, Edit
from intarsia.run.approver import WorkspaceApprover
from intarsia.workspace.repository import Repository
from intarsia.workspace.worktree import Worktree
from tests.support.sandbox import Sandbox


@pytest.fixture
def worktree(sandbox: Sandbox) -> Worktree:
    worktree = Worktree(Repository.discover(sandbox.root), 1)
    for place in (worktree.path, worktree.tmp):
        place.mkdir(parents=True)
    return worktree


def allows(worktree: Worktree, *paths: Path) -> bool:
    asked = Ask("edit", edits=tuple(Edit(path, "text") for path in paths))
    return WorkspaceApprover(worktree).answer(asked, lambda: False).allow


def test_files_of_the_workspace_may_be_changed(worktree: Worktree) -> None:
    assert allows(worktree, worktree.path / "a.txt")
    assert allows(worktree, worktree.path / "new" / "deep" / "a.txt", worktree.path / ".github" / "x.yml")
    assert allows(worktree, worktree.tmp / "note.txt")


def test_nothing_else_may(worktree: Worktree, sandbox: Sandbox) -> None:
    (worktree.path / "link").symlink_to(sandbox.root)
    (worktree.path / "file").symlink_to(sandbox.root / "README.md")
    for path in (
        sandbox.root / "README.md",
        Path("/etc/passwd"),
        Path("relative.txt"),
        worktree.path,
        worktree.path / ".." / "git" / "config",
        worktree.path / ".git",
        worktree.path / ".git" / "config",
        worktree.path / "link" / "README.md",
        worktree.path / "file",
    ):
        assert not allows(worktree, path), path
        assert not allows(worktree, worktree.path / "a.txt", path), path
    assert not allows(worktree)


def test_what_is_no_edit_is_left_to_others(worktree: Worktree) -> None:
    for ask in (Ask("read", edits=(Edit(Path("/etc/hosts"), None),)), Ask("shell", command="ls")):
        assert WorkspaceApprover(worktree).answer(ask, lambda: False).allow
