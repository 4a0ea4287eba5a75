"""Bringing a session's commits onto the target branch: merge without a checkout, then move the branch.

Nothing here touches a file of the user until `advance`, and that is one compare-and-set of the branch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from intarsia.errors import Conflict, GitError
from intarsia.workspace.git import Git
from intarsia.workspace.repository import Repository

ISSUE_TRAILER = "Issue"
SESSION_TRAILER = "Intarsia-Session"
_TRAILER = re.compile(r"[A-Za-z0-9-]+: \S.*")
_OURS = re.compile(rf"(?i:{ISSUE_TRAILER}|{SESSION_TRAILER})\s*:")


class MergeConflict(Conflict):
    """`files` can't be merged by git; `other` is the other side's change to them, as a diff."""

    code = "merge_conflict"

    def __init__(self, files: Sequence[str], other: str) -> None:
        super().__init__(f"In conflict with what landed meanwhile: {', '.join(files)}.")
        self.files = files
        self.other = other


class NothingToLand(Conflict):
    """What the session did is on the branch already."""

    code = "nothing_to_land"


class InTheWay(Conflict):
    """The user's checkout has local changes where the landing would write; `message` says where."""

    code = "in_the_way"


@dataclass(frozen=True)
class Candidate:
    """A commit ready to become the branch: `commit` on top of `tip`, with its tree."""

    tip: str
    commit: str
    tree: str


@dataclass(frozen=True)
class Work:
    """What a session wants to land: its own `commits`, oldest first, the last of them `head`, since `base`."""

    issue: str
    session: str
    title: str
    base: str
    head: str


