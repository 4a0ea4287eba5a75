"""What commits change: the texts of files before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from intarsia.workspace.objects import REGULAR
from intarsia.workspace.repository import Repository
from intarsia.workspace.trees import differences


@dataclass(frozen=True)
class Changed:
    """A file before and after; None where there was none, or where it is no text that could be compared."""

    path: str
    before: bytes | None
    after: bytes | None


def changed(
    repository: Repository, base: str, head: str, tip: str, matters: Callable[[str], bool] = lambda path: True
) -> Iterator[Changed]:
    """What the commits up to `head` change by themselves, and not by what they took over from the branch at `tip`.

    Of files that do not matter nothing is read.
    """
    objects = repository.objects
    trees = repository.trees(_fork(repository, base, head, tip), head)
    for path, (old, new) in differences(objects, *trees).items():
        if not matters(path):
            continue
        if old and new and old.mode == new.mode and new.mode in REGULAR:
            yield Changed(path, objects.read(old.oid), objects.read(new.oid))
        else:
            yield Changed(path, None, None)


def _fork(repository: Repository, base: str, head: str, tip: str) -> str:
    """The newest commit that the work, which began at `base`, and the branch have in common."""
    branch, work = repository.since(base, tip), repository.since(base, head)
    if branch is None or work is None:
        return repository.git.line("merge-base", tip, head)
    landed = set(branch)
    return next((commit for commit in work if commit in landed), base)
