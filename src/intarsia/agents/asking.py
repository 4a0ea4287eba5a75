"""Putting a question to an approver without waiting for it, and reading its answer: all but a clear yes is a no."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from intarsia.agents import Answer, Approver, Ask


class Questions:
    """The questions of one turn. `changes` says whether its driver can make the changes that an answer may ask for."""

    def __init__(self, approver: Approver, *, changes: bool = False) -> None:
        self._approver = approver
        self._changes = changes
        self._withdrawn = threading.Event()
        self._executor = ThreadPoolExecutor(thread_name_prefix="ask")

    def put(self, ask: Ask, then: Callable[[Answer], None] | None = None) -> Future[Answer]:
        """Ask; `then` gets the answer, in another thread, unless the turn is over by then."""
        asked = self._executor.submit(self._answer, ask)
        if then is not None:
            asked.add_done_callback(lambda _: None if self._withdrawn.is_set() else then(self.read(asked)))
        return asked

    def read(self, asked: Future[Answer]) -> Answer:
        """The answer to a question that was answered; raises nothing."""
        if asked.cancelled():
            return Answer(False, "Nobody answered.")
        if (error := asked.exception()) is not None:
            return Answer(False, f"intarsia could not decide whether this is allowed, so it is not: {error}")
        answer = asked.result()
        if not isinstance(answer, Answer):
            return Answer(False, "intarsia gave no answer.")
        if answer.allow and not self._changes and (answer.command is not None or answer.text is not None):
            return Answer(False, f"This is allowed in another form only. {answer.reason}".strip())
        return answer

    def withdraw(self) -> None:
        """The turn is over: nobody waits for an answer any more."""
        self._withdrawn.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _answer(self, ask: Ask) -> Answer:
        return self._approver.answer(ask, self._withdrawn.is_set)
