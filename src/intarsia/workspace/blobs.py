"""All files of a commit, read by one git process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from intarsia.errors import GitError
from intarsia.workspace.git import Git


class Blobs:
    """`ids` are what git calls the contents, by path; links and submodules are no files."""

    def __init__(self, ids: dict[str, str], process: subprocess.Popen[bytes]) -> None:
        self.ids = ids
        self._process = process

    def read(self, path: str) -> bytes | None:
        """The content; None when there is no such file. Raises GitError when git ended."""
        if path not in self.ids:
            return None
        try:
            return self._ask(self.ids[path])
        except BrokenPipeError:
            raise GitError(f"git cat-file ended before it read {path}.", git_exit=self._process.wait()) from None

    def _ask(self, name: str) -> bytes | None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{name}\n".encode())
        self._process.stdin.flush()
        facts = self._process.stdout.readline().split()
        if not facts:
            raise BrokenPipeError
        if facts[-1] == b"missing":
            return None
        data = self._process.stdout.read(int(facts[2]))
        self._process.stdout.read(1)
        return data


@contextmanager
def blobs(git: Git, commit: str) -> Iterator[Blobs]:
    listing = git.run("ls-tree", "-r", "-z", commit)
    entries = [entry.split("\t", 1) for entry in listing.split("\0") if entry.startswith("100")]
    with git.start("cat-file", "--batch") as process:
        yield Blobs({path: facts.split()[2] for facts, path in entries}, process)
