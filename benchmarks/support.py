"""Sandboxes and medians for the benchmarks."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One measured number; `target` is the most it may be, or the least."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target


def environment(home: Path) -> dict[str, str]:
    """Nothing of the person who measures: a fresh home, and an identity for git."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    who = {f"GIT_{role}_{what}": "bench" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**kept, **who, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}


@contextmanager
def repository() -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="intarsia-bench-"))
    try:
        yield Bench(folder)
    finally:
        shutil.rmtree(folder)


class Bench:
    """A small repository with 50 files and one commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "project"
        self.env = environment(folder)
        self.root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")
        for number in range(50):
            (self.root / f"file{number}.txt").write_text(f"{number}\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=First commit")

    def git(self, *args: str) -> str:
        return subprocess.run(
            ["git", *args], cwd=self.root, env=self.env, check=True, capture_output=True, text=True
        ).stdout

    def intarsia(self, *args: str) -> str:
        argv = [str(Path(sys.executable).with_name("intarsia")), *args]
        return subprocess.run(argv, cwd=self.root, env=self.env, check=True, capture_output=True, text=True).stdout

    def add_issues(self, count: int) -> None:
        """Straight into the database, as making them is not what is measured."""
        from intarsia.kernel import Database, issues

        self.intarsia("issue", "list")
        project = (self.root / ".intarsia/project").read_text().strip()
        database = Database(f"sqlite://{self.root / '.intarsia/intarsia.db'}", project)
        with database.transaction() as tx:
            for number in range(count):
                issues.create(tx, issues.Draft(f"Issue {number}", id=f"b-{number}"), "bench")
        database.close()


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def median(action: Callable[[], object], times: int) -> float:
    return statistics.median(seconds(action) for _ in range(times))
