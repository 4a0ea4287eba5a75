"""Events reach a command in order, each at least once, whatever fails on the way."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from intarsia.clock import ManualClock
from intarsia.config import Sync
from intarsia.errors import Held, StaleLease
from intarsia.kernel import Database, events, leases
from intarsia.outside import sync as outbound
from intarsia.outside.sync import Batch, Status
from tests.support.until import until

NAME = "tracker"


def happen(database: Database, count: int = 1, kind: str = "it_happened") -> None:
    with database.transaction() as tx:
        for n in range(count):
            events.record(tx, kind, actor="alice", n=n)


def status(database: Database, sync: Sync, name: str = NAME) -> Status:
    with database.read() as tx:
        return outbound.status(tx, name, sync)


def got(place: Path) -> list[int]:
    lines = (place / "out.jsonl").read_text().splitlines() if (place / "out.jsonl").exists() else []
    return [json.loads(line)["id"] for line in lines]


def all_ids(database: Database) -> list[int]:
    with database.read() as tx:
        return [event.id for event in events.everything(tx)]


def take(database: Database, sync: Sync) -> Batch:
    batch = outbound.take(database, NAME, sync)
    assert isinstance(batch, Batch)
    return batch


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


SAVES = Sync(command="cat >> out.jsonl")


def test_events_arrive_once_and_in_order_while_nothing_fails(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "BATCH", 3)
    sync = Sync(command="cat >> out.jsonl; echo x >> calls")
    happen(database, 7)
    assert status(database, sync).state == "behind"
    done = outbound.deliver(database, NAME, sync, tmp_path)
    assert (done.state, done.behind, done.failures) == ("current", 0, 0)
    assert got(tmp_path) == all_ids(database)
    assert (tmp_path / "calls").read_text().count("x") == 3
    outbound.deliver(database, NAME, sync, tmp_path)
    assert (tmp_path / "calls").read_text().count("x") == 3  # not called for nothing
    happen(database)
    outbound.deliver(database, NAME, sync, tmp_path)
    assert got(tmp_path) == all_ids(database)


def test_a_batch_is_500_events_at_most_and_each_line_is_an_event(database: Database, tmp_path: Path) -> None:
    happen(database, 501)
    outbound.deliver(database, NAME, Sync(command="wc -l >> sizes; cat > /dev/null"), tmp_path)
    assert (tmp_path / "sizes").read_text().split() == ["500", "1"]
    outbound.deliver(database, "other", SAVES, tmp_path)
    first = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    with database.read() as tx:
        assert first == events.since(tx)[0].as_json()


def test_after_a_failure_it_waits_longer_each_time(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    sync = Sync(command="echo no luck >&2; cat >> out.jsonl; exit 3", retries=20)
    happen(database)
    pauses = []
    for failures in range(1, 14):
        done = outbound.deliver(database, NAME, sync, tmp_path)
        assert (done.state, done.failures, done.cursor) == ("waiting", failures, 0)
        assert done.problem == "It exited with 3. no luck"
        assert done.next_try is not None
        pauses.append(round(done.next_try - clock.now()))
        clock.advance(pauses[-1] - 1)
        assert outbound.deliver(database, NAME, sync, tmp_path).failures == failures  # too early: not tried
        clock.advance(1)
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    assert len(got(tmp_path)) == 13
    done = outbound.deliver(database, NAME, Sync(command=SAVES.command, retries=20), tmp_path)
    assert (done.state, done.failures, done.problem, done.next_try) == ("current", 0, "", None)
    assert done.last_success == clock.now()


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (1, 1), (3, 3)])
def test_after_so_many_failures_it_stops_until_it_is_retried(
    database: Database, clock: ManualClock, tmp_path: Path, retries: int, tries: int
) -> None:
    sync = Sync(command="cat >> out.jsonl; exit 1", retries=retries)
    happen(database)
    for _ in range(6):
        done = outbound.deliver(database, NAME, sync, tmp_path)
        clock.advance(100_000)
    assert (done.state, done.failures, len(got(tmp_path))) == ("stopped", tries, tries)
    with database.read() as tx:
        told = [event for event in events.everything(tx) if event.kind == "sync_stopped"]
    assert [event.data["sync"] for event in told] == [NAME]
    done = outbound.deliver(database, NAME, sync, tmp_path, now=True)
    assert (done.state, done.failures, done.next_try) == ("stopped", tries + 1, None)
    done = outbound.deliver(database, NAME, SAVES, tmp_path, now=True)
    assert (done.state, done.failures) == ("current", 0)
    assert set(got(tmp_path)) == set(all_ids(database))


@pytest.mark.parametrize(
    ("command", "limit", "problem"),
    [
        ("exit 7", 60, "It exited with 7."),
        ("kill -9 $$", 60, "It exited with -9."),
        ("sleep 60 & sleep 60", 1, "It took longer than 1 s."),
        ("no-such-program", 60, "It exited with 127."),
        (
            python("import sys; sys.stdout.write('x' * 40_000_000); sys.stdout.flush(); input()"),
            60,
            "It printed more than",
        ),
    ],
)
def test_what_fails_is_named_and_nothing_is_left_running(
    database: Database, tmp_path: Path, command: str, limit: int, problem: str
) -> None:
    happen(database)
    done = outbound.deliver(database, NAME, Sync(command=command, timeout=limit), tmp_path)
    assert done.problem.startswith(problem)
    assert done.cursor == 0
    until(lambda: not left_over(database))


def left_over(database: Database) -> list[psutil.Process]:
    """Who was killed is gone a moment later."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(outbound.MARKER, "").startswith(f"{database.project}:"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_command_may_ignore_what_it_is_given(database: Database, tmp_path: Path) -> None:
    with database.transaction() as tx:
        for _ in range(200):
            events.record(tx, "big", actor="alice", text="x" * 5000)
    assert outbound.deliver(database, NAME, Sync(command="exec <&-; true"), tmp_path).state == "current"


