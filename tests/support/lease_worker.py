"""A process that takes, holds and gives back leases at random, and writes down when; see `history`.

    python -m tests.support.lease_worker URL PROJECT SESSION SEED FOLDER GRANTS

After so many GRANTS it kills itself while it holds one (0: never). It ends when there is a file `over` in the folder.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import msgspec

from intarsia.errors import Held, StaleLease
from intarsia.kernel import Database, leases, line
from intarsia.kernel.leases import Grant, Mode
from intarsia.kernel.line import Deadlock
from intarsia.kernel.modes import MODES
from tests.support.history import Record

TTL = 1
FOLDERS = [f"code:{name}" for name in "pqrstu"]
FILES = [f"{folder}/{name}" for folder in FOLDERS for name in "ab"]
SYMBOLS = [f"{file}#{name}" for file in FILES for name in ("f", "g", "f/body", "g.m")]
NAMES = ["code:", *FOLDERS, *FILES, *SYMBOLS]
WEIGHTS = [0.5, *[2] * len(FOLDERS), *[8] * len(FILES), *[8] * len(SYMBOLS)]


class Worker:
    def __init__(self, database: Database, session: str, seed: str, folder: Path, dies_after: int) -> None:
        self._database, self._session, self._dies_after = database, session, dies_after
        self._random = random.Random(seed)
        self._over = folder / "over"
        self._file = os.open(folder / f"{session}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._asked = self._granted = 0

    def work(self) -> None:
        while not self._over.exists():
            self._round()

    def _round(self) -> None:
        first = self._take(self._wants(2))
        if first is None:
            return
        self._hold()
        again = self._take(self._wants(1, without=first[1].resources)) if self._random.random() < 0.2 else None
        for request, grant in (first, again) if again else (first,):
            if not all(self._may_write(name, grant.token) for name in grant.resources):
                continue  # it ran out while this process got no turn; what it still held ends there too
            self._write(Record("end", time.time(), self._session, request))
        with self._database.transaction() as tx:
            leases.release_all(tx, self._session)

    def _wants(self, most: int, without: list[str] | None = None) -> dict[str, Mode]:
        count = self._random.randint(1, most)
        names = set(self._random.choices(NAMES, WEIGHTS, k=count)) - set(without or ())
        return {name: self._random.choice(["exclusive", "shared", *MODES]) for name in sorted(names)}

    def _take(self, wants: dict[str, Mode]) -> tuple[int, Grant] | None:
        if not wants:
            return None
        self._asked += 1
        request = self._asked
        wait = self._random.choice([0, 0.02, 2, 30])
        self._write(Record("ask", time.time(), self._session, request, dict(wants)))
        try:
            grant = line.acquire(self._database, self._session, wants, TTL, wait=wait)
        except (Held, Deadlock):
            self._write(Record("refused", time.time(), self._session, request))
            return None
        now = time.time()
        self._write(Record("begin", now, self._session, request, token=grant.token, expires=grant.expires))
        self._granted += 1
        return request, grant

    def _hold(self) -> None:
        time.sleep(self._random.uniform(0, 0.01))
        if self._granted == self._dies_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def _may_write(self, name: str, token: int) -> bool:
        try:
            with self._database.transaction() as tx:
                leases.require(tx, name, token)
        except StaleLease:
            return False
        return True

    def _write(self, record: Record) -> None:
        os.write(self._file, msgspec.json.encode(record) + b"\n")


def main() -> None:
    url, project, session, seed, folder, dies_after = sys.argv[1:]
    line.WAITER_TTL, line.SIGN_OF_LIFE = 1.0, 0.2  # the killed in the line hold up all the others for as long
    database = Database(url, project)
    Worker(database, session, seed, Path(folder), int(dies_after)).work()
    database.close()


if __name__ == "__main__":
    main()
