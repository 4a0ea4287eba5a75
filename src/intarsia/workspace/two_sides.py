"""Two revisions that come from one, and what both changed since: as the checks for semantic conflicts want it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from intarsia.workspace.blobs import Blobs, blobs
from intarsia.workspace.git import Git

if TYPE_CHECKING:
    from intarsia.code.source import SemanticConflict


class Rest:
    """All files of the base; the index of them is made when the first question about all of them comes."""

    def __init__(self, base: Blobs, index: Path | None) -> None:
        self._base = base
        self._ask: Callable[[str], Iterable[str]] | None = None
        self._place = index

    @property
    def paths(self) -> Collection[str]:
        return self._base.ids.keys()

    def read(self, path: str) -> bytes | None:
        return self._base.read(path)

    def mentioning(self, name: str) -> Iterable[str]:
        from intarsia.code.index import Index

        if self._ask is None:
            index = Index(self._place)
            index.refresh(self._base.ids.items(), self._base.read)
            self._ask = index.mentioning
        return self._ask(name)


def semantic_conflicts(
    git: Git, base: str, ours: str, theirs: str, *, combined: str | None = None, index: Path | None = None
) -> list[SemanticConflict]:
    """Between two commits since a common one; `combined` is the tree or commit that holds both, where there is one.

    `index` is the directory of the index; without it one is made in memory when it is needed.
    """
    from intarsia.code.conflicts import conflicts

    with _all(git, base, ours, theirs, combined or base) as (old, mine, other, both):
        changed = {*_changed(old, mine), *_changed(old, other)}
        before, one, two, all_ = ({path: side.read(path) for path in changed} for side in (old, mine, other, both))
        return conflicts(before, one, two, Rest(old, index), all_ if combined else None)


def _changed(base: Blobs, side: Blobs) -> set[str]:
    return {path for path, _ in base.ids.items() ^ side.ids.items()}


@contextmanager
def _all(git: Git, *commits: str) -> Iterator[list[Blobs]]:
    with ExitStack() as stack:
        yield [stack.enter_context(blobs(git, commit)) for commit in commits]
