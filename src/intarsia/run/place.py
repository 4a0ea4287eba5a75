"""Where an agent works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Place(Protocol):
    """A tree to edit, and caches, ports (by the number) and a temporary directory that nobody else uses."""

    @property
    def path(self) -> Path: ...

    @property
    def number(self) -> int: ...

    @property
    def tmp(self) -> Path: ...

    @property
    def cache(self) -> Path: ...


@dataclass(frozen=True)
class Seated:
    path: Path
    number: int
    tmp: Path
    cache: Path
