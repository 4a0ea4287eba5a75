"""Putting a question to an approver without waiting for it, and reading its answer: all but a clear yes is a no."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from intarsia.agents import Answer, Approver, Ask

T = TypeVar("T")


class Aside:
    """What a turn has others do in threads of their own; what comes after its end is not heard."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._executor = ThreadPoolExecutor(thread_name_prefix="aside")

    @property
    def over(self) -> Callable[[], bool]:
        return self._over.is_set

    def do(self, call: Callable[[], T], then: Callable[[Future[T]], None] | None = None) -> Future[T]:
        done = self._executor.submit(call)
        if then is not None:
            done.add_done_callback(lambda done: None if self._over.is_set() else then(done))
        return done

    def end(self) -> None:
        self._over.set()
        self._executor.shutdown(wait=False, cancel_futures=True)


class Questions:
    """The questions of one turn. `changes` says whether its driver can make the changes that an answer may ask for."""

    def __init__(self, approver: Approver, *, changes: bool = False, aside: Aside | None = None) -> None:
        self._approver = approver
        self._changes = changes
        self._aside = aside or Aside()

    def put(self, ask: Ask, then: Callable[[Answer], None] | None = None) -> Future[Answer]:
        """Ask; `then` gets the answer, in another thread, unless the turn is over by then."""
        return self._aside.do(
            lambda: self._approver.answer(ask, self._aside.over), then and (lambda asked: then(self.read(asked)))
        )

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
        self._aside.end()
