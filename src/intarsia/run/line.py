"""The line before the branch: whoever is at its head lands all that wait behind it, as one batch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intarsia.errors import Aborted
from intarsia.workspace.landing import Work

if TYPE_CHECKING:
    from intarsia.run.claimed import Claimed
    from intarsia.run.held import Comparison

POLL = 0.5


@dataclass(eq=False)
class Entry:
    """A session's work on its way to the branch; in the end it has a `commit` there, or there is a `problem`.

    `unchecked`: nothing that the project's checks look at; `tried`: it may have landed before; `noted`: what it breaks
    together with others is on record.
    """

    work: Work
    claimed: Claimed
    comparison: Comparison
    unchecked: bool = False
    tried: bool = False
    noted: bool = False
    commit: str = ""
    problem: Exception | None = None

    @property
    def settled(self) -> bool:
        return bool(self.commit) or self.problem is not None


class Line:
    """Of all sessions in this process that want to land on one branch."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._waiting: list[Entry] = []
        self._leading = False
        self._taken: list[Entry] = []

    def land(
        self,
        entry: Entry,
        lead: Callable[[Callable[[], list[Entry]]], None],
        stopped: Callable[[], bool],
        standing: Callable[[], None],
    ) -> str:
        """The commit with which it landed; raises what its problem is, or Aborted.

        `lead` is given how to take all that wait, and settles at least the first of them, or raises what keeps this
        session from leading. `standing` is called when it stands in the line.
        """
        with self._moved:
            self._waiting.append(entry)
        try:
            standing()
            while not entry.settled:
                if self._begin():
                    try:
                        lead(self._take)
                    finally:
                        self._end()
                elif stopped() and self._leave(entry):
                    raise Aborted("The run was interrupted.")
        finally:
            self._leave(entry)
        if entry.problem is not None:
            raise entry.problem
        return entry.commit

    def _begin(self) -> bool:
        """Whether the caller leads; if another does, that is known after a while."""
        with self._moved:
            if self._leading:
                self._moved.wait(POLL)
                return False
            self._leading = True
            return True

    def _take(self) -> list[Entry]:
        with self._moved:
            self._taken = [entry for entry in self._waiting if not entry.settled]
            return list(self._taken)

    def _end(self) -> None:
        with self._moved:
            self._leading, self._taken = False, []
            self._moved.notify_all()

    def _leave(self, entry: Entry) -> bool:
        """Whether it is out of the line: it can't be taken out of what somebody lands just now."""
        with self._moved:
            if entry in self._taken and not entry.settled:
                return False
            if entry in self._waiting:
                self._waiting.remove(entry)
            return True
