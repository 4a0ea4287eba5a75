"""16 agents, 200 whole-file writes each, in one file of 100 KB, two times in three from a snapshot that is stale.

Beside them agents are killed with -9 and begin again, and a person adds lines to the same file by hand. The same with
plain writes, the last of which wins, shows what is lost without arbitration.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.support import Result
from intarsia.workspace.shared import Shared
from tests.support import shared_worker
from tests.support.shared_worker import FILE, marks, without_marks

AGENTS, WRITES = 16, 200
FUNCTIONS = 580


def measure() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        yield from _arbitrated(Path(folder) / "shared")
        yield from _last_writer_wins(Path(folder) / "last")


def _arbitrated(root: Path) -> Iterator[Result]:
    before = shared_worker.module(FUNCTIONS)
    shared_worker.start(root, before)
    person = Person(root)
    killed = [_spawn(root, AGENTS + n, WRITES) for n in range(2)]
    started = time.monotonic()
    agents = [_spawn(root, n, WRITES) for n in range(AGENTS)]
    lines = [_Lines(agent) for agent in [*killed, *agents]]
    person.start()
    for agent in killed:
        time.sleep(5)
        agent.send_signal(signal.SIGKILL)
    done = {mark for reader in lines for mark in reader.all()}
    seconds = time.monotonic() - started
    person.stop()
    Shared(shared_worker.open_tree(root), "s-last", lambda needs: "").read(FILE)
    after = (root / FILE).read_bytes()
    refused = sum(agent.wait() != 0 for agent in agents)
    unfinished = marks(after) - done
    yield Result("size of the file at the start", len(before) / 1000, "KB")
    yield Result("edits acknowledged", len(done), "")
    yield Result("edits lost", len(done - marks(after)), "", 0)
    yield Result("agents of 16 that were refused an edit", refused, "", 0)
    yield Result("edits of killed agents that are in but were not acknowledged", len(unfinished), "", 2)
    yield Result("lines of the person", len(person.typed), "", 10, at_least=True)
    yield Result("lines of the person lost", sum(line not in after for line in person.typed), "", 0)
    rest = without_marks(after)
    for line in person.typed:
        rest = rest.replace(line, b"", 1)
    yield Result("bytes that differ outside of all edits", abs(len(rest) - len(before)) + (rest != before), "", 0)
    yield Result("one write, of 16 agents on 2 cores", 1000 * seconds / len(done), "ms")


def _last_writer_wins(root: Path) -> Iterator[Result]:
    shared_worker.start(root, shared_worker.module(FUNCTIONS))
    agents = [_spawn(root, n, WRITES, "last") for n in range(AGENTS)]
    done = {mark for reader in [_Lines(agent) for agent in agents] for mark in reader.all()}
    lost = done - marks((root / FILE).read_bytes())
    yield Result("lost where the last writer wins", 100 * len(lost) / len(done), "%")


def _spawn(root: Path, agent: int, writes: int, *how: str) -> subprocess.Popen[str]:
    names = [str(root), f"s-{agent}", str(AGENTS + 2), str(writes), str(agent), *how]
    argv = [sys.executable, "-m", "tests.support.shared_worker", *names]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


class _Lines:
    """What a process prints, read while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said = ""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        self._said = self._process.communicate()[0]

    def all(self) -> set[bytes]:
        self._thread.join()
        return {line.encode() for line in self._said.splitlines()}


class Person:
    """Adds a comment at the end of the file now and then, in place, and asks nobody."""

    def __init__(self, root: Path) -> None:
        self._path = root / FILE
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.typed: list[bytes] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(2):
            text = self._path.read_bytes()
            line = b"# person %d\n" % len(self.typed)
            with self._path.open("r+b") as file:
                if file.read() == text:
                    file.seek(0)
                    file.write(text + line)
                    self.typed.append(line)


if __name__ == "__main__":
    for result in measure():
        print(f"{result.name}: {result.value:g} {result.unit}")
