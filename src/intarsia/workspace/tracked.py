"""The tracked files as they are in a working tree now, and what git calls their contents."""

from __future__ import annotations

import hashlib
from pathlib import Path

from intarsia.workspace.git import Git


class Tracked:
    """`ids` by path: of what is unchanged since `git add`, without reading it."""

    def __init__(self, directory: Path) -> None:
        self.root = Path(Git(directory).line("rev-parse", "--show-toplevel"))
        self._git = Git(self.root)
        self._changed: dict[str, bytes] = {}
        listing = self._git.run("ls-files", "--stage", "-z").split("\0")
        entries = [entry.split("\t", 1) for entry in listing if entry.startswith("100")]
        self.ids = {path: facts.split()[1] for facts, path in entries if facts.endswith("0")}
        for path in self._git.run("diff-files", "--name-only", "-z").split("\0"):
            if path in self.ids:
                self._look(path)

    def read(self, path: str) -> bytes | None:
        """The content that goes with the id; None when it is gone meanwhile."""
        if path in self._changed:
            return self._changed[path]
        data = _read(self.root / path)
        if data is not None and _blob_id(data, self.ids[path]) == self.ids[path]:
            return data
        # Changed since, or git converts it, as it does line ends.
        return self._git.read("cat-file", "blob", self.ids[path])

    def _look(self, path: str) -> None:
        before = self.ids.pop(path)
        data = _read(self.root / path)
        if data is not None:
            self.ids[path] = _blob_id(data, before)
            self._changed[path] = data


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _blob_id(data: bytes, like: str) -> str:
    """What git would call the content, by the hash that made the other id."""
    digest = hashlib.sha1 if len(like) == 40 else hashlib.sha256
    return digest(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
