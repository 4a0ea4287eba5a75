"""What was found out about the contents that were looked at last.

One landing looks at the same versions of the same files again and again, and the next one at most of them once more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
MOST = 4_000_000  # bytes of contents; what is found out about them takes some times as much
_EACH = 1_000  # bytes that the smallest one counts
_every: list[Recent[Any]] = []


class Recent(Generic[Value]):
    """A function of a content, and of what says how to read it, that remembers. Nobody may change what it returns.

    None is not remembered: it may mean that there was no time, or no stack.
    """

    def __init__(self, make: Callable[..., Value | None]) -> None:
        self._make = make
        self._found: OrderedDict[tuple[Any, ...], Value] = OrderedDict()
        self._size = 0
        self._lock = Lock()
        _every.append(self)

    def __call__(self, data: bytes, *how: Hashable) -> Value | None:
        found = self.known(data, *how)
        if found is not None:
            return found
        made = self._make(data, *how)
        if made is not None:
            self.learn(made, data, *how)
        return made

    def known(self, data: bytes, *how: Hashable) -> Value | None:
        key = (data, *how)
        with self._lock:
            found = self._found.get(key)
            if found is not None:
                self._found.move_to_end(key)
            return found

    def learn(self, made: Value, data: bytes, *how: Hashable) -> None:
        """What somebody else found out."""
        if len(data) > MOST // 4:
            return
        key = (data, *how)
        with self._lock:
            if key not in self._found:
                self._size += len(data) + _EACH
            self._found[key] = made
            while self._size > MOST:
                oldest, _ = self._found.popitem(last=False)
                self._size -= len(oldest[0]) + _EACH

    def forget(self) -> None:
        with self._lock:
            self._found.clear()
            self._size = 0


def forget() -> None:
    """To measure what it takes to look at something for the first time."""
    for each in _every:
        each.forget()
