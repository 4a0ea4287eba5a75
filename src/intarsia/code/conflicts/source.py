"""Versions of a repository: the common base, two sides' changes, and the combination of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from msgspec import Struct

Files = Mapping[str, bytes | None]  # None: there is no such file


class Rest(Protocol):
    """The files of the common base."""

    @property
    def paths(self) -> Collection[str]: ...

    def read(self, path: str) -> bytes | None:
        """The content; None when there is no such file."""

    def mentioning(self, name: str) -> Iterable[str]:
        """Paths of the files that mention the name, and perhaps some that don't."""


class Nothing:
    """A base that has no files but the changed ones."""

    paths: Collection[str] = frozenset()

    def read(self, path: str) -> bytes | None:
        return None

    def mentioning(self, name: str) -> Iterable[str]:
        return ()


class Versions(Struct, frozen=True):
    """What either side changed, in all four versions. What `combined` lacks could not be combined."""

    base: Files
    ours: Files
    theirs: Files
    combined: Files
    rest: Rest

    @property
    def paths(self) -> Collection[str]:
        return self.combined.keys()

    def of(self, side: str) -> Files:
        files: Files = getattr(self, side)
        return files


class SemanticConflict(Struct, frozen=True):
    """What one side's change does to what the other relies on, though their text merges.

    `kind`: parse, duplicate, import or arity, which are provable; signature, removed or twice, which are notices.
    `path` and `line` are where it shows, `source` the file that holds the symbol. `user` relies on it, `changer`
    changed it: ours, theirs, or both.
    """

    kind: str
    provable: bool
    symbol: str
    path: str
    line: int
    source: str
    user: str
    changer: str
    message: str
