"""Turns of programs on a wire: what they have in common, whatever is spoken there."""

from __future__ import annotations

from collections.abc import Iterator

from intarsia.agents import AgentEvent, Turn, TurnEnd
from intarsia.agents.wire import Wire

AGAIN = TurnEnd("failed", "It did not begin.")
"""Not the end: the program is to be started again, in a way that may help. Nobody else is told."""


class WiredTurn:
    """One prompt to a program on a wire."""

    _wire: Wire
    _conversation: str

    def events(self) -> Iterator[AgentEvent]:
        for event in self._wire.events():
            yield from self._again() if event is AGAIN else (event,)

    def stop(self) -> None:
        self._wire.stop()

    def _again(self) -> Iterator[AgentEvent]:
        raise NotImplementedError


class LastingTurn(WiredTurn):
    """One prompt to a program on a wire, and those that follow it while the program stays."""

    @property
    def stays(self) -> bool:
        return self._wire.stays

    def follow_up(self, turn: Turn) -> bool:
        return turn.conversation == self._conversation and self._wire.follow_up(turn, self._go_on)

    def close(self) -> None:
        self._wire.close()

    def _go_on(self, turn: Turn) -> None:
        self._set_out(turn)
        self._prompt()

    def _set_out(self, turn: Turn) -> None:
        """Nothing is known of this turn yet."""
        raise NotImplementedError

    def _prompt(self) -> None:
        raise NotImplementedError
