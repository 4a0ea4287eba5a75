"""The turns of one session, one after another: in one agent program as long as it stays for the next."""

from __future__ import annotations

from dataclasses import replace

from intarsia.agents import Driver, Lasting, Running, Turn


class Following:
    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._last: Lasting | None = None

    def start(self, turn: Turn) -> Running:
        """Begin a turn: in the program of the one before if that still stays, else in a new one."""
        turn = replace(turn, lasting=True)
        if self._last is not None and self._last.follow_up(turn):
            return self._last
        self.close()
        running = self._driver.start(turn)
        self._last = running if isinstance(running, Lasting) else None
        return running

    @property
    def stays(self) -> bool:
        """Whether the program of the last turn waits for another, and is all that is left of it."""
        return self._last is not None and self._last.stays

    def close(self) -> None:
        """No turn follows: let the program end."""
        if self._last is not None:
            self._last.close()
            self._last = None
