"""People who watch what agents do and say."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Shows to people who watch what agents say."""

    def activity(self, session: str, text: str) -> None: ...
    def notice(self, text: str) -> None: ...
