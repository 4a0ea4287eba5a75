"""What is missing of a session's work, as far as it is seen without running a check."""

from __future__ import annotations

from intarsia.workspace.commits import SessionCommits
from intarsia.workspace.worktree import Worktree

NO_COMMIT = "There is no commit of yours yet. Commit your work; if no commit is right, say so as you were told."


def in_worktree(worktree: Worktree, base: str) -> str:
    """Empty when nothing is missing."""
    if dirty := worktree.git.run("status", "--porcelain", "-z").split("\0")[:-1]:
        return _uncommitted(len(dirty), dirty[0][3:])
    return NO_COMMIT if worktree.git.line("rev-parse", "HEAD") == base else ""


def in_shared_tree(commits: SessionCommits) -> str:
    """Empty when nothing is missing."""
    if dirty := commits.dirty():
        return _uncommitted(len(dirty), dirty[0])
    return "" if commits.made else NO_COMMIT


def _uncommitted(count: int, first: str) -> str:
    return f"{count} changes are not committed, such as {first}. Commit them, or remove them."
