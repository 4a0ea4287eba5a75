"""`intarsia` in processes that kill themselves with -9 at a chosen point.

A point is the instant before an effect: a change of a file under the current directory, the commit of a database
transaction, the start of a process that may change something; and the instant after that process started, while it
runs. The instant after an effect is the one before the next. At point 0 nothing is killed, and all points are named.

Run as a program, it serves `Runner`: one process imports intarsia, and forks itself for each run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.rmdir", "os.remove", "os.link", "os.symlink", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# These read, or add objects that nothing names yet.
HARMLESS = {
    "add", "cat-file", "commit-tree", "config", "diff", "for-each-ref", "log", "ls-files", "merge-base", "merge-tree",
    "pack-objects", "rev-list", "rev-parse", "status", "symbolic-ref", "var", "version", "worktree", "write-tree",
}  # fmt: skip


@dataclass(frozen=True)
class Ended:
    code: int
    output: str

    @property
    def points(self) -> list[str]:
        """The names of the points it reached, or of the one it died at."""
        return re.findall(r"^crash: (.*)$", self.output, re.MULTILINE)


class Runner:
    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self, directory: Path, args: Sequence[str], env: Mapping[str, str], kill_at: int | str | None = None
    ) -> Ended:
        """`intarsia ARGS`; with `kill_at` its points are counted, and it dies at that one, or the first so named."""
        assert self._server.stdin is not None and self._server.stdout is not None
        order = {"directory": str(directory), "args": list(args), "env": dict(env), "kill_at": kill_at}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return Ended(**json.loads(self._server.stdout.readline()))

    def close(self) -> None:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()


class Points:
    """Counts the points, and dies at one of them."""

    def __init__(self, kill_at: int | str, root: Path) -> None:
        self._kill_at = kill_at
        self._root = f"{root}/"
        self._lock = threading.Lock()
        self.count = 0

    def reach(self, name: str) -> None:
        with self._lock:
            self.count += 1
            if self._kill_at == 0:
                os.write(2, f"\ncrash: {name}\n".encode())
            if self._kill_at == self.count or (isinstance(self._kill_at, str) and name.startswith(self._kill_at)):
                os.write(2, f"\ncrash: {name}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    def on_audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            self.on_process("before", args[1])
        elif event == "open" and isinstance(args[2], int) and args[2] & WRITING:
            self._change("write", args[0])
        elif event in CHANGES:
            self._change(event, args[0])

    def on_process(self, when: str, argv: Any) -> None:
        words = _words(argv)
        if words[0] != "git" or words[1] not in HARMLESS:
            self.reach(f"{when} {' '.join(words)[:100]}")

    def _change(self, what: str, path: Any) -> None:
        # What rmtree removes one by one has relative names; its start stands for all.
        if not isinstance(path, str | os.PathLike) or not (name := os.fspath(path)).startswith(self._root):
            return
        if what == "write" or os.path.lexists(name):
            self.reach(f"before {what} {name.removeprefix(self._root)}")


def _words(argv: Any) -> list[str]:
    """The command line, that of git without the options that stand before its command."""
    words = [os.fspath(word) for word in argv]
    at = 1
    while words[0] == "git" and words[at].startswith("-"):
        at += 1 if words[at].startswith("--") else 2
    return [words[0], *words[at:]]


def wrap(points: Points) -> None:
    """Reach a point before each commit of a change, and after each start of a process."""
    from intarsia.kernel.postgresql import PostgreSQL
    from intarsia.kernel.sqlite import SQLite

    for engine in (SQLite, PostgreSQL):
        _wrap_engine(engine, points)
    start = subprocess.Popen.__init__

    def started(self: Any, argv: Any, *args: Any, **kwargs: Any) -> None:
        start(self, argv, *args, **kwargs)
        points.on_process("during", argv)

    subprocess.Popen.__init__ = started  # type: ignore[method-assign,assignment]
    sys.addaudithook(points.on_audit)


def _wrap_engine(engine: type[Any], points: Points) -> None:
    begin, commit = engine.begin, engine.commit

    def noted(self: Any, lock: str | None) -> None:
        begin(self, lock)
        self.changes = lock is not None

    def committed(self: Any) -> None:
        if self.changes:
            points.reach("before commit")
        commit(self)

    engine.begin, engine.commit = noted, committed


def run(directory: str, args: list[str], env: dict[str, str], kill_at: int | str | None) -> None:
    from intarsia import cli

    os.chdir(directory)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["intarsia", *args]
    if kill_at is None:
        cli.main()
    points = Points(kill_at or 0, Path.cwd())
    wrap(points)
    cli.main()


def serve() -> None:
    import intarsia.cli.run
    import intarsia.run.scheduler
    import intarsia.run.start  # noqa: F401

    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            if (child := os.fork()) == 0:
                nothing = os.open(os.devnull, os.O_RDONLY)
                for number, file in enumerate((nothing, output.fileno(), output.fileno())):
                    os.dup2(file, number)
                code = 1
                try:
                    run(**json.loads(line))
                except SystemExit as end:
                    code = int(end.code or 0)
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            output.seek(0)
            print(json.dumps({"code": code, "output": output.read().decode()}), flush=True)


if __name__ == "__main__":
    serve()
