"""Calls by JSON-RPC 2.0, and what is done with their answers."""

from __future__ import annotations

from collections.abc import Callable

from intarsia.agents.wire import Json

Then = Callable[[Json], None]


class Calls:
    """`failed` gets the method and the error of a call that nobody else wants to hear of."""

    def __init__(self, send: Callable[[Json], None], failed: Callable[[str, Json], None]) -> None:
        self._send = send
        self._failed = failed
        self._waiting: dict[int, tuple[str, Then, Then | None]] = {}
        self._number = 0

    def __call__(self, method: str, params: Json, then: Then, otherwise: Then | None = None) -> None:
        number, self._number = self._number, self._number + 1
        self._waiting[number] = (method, then, otherwise)
        self._send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})

    def answered(self, message: Json) -> None:
        """Take an answer; one to nothing, and a second one, is none."""
        id = message.get("id")
        if not isinstance(id, int) or id not in self._waiting:
            return None
        method, then, otherwise = self._waiting.pop(id)
        if "error" not in message:
            return then(message.get("result") or {})
        error = message["error"] if isinstance(message["error"], dict) else {}
        return otherwise(error) if otherwise else self._failed(method, error)
