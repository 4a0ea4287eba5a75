"""Many real processes claim one issue: exactly one has it, and every other is told so in plain words.

Where mala and Mai have 4 to 11 winners. On SQLite and PostgreSQL, with `intarsia issue claim` as agents call it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from intarsia.kernel import Database, events, issues, leases, members
from intarsia.kernel.issues import Draft
from tests.support.forks import Ended, Forks, Order, environment
from tests.support.postgres import Server, fresh_directory
from tests.support.sandbox import Sandbox

ROUNDS_OF_20 = 50
# One takes 2 to 4 s on 2 cores, so INTARSIA_TEST_ROUNDS=50 for all of them. (Read here, before it is scrubbed.)
ROUNDS_OF_200 = int(os.environ.get("INTARSIA_TEST_ROUNDS", "2"))
ROUNDS_OF_FRESH = 2
CONNECTIONS = 60


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as server:
        yield server


@pytest.fixture(scope="module")
def small_server() -> Iterator[Server]:
    """A PostgreSQL server with fewer connections than there are clients."""
    server = Server.start(fresh_directory(), settings=["-c", f"max_connections={CONNECTIONS}"])
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def crowded(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    """A repository on a database that more clients want than PostgreSQL has connections."""
    path = tmp_path / "project"
    if request.param == "sqlite":
        return Sandbox(path, f"sqlite://{tmp_path / 'intarsia.db'}")
    server: Server = request.getfixturevalue("small_server")
    return Sandbox(path, server.url())


class Race:
    def __init__(self, sandbox: Sandbox, size: int) -> None:
        self._sandbox = sandbox
        self.database = Database(sandbox.env["INTARSIA_DATABASE_URL"], sandbox.env["INTARSIA_PROJECT_ID"])
        self.secrets = {f"m{n}": secrets.token_hex(8) for n in range(size)}
        with self.database.transaction() as tx:
            for name, secret in self.secrets.items():
                members.join(tx, name, secret)

    def new_issue(self) -> str:
        with self.database.transaction() as tx:
            return issues.create(tx, Draft(title="Wanted by all"), "person:test").id

    def orders(self, issue: str) -> list[Order]:
        args = ["issue", "claim", issue, "--json"]
        root, env = str(self._sandbox.root), self._sandbox.env
        return [Order(root, args, environment(name, secret, env)) for name, secret in self.secrets.items()]

    def judge(self, issue: str, ended: Sequence[Ended]) -> None:
        strange = [one for one in ended if one.err or one.code not in (0, 1)]
        assert not strange, strange[:3]
        winners = [name for name, one in zip(self.secrets, ended, strict=True) if one.code == 0]
        assert len(winners) == 1
        refusals = [one.answer for one in ended if one.code]
        assert {(one["code"], one["holder"]) for one in refusals} == {("held", winners[0])}
        with self.database.read() as tx:
            found = issues.get(tx, issue)
            held = leases.on(tx, found.resource)
            claimed = [event.actor for event in events.latest(tx, 1000, issue=issue) if event.kind == "issue_claimed"]
        assert (found.status, found.assignee) == ("in_progress", winners[0])
        assert ([lease.session for lease in held], claimed) == (winners, winners)


def test_20_processes_claim_one_issue_50_times(each_sandbox: Sandbox, forks: Forks) -> None:
    race = Race(each_sandbox, 20)
    for _ in range(ROUNDS_OF_20):
        issue = race.new_issue()
        race.judge(issue, forks.run(race.orders(issue)))
    race.database.close()


def test_200_processes_claim_one_issue(crowded: Sandbox, forks: Forks) -> None:
    race = Race(crowded, 200)
    for _ in range(ROUNDS_OF_200):
        issue = race.new_issue()
        race.judge(issue, forks.run(race.orders(issue)))
    race.database.close()


def test_20_new_interpreters_claim_one_issue(each_sandbox: Sandbox) -> None:
    race = Race(each_sandbox, 20)
    for _ in range(ROUNDS_OF_FRESH):
        issue = race.new_issue()
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "intarsia", *order.args],
                cwd=order.directory,
                env=order.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for order in race.orders(issue)
        ]
        said = [process.communicate() for process in started]
        race.judge(issue, [Ended(p.returncode, *texts) for p, texts in zip(started, said, strict=True)])
    race.database.close()
