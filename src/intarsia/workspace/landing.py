"""Bringing a session's commits onto the target branch: merge without a checkout, then move the branch.

Nothing here touches a file of the user until `advance`, and that is one compare-and-set of the branch.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.errors import Conflict, GitError
from intarsia.workspace.combination import Clash, Combination
from intarsia.workspace.git import Git, shown
from intarsia.workspace.objects import Commit
from intarsia.workspace.repository import Repository

if TYPE_CHECKING:
    from intarsia.code.conflicts.source import SemanticConflict

LOCKED_SECONDS = 5
LANDED = "intarsia: land"
ISSUE_TRAILER = "Issue"
SESSION_TRAILER = "Intarsia-Session"
_SPACE = " \t\r"
_TRAILER = re.compile(r"[A-Za-z0-9-]+[ \t]*:")
_OURS = re.compile(rf"(?i:{ISSUE_TRAILER}|{SESSION_TRAILER})[ \t]*:")
_BY_GIT = ("Signed-off-by: ", "(cherry picked from commit ")
# git reads no trailers below this line, which `git commit --verbose` puts above its diff.
_CUT = re.compile(r"^(# -{24} >8 -{24})$")


class MergeConflict(Conflict):
    """Files that can't hold both sides' work; `other` is the other side's change to them, as a diff."""

    code = "merge_conflict"

    def __init__(self, clashes: Sequence[Clash], other: str) -> None:
        self.files = sorted({clash.path for clash in clashes})
        super().__init__(f"In conflict with what landed meanwhile: {', '.join(map(shown, self.files))}.")
        self.clashes = clashes
        self.other = other


class NothingToLand(Conflict):
    """What the session did is on the branch already."""

    code = "nothing_to_land"


class InTheWay(Conflict):
    """The user's branch or checkout is in a state that landing must not change; `message` says what is to be done."""

    code = "in_the_way"


