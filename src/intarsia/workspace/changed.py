"""What commits change: entries of trees, and the texts of files before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from intarsia.workspace.blobs import objects
from intarsia.workspace.repository import Repository

REGULAR = ("100644", "100755")


@dataclass(frozen=True)
class Entry:
    """What a commit changes of one file: modes and object names before and after."""

    path: str
    old: tuple[str, str]
    new: tuple[str, str]

    @property
    def is_text(self) -> bool:
        """Whether a regular file became another of the same mode."""
        return self.old[0] == self.new[0] and self.new[0] in REGULAR


@dataclass(frozen=True)
class Changed:
    """A file before and after; None where there was none, or where it is no text that could be compared."""

    path: str
    before: bytes | None
    after: bytes | None


def entries(raw: str) -> list[Entry]:
    """Of `git diff-tree -r -z`: facts and path in turn."""
    fields = raw.rstrip("\0").split("\0") if raw else []
    found = []
    for facts, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, new_mode, old, new, _ = facts.removeprefix(":").split()
        found.append(Entry(path, (old_mode, old), (new_mode, new)))
    return found


def changed(repository: Repository, base: str, head: str, tip: str) -> Iterator[Changed]:
    """What the commits up to `head` change by themselves, and not by what they took over from the branch at `tip`."""
    git = repository.git
    fork = base if tip == base else git.line("merge-base", tip, head)
    found = entries(git.run("diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", fork, head))
    with objects(git) as opened:
        for entry in found:
            before, after = (opened.read(side[1]) if entry.is_text else None for side in (entry.old, entry.new))
            yield Changed(entry.path, before, after)
