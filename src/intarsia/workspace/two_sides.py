"""Two revisions that come from one, and what both changed since: as the checks for semantic conflicts want it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.workspace.blobs import Blobs, objects
from intarsia.workspace.git import Git

if TYPE_CHECKING:
    from intarsia.code.conflicts.source import SemanticConflict
    from intarsia.code.names.index import Index


INDEX = "index"  # in the state directory


class Rest:
    """All files of the base; the index of them is made when the first question about all of them comes."""

    def __init__(self, base: Blobs, index: Path | None) -> None:
        self._base = base
        self._index: Index | None = None
        self._place = index

    def close(self) -> None:
        if self._index is not None:
            self._index.close()

    @property
    def paths(self) -> Collection[str]:
        return self._base.ids.keys()

    def read(self, path: str) -> bytes | None:
        return self._base.read(path)

    def mentioning(self, name: str) -> Iterable[str]:
        from intarsia.code.names.index import Index

        if self._index is None:
            self._index = Index(self._place)
            self._index.refresh(self._base.ids.items(), self._base.read)
        return self._index.mentioning(name)


def semantic_conflicts(
    git: Git, base: str, ours: str, theirs: str, *, combined: str | None = None, index: Path | None = None
) -> list[SemanticConflict]:
    """Between two commits since a common one; `combined` is the tree or commit that holds both, where there is one.

    `index` is the directory of the index; without it one is made in memory when it is needed.
    """
    from intarsia.code.conflicts.semantic import conflicts

    with objects(git) as opened:
        old, mine, other, both = (Blobs(each, opened) for each in (base, ours, theirs, combined or base))
        changed = {*_changed(old, mine), *_changed(old, other)}
        before, one, two, all_ = (_contents(side, changed) for side in (old, mine, other, both))
        with closing(Rest(old, index)) as rest:
            return conflicts(before, one, two, rest, all_ if combined else None)


def _changed(base: Blobs, side: Blobs) -> set[str]:
    return {path for path, _ in base.ids.items() ^ side.ids.items()}


def _contents(side: Blobs, paths: Iterable[str]) -> dict[str, bytes | None]:
    """Of files in no known language it counts only whether they are there."""
    from intarsia.code.languages import language_of

    found: dict[str, bytes | None] = {}
    for path in paths:
        known = language_of(path, b"") is not None
        found[path] = side.read(path) if known else (b"" if path in side.ids else None)
    return found