@dataclass(frozen=True)
class Candidate:
    """A commit ready to become the branch: `commit` on top of `tip`, with its tree.

    `broken` is what this work and what landed meanwhile break only together; of some it can be proven.
    """

    tip: str
    commit: str
    tree: str
    broken: Sequence[SemanticConflict] = ()


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
            raise InTheWay(
                f"The branch {self.target} is gone.", hint="Make it again (git branch NAME COMMIT), then: intarsia run"
            )
        return tip

    def landed(self, work: Work, tip: str) -> str | None:
        """The newest commit of this session on the branch at `tip`, if an earlier try got that far."""
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

    def combine(self, work: Work, tip: str) -> Candidate:
        """Put the work on top of the branch, which is at `tip`; raises MergeConflict or NothingToLand."""
        before, tree = self._repository.trees(tip, work.head)
        commits = self._commits(work, tip)
        broken: Sequence[SemanticConflict] = ()
        if tip != work.base:
            tree, broken = self._merge(tip, work, self._fork(commits, work, tip))
        if tree == before:
            raise NothingToLand(f"These commits change nothing on {self.target}: the same is there already.")
        return Candidate(tip, self._chain(commits, work, tip, tree), tree, broken)

    def advance(self, candidate: Candidate) -> bool:
        """Move the branch; false if somebody else moved it first. Raises InTheWay, having changed nothing."""
        ref = f"refs/heads/{self.target}"
        tip, checkout = self._where()
        if tip != candidate.tip:
            return False
        if checkout is not None:
            return self._fast_forward(checkout, candidate)
        self._refuse_rebase()
        try:
            self._repository.references.update(f"update {ref} {candidate.commit} {candidate.tip}\n", LANDED)
        except GitError:
            if self.tip() == candidate.tip:
                raise
            return False
        return True

    def _where(self) -> tuple[str, Path | None]:
        """The branch's commit, and the worktree of the user's that has it checked out."""
        checkout = self._repository.checkout(self.target)
        return self._repository.tip(self.target) or "", checkout if checkout and checkout.is_dir() else None

    def put_back(self, wrong: str, right: str) -> bool:
        """Take the branch from commit `wrong` back to `right`; false if it is somewhere else by now."""
        _, checkout = self._where()
        if checkout is not None:
            # Files that an agent brought here with its commit go too; where they are otherwise, all stays as it is.
            Git(checkout).call("read-tree", "-m", "-u", wrong, right, ok=range(256))
        try:
            self._repository.references.update(
                f"update refs/heads/{self.target} {right} {wrong}\n", "intarsia: put back"
            )
        except GitError:
            if self.tip() == wrong:
                raise
            return False
        return True

    def _fast_forward(self, checkout: Path, candidate: Candidate) -> bool:
        """Where the branch is checked out, git moves it with the files, or leaves both alone."""
        done = self._merge_there(checkout, candidate.commit)
        if done.returncode == 0:
            return True
        if self.tip() != candidate.tip:
            return False
        said = " ".join(line.strip() for line in done.stderr.splitlines() if not line.startswith("hint:"))
        raise InTheWay(
            f"Ready to land, but {checkout} has something in the way: {said}",
            hint="Commit or stash it there, then: intarsia run",
        )

    @staticmethod
    def _merge_there(checkout: Path, commit: str) -> subprocess.CompletedProcess[str]:
        """Whatever else uses the checkout's index, such as a person's own git, is done in a moment."""
        deadline = time.monotonic() + LOCKED_SECONDS
        while True:
            done = Git(checkout).call(
                "merge", "--ff-only", "--quiet", "--no-autostash", "--no-overwrite-ignore", commit,
                ok=range(256), env={"GIT_REFLOG_ACTION": "intarsia"},
            )  # fmt: skip
            if done.returncode == 0 or "index.lock" not in done.stderr or time.monotonic() > deadline:
                return done
            time.sleep(0.05)

    def _refuse_rebase(self) -> None:
        """A branch that is being rebased is checked out nowhere, and must not move all the same."""
        git_dir = self._repository.git_dir
        for place in (git_dir, *(git_dir / "worktrees").glob("*")):
            for state in ("rebase-merge", "rebase-apply"):
                name = place / state / "head-name"
                if name.is_file() and name.read_text(encoding="utf-8").strip() == f"refs/heads/{self.target}":
                    raise InTheWay(
                        f"Ready to land, but {self.target} is being rebased.",
                        hint="Finish the rebase, then: intarsia run",
                    )

    def _fork(self, commits: Sequence[_Commit], work: Work, tip: str) -> str:
        """The newest commit that the work and the branch have in common."""
        straight = commits and commits[0].parent == work.base and not any(commit.is_merge for commit in commits)
        return work.base if straight else self._git.line("merge-base", tip, work.head)

    def _merge(self, tip: str, work: Work, fork: str) -> tuple[str, Sequence[SemanticConflict]]:
        """The tree that holds both the branch and the work, which parted at `fork`; and what is broken in it."""
        combination = Combination(self._repository, fork, tip, work.head)
        combined = combination.combine()
        if not combined.clashes:
            return combined.tree, combination.broken(combined.tree)
        files = sorted({clash.path for clash in combined.clashes})
        other = self._git.run("--literal-pathspecs", "diff", "--no-ext-diff", work.base, tip, "--", *files)
        raise MergeConflict(combined.clashes, other)

    def issues_since(self, work: Work, path: str) -> list[str]:
        """The issues whose commits changed a file on the branch since the work began."""
        listing = self._git.run(
            "--literal-pathspecs", "log", f"--format=%(trailers:key={ISSUE_TRAILER},valueonly,separator=%x20)",
            f"{work.base}..{self.tip()}", "--", path,
        )  # fmt: skip
        return list(dict.fromkeys(listing.split()))

    def _chain(self, commits: Sequence[_Commit], work: Work, tip: str, tree: str) -> str:
        """The commits that land, all with our trailers, as the strategy says; the last has the merged `tree`."""
        if self._strategy == "merge":
            side = commits[0].parent
            for commit in commits:
                side = self._commit(commit.tree, [side], commit, work)
            return self._commit(
                tree, [tip, side], self._summary(commits, work, f"Merge {work.issue}: {work.title}"), work
            )
        replayed = self._replay(commits, tip, tree, work) if self._strategy == "rebase" else None
        return replayed or self._commit(tree, [tip], self._summary(commits, work, work.title), work)

    def _replay(self, commits: Sequence[_Commit], tip: str, tree: str, work: Work) -> str | None:
        """Each commit in turn on top of the branch; None if a step conflicts or the end is not the merged tree."""
        onto = tip
        at: str | None = tree
        for commit in commits:
            if len(commits) > 1:
                at = commit.tree if commits[0].parent == tip else self._pick(commit, onto)
            if at is None:
                return None
            onto = self._commit(at, [onto], commit, work)
        return onto if at == tree else None

    def _pick(self, commit: _Commit, onto: str) -> str | None:
        """The tree of one commit's change on top of `onto`; None on conflict.

        git 2.38 takes no merge base by name, so a commit is made whose only parent is the wanted base.
        """
        [tree] = self._repository.trees(onto)
        side = self._made(Commit(tree, (commit.parent,), commit.author, b"side\n"))
        done = self._git.call("merge-tree", "--write-tree", "--no-messages", side, commit.id, ok=(0, 1))
        return done.stdout.strip() if done.returncode == 0 else None

    @staticmethod
    def _summary(commits: Sequence[_Commit], work: Work, title: str) -> _Commit:
        """One commit that stands for all of them, by the last one's author."""
        subjects = "\n".join(f"- {commit.message.splitlines()[0]}" for commit in commits if commit.message.strip())
        only = commits[0].message if len(commits) == 1 and title == work.title else f"{title}\n\n{subjects}\n"
        return replace(commits[-1], message=only)

    def _commit(self, tree: str, parents: Sequence[str], like: _Commit, work: Work) -> str:
        """Make a commit with the author, date and message of `like`, and our trailers."""
        message = with_trailers(like.message, work.issue, work.session)
        return self._made(Commit(tree, tuple(parents), like.author, message.encode(errors="surrogateescape")))

    def _made(self, commit: Commit) -> str:
        return self._repository.store.commit(commit, self._repository.committer())

    def _commits(self, work: Work, tip: str) -> list[_Commit]:
        """The session's own commits along first parents, oldest first."""
        own = self._repository.since(work.base, work.head)
        landed = self._repository.since(work.base, tip)
        if own is None or landed is None:
            listing = self._git.run("rev-list", "--first-parent", work.head, f"^{work.base}", f"^{tip}")
            own, landed = listing.split(), []
        known = set(landed)
        return [self._read(commit) for commit in reversed(own) if commit not in known]

    def _read(self, id: str) -> _Commit:
        found = self._repository.objects.commit(id)
        author, message = (recoded(text, found.encoding) for text in (found.author, found.message))
        parent = found.parents[0] if found.parents else ""
        return _Commit(id, found.tree, parent, len(found.parents) > 1, author, message.decode(errors="surrogateescape"))


