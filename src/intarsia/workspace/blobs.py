"""Contents of git's objects, and all files of a commit, read by one git process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from intarsia.errors import GitError
from intarsia.workspace.git import Git


class Objects:
    """The process is started when the first content is read."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, name: str) -> bytes | None:
        """What `name` (an id, or TREE:PATH) holds; None when there is no such thing. Raises GitError."""
        if self._process is None:
            self._process = self._git.start("cat-file", "--batch", "-z")
        try:
            return _ask(self._process, name)
        except BrokenPipeError:
            raise GitError(f"git cat-file ended before it read {name}.", git_exit=self._process.wait()) from None

    def close(self) -> None:
        if self._process is not None:
            with self._process:
                self._process = None


class Blobs:
    """Those of a commit; links and submodules are no files."""

    def __init__(self, git: Git, commit: str, objects: Objects) -> None:
        self._git = git
        self._commit = commit
        self._objects = objects

    @cached_property
    def ids(self) -> dict[str, str]:
        """What git calls the contents, by path."""
        listing = self._git.run("ls-tree", "-r", "-z", self._commit)
        entries = [entry.split("\t", 1) for entry in listing.split("\0") if entry.startswith("100")]
        return {path: facts.split()[2] for facts, path in entries}

    def read(self, path: str) -> bytes | None:
        """The content; None when there is no such file. Raises GitError when git ended."""
        return self._objects.read(self.ids[path]) if path in self.ids else None


def _ask(process: subprocess.Popen[bytes], name: str) -> bytes | None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{name}\0".encode(errors="surrogateescape"))
    process.stdin.flush()
    facts = process.stdout.readline().split()
    if not facts:
        raise BrokenPipeError
    if facts[-1] == b"missing":
        return None
    data = process.stdout.read(int(facts[2]))
    process.stdout.read(1)
    return data


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
        yield Blobs(git, commit, opened)