class Landing:
    """Landings on one branch of one repository; the caller holds the lease of the queue."""

    def __init__(self, repository: Repository, target: str, strategy: str = "rebase") -> None:
        self._repository = repository
        self._git = repository.git
        self.target = target
        self._strategy = strategy

    def tip(self) -> str:
        tip = self._repository.tip(self.target)
        if tip is None:
            raise GitError(f"The branch {self.target} is gone.", hint="Create it again: git branch NAME COMMIT")
        return tip

    def landed(self, work: Work) -> str | None:
        """The newest commit of this session on the branch, if an earlier try got that far."""
        tip = self.tip()
        if tip == work.base:
            return None
        log = self._git.run(
            "log", f"--format=%H %(trailers:key={SESSION_TRAILER},valueonly,separator=%x20)", f"{work.base}..{tip}"
        )
        for line in log.splitlines():
            commit, _, session = line.partition(" ")
            if session == work.session:
                return commit
        return None

    def combine(self, work: Work) -> Candidate:
        """Put the work on top of the branch as it is now; raises MergeConflict or NothingToLand."""
        tip = self.tip()
        tree = self._tree(work.head) if tip == work.base else self._merge(tip, work.head, work.base)
        if tree == self._tree(tip):
            raise NothingToLand(f"These commits change nothing on {self.target}: the same is there already.")
        commit = self._chain(work, tip, tree)
        return Candidate(tip, commit, tree)

    def advance(self, candidate: Candidate) -> bool:
        """Move the branch; false if somebody else moved it first. Raises InTheWay, having changed nothing."""
        checkout = self._checkout()
        if checkout is not None:
            return self._fast_forward(checkout, candidate)
        ref = f"refs/heads/{self.target}"
        try:
            self._git.run("update-ref", "-m", "intarsia: land", ref, candidate.commit, candidate.tip)
        except GitError:
            if self.tip() == candidate.tip:
                raise
            return False
        return True

    def _fast_forward(self, checkout: Path, candidate: Candidate) -> bool:
        """Where the branch is checked out, git moves it with the files, or leaves both alone."""
        if self.tip() != candidate.tip:
            return False
        done = Git(checkout).call(
            "merge", "--ff-only", "--quiet", "--no-autostash", candidate.commit,
            ok=range(256), env={"GIT_REFLOG_ACTION": "intarsia"},
        )  # fmt: skip
        if done.returncode == 0:
            return True
        if self.tip() != candidate.tip:
            return False
        said = " ".join(line.strip() for line in done.stderr.splitlines() if not line.startswith("hint:"))
        raise InTheWay(
            f"Ready to land, but {checkout} has something in the way: {said}",
            hint="Commit or stash it there, then: intarsia run",
        )

    def _checkout(self) -> Path | None:
        """The user's worktree that has the branch checked out."""
        for block in self._git.run("worktree", "list", "--porcelain").split("\n\n"):
            lines = block.splitlines()
            if f"branch refs/heads/{self.target}" in lines:
                return Path(lines[0].removeprefix("worktree "))
            if lines and "detached" in lines and self._is_rebasing(Path(lines[0].removeprefix("worktree "))):
                raise InTheWay(
                    f"Ready to land, but {self.target} is being rebased in {lines[0].removeprefix('worktree ')}.",
                    hint="Finish the rebase, then: intarsia run",
                )
        return None

    def _is_rebasing(self, checkout: Path) -> bool:
        own = Git(checkout).try_line("rev-parse", "--absolute-git-dir")
        names = [Path(own or "") / state / "head-name" for state in ("rebase-merge", "rebase-apply")]
        return any(n.is_file() and n.read_text(encoding="utf-8").strip() == f"refs/heads/{self.target}" for n in names)

    def _merge(self, ours: str, theirs: str, base: str) -> str:
        """The tree of a three-way merge; `base` names the side's start for the conflict's explanation."""
        done = self._git.call(
            "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs, ok=(0, 1)
        )
        tree, *files = done.stdout.rstrip("\0").split("\0")
        if done.returncode == 0:
            return tree
        other = self._git.run("diff", base, ours, "--", *files)
        raise MergeConflict(sorted(set(files)), other)

    def _chain(self, work: Work, tip: str, tree: str) -> str:
        """The commits that land: the session's own, one by one, or a single one where that can't be had."""
        if self._strategy == "rebase":
            replayed = self._replay(work, tip, tree)
            if replayed is not None:
                return replayed
        commits = self._commits(work, tip)
        messages = [commit.message for commit in commits]
        first = messages[0] if len(messages) == 1 else f"{work.title}\n\n" + "\n".join(messages)
        author = commits[-1]
        parents = [tip, work.head] if self._strategy == "merge" else [tip]
        return self._commit(tree, parents, with_trailers(first, work.issue, work.session), author)

    def _replay(self, work: Work, tip: str, tree: str) -> str | None:
        """Each commit in turn on top of the branch; None if a step conflicts or the end is not the merged tree."""
        onto = tip
        at: str | None = self._tree(tip)
        for commit in self._commits(work, tip):
            at = commit.tree if commit.parent_tree == at else self._pick(commit, onto)
            if at is None:
                return None
            message = with_trailers(commit.message, work.issue, work.session)
            onto = self._commit(at, [onto], message, commit)
        return onto if at == tree else None

    def _pick(self, commit: _Commit, onto: str) -> str | None:
        """Merge one commit's change into `onto`. Both sides get the commit's parent as their only common one."""
        side = self._git.run("commit-tree", f"{onto}^{{tree}}", "-p", commit.parent, "-m", "side").strip()
        done = self._git.call("merge-tree", "--write-tree", "--no-messages", side, commit.id, ok=(0, 1))
        return done.stdout.strip() if done.returncode == 0 else None

    def _commit(self, tree: str, parents: Sequence[str], message: str, author: _Commit) -> str:
        env = {
            "GIT_AUTHOR_NAME": author.name,
            "GIT_AUTHOR_EMAIL": author.email,
            "GIT_AUTHOR_DATE": author.date,
        }
        flags = [part for parent in parents for part in ("-p", parent)]
        return self._git.run("commit-tree", tree, *flags, "-F", "-", stdin=message, env=env).strip()

    def _commits(self, work: Work, tip: str) -> list[_Commit]:
        """The session's own commits along first parents, oldest first."""
        fields = ("%H", "%T", "%P", "%an", "%ae", "%ad", "%B")
        log = self._git.run(
            "log", "--reverse", "--first-parent", "-z", "--date=raw", "--encoding=UTF-8",
            f"--format={'%x01'.join(fields)}", work.head, f"^{work.base}", f"^{tip}",
        )  # fmt: skip
        found: list[_Commit] = []
        trees: dict[str, str] = {}
        for entry in log.rstrip("\0").split("\0"):
            oid, tree, parents, name, email, date, message = entry.split("\x01", 6)
            parent = parents.split(" ")[0]
            before = trees.get(parent) or self._tree(parent)
            found.append(_Commit(oid, tree, parent, before, name, email, date, message))
            trees[oid] = tree
        return found

    def _tree(self, commit: str) -> str:
        return self._git.line("rev-parse", f"{commit}^{{tree}}")


@dataclass(frozen=True)
class _Commit:
    id: str
    tree: str
    parent: str
    parent_tree: str
    name: str
    email: str
    date: str
    message: str


def with_trailers(message: str, issue: str, session: str) -> str:
    """The message with exactly our two trailers, whatever it claimed before; other trailers stay."""
    paragraphs = message.strip().split("\n\n")
    last = paragraphs[-1].splitlines()
    kept = [line for line in last if not _OURS.match(line)]
    ours = [f"{ISSUE_TRAILER}: {issue}", f"{SESSION_TRAILER}: {session}"]
    if len(paragraphs) > 1 and all(_TRAILER.fullmatch(line) for line in kept):
        return "\n\n".join([*paragraphs[:-1], "\n".join([*kept, *ours])]) + "\n"
    return "\n\n".join([*paragraphs[:-1], "\n".join(kept or ["(no message)"]), "\n".join(ours)]) + "\n"
