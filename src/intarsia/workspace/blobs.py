"""All files of a commit, read by one git process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from intarsia.workspace.git import Git
from intarsia.workspace.objects import REGULAR, Objects


class Blobs:
    """Those of a commit; links and submodules are no files."""

    def __init__(self, commit: str, objects: Objects) -> None:
        self._commit = commit
        self._objects = objects

    @cached_property
    def ids(self) -> dict[str, str]:
        """What git calls the contents, by path."""
        return {path: entry.oid for path, entry in self._objects.files(self._commit).items() if entry.mode in REGULAR}

    def read(self, path: str) -> bytes | None:
        """The content; None when there is no such file. Raises GitError when git ended."""
        entry = self._objects.at(self._commit, path)
        return self._objects.read(entry.oid) if entry and entry.mode in REGULAR else None


@contextmanager
def objects(git: Git) -> Iterator[Objects]:
    opened = Objects(git)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def blobs(git: Git, commit: str) -> Iterator[Blobs]:
    with objects(git) as opened:
        yield Blobs(commit, opened)
