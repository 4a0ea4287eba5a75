"""Leases with full semantics (nesting, TTL, fencing, a fair line), durable, on both databases, in one run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.support import Bench, Result, median, repository
from intarsia.kernel import Database, leases, line
from tests.support import postgres

SECONDS = 2.0
PROJECT = "bench"
# The least that is wanted: acquire and release pairs a second, for 1 and for 8 processes.
WANTED = {"sqlite": {1: 6000, 8: 6000}, "postgresql": {1: 1000, 8: 2500}}


def measure() -> Iterator[Result]:
    with _databases() as urls:
        for engine, url in urls.items():
            for processes, wanted in WANTED[engine].items():
                yield _least(f"{engine}, {processes} processes, one resource", _throughput(url, processes, 1), wanted)
            three = _throughput(url, 1, 3)
            yield _least(f"{engine}, 1 process, three resources", three, 5000 if engine == "sqlite" else None)
            yield Result(f"{engine}, cost with 10,000 held / with 10", _growth(url), "x", 1.3)
            yield Result(f"{engine}, hand-off to a waiter, median", _hand_off(url), "ms", 8)
    with repository() as bench:
        yield Result("intarsia lock acquire, as a command", _command(bench), "ms", 80)


def _least(name: str, value: float, wanted: float | None) -> Result:
    return Result(f"{name}, pairs per second", value, "/s", wanted, at_least=True)


@contextmanager
def _databases() -> Iterator[dict[str, str]]:
    postgres.SETTINGS = [s for s in postgres.SETTINGS if not s.endswith("=off") and s != "-c"]
    server = postgres.Server.start(postgres.fresh_directory())
    try:
        with tempfile.TemporaryDirectory(prefix="intarsia-bench-") as folder:
            yield {
                "sqlite": f"sqlite://{Path(folder) / 'locks.db'}",
                "postgresql": server.create_database("locks"),
            }
    finally:
        server.stop()


def _throughput(url: str, processes: int, resources: int) -> float:
    """Pairs per second of all processes together, each on resources of its own choice out of 64."""
    Database(url, PROJECT).close()
    argv = [sys.executable, "-m", "benchmarks.locks", url, str(resources)]
    workers = [
        subprocess.Popen([*argv, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(processes)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return sum(float(worker.communicate()[0]) for worker in workers)


def work(url: str, resources: int, number: int) -> None:
    """One process: pairs for SECONDS; prints how many a second."""
    database = Database(url, PROJECT)
    me = f"worker-{number}"
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.perf_counter()
    done = 0
    while (elapsed := time.perf_counter() - started) < SECONDS:
        names = [f"code:src/m{number}/f{(done + n) % 64}.py#f" for n in range(resources)]
        asked: dict[str, leases.Mode] = {name: "shared" if n else "exclusive" for n, name in enumerate(names)}
        line.acquire(database, me, asked, 60)
        line.release(database, me, names)
        done += 1
    print(done / elapsed)


def _growth(url: str) -> float:
    """Cost of a pair with 10,000 leases held by others against 10, measured in turns in two projects."""
    projects = {held: Database(url, f"{PROJECT}-{held}") for held in (10, 10_000)}
    for held, database in projects.items():
        with database.transaction() as tx:
            for n in range(held):
                leases.acquire(tx, f"holder-{n % 50}", f"code:held/d{n % 100}/f{n}.py", 86_400)
        _batch(database)
    costs: dict[int, list[float]] = {held: [] for held in projects}
    for _ in range(21):
        for held, database in projects.items():
            costs[held].append(_batch(database))
    for database in projects.values():
        database.close()
    return statistics.median(costs[10_000]) / statistics.median(costs[10])


def _batch(database: Database) -> float:
    started = time.perf_counter()
    for n in range(100):
        line.acquire(database, "me", {f"code:mine/f{n}.py": "exclusive"}, 60)
        line.release(database, "me", [f"code:mine/f{n}.py"])
    return time.perf_counter() - started


def _hand_off(url: str) -> float:
    """Milliseconds from the commit of a release to the waiter, another process, having the lease."""
    database = Database(url, f"{PROJECT}-hand-off")
    waiter = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.locks", url, "wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waiter.stdin is not None and waiter.stdout is not None
    gaps = []
    for _ in range(40):
        line.acquire(database, "holder", {"code:hot": "exclusive"}, 60, wait=10)
        waiter.stdin.write("wait\n")
        waiter.stdin.flush()
        while True:
            with database.read() as tx:
                if line.standing(tx):
                    break
            time.sleep(0.002)
        line.release(database, "holder", ["code:hot"])
        released = time.time()
        gaps.append(float(waiter.stdout.readline()) - released)
    waiter.communicate("")
    database.close()
    return statistics.median(gaps) * 1000


def wait_in_turn(url: str) -> None:
    database = Database(url, f"{PROJECT}-hand-off")
    for _ in sys.stdin:
        line.acquire(database, "waiter", {"code:hot": "exclusive"}, 60, wait=30)
        print(time.time(), flush=True)
        line.release(database, "waiter", ["code:hot"])


def _command(bench: Bench) -> float:
    bench.intarsia("agent", "join", "bencher")
    return median(lambda: bench.intarsia("lock", "acquire", "code:file1.txt"), 15) * 1000


if __name__ == "__main__":
    if sys.argv[2] == "wait":
        wait_in_turn(sys.argv[1])
    else:
        work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    os._exit(0)
