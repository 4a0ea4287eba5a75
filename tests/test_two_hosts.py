"""One PostgreSQL for several hosts: one of them is cut off, pauses, loses its server, or has a wrong clock.

The hosts are network namespaces, so that what is cut is a real network: no packet arrives, and nobody is told.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import psycopg
import pytest

from intarsia.errors import DatabaseError
from intarsia.kernel import Database, claims, events, issues, leases, line, members, postgresql
from intarsia.kernel.issues import Draft
from tests.support.forks import Ended, Forks, Order, environment
from tests.support.history import problems, read
from tests.support.host_worker import PROTECTED, TTL
from tests.support.postgres import Server, fresh_directory
from tests.support.sandbox import Sandbox
from tests.support.until import until

ISSUES = 40
RESTARTS = 3
HOUR = 3600
# Its standard input ends when the test is over, however that happens. The arguments are the hosts.
REMOVER = """
exec >/dev/null 2>&1; read -r _
for host; do ip link delete "$host-0"; ip netns delete "$host"; done
"""


def ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True, text=True)


class Host:
    """A network namespace with one cable to this machine, which is called `gateway` there."""

    def __init__(self, name: str, prefix: str, first: int) -> None:
        self.name, self.gateway = name, f"{prefix}.{first}"
        ip("netns", "add", name)
        ip("link", "add", f"{name}-0", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("address", "add", f"{self.gateway}/30", "dev", f"{name}-0")
        ip("link", "set", f"{name}-0", "up")
        ip("-netns", name, "address", "add", f"{prefix}.{first + 1}/30", "dev", "eth0")
        self.cable("up")

    def cable(self, state: str) -> None:
        ip("-netns", self.name, "link", "set", "eth0", state)

    def forks(self) -> Forks:
        return Forks(["ip", "netns", "exec", self.name])

    def url(self, database: str) -> str:
        return f"postgresql://postgres@{self.gateway}/{database}"


class Network:
    """Two hosts, and a PostgreSQL server on this machine that both reach."""

    def __init__(self) -> None:
        self._name = f"ia{secrets.token_hex(3)}"
        self._prefix = f"198.{18 + secrets.randbelow(2)}.{secrets.randbelow(256)}"  # RFC 2544: for tests of networks
        self.hosts: list[Host] = []
        names = [f"{self._name}{n}" for n in range(2)]
        self._remover = subprocess.Popen(
            ["/bin/sh", "-c", REMOVER, "remover", *names], stdin=subprocess.PIPE, start_new_session=True
        )

    def __enter__(self) -> Network:
        try:
            for n in range(2):
                self.hosts.append(Host(f"{self._name}{n}", self._prefix, 4 * n + 1))
            gateways = ",".join(host.gateway for host in self.hosts)
            self.server = Server.start(fresh_directory(), settings=["-h", gateways], trusted=f"{self._prefix}.0/24")
        except BaseException:
            self._remover.communicate()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self._remover.communicate()


def reason_against_namespaces() -> str:
    if os.geteuid() != 0 or not shutil.which("ip"):
        return "network namespaces need root and the program ip"
    name = f"ia{secrets.token_hex(3)}"
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        ip("netns", "delete", name)
    return probe.stderr.strip()


@pytest.fixture
def network() -> Iterator[Network]:
    if reason := reason_against_namespaces():
        pytest.skip(reason)
    with Network() as made:
        yield made


class Team:
    """Members on both hosts that work through the issues of one project, and what they wrote down."""

    def __init__(self, network: Network, folder: Path) -> None:
        self._network, self._folder = network, folder
        self._name = f"t{secrets.token_hex(4)}"
        self.project = f"p-{secrets.token_hex(6)}"
        self.database = Database(network.server.create_database(self._name), self.project)
        self._made = 0
        with self.database.transaction() as tx:
            tx.execute(PROTECTED)
            issues.create(tx, Draft(title="late-1", id="late-1"), "person:test")
        self.add(ISSUES)

    def add(self, count: int) -> None:
        with self.database.transaction() as tx:
            for n in range(self._made, self._made + count):
                issues.create(tx, Draft(title=f"t-{n}", id=f"t-{n}"), "person:test")
        self._made += count

    def order(self, host: Host, call: str, name: str, *more: str) -> Order:
        args = [host.url(self._name), self.project, name, str(self._folder), *more]
        return Order(str(self._folder), args, dict(os.environ), f"tests.support.host_worker:{call}")

    def say(self, word: str) -> None:
        (self._folder / word).touch()

    def heard(self, word: str) -> bool:
        return (self._folder / word).exists()

    def done(self) -> int:
        with self.database.read() as tx:
            return issues.counts(tx)["closed"]

    def is_closed(self, issue: str) -> bool:
        with self.database.read() as tx:
            return issues.get(tx, issue).status == "closed"

    def notes(self, name: str = "*") -> list[dict[str, Any]]:
        lines = [line for file in self._folder.glob(f"{name}.notes") for line in file.read_bytes().splitlines()]
        return sorted((msgspec.json.decode(line) for line in lines), key=lambda note: float(note["time"]))

    def starts(self, host: str) -> list[float]:
        """When members of this host got a claim."""
        return [r.time for r in read(self._folder) if r.what == "begin" and r.session.startswith(host)]

    def wait_for_start(self, host: str) -> None:
        self.add(ISSUES)  # there may be nothing left to begin
        now = time.time()
        until(lambda: any(start > now for start in self.starts(host)))

    def judge(self) -> None:
        """Never two at once, nothing written by who was replaced, every issue finished exactly once."""
        assert problems(read(self._folder), patience=float("inf"), ttl=TTL) == []
        with self.database.read() as tx:
            everything = issues.find(tx)
            conclusions = tx.all("SELECT issue, actor FROM decisions WHERE project = :project AND kind = 'conclusion'")
            closed = [str(event.issue) for event in events.everything(tx) if event.kind == "issue_closed"]
            written = tx.all("SELECT issue, token, holder FROM protected ORDER BY id")
            left = leases.held(tx)
        names = sorted(issue.id for issue in everything)
        assert {(issue.status, issue.resolution) for issue in everything} == {("closed", "completed")}
        assert [issue.title for issue in everything if issue.title != issue.id] == []
        assert sorted(closed) == sorted(row["issue"] for row in conclusions) == names
        assert left == []
        for row in conclusions:
            tokens = [(one["token"], one["holder"]) for one in written if one["issue"] == row["issue"]]
            assert tokens == sorted(tokens), row
            assert len(dict(tokens)) == len(set(tokens))
            assert tokens[-1][1] == row["actor"]


def test_a_host_that_is_cut_off_and_a_restart_cost_no_work_and_grant_nothing_twice(
    network: Network, tmp_path: Path
) -> None:
    here, there = network.hosts
    team = Team(network, tmp_path)
    with ThreadPoolExecutor(2) as pool, here.forks() as forks, there.forks() as far:
        first = [team.order(there, "come_late", "b-late", "late-1"), team.order(there, "hang", "b-hang", "t-0")]
        others = [team.order(there, "work", f"b-{n}") for n in range(2)]
        on_there = pool.submit(far.run, [*first, *others])
        on_here = pool.submit(forks.run, [team.order(here, "work", f"a-{n}") for n in range(3)])
        until(lambda: team.done() >= 10)

        team.say("hang")
        until(lambda: team.heard("hanging"))
        there.cable("down")
        cut = time.time()
        until(lambda: team.is_closed("late-1"), 100)
        back = time.time()
        there.cable("up")
        team.say("back")
        team.wait_for_start("b")

        for _ in range(RESTARTS):
            network.server.halt()
            network.server.resume()
            team.wait_for_start("a")
        team.say("enough")
        ended = [*on_there.result(200), *on_here.result(200)]
    assert [(one.code, one.err) for one in ended] == [(0, "")] * 7, ended
    team.judge()
    assert not [t for t in team.starts("b") if cut + TTL < t < back]
    assert [note["what"] for note in team.notes("b-late") if note["what"] != "trouble"] == ["late", "late", "late"]
    assert [note["what"] for note in team.notes("b-hang")] == ["refused"]
    trouble = [note["said"] for note in team.notes() if note["what"] == "trouble"]
    assert all(said.startswith("The PostgreSQL database can't be used: ") for said in trouble), trouble
    team.database.close()


def with_options(url: str, **settings: str) -> str:
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return f"{url}&options={quote(options)}"


def test_a_client_that_pauses_in_a_transaction_loses_it_and_nobody_waits_for_it(postgres_url: str) -> None:
    project = f"p-{secrets.token_hex(6)}"
    paused = Database(with_options(postgres_url, idle_in_transaction_session_timeout="2s"), project)
    other = Database(postgres_url, project)
    with pytest.raises(DatabaseError) as refused, paused.transaction() as tx:
        issues.create(tx, Draft(title="Never", id="t-1"), "person:test")
        with other.transaction() as meanwhile:  # returns only when the lock is free
            issues.create(meanwhile, Draft(title="Kept", id="t-2"), "person:test")
        issues.get(tx, "t-1")
    assert "idle-in-transaction timeout" in refused.value.message
    assert "try again" in refused.value.hint
    with paused.read() as tx:
        assert [issue.id for issue in issues.find(tx)] == ["t-2"]
    paused.close()
    other.close()


def test_whoever_waits_too_long_for_the_database_is_told_and_can_go_on(postgres_url: str) -> None:
    project = f"p-{secrets.token_hex(6)}"
    hasty = Database(with_options(postgres_url, lock_timeout="100ms"), project)
    other = Database(postgres_url, project)
    with other.transaction():
        for _ in range(2):
            with pytest.raises(DatabaseError) as refused, hasty.transaction():
                raise AssertionError("two at once")
            assert "kept the database busy" in refused.value.hint
        with pytest.raises(DatabaseError, match="lock timeout"):
            line.acquire(hasty, "alice", {"code:a": "exclusive"}, 60)
        with hasty.read() as tx:  # waits for nobody
            assert issues.find(tx) == []
    assert line.acquire(hasty, "alice", {"code:a": "exclusive"}, 60).resources == ["code:a"]
    hasty.close()
    other.close()


def test_a_reader_may_pause_and_a_statement_may_not_take_for_ever(postgres_url: str) -> None:
    url = with_options(postgres_url, idle_in_transaction_session_timeout="2s", statement_timeout="2s")
    database = Database(url, f"p-{secrets.token_hex(6)}")
    with database.read() as tx:
        time.sleep(2.2)
        assert issues.find(tx) == []
        with pytest.raises(DatabaseError, match="statement timeout"):
            tx.one("SELECT pg_sleep(10)")
    database.close()


def test_long_waits_in_the_line_outlast_every_timeout(postgres_url: str) -> None:
    """They are made of short transactions."""
    project = f"p-{secrets.token_hex(6)}"
    short = dict.fromkeys(("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout"), "2s")
    waiting, other = Database(with_options(postgres_url, **short), project), Database(postgres_url, project)
    line.acquire(other, "bob", {"code:a": "exclusive"}, 5)
    assert line.acquire(waiting, "alice", {"code:a": "exclusive"}, 60, wait=60).token > 0
    waiting.close()
    other.close()


def test_a_change_whose_answer_is_lost_is_said_to_be_unsure(postgres_url: str) -> None:
    database = Database(postgres_url, f"p-{secrets.token_hex(6)}")
    with pytest.raises(DatabaseError) as refused, database.transaction() as tx:
        pid = tx.all("SELECT pg_backend_pid() AS pid")[0]["pid"]
        with psycopg.connect(postgres_url, autocommit=True) as administrator:
            administrator.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    assert "not known whether the last change was kept" in refused.value.hint
    with database.transaction() as tx:
        assert issues.find(tx) == []
    database.close()


def test_a_dropped_connection_is_noticed_before_a_lease_is_asked_for(postgres_url: str) -> None:
    """What a server function grants is granted for good, so it must not be sent to where nobody may listen."""
    database = Database(postgres_url, f"p-{secrets.token_hex(6)}")
    with database.read() as tx:
        pid = tx.all("SELECT pg_backend_pid() AS pid")[0]["pid"]
    with psycopg.connect(postgres_url, autocommit=True) as administrator:
        administrator.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    time.sleep(postgresql.QUIET_SECONDS)
    assert line.acquire(database, "alice", {"code:a": "exclusive"}, 60).token > 0
    database.close()


def patiently_connected(server: Server) -> psycopg.Connection[Any]:
    """Who asked whether the server had started is still about to leave."""
    found: list[psycopg.Connection[Any]] = []

    def connects() -> bool:
        with suppress(psycopg.OperationalError):
            found.append(psycopg.connect(server.url()))
        return bool(found)

    until(connects)
    return found[0]


def test_no_free_connection_is_one_clear_error_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server.start(fresh_directory(), settings=["-c", "max_connections=4", "-c", "max_wal_senders=0"])

    def refusals() -> int:
        return (server.directory / "log").read_text().count("too many clients")

    try:
        others = [patiently_connected(server) for _ in range(4)]
        with monkeypatch.context() as hasty:
            hasty.setattr(postgresql, "BUSY_SECONDS", 0.2)
            with pytest.raises(DatabaseError, match="too many clients") as refused:
                Database(server.url(), "p")
        assert "raise its max_connections" in refused.value.hint
        with ThreadPoolExecutor(1) as pool:
            before = refusals()
            waiting = pool.submit(Database, server.url(), "p")
            until(lambda: refusals() > before)
            for other in others:
                other.close()
            waiting.result(60).close()
    finally:
        server.stop()


@pytest.mark.parametrize("skew", [HOUR, -HOUR])
def test_a_client_whose_clock_is_an_hour_off_changes_nothing(postgres_url: str, tmp_path: Path, skew: int) -> None:
    sandbox = Sandbox(tmp_path / "project", postgres_url)
    database = Database(postgres_url, sandbox.env["INTARSIA_PROJECT_ID"])
    with database.transaction() as tx:
        for name in ("wrong", "right"):
            members.join(tx, name, "secret")
        for id in ("t-1", "t-2", "t-3"):
            issues.create(tx, Draft(title=id, id=id, sla=30), "person:test")
        claims.claim(tx, "t-2", "right", 600)
        leases.acquire(tx, "right", "code:held", 600)
        leases.acquire(tx, "right", "code:over", 600)
        tx.execute("UPDATE leases SET expires = :past WHERE resource = 'code:over'", past=tx.now - 1)

    with Forks() as forks:

        def run(who: str, *args: str) -> Ended:
            env = environment(who, "secret", sandbox.env)
            order = Order(str(sandbox.root), [*args, "--json"], env, skew=skew if who == "wrong" else 0)
            return forks.run([order])[0]

        assert run("wrong", "issue", "claim", "t-1", "--ttl", "600").code == 0
        assert run("wrong", "lock", "acquire", "code:over", "--ttl", "600").code == 0
        assert run("wrong", "issue", "heartbeat", "t-1", "--ttl", "900").code == 0
        assert run("wrong", "issue", "claim", "t-2").answer["code"] == "held"
        assert run("wrong", "lock", "acquire", "code:held").answer["code"] == "held"
        assert run("wrong", "lock", "check", "code:held").answer["free"] is False
        assert run("right", "issue", "claim", "t-1").answer["code"] == "held"
        assert run("right", "lock", "acquire", "code:over").answer["code"] == "held"
        for who in ("wrong", "right"):
            assert (run(who, "guardian").answer["requeued"], run(who, "guardian").answer["ended"]) == ([], [])
            assert run(who, "queue", "check", "--overdue").answer["issues"] == []
        assert run("wrong", "lock", "wait", "code:held", "--timeout", "0.1").code == 1
        assert run("wrong", "issue", "complete", "t-1", "done").code == 0

    with database.read() as tx:
        now = tx.now
        held = {lease.resource: round((lease.expires - now) / 600) for lease in leases.held(tx)}
        times = [event.time for event in events.everything(tx)]
        issue = issues.get(tx, "t-1")
    assert held == {"issue:t-2": 1, "code:held": 1, "code:over": 1}
    assert all(now - 600 < time <= now for time in [*times, issue.closed or 0, issue.updated])
    assert times == sorted(times)
    database.close()