@dataclass(frozen=True)
class _Commit:
    id: str
    tree: str
    parent: str
    is_merge: bool
    author: bytes
    message: str


def recoded(text: bytes, encoding: str) -> bytes:
    """In UTF-8, if it can be told how it was written."""
    try:
        return text.decode(encoding).encode() if encoding else text
    except (LookupError, UnicodeError):
        return text


def with_trailers(message: str, issue: str, session: str) -> str:
    """The message with exactly our two trailers, whatever it claimed before; other trailers stay."""
    lines = [_CUT.sub(r"#\1", line) for line in message.strip().split("\n")]
    blank = [number for number, line in enumerate(lines) if not line.strip(_SPACE)]
    start = blank[-1] + 1 if blank else 0
    ours = [f"{ISSUE_TRAILER}: {issue}", f"{SESSION_TRAILER}: {session}"]
    if blank and _are_trailers(lines[start:]):
        return "\n".join([*lines[:start], *_without_ours(lines[start:]), *ours]) + "\n"
    return "\n".join([*(lines if lines != [""] else ["(no message)"]), "", *ours]) + "\n"


def _are_trailers(lines: Sequence[str]) -> bool:
    """Whether git takes this last paragraph for trailers: find_trailer_block_start in its trailer.c."""
    lines = [line for line in lines if not line.startswith("#")]
    trailers = [line for line in lines if _TRAILER.match(line) or line.startswith(_BY_GIT)]
    after_one = _continuations(lines)
    others = len(lines) - len(trailers) - after_one
    by_git = any(line.startswith(_BY_GIT) for line in trailers)
    return bool(trailers) and (not others or (by_git and len(trailers) * 3 >= others))


def _continuations(lines: Sequence[str]) -> int:
    count, follows = 0, False
    for line in lines:
        indented = line[0] in _SPACE
        count += indented and follows
        follows = (indented and follows) or bool(_TRAILER.match(line)) or line.startswith(_BY_GIT)
    return count


def _without_ours(lines: Sequence[str]) -> list[str]:
    kept: list[str] = []
    dropping = False
    for line in lines:
        dropping = bool(_OURS.match(line)) or (dropping and line[0] in _SPACE)
        if not dropping:
            kept.append(line)
    return kept
