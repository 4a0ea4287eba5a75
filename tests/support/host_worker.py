"""What runs on the hosts of `test_two_hosts`: members that work through issues, and two that a dead network catches.

Each writes its records to a file of its own for `history`, and what went wrong or came too late to another. They talk
to the test by files in a folder, which the hosts share; the database they reach by the network only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from intarsia.errors import Conflict, DatabaseError, Held, NotHolder, StaleLease
from intarsia.kernel import Database, Transaction, claims, issues, leases
from intarsia.kernel.leases import Lease
from tests.support.history import Record
from tests.support.until import until

TTL = 5
STEPS = 4
STEP_SECONDS = 0.08
GIVE_UP_SECONDS = 300
PROTECTED = """
    CREATE TABLE protected (
        id BIGINT GENERATED ALWAYS AS IDENTITY, issue TEXT NOT NULL, token BIGINT NOT NULL, holder TEXT NOT NULL
    )"""

T = TypeVar("T")


class Worker:
    def __init__(self, url: str, project: str, name: str, folder: str) -> None:
        self._folder, self.name = Path(folder), name
        self._records = os.open(self._folder / f"{name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._request = 0
        self._deadline = time.monotonic() + GIVE_UP_SECONDS
        self.database = Database(url, project)

    def until_all_is_done(self) -> None:
        while True:
            try:
                with self.database.read() as tx:
                    left = issues.find(tx, statuses=("open", "in_progress"))
            except DatabaseError as error:
                self.note("trouble", error)
                time.sleep(0.1)
                continue
            if not left and (self._folder / "enough").exists():
                return
            if not left:
                time.sleep(0.02)
                continue
            self._work_on(next((issue.id for issue in left if issue.status == "open"), left[0].id))

    def claim(self, issue: str) -> Lease | None:
        """The claim, or None if this one got none, or does not know it."""
        self._request += 1
        self._write("ask", issue)
        try:
            with self.database.transaction() as tx:
                claims.expire(tx)
                lease = claims.claim(tx, issue, self.name, TTL)
        except (Held, Conflict):
            self._write("refused", issue)
            time.sleep(0.02)
            return None
        except DatabaseError as error:
            self._write("refused", issue)
            self.note("trouble", error)
            return None
        self._write("begin", issue, token=lease.token, expires=lease.expires)
        return lease

    def _work_on(self, issue: str) -> None:
        lease = self.claim(issue)
        if lease is None:
            return
        try:
            for _ in range(STEPS):
                time.sleep(STEP_SECONDS)
                self._patiently(lambda tx: self._step(tx, issue, lease.token))
            self._write("end", issue)
            self._patiently(lambda tx: claims.complete(tx, issue, self.name, f"done by {self.name}"))
        except (NotHolder, StaleLease) as error:
            self.note("late", error)

    def _step(self, tx: Transaction, issue: str, token: int) -> None:
        leases.require(tx, f"issue:{issue}", token)
        claims.heartbeat(tx, issue, self.name, TTL)
        tx.execute(
            "INSERT INTO protected (issue, token, holder) VALUES (:issue, :token, :holder)",
            issue=issue,
            token=token,
            holder=self.name,
        )

    def _patiently(self, change: Callable[[Transaction], T]) -> T:
        """Try until the database answers."""
        while True:
            try:
                with self.database.transaction() as tx:
                    return change(tx)
            except DatabaseError as error:
                self.note("trouble", error)
                time.sleep(0.1)

    def answer(self, change: Callable[[Transaction], object]) -> None:
        """Note what a change ends with."""
        try:
            self._patiently(change)
            self.note("accepted")
        except (NotHolder, StaleLease) as error:
            self.note("late", error)

    def note(self, what: str, error: Exception | None = None) -> None:
        assert time.monotonic() < self._deadline, error
        said = {"what": what, "who": self.name, "time": time.time(), "said": str(error or "")}
        with (self._folder / f"{self.name}.notes").open("ab") as file:
            file.write(msgspec.json.encode(said) + b"\n")

    def say(self, word: str) -> None:
        (self._folder / word).touch()

    def hear(self, word: str) -> None:
        until((self._folder / word).exists, GIVE_UP_SECONDS)

    def _write(self, what: Any, issue: str, **more: Any) -> None:
        wants = {f"issue:{issue}": "exclusive"} if what == "ask" else {}
        record = Record(what, time.time(), self.name, self._request, wants, **more)
        os.write(self._records, msgspec.json.encode(record) + b"\n")


def work(url: str, project: str, name: str, folder: str) -> None:
    """Work on what is there, once `come_late` has what it wants."""
    worker = Worker(url, project, name, folder)
    worker.hear("claimed")
    worker.until_all_is_done()


def come_late(url: str, project: str, name: str, folder: str, issue: str) -> None:
    """Claim, and go on only when the network was away for longer than the claim lasts."""
    worker = Worker(url, project, name, folder)
    lease = worker.claim(issue)
    assert lease is not None
    worker.say("claimed")
    worker.hear("back")
    worker.answer(lambda tx: claims.heartbeat(tx, issue, name, TTL))
    worker.answer(lambda tx: leases.require(tx, f"issue:{issue}", lease.token))
    worker.answer(lambda tx: claims.complete(tx, issue, name, "too late"))


def hang(url: str, project: str, name: str, folder: str, issue: str) -> None:
    """Be in the middle of a transaction, with the project's lock, while the network goes away."""
    worker = Worker(url, project, name, folder)
    worker.hear("hang")
    try:
        with worker.database.transaction() as tx:
            issues.change(tx, issue, title="Never")
            worker.say("hanging")
            worker.hear("back")
        worker.note("accepted")
    except DatabaseError as error:
        worker.note("refused", error)
