"""kill -9 at every statement boundary: the state is wholly before or wholly after, and the same command again is safe.

The boundaries are those of the database's engine: before each begin, statement, commit and call, after each commit and
call, and, on PostgreSQL, when the server has been sent a commit or call whose answer nobody will read.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from intarsia.kernel import Database, Transaction, claims, issues, leases, line, members
from intarsia.kernel.issues import Draft
from tests.support.dump import dump
from tests.support.forks import Ended, Forks, Order, environment
from tests.support.sandbox import Sandbox

QUEUES = """
[queues.questions]
prefix = "Q"
sla = 60
escalate_to = "decisions"
[queues.decisions]
prefix = "D"
sla = 120
"""
ESCALATION = (
    "issue escalate q-1 --disagreement which --position own --position theirs --facts f --option a --option b"
)  # fmt: skip
TTL = 1800
STEP = 600
PATIENCE = 20.0  # of the 30 s in which the database gives up
NAMES = ["code:src", "code:tests/b.py"]


def an_issue(tx: Transaction) -> None:
    issues.create(tx, Draft(title="Ask", id="q-1", queue="questions", sla=60), "alice")


def a_claim(tx: Transaction) -> None:
    an_issue(tx)
    claims.claim(tx, "q-1", "alice", TTL)


def a_silent_holder(tx: Transaction) -> None:
    a_claim(tx)
    leases.acquire(tx, "bob", "code:src", TTL)
    tx.execute("UPDATE leases SET expires = :past WHERE project = :project", past=tx.now - 10)


def locks(tx: Transaction) -> None:
    leases.acquire_all(tx, "alice", leases.wants(dict.fromkeys(NAMES, "exclusive")), TTL)


def give_back(url: str, project: str) -> None:
    """What `intarsia lock release` would be if it were quick."""
    database = Database(url, project)
    assert line.release(database, "alice", NAMES) in ([], NAMES)


class Case:
    """A command, what there is before it, and what running it again after it was done says."""

    def __init__(self, before: Callable[[Transaction], None], command: str, again: str = "", call: str = "") -> None:
        self.before, self.args, self.again, self.call = before, command.split(), again, call


CASES = {
    "claim": Case(an_issue, f"issue claim q-1 --ttl {TTL}"),
    "complete": Case(a_claim, "issue complete q-1 done", "not_holder q-1 is completed"),
    "escalate": Case(a_claim, ESCALATION, "conflict escalated already"),
    "expire": Case(a_silent_holder, "guardian"),
    "release": Case(a_claim, "issue release q-1", "not_holder q-1 is open"),
    "transfer": Case(a_claim, "issue transfer q-1 decisions", "conflict is in decisions already"),
    "lock": Case(an_issue, f"lock acquire {' '.join(NAMES)} --ttl {TTL}"),
    "unlock": Case(locks, f"lock release {' '.join(NAMES)}", "not_holder alice does not hold"),
    "quick unlock": Case(locks, "", call="tests.kernel.test_kill_at_statements:give_back"),
}


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as server:
        yield server


class Stage:
    """Many copies of one case, each in a project of its own."""

    def __init__(self, sandbox: Sandbox, case: Case) -> None:
        self._sandbox, self._case = sandbox, case
        self._url = sandbox.env["INTARSIA_DATABASE_URL"]
        self._prefix = sandbox.env["INTARSIA_PROJECT_ID"]
        self.database = Database(self._url, self._prefix)

    def prepare(self, copies: int) -> list[str]:
        projects = [f"{self._prefix}-{os.urandom(4).hex()}" for _ in range(copies)]
        for project in projects:
            self.database.project = project
            with self.database.transaction() as tx:
                for name in ("alice", "bob"):
                    members.join(tx, name, "secret")
                self._case.before(tx)
        return projects

    def order(self, project: str, kill_at: int | None = None) -> Order:
        env = environment("alice", "secret", {**self._sandbox.env, "INTARSIA_PROJECT_ID": project})
        args = [self._url, project] if self._case.call else [*self._case.args, "--json"]
        return Order(str(self._sandbox.root), args, env, self._case.call, kill_at)

    def state(self, project: str) -> str:
        """All there is, once nothing of the project is locked any more, without what differs from copy to copy."""
        self.database.project = project
        start = time.monotonic()
        with self.database.transaction() as tx:
            now = tx.now
        assert time.monotonic() - start < PATIENCE
        return _normal(dump(self.database), project, now)


def _normal(tables: dict[str, list[dict[str, Any]]], project: str, now: float) -> str:
    """Times in steps from now, tokens and numbers by their rank, and random ids by their prefix."""

    def plain(row: dict[str, Any], ranks: dict[str, dict[int, int]]) -> dict[str, Any]:
        row = {name: round((value - now) / STEP) if isinstance(value, float) else value for name, value in row.items()}
        return row | {name: rank[row[name]] for name, rank in ranks.items() if isinstance(row.get(name), int)}

    found = {table: [plain(row, _ranks(rows)) for row in rows] for table, rows in tables.items()}
    text = json.dumps(found, indent=1).replace(project, "PROJECT")
    return re.sub(r"\bD-[0-9a-f]{4}\b", "D-NEW", re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "TIME", text))


def _ranks(rows: list[dict[str, Any]]) -> dict[str, dict[int, int]]:
    numbers = {name: {row[name] for row in rows if isinstance(row.get(name), int)} for name in ("token", "id")}
    return {name: {number: rank for rank, number in enumerate(sorted(those))} for name, those in numbers.items()}


@pytest.mark.parametrize("name", CASES)
def test_killed_anywhere_it_is_done_whole_or_not_at_all(each_sandbox: Sandbox, forks: Forks, name: str) -> None:
    case = CASES[name]
    each_sandbox.write("intarsia.toml", QUEUES)
    stage = Stage(each_sandbox, case)
    (model,) = stage.prepare(1)
    before = stage.state(model)
    (whole,) = forks.run([stage.order(model, kill_at=0)])
    assert whole.code == 0, whole
    after = stage.state(model)
    assert after != before
    points = range(1, len(whole.boundaries) + 1)
    assert len(points) > 4

    projects = stage.prepare(len(points))
    killed = forks.run([stage.order(*pair) for pair in zip(projects, points, strict=True)], at_once=4)
    assert [(one.code, one.boundaries) for one in killed] == [(-9, whole.boundaries[:n]) for n in points]
    found = [stage.state(project) for project in projects]
    was_done = [state == after for state in found]
    assert all(state in (before, after) for state in found), next(s for s in found if s not in (before, after))
    assert (was_done[0], was_done[-1]) == (False, True)
    assert sorted(was_done) == was_done  # it happens at one point

    again = forks.run([stage.order(project) for project in projects], at_once=4)
    for project, done, one in zip(projects, was_done, again, strict=True):
        _judge_again(case, done, one)
        assert stage.state(project) == after
    stage.database.close()


def _judge_again(case: Case, done: bool, ended: Ended) -> None:
    if not done or not case.again:
        assert (ended.code, ended.err) == (0, "")
        return
    code, _, words = case.again.partition(" ")
    assert (ended.code, ended.answer["code"]) == (1, code)
    assert words in ended.answer["message"] + ended.answer["hint"]
