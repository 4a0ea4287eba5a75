"""16 agents, 200 whole-file writes each, in one file of 100 KB, two times in three from a snapshot that is stale.

Beside them agents are killed with -9 and begin again, and a person adds lines to the same file by hand. The same with
plain writes, the last of which wins, shows what is lost without arbitration.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.support import Result
from intarsia.workspace.edits import Write
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
    killed = [_spawn(root, AGENTS + n, WRITES) for n in range(2)]
    started = time.monotonic()
    agents = [_spawn(root, n, WRITES) for n in range(AGENTS)]
    lines = [_Lines(agent) for agent in [*killed, *agents]]
    with shared_worker.Person(root, every=2) as person:
        for agent in killed:
            time.sleep(5)
            agent.send_signal(signal.SIGKILL)
        done = {mark for reader in lines for mark in reader.all()}
        seconds = time.monotonic() - started
    Shared(shared_worker.open_tree(root), "s-last", lambda needs: "").read(FILE)
    after = (root / FILE).read_bytes()
    refused = sum(agent.wait() != 0 for agent in agents)
    unfinished = marks(after) - done
    yield Result("size of the file at the start", len(before) / 1000, "KB")
    yield Result("edits acknowledged", len(done), "")
    yield Result("edits lost", len(done - marks(after)), "", 0)
    yield Result("agents of 16 that were refused an edit", refused, "", 0)
    yield Result("edits of killed agents that are in but were not acknowledged", len(unfinished), "", 2)
    yield Result("lines of the person", len(person.typed), "", 5, at_least=True)
    yield Result("lines of the person lost", sum(line not in after for line in person.typed), "", 0)
    rest = person.without_lines(without_marks(after))
    yield Result("bytes that differ outside of all edits", abs(len(rest) - len(before)) + (rest != before), "", 0)
    yield Result("all writes of 16 agents", seconds, "s", 300)
    yield Result("one write of one agent, on a file of 100 KB: CPU", 1000 * _cpu(root.with_name("quiet")), "ms", 30)


def _cpu(root: Path) -> float:
    """Seconds that one write takes of a processor, in the median; every second one has to be merged."""
    shared_worker.start(root, shared_worker.module(FUNCTIONS))
    sessions = [Shared(shared_worker.open_tree(root), f"s-{n}", lambda needs: "") for n in range(2)]
    writers = [shared_worker.Writer(n, 2, n) for n in range(2)]
    seen = [session.read(FILE) or b"" for session in sessions]
    taken = []
    for number in range(2 * 20):
        for n, session in enumerate(sessions):
            seen[n] = writers[n].change(seen[n], number)
            started = time.process_time()
            session.apply(FILE, Write(seen[n]))
            taken.append(time.process_time() - started)
    return statistics.median(taken)


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


if __name__ == "__main__":
    for result in measure():
        print(f"{result.name}: {result.value:g} {result.unit}")
