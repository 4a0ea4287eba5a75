"""Whether what a turn left may go on to the checks. Nothing is believed: commits, files and names are looked up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intarsia.config import Config
from intarsia.run.resolution import Resolution, code_among
from intarsia.workspace.git import shown
from intarsia.workspace.repository import Repository
from intarsia.workspace.worktree import Inspection

SHOWN = 20


@dataclass(frozen=True)
class Verdict:
    """Either a `problem` to tell the agent, or `ends`, a resolution without a commit, or else the checks decide."""

    problem: str = ""
    ends: Resolution | None = None
    docs_only: Resolution | None = None


class Gate:
    def __init__(self, repository: Repository, config: Config, target: str) -> None:
        self._repository = repository
        self._config = config
        self._target = target

    def judge(self, found: Inspection, resolution: Resolution | None, base: str) -> Verdict:
        if resolution is None or resolution.kind == "docs_only":
            problem = self._commit_problem(found, base)
            if resolution is not None and not problem:
                problem = self._docs_problem(found, base)
            return Verdict(problem, docs_only=resolution)
        if resolution.kind == "blocked":
            return Verdict(ends=resolution)
        problem = self._contradiction(found, resolution)
        if resolution.kind == "already_complete" and not problem:
            problem = self._not_there(resolution)
        return Verdict(problem) if problem else Verdict(ends=resolution)

    def _commit_problem(self, found: Inspection, base: str) -> str:
        if not found.commits:
            return "There is no commit of yours on the current branch." + _hints(found)
        if found.dirty:
            return f"These changes are not committed: {_some(found.dirty)}. Commit them, or remove them."
        before, after = self._repository.trees(base, found.head)
        if before == after:
            return "Your commits change nothing: the files are as they were."
        return self._foundation_problem(found, base) if list(found.onto) != [base] else ""

    def _foundation_problem(self, found: Inspection, base: str) -> str:
        """What the commits stand on besides the commit the session began at: landed work is fine, another's is not."""
        git = self._repository.git
        if git.call("merge-base", "--is-ancestor", base, found.head, ok=(0, 1)).returncode:
            return f"The current branch does not contain the commit it began at, {base[:10]}: put your commits on that."
        for parent in found.onto:
            listing = ("for-each-ref", "--format=%(refname:short)", f"--contains={parent}", "--no-contains")
            others = git.run(*listing, found.commits[0], "refs/heads/intarsia").split()
            landed = git.call("merge-base", "--is-ancestor", parent, f"refs/heads/{self._target}", ok=(0, 1))
            if others and landed.returncode:
                return f"The current branch holds work of others that has not landed: {_some(others)}. Take it out."
        return ""

    def _docs_problem(self, found: Inspection, base: str) -> str:
        changed = self._repository.git.run("diff", "--name-only", "-z", base, found.head).split("\0")
        code = code_among([name for name in changed if name], self._config.gate.code)
        return f"You said ISSUE_DOCS_ONLY, but these files are not documentation: {_some(code)}." if code else ""

    @staticmethod
    def _contradiction(found: Inspection, resolution: Resolution) -> str:
        word = f"ISSUE_{resolution.kind.upper()}"
        if found.commits:
            return f"You said {word}, but you made {len(found.commits)} commits. Undo them, or do not say it."
        if found.dirty:
            return f"You said {word}, but these files are changed: {_some(found.dirty)}. Undo that, or do not say it."
        if found.elsewhere:
            return f"You said {word}, but there are commits on {_some(found.elsewhere)}. Undo them, or do not say it."
        return ""

    def _not_there(self, resolution: Resolution) -> str:
        git = self._repository.git
        for commit in resolution.named_commits:
            done = git.call("merge-base", "--is-ancestor", commit, f"refs/heads/{self._target}", ok=(0, 1, 128))
            if done.returncode == 0:
                return ""
        return f"You said ISSUE_ALREADY_COMPLETE, but named no commit that is on {self._target}."


def _hints(found: Inspection) -> str:
    hints = ""
    if found.lost:
        hints += " The working directory was deleted; it is here again, at your last commit."
    if found.dirty:
        hints += f" These changes are not committed: {_some(found.dirty)}."
    if found.elsewhere:
        hints += f" There are commits on other branches: {_some(found.elsewhere)}; bring them to the current branch."
    return hints


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(shown(name) for name in names[:SHOWN]) + more
