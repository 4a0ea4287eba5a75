"""Landing several sessions' work at once: combined one on the other, checked together, and bisected on red.

What lands is proven as it is on the branch then. Whoever can't land with those before it, which may not land either, is
tried again when it is known what did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from intarsia.errors import Aborted, GitError, StaleLease
from intarsia.kernel.leases import Lease
from intarsia.run import clashes
from intarsia.run.checks import Evidence
from intarsia.run.claimed import Claimed, Lost
from intarsia.run.clashes import BrokenTogether
from intarsia.run.context import Context
from intarsia.run.desk import Desk
from intarsia.run.held import NotHeld
from intarsia.run.line import Entry
from intarsia.run.proof import Proof, RedCombination
from intarsia.workspace.landing import Candidate, InTheWay, MergeConflict, NothingToLand
from intarsia.workspace.worktree import Worktree


@dataclass(frozen=True)
class Link:
    """One entry on top of those before it."""

    entry: Entry
    candidate: Candidate


class Lander:
    """Lands for all, in the name and the workspace of one session."""

    def __init__(
        self, context: Context, claimed: Claimed, desk: Desk, proof: Proof, report: Callable[[str, str], None]
    ) -> None:
        self._context = context
        self._landing = context.landing
        self._claimed = claimed
        self._desk = desk
        self._proof = proof
        self._report = report

    def lead(self, take: Callable[[], Sequence[Entry]]) -> None:
        """Settle the first of those that wait, and as many more as can land with it. Raises Lost, Aborted, GitError."""
        queue = f"land:{self._context.target}"
        lease = self._claimed.wait_for(queue)
        try:
            batch = take()
            self._report("landing", f"with {len(batch) - 1} more" if len(batch) > 1 else "")
            self._land(batch, lease)
        finally:
            self._claimed.release(queue)

    def _land(self, batch: Sequence[Entry], lease: Lease) -> None:
        tip = self._landing.tip()
        chain = self._chain(batch, tip)
        if not chain:
            return
        count, failure = self._proven(chain)
        if count and not self._advance(chain[:count], tip, lease):
            return
        if failure is not None:
            chain[count].entry.problem = RedCombination(failure)

    def _chain(self, batch: Sequence[Entry], tip: str) -> list[Link]:
        """The entries one on top of the other, as far as they go together."""
        chain: list[Link] = []
        for entry in batch:
            try:
                candidate = self._combine(entry, chain[-1].candidate.commit if chain else tip)
            except (MergeConflict, NothingToLand, BrokenTogether) as problem:
                if not chain:
                    entry.problem = problem
            except (NotHeld, GitError, OSError, StaleLease, Aborted, Lost) as problem:
                entry.problem = problem
            else:
                chain += [Link(entry, candidate)] if candidate else []
        return chain

    def _combine(self, entry: Entry, tip: str) -> Candidate | None:
        """None if it has landed before."""
        if entry.tried and (landed := self._landing.landed(entry.work, tip)):
            entry.commit = landed
            return None
        entry.comparison.settle(patient=False)
        candidate = self._landing.combine(entry.work, tip)
        if candidate.broken and not entry.noted:
            entry.noted = True
            entry.claimed.record("broken_together", found=[clashes.said(each) for each in candidate.broken])
        clashes.require_whole(candidate.broken, self._context.config.land.broken)
        return candidate

    def _proven(self, chain: Sequence[Link]) -> tuple[int, Evidence | None]:
        """How many of them, from the first, pass the checks together; and how the next one fails."""
        green, red, failure = 0, len(chain), self._failure(chain)
        if failure is None:
            return red, None
        while red - green > 1:
            middle = (green + red) // 2
            found = self._failure(chain[:middle])
            if found is None:
                green = middle
            else:
                red, failure = middle, found
        return green, failure

    def _failure(self, chain: Sequence[Link]) -> Evidence | None:
        """How the checks fail on these together."""
        if all(link.entry.unchecked for link in chain):
            return None
        last = chain[-1].candidate
        return self._proof.failure(last.tree, lambda: self._show(last.commit))

    def _show(self, commit: str) -> Worktree:
        self._report("landing", "checking the combination")
        return self._desk.show(commit)

    def _advance(self, chain: Sequence[Link], tip: str, lease: Lease) -> bool:
        """Move the branch to the last of these; false if the branch moved by itself, or something is in the way."""
        for link in chain:
            if not link.entry.claimed.still_holds(lease):
                link.entry.problem = StaleLease(f"{link.entry.claimed.id} is another supervisor's by now.")
                return False
            link.entry.tried = True
        try:
            if not self._landing.advance(replace(chain[-1].candidate, tip=tip)):
                return False
        except InTheWay as obstacle:
            if len(chain) > 1:  # perhaps not in the way of the first
                self._land([chain[0].entry], lease)
            else:
                chain[0].entry.problem = obstacle
            return False
        for link in chain:
            link.entry.commit = link.candidate.commit
        return True
