"""A scripted agent on a shared tree: whole-file writes, two times in three from a snapshot that is stale.

`python -m tests.support.shared_worker ROOT SESSION AGENTS WRITES SEED [last]`; prints each write that was done.
"""

from __future__ import annotations

import random
import re
import sys
import threading
from pathlib import Path

from intarsia.workspace.edits import Write
from intarsia.workspace.shared import Committed, Shared, Tree

FILE = "module.py"
STALE = 2 / 3


def module(functions: int, filler: int = 4) -> bytes:
    """Python source of about 170 bytes for each function."""
    parts = ["import os\nimport sys\n\n\nREGISTRY = {}\n"]
    for number in range(functions):
        lines = "".join(f"    step_{n} = value * {n} + {number}\n" for n in range(filler))
        parts.append(f"\n\ndef work_{number}(value):\n    total = {number}\n{lines}    return total + step_0\n")
    return "".join(parts).encode()


def committed(root: Path) -> Committed:
    """The branch of a tree without git: its files as they were at the start."""
    place = root / ".intarsia" / "committed"
    return lambda path, _: (place / path).read_bytes() if (place / path).is_file() else None


def open_tree(root: Path) -> Tree:
    return Tree.of(root, committed(root), lambda adopted: None)


def start(root: Path, data: bytes) -> None:
    place = root / ".intarsia" / "committed"
    place.mkdir(parents=True)
    (place / FILE).write_bytes(data)
    (root / FILE).write_bytes(data)


class Writer:
    """Each agent changes functions of its own, adds functions behind them, and imports."""

    def __init__(self, agent: int, agents: int, seed: int) -> None:
        self._agent = agent
        self._agents = agents
        self._random = random.Random(seed)

    def mark(self, number: int) -> bytes:
        return f"{self._agent}_{number}_".encode()

    def change(self, text: bytes, number: int) -> bytes:
        kind = self._random.choice(("body", "body", "insert", "import"))
        if kind == "import":
            return text.replace(b"import sys\n", b"import sys\nimport mark_%s\n" % self.mark(number), 1)
        own = re.findall(rb"def work_(\d+)\(", text)
        name = self._random.choice([n for n in own if int(n) % self._agents == self._agent])
        if kind == "body":
            head = b"def work_%s(value):\n    total = %s\n" % (name, name)
            return text.replace(head, head + b"    mark_%s = value\n" % self.mark(number), 1)
        whole = re.search(rb"\n\ndef work_%s\(.*?return total \+ step_0\n" % name, text, re.DOTALL)
        assert whole is not None
        added = b"\n\ndef mark_%s(value):\n    return value\n" % self.mark(number)
        return text[: whole.end()] + added + text[whole.end() :]

    def is_stale(self) -> bool:
        return self._random.random() < STALE


def marks(text: bytes) -> set[bytes]:
    return set(re.findall(rb"mark_(\d+_\d+_)", text))


def without_marks(text: bytes) -> bytes:
    """The file as it was before all edits."""
    text = re.sub(rb"\n\ndef mark_\d+_\d+_\(value\):\n    return value\n", b"", text)
    return re.sub(rb"(?:    mark_\d+_\d+_ = value|import mark_\d+_\d+_)\n", b"", text)


class Person:
    """Adds a comment at the end of the file now and then (`every`: in seconds), in place, and asks nobody."""

    def __init__(self, root: Path, every: float) -> None:
        self._path = root / FILE
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.typed: list[bytes] = []

    def __enter__(self) -> Person:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def without_lines(self, text: bytes) -> bytes:
        """The text without what was typed, as far as it is in there."""
        for line in self.typed:
            text = text.replace(line, b"", 1)
        return text

    def _run(self) -> None:
        while not self._over.wait(self._every):
            text = self._path.read_bytes()
            line = b"# person %d\n" % len(self.typed)
            with self._path.open("r+b") as file:
                if file.read() == text:
                    file.seek(0)
                    file.write(text + line)
                    self.typed.append(line)


def main() -> None:
    root, session, agents, writes, seed, *how = sys.argv[1:]
    writer = Writer(int(session.rpartition("-")[2]), int(agents), int(seed))
    path = Path(root) / FILE
    shared = Shared(open_tree(Path(root)), session, lambda needs: "")
    seen = shared.read(FILE) or b""
    for number in range(int(writes)):
        if not writer.is_stale():
            seen = (path.read_bytes() if how else shared.read(FILE)) or b""
        wanted = writer.change(seen, number)
        if how:
            unfinished = path.with_suffix(f".{session}")
            unfinished.write_bytes(wanted)
            unfinished.replace(path)
        else:
            shared.apply(FILE, Write(wanted))
        seen = wanted
        print(writer.mark(number).decode(), flush=True)


if __name__ == "__main__":
    main()
