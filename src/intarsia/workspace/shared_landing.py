"""Landing from the shared tree: the branch moves, and the files stay as they are, for they hold the work already.

The user's index follows only where it had nothing of the user's: entries that were those of the branch before become
those of the branch after, so `git status` shows what is not on the branch, as always. Where something else is staged in
a file that lands, the landing waits: an index that stayed behind would take the landed work back with the next commit.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from intarsia.errors import GitError
from intarsia.workspace.git import shown
from intarsia.workspace.landing import LANDED, LOCKED_SECONDS, Candidate, InTheWay, Landing, Work
from intarsia.workspace.objects import Entry
from intarsia.workspace.repository import Repository
from intarsia.workspace.trees import differences


@dataclass(frozen=True)
class Change:
    """A file that a landing changes: what the branch had and has of it, None for no file."""

    path: str
    old: Entry | None
    new: Entry | None


class SharedLanding(Landing):
    """Landings on the branch that is checked out in the tree which all sessions edit."""

    def __init__(self, repository: Repository, target: str, strategy: str = "rebase") -> None:
        super().__init__(repository, target, strategy)
        self._note = repository.state / "shared" / "landing"

    def landed(self, work: Work, tip: str) -> str | None:
        self._settle()
        return super().landed(work, tip)

    def advance(self, candidate: Candidate) -> bool:
        self._settle()
        tip, checkout = self._where()
        if tip != candidate.tip:
            return False
        root = self._repository.root
        if checkout is None or os.path.realpath(checkout) != os.path.realpath(root):
            raise InTheWay(
                f"Ready to land, but {self.target} is not checked out in {root}.",
                hint=f"git switch {self.target}, then: intarsia run",
            )
        changes = self._changes(tip, candidate.commit)
        free = self._free(changes)
        # Written first: whoever lands next brings the index up to date if we are killed behind the next step.
        self._write_note(tip, candidate.commit)
        try:
            ref = f"refs/heads/{self.target}"
            self._repository.references.update(f"update {ref} {candidate.commit} {candidate.tip}\n", LANDED)
        except GitError:
            if self.tip() == candidate.tip:
                raise
            return False
        self._update_index(free)
        self._note.unlink(missing_ok=True)
        return True

    def _write_note(self, old: str, new: str) -> None:
        unfinished = self._note.with_suffix(".new")
        unfinished.write_text(f"{old} {new}", encoding="ascii")
        unfinished.replace(self._note)

    def _settle(self) -> None:
        """Bring the index up to date with the landing that was noted last, if that took place."""
        try:
            old, new = self._note.read_text(encoding="ascii").split()
        except (FileNotFoundError, ValueError):
            return
        if self._git.call("merge-base", "--is-ancestor", new, f"refs/heads/{self.target}", ok=(0, 1)).returncode == 0:
            changes = self._changes(old, new)
            staged = self._staged(changes)
            self._update_index([entry for entry in changes if staged.get(entry.path) == entry.old])
        self._note.unlink(missing_ok=True)

    def _changes(self, old: str, new: str) -> list[Change]:
        found = differences(self._repository.objects, *self._repository.trees(old, new))
        return [Change(path, before, after) for path, (before, after) in found.items()]

    def _free(self, changes: list[Change]) -> list[Change]:
        """What the index has as the branch has it now; raises InTheWay for a file of which it has something else."""
        staged = self._staged(changes)
        others = [e.path for e in changes if staged.get(e.path) not in (e.old, e.new)]
        if others:
            raise InTheWay(
                f"Ready to land, but you have staged other changes of {', '.join(map(shown, others))}.",
                hint="Commit or unstage them, then: intarsia run",
            )
        return [entry for entry in changes if staged.get(entry.path) == entry.old]

    def _staged(self, changes: list[Change]) -> dict[str, Entry]:
        """The entries of the user's index for these files; of one in conflict, what never equals a version."""
        paths = [entry.path for entry in changes]
        listing = self._git.run("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *paths) if paths else ""
        found: dict[str, Entry] = {}
        for line in listing.split("\0"):
            if line:
                facts, _, path = line.partition("\t")
                mode, oid, stage = facts.split()
                found[path] = Entry(int(mode, 8) if stage == "0" else 0, oid)
        return found

    def _update_index(self, changes: list[Change]) -> None:
        entries = "".join(_line(entry) for entry in changes)
        deadline = time.monotonic() + LOCKED_SECONDS
        while entries:
            done = self._git.call("update-index", "-z", "--index-info", stdin=entries, ok=range(256))
            if done.returncode == 0:
                return
            if "index.lock" not in done.stderr or time.monotonic() > deadline:
                raise GitError(f"The index can't be brought up to date: {done.stderr.strip()}")
            time.sleep(0.02)


def _line(change: Change) -> str:
    """As `git update-index --index-info` has it."""
    if change.new is None:
        return f"0 {'0' * len(change.old.oid if change.old else '')}\t{change.path}\0"
    return f"{change.new.mode:o} {change.new.oid}\t{change.path}\0"
