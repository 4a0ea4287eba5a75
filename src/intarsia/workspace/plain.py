"""A session's own tree, edited by the same commands as a shared one: nobody else is in there."""

from __future__ import annotations

import os
from pathlib import Path

from intarsia.code.leases import needs
from intarsia.errors import InputError
from intarsia.workspace import replacing
from intarsia.workspace.edits import Delete, Edit, Write, changes_of
from intarsia.workspace.shared import Asked, Done


class Plain:
    """The tree at `root`. `arbiter` is told what is about to be changed; `spare` is a folder on the same disk."""

    def __init__(self, root: Path, spare: Path, arbiter: Asked) -> None:
        self._root = Path(os.path.realpath(root))
        self._spare = spare
        self._arbiter = arbiter

    def path(self, name: str, here: Path) -> str:
        real = Path(os.path.realpath(here / name))
        if self._root not in real.parents or ".git" in real.relative_to(self._root).parts:
            raise InputError(f"{name} is not a file of your workspace {self._root}.")
        if real.is_dir():
            raise InputError(f"{name} is a directory.")
        return real.relative_to(self._root).as_posix()

    def read(self, path: str) -> bytes | None:
        return replacing.read(self._root / path)

    def apply(self, path: str, edit: Edit) -> Done:
        disk = self.read(path)
        proposal = edit.propose(path, disk, (disk,))
        changes = changes_of(path, proposal, None)
        advice = self._arbiter(needs(path, changes)) if changes else ""
        replacing.replace(self._root / path, disk, proposal.wanted, self._spare / f"edit-{os.getpid()}")
        return Done(path, changes, proposal.wanted, merged=False, advice=advice)

    def move(self, path: str, to: str) -> list[Done]:
        content = self.read(path)
        if content is None or (self._root / to).exists():
            raise InputError(f"{path} is not there, or {to} is.")
        made = self.apply(to, Write(content))
        (self._root / to).chmod((self._root / path).stat().st_mode & 0o7777)
        return [made, self.apply(path, Delete())]
