"""What was asked of the server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Any

from msgspec import Struct


class Request(Struct, frozen=True, kw_only=True):
    """One request; `script` and `step` are None for what no script answers: probes, token counts, titles.

    `status` is what it was answered with, `conversation` the agent program's own id, and `said` the newest message.
    """

    number: int
    method: str
    path: str
    status: int
    script: str | None = None
    step: int | None = None
    conversation: str = ""
    tools: list[str] = []
    said: Any = None


class Log:
    """Requests as they come in; threads may wait for one."""

    def __init__(self, on_request: Callable[[Request], None] | None = None) -> None:
        self._on_request = on_request
        self._requests: list[Request] = []
        self._came = threading.Condition()

    @property
    def requests(self) -> list[Request]:
        with self._came:
            return list(self._requests)

    def add(self, **values: Any) -> None:
        with self._came:
            request = Request(number=len(self._requests) + 1, **values)
            self._requests.append(request)
            self._came.notify_all()
        if self._on_request is not None:
            self._on_request(request)

    def knows(self, scripts: Collection[str]) -> bool:
        """Whether all of these were asked for."""
        with self._came:
            return {*scripts} <= {request.script for request in self._requests}

    def wait(self, wanted: Callable[[Request], bool], seconds: float) -> Request:
        """The first request that is wanted, as soon as it is there; raises TimeoutError."""
        with self._came:
            if not self._came.wait_for(lambda: any(map(wanted, self._requests)), seconds):
                raise TimeoutError(f"No such request in {seconds} s, but {len(self._requests)} others.")
            return next(filter(wanted, self._requests))
