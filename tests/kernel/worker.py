"""A process of its own on a database, that does what its standard input says, a line at a time; see `Workers`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from intarsia.errors import Conflict
from intarsia.kernel import Database, Transaction, daily, leases, sessions


def claim(database: Database, me: str, issue: str) -> str:
    with database.transaction() as tx:
        claimed = sessions.start(
            tx, run="r", agent="a", driver="script", supervisor=me, secret=me, ttl=60, only=[issue]
        )
    return claimed[0].id if claimed else "-"


def token(database: Database, me: str, resource: str) -> str:
    with database.transaction() as tx:
        return str(leases.acquire(tx, me, f"{resource}/{me}", 60).token)


def trigger(database: Database, me: str, date: str) -> str:
    return _wins(database, lambda tx: daily.trigger(tx, date, ["a", "b"], me))


def write(database: Database, me: str, date: str) -> str:
    return _wins(database, lambda tx: daily.write(tx, date, "a", f"by {me}"))


def _wins(database: Database, change: Callable[[Transaction], object]) -> str:
    try:
        with database.transaction() as tx:
            change(tx)
    except Conflict:
        return "lost"
    return "won"


WORK = {"claim": claim, "token": token, "trigger": trigger, "write": write}


def main() -> None:
    url, project, me = sys.argv[1:]
    print("started", flush=True)
    database: Database | None = None
    for line in sys.stdin:
        verb, argument = line.split()
        if verb == "open":
            database = Database(url, project)
            print("opened", flush=True)
        else:
            assert database is not None
            print(WORK[verb](database, me, argument), flush=True)


class Workers:
    def __init__(self, processes: list[subprocess.Popen[str]]) -> None:
        self._processes = processes

    def all(self, verb: str, argument: str = "-") -> list[str]:
        """Let every process do this at the same time; their answers."""
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{verb} {argument}\n")
            process.stdin.flush()
        return self._answers()

    def _answers(self) -> list[str]:
        answers = [process.stdout.readline().strip() for process in self._processes if process.stdout]
        assert all(answers), "a process ended"
        return answers


@contextmanager
def workers(count: int, url: str, project: str) -> Iterator[Workers]:
    command = [sys.executable, "-m", "tests.kernel.worker", url, project]
    processes = [
        subprocess.Popen([*command, f"w{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(count)
    ]
    try:
        started = Workers(processes)
        assert started._answers() == ["started"] * count
        yield started
    finally:
        for process in processes:
            process.communicate()


if __name__ == "__main__":
    main()
