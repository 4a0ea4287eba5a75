"""Running the project's checks for one session, on exactly the tree that is to be proven."""

from __future__ import annotations

from collections.abc import Callable

from intarsia.run import checks
from intarsia.run.checks import Bench, Evidence
from intarsia.run.claimed import Claimed
from intarsia.run.context import Context
from intarsia.run.desk import Desk
from intarsia.workspace.worktree import Worktree


class RedCombination(Exception):
    """A check fails on the combination with what landed meanwhile."""

    def __init__(self, evidence: Evidence) -> None:
        super().__init__(evidence.summary)
        self.evidence = evidence


class Proof:
    def __init__(self, context: Context, claimed: Claimed, desk: Desk, report: Callable[[str, str], None]) -> None:
        self._context = context
        self._claimed = claimed
        self._desk = desk
        self._report = report

    def failure(self, tree: str, place: Callable[[], Worktree]) -> Evidence | None:
        """The first check that fails on this tree, which `place` has in it; None when all passed, now or before.

        Raises Aborted when the run is being stopped, and Lost.
        """
        if self._has_passed(tree):
            return None
        worktree = place()
        folder = self._context.folder(self._claimed.id)
        bench = Bench(worktree.path, self._desk.env(worktree), folder, self._claimed.stopped)
        return checks.run_all(
            self._context.database,
            bench,
            self._context.config.check_list(),
            tree,
            self._claimed.id,
            fence=self._claimed.fence(),
            started=lambda name: self._report(self._claimed.row.stage, name),
        )

    def _has_passed(self, tree: str) -> bool:
        wanted = self._context.config.check_list()
        with self._context.database.read() as tx:
            return all(checks.has_passed(tx, tree, name, check) for name, check in wanted.items())
