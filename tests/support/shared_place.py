"""A shared tree without git: the branch is a mapping."""

from __future__ import annotations

from pathlib import Path

from intarsia.workspace.portion import Portion
from intarsia.workspace.shared import Adopted, Asked, Shared, Tree

CODE = (
    b"import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 1\n\n\n"
    b"class C:\n    def m(self):\n        return 1\n"
)


class Place:
    """A tree whose branch has the files that were there at the start."""

    def __init__(self, root: Path, **files: bytes) -> None:
        self.root = root
        self.branch = {name.replace("_py", ".py"): data for name, data in files.items()}
        self.adopted: list[Adopted] = []
        for name, data in self.branch.items():
            (root / name).write_bytes(data)
        self.tree = self.open()

    def open(self) -> Tree:
        return Tree.of(self.root, lambda path, _: self.branch.get(path), self.adopted.append)

    def session(self, name: str, arbiter: Asked = lambda needs: "") -> Shared:
        return Shared(self.tree, name, arbiter)

    def portion(self, name: str) -> Portion:
        return Portion(self.tree, name, lambda needs: "")

    def own(self, session: str, path: str = "a.py") -> bytes | None:
        row = self.tree.versions.own(session, path)
        return self.tree.versions.data(row.own) if row else None

    def text(self, path: str = "a.py") -> bytes:
        return (self.root / path).read_bytes()
