"""Who works at the same time: so many agents. What they finished is checked and lands while the next ones begin."""

from __future__ import annotations

import threading
from collections.abc import Callable

POLL = 0.5


class Crew:
    """Of `size` agents, and of all but one as many sessions more that need no agent at the moment.

    A session that goes back to its agent comes before all that have not begun. Alone, an agent begins nothing before
    its last work is on the branch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._moved = threading.Condition()
        self._sessions: set[str] = set()
        self._working: set[str] = set()
        self._returning: list[str] = []
        self.when_free: Callable[[], None] = lambda: None

    @property
    def most(self) -> int:
        """Sessions at the same time."""
        return max(1, 2 * self._size - 1)

    def has_room(self) -> bool:
        """For a session that needs no agent to go on."""
        return len(self._sessions) < self.most

    def has_agent(self) -> bool:
        """For a session that begins."""
        with self._moved:
            return self.has_room() and len(self._working) + len(self._returning) < self._size

    def join(self, session: str, *, working: bool) -> None:
        """Only where there is room."""
        with self._moved:
            self._sessions.add(session)
            if working:
                self._working.add(session)

    def leave(self, session: str) -> None:
        with self._moved:
            self._sessions.discard(session)
            self._free(session)

    def rest(self, session: str) -> None:
        """Its agent has done its turn."""
        with self._moved:
            self._free(session)
        self.when_free()

    def may_work(self, session: str) -> bool:
        """Whether its agent can begin without waiting."""
        with self._moved:
            return session in self._working or (not self._returning and len(self._working) < self._size)

    def work(self, session: str, stopped: Callable[[], bool], urgent: Callable[[], bool] = lambda: False) -> bool:
        """Wait until its agent may work; false when `stopped` says so before.

        When it is `urgent`, as others' agents can't go on before, one more works.
        """
        with self._moved:
            if session not in self._working:
                self._returning.append(session)
        try:
            while not self._begin(session, anyway=False):
                if stopped():
                    return False
                if urgent():
                    return self._begin(session, anyway=True)
        finally:
            with self._moved:
                self._leave_line(session)
        return True

    def _begin(self, session: str, *, anyway: bool) -> bool:
        """Whether it works now; if not, that is known after a while."""
        with self._moved:
            first = self._returning[:1] == [session] and len(self._working) < self._size
            if session not in self._working and not first and not anyway:
                self._moved.wait(POLL)
                return False
            self._working.add(session)
            self._leave_line(session)
            return True

    def _leave_line(self, session: str) -> None:
        if session in self._returning:
            self._returning.remove(session)
            self._moved.notify_all()

    def _free(self, session: str) -> None:
        self._working.discard(session)
        self._moved.notify_all()