def test_the_command_sees_no_secret(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTARSIA_SECRET", "hush")
    monkeypatch.setenv("INTARSIA_SESSION", "s-00000000")
    monkeypatch.setenv("INTARSIA_DATABASE_URL", "postgresql://user:hush@host/db")
    monkeypatch.setenv("MY_API_KEY", "hush")
    happen(database)
    outbound.deliver(database, NAME, Sync(command="env > seen"), tmp_path)
    seen = (tmp_path / "seen").read_text()
    assert "hush" not in seen
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert {name for name in names if name.startswith("INTARSIA")} == {outbound.MARKER}
    assert {"PATH", "HOME"} <= names


def test_two_at_once_never_hand_over_the_same(database: Database, database_url: str, tmp_path: Path) -> None:
    sync = Sync(command="cat >> out.jsonl; touch began; while ! test -e go; do sleep 0.02; done")
    happen(database, 3)
    other = Database(database_url, database.project)
    thread = threading.Thread(target=outbound.deliver, args=(other, NAME, sync, tmp_path))
    thread.start()
    try:
        until((tmp_path / "began").exists)
        assert status(database, sync).state == "running"
        with pytest.raises(Held):
            outbound.deliver(database, NAME, sync, tmp_path)
    finally:
        (tmp_path / "go").touch()
        thread.join()
        other.close()
    assert outbound.deliver(database, NAME, sync, tmp_path).state == "current"
    assert got(tmp_path) == all_ids(database)


def test_who_lost_its_lease_moves_no_cursor(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    happen(database, 2)
    slow = take(database, SAVES)
    clock.advance(outbound.LEASE + 1)
    fast = take(database, SAVES)
    assert fast.events == slow.events
    with pytest.raises(StaleLease):
        outbound.settle(database, slow, SAVES, "")
    with pytest.raises(StaleLease):
        outbound.settle(database, slow, SAVES, "It exited with 1.")
    assert status(database, SAVES).cursor == 0
    assert outbound.settle(database, fast, SAVES, "").cursor == fast.events[-1].id


def test_the_lease_is_renewed_while_the_command_runs(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "RENEWAL", 0.05)
    here, there = (Database(database.url, database.project) for _ in range(2))
    happen(here)
    sync, done = Sync(command="until test -e go; do sleep 0.02; done"), list[Status]()
    thread = threading.Thread(target=lambda: done.append(outbound.deliver(there, NAME, sync, tmp_path)))
    thread.start()
    until(lambda: end_of_lease(here))
    first = end_of_lease(here)
    until(lambda: end_of_lease(here) > first)
    (tmp_path / "go").touch()
    thread.join()
    assert [status.state for status in done] == ["current"]
    for each in (here, there):
        each.close()


def end_of_lease(database: Database) -> float:
    with database.read() as tx:
        return max((lease.expires for lease in leases.on(tx, outbound.resource(NAME))), default=0.0)


def test_a_taken_lease_ends_the_command(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "RENEWAL", 0.05)
    happen(database)
    sync = Sync(command="touch began; sleep 60")
    problems: list[BaseException] = []

    def run() -> None:
        other = Database(database.url, database.project, ManualClock())
        try:
            outbound.deliver(other, NAME, sync, tmp_path)
        except StaleLease as error:
            problems.append(error)
        finally:
            other.close()

    thread = threading.Thread(target=run)
    thread.start()
    until((tmp_path / "began").exists)
    with database.transaction() as tx:
        (lease,) = leases.on(tx, outbound.resource(NAME))
        leases.drop(tx, lease)
    thread.join(60)
    assert [type(problem) for problem in problems] == [StaleLease]
    until(lambda: not left_over(database))
    assert status(database, sync).cursor == 0


def test_killed_while_the_command_runs_the_next_hands_the_same_over(
    database_url: str, tmp_path: Path, clock: ManualClock, database: Database
) -> None:
    happen(database, 2)
    code = f"""
from pathlib import Path
from intarsia.clock import ManualClock
from intarsia.config import Sync
from intarsia.kernel import Database
from intarsia.outside import sync
database = Database({database_url!r}, {database.project!r}, ManualClock())
sync.deliver(database, {NAME!r}, Sync(command="cat >> out.jsonl; touch began; sleep 600"), Path({str(tmp_path)!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    until((tmp_path / "began").exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(Held):
        outbound.deliver(database, NAME, SAVES, tmp_path)
    assert left_over(database)
    clock.advance(outbound.LEASE + 1)
    ids = all_ids(database)
    assert outbound.deliver(database, NAME, SAVES, tmp_path).state == "current"
    until(lambda: not left_over(database))  # the command of the one that was killed does not run beside ours
    assert got(tmp_path) == ids + ids  # twice, with the same ids


def test_an_interruption_gives_the_batch_back_and_is_no_failure(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "RENEWAL", 0.0)

    def interrupt(database: Database, batch: Batch) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(outbound, "_renew", interrupt)
    happen(database)
    with pytest.raises(KeyboardInterrupt):
        outbound.deliver(database, NAME, Sync(command="sleep 600"), tmp_path)
    until(lambda: not left_over(database))
    found = status(database, SAVES)
    assert (found.state, found.failures) == ("behind", 0)
    assert outbound.deliver(database, NAME, SAVES, tmp_path).state == "current"


def test_interrupted_before_its_process_is_known_the_command_is_ended_too(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen.__init__

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **kwargs)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess.Popen, "__init__", interrupted)
    happen(database)
    with pytest.raises(KeyboardInterrupt):
        outbound.deliver(database, NAME, Sync(command="sleep 600"), tmp_path)
    until(lambda: not left_over(database))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "ü", "tracker"])
def test_any_name_is_a_resource_of_its_own(database: Database, tmp_path: Path, name: str) -> None:
    happen(database)
    assert outbound.deliver(database, name, SAVES, tmp_path).state == "current"
    others = [other for other in ("", ".", "..", "a/b", "a b", "ü", "tracker", "a") if other != name]
    assert outbound.resource(name) not in map(outbound.resource, others)
    with database.transaction() as tx:
        leases.acquire(tx, "someone", outbound.resource(name), 60)
        for other in others:
            leases.acquire(tx, "another", outbound.resource(other), 60)


def test_projects_do_not_mix(database: Database, clock: ManualClock, tmp_path: Path) -> None:
    other = Database(database.url, f"{database.project}-2", clock)
    happen(other, 3)
    happen(database, 2)
    outbound.deliver(database, NAME, SAVES, tmp_path)
    assert got(tmp_path) == all_ids(database)
    assert status(other, SAVES).behind == 3
    other.close()
