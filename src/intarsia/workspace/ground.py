"""What a path in a command means to a session: inside its workspace, temporary, or somebody else's."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from intarsia.workspace.commands import Places
from intarsia.workspace.words import FOUND, Word, literal

SAFE_DEVICES = (
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/tty",
    "/dev/stdin",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/shm",
)
MOST_MATCHES = 1_000


@dataclass(frozen=True)
class Ground:
    """`root` is the workspace; below `writable` a session may write, too."""

    root: Path
    writable: tuple[Path, ...] = ()

    def paths(self, word: Word, places: Places) -> list[Path] | None:
        """Where it may lead, as written and with links followed but the last; None when that is not known."""
        if not word.known:
            return None
        text = word.text
        if places is None and not text.startswith("/"):
            return None
        starts = places or frozenset([Path("/")])
        return [real(Path(os.path.normpath(start / text)), through=text.endswith(("/", "/."))) for start in starts]

    def holds(self, path: Path) -> bool:
        """Whether a session may change it: in the workspace but not in git's own files, or below `writable`."""
        if path.is_relative_to(self.root):
            return self.root != path and ".git" not in path.relative_to(self.root).parts
        if path.is_relative_to("/dev"):
            return str(path).startswith((*SAFE_DEVICES, "/dev/fd/"))
        return any(self._apart(path, place) for place in self.writable)

    def _apart(self, path: Path, place: Path) -> bool:
        """Below a writable place, and not in the same part of it as the workspace."""
        if not path.is_relative_to(place) or path == place:
            return False
        inside = self.root.is_relative_to(place)
        return not inside or path.relative_to(place).parts[0] != self.root.relative_to(place).parts[0]

    def may_write(self, word: Word, places: Places) -> bool | None:
        """None when it is not known where it leads. An unknown end counts as below the directory before it."""
        start = word if word.known else _known_part(word)
        if start is None:
            return False if word.start.rpartition("/")[0].startswith("/") else None
        found = self.paths(start, places)
        return None if found is None else all(self.holds(path) for path in found)

    def may_touch(self, word: Word, places: Places) -> bool:
        """Whether it may lead into the workspace, but for a writable place in there."""
        start = word if word.known else _known_part(word)
        found = self.paths(start, places) if start is not None else None
        beside = [place for place in self.writable if place != self.root and place.is_relative_to(self.root)]
        return found is None or any(
            path.is_relative_to(self.root) and not any(path.is_relative_to(place) for place in beside) for path in found
        )

    def sweeps_all(self, word: Word, places: Places) -> bool:
        """Whether it stands for everything in the workspace: `*`, `./*`, `.`, `..`"""
        found = self.paths(word, places) or []
        return any(
            self.root.is_relative_to(path) or (path.parent == self.root and word.magic and not path.name.strip("*.?"))
            for path in found
        )

    def matches(self, word: Word, places: Places) -> list[Path] | None:
        """The files that a word names, patterns filled in from the disk; None when that is not known."""
        found = self.paths(word, places)
        if found is None or not word.magic:
            return found
        return [match for path in found for match in _matches(path)]


def _known_part(word: Word) -> Word | None:
    """Something in the directory that is written out before what is not known; None if there is none."""
    start = word.start
    if word.raw[len(start) : len(start) + 1] != FOUND:
        start = start.rpartition("/")[0]
        if not start.strip("./"):
            return None
    return literal(f"{start}/x")


def real(path: Path, *, through: bool = False) -> Path:
    """Links followed, for the last part only if told `through`; what does not exist stays as written."""
    return Path(os.path.realpath(path)) if through else Path(os.path.realpath(path.parent)) / path.name


def _matches(path: Path) -> Iterator[Path]:
    some = False
    for _, match in zip(range(MOST_MATCHES), glob.iglob(str(path)), strict=False):  # noqa: PTH207
        some = True
        yield Path(match)
    if not some:
        yield path
