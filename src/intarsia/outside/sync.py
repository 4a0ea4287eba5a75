"""Outbound synchronisation: events handed to a command, in order, each at least once.

The cursor moves in the transaction that proves the lease on `sync:NAME`, and only after the command exited with 0. Who
is killed in between hands the same batch over again, so receivers drop doubles by the events' ids.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import quote

import psutil
from msgspec import Struct

from intarsia.agents import environment
from intarsia.clock import iso
from intarsia.config import Sync
from intarsia.kernel import events, leases
from intarsia.kernel.database import Database, Transaction
from intarsia.kernel.events import Event

BATCH = 500
FIRST_PAUSE = 5
LONGEST_PAUSE = 3600
LEASE = 60
RENEWAL = 15.0
POLL = 0.02
PRINTED = 16 * 1024 * 1024
SHOWN = 2000
MARKER = "INTARSIA_SYNC"

State = Literal["current", "behind", "waiting", "stopped", "running"]


class Status(Struct, frozen=True):
    """`behind` counts the events it has not got; `next_try` is when a back-off ends, in seconds since the epoch."""

    name: str
    state: State
    cursor: int
    behind: int
    failures: int
    problem: str
    next_try: float | None
    last_success: float | None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "cursor": self.cursor,
            "behind": self.behind,
            "failures": self.failures,
            "problem": self.problem,
            "next_try": iso(self.next_try),
            "last_success": iso(self.last_success),
        }


class Batch(Struct, frozen=True):
    """Events that are being handed over, under the lease with this token."""

    name: str
    events: list[Event]
    holder: str
    token: int


def status(tx: Transaction, name: str, sync: Sync) -> Status:
    row = tx.one("SELECT * FROM syncs WHERE project = :project AND name = :name", name=name) or {}
    cursor, failures, next_try = row.get("position", 0), row.get("failures", 0), row.get("next_try")
    count = tx.one("SELECT count(*) AS n FROM events WHERE project = :project AND id > :cursor", cursor=cursor)
    behind = int(count["n"]) if count else 0
    state: State = "behind" if behind else "current"
    if leases.on(tx, resource(name)):
        state = "running"
    elif failures and failures >= sync.retries:
        state = "stopped"
    elif failures and next_try is not None and next_try > tx.now:
        state = "waiting"
    return Status(name, state, cursor, behind, failures, row.get("problem", ""), next_try, row.get("last_success"))


def deliver(database: Database, name: str, sync: Sync, directory: Path, *, now: bool = False) -> Status:
    """Hand over batch after batch until there is nothing left, or one fails; with `now` whatever the back-off says.

    The command runs in `directory`. Raises Held while another process does this.
    """
    while True:
        batch = take(database, name, sync, now=now)
        if isinstance(batch, Status):
            return batch
        now = False
        try:
            problem = _hand_over(database, batch, sync, directory)
        except BaseException:
            give_back(database, batch)
            raise
        settle(database, batch, sync, problem)


def take(database: Database, name: str, sync: Sync, *, now: bool = False) -> Batch | Status:
    """Lease the next batch; a Status when there is none to be had now. Raises Held."""
    holder = f"sync:{os.uname().nodename}:{os.getpid()}:{os.urandom(4).hex()}"
    with database.transaction() as tx:
        left_over = _lapsed(tx, name)
        found = status(tx, name, sync)
        if not found.behind or (found.state in ("waiting", "stopped") and not now):
            return found
        lease = leases.acquire(tx, holder, resource(name), LEASE, note="events are being handed over")
        batch = Batch(name, events.since(tx, found.cursor, limit=BATCH), holder, lease.token)
    if left_over:
        _end_left_over(database.project, name)
    return batch


def settle(database: Database, batch: Batch, sync: Sync, problem: str) -> Status:
    """Move the cursor, or record the failure if there is a problem; raises StaleLease when another took over."""
    with database.transaction() as tx:
        leases.require(tx, resource(batch.name), batch.token)
        _open_row(tx, batch.name)
        if problem:
            _fail(tx, batch, sync, problem)
        else:
            tx.execute(
                """UPDATE syncs SET position = :position, failures = 0, problem = '', next_try = NULL,
                       last_success = :now WHERE project = :project AND name = :name""",
                name=batch.name,
                position=batch.events[-1].id,
            )
        leases.release(tx, batch.holder, resource(batch.name))
        return status(tx, batch.name, sync)


def give_back(database: Database, batch: Batch) -> None:
    """End the lease with nothing recorded; the batch will be handed over again."""
    with database.transaction() as tx:
        leases.release(tx, batch.holder, resource(batch.name))


def pending(tx: Transaction, name: str, sync: Sync) -> list[Event]:
    """The next batch, without taking it."""
    return events.since(tx, status(tx, name, sync).cursor, limit=BATCH)


def resource(name: str) -> str:
    """`sync:NAME`, the name quoted so that it is one segment."""
    quoted = quote(name, safe="")
    return f"sync:{quoted if quoted.strip('.') else quoted.replace('.', '%2E') or '%00'}"


def pause(failures: int) -> int:
    """Seconds until the next try after so many failures in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE << min(failures - 1, 20))


def _fail(tx: Transaction, batch: Batch, sync: Sync, problem: str) -> None:
    row = tx.one("SELECT failures FROM syncs WHERE project = :project AND name = :name", name=batch.name)
    failures = (row["failures"] if row else 0) + 1
    stops = failures >= sync.retries
    tx.execute(
        """UPDATE syncs SET failures = :failures, problem = :problem, next_try = :next_try
            WHERE project = :project AND name = :name""",
        name=batch.name,
        failures=failures,
        problem=problem,
        next_try=None if stops else tx.now + pause(failures),
    )
    # Only the one that stops it: a record of each failure would be one more event to hand over.
    if stops and failures == max(1, sync.retries):
        events.record(tx, "sync_stopped", actor="intarsia", sync=batch.name, failures=failures, problem=problem[:200])


def _open_row(tx: Transaction, name: str) -> None:
    tx.execute(
        """INSERT INTO syncs (project, name, position, failures, problem) VALUES (:project, :name, 0, 0, '')
           ON CONFLICT DO NOTHING""",
        name=name,
    )


def _hand_over(database: Database, batch: Batch, sync: Sync, directory: Path) -> str:
    """Run the command on the batch; what went wrong, or nothing. The command does not outlive this."""
    env = {**environment.base(), MARKER: _marker(database.project, batch.name)}
    with tempfile.TemporaryFile() as lines, tempfile.TemporaryFile() as printed:
        for event in batch.events:
            lines.write(json.dumps(event.as_json(), ensure_ascii=False).encode(errors="replace") + b"\n")
        lines.seek(0)
        with _command(sync.command, directory, env, lines, printed) as process:
            problem = _watch(database, batch, sync, process, printed)
        return f"{problem} {_end_of(printed)}".strip() if problem else ""


@contextmanager
def _command(
    command: str, directory: Path, env: Mapping[str, str], lines: IO[bytes], printed: IO[bytes]
) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        with _unbroken():
            process = subprocess.Popen(
                ["/bin/sh", "-c", command],
                cwd=directory,
                env=dict(env),
                stdin=lines,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
            stack.callback(_end, process)
        yield process


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _unbroken() -> Iterator[None]:
    """A signal that comes meanwhile is heeded afterwards: a process that is about to be known runs already."""
    if threading.current_thread() is not threading.main_thread():  # it comes there
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for missed in came:
            signal.raise_signal(missed)


def _watch(
    database: Database,
    batch: Batch,
    sync: Sync,
    process: subprocess.Popen[bytes],
    printed: IO[bytes],
) -> str:
    started = renewed = time.monotonic()
    while True:
        try:
            code = process.wait(POLL)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        else:
            return "" if code == 0 else f"It exited with {code}."
        if now - started > sync.timeout:
            return f"It took longer than {sync.timeout} s."
        if os.fstat(printed.fileno()).st_size > PRINTED:
            return f"It printed more than {PRINTED // 1024**2} MiB."
        if now - renewed > RENEWAL:
            _renew(database, batch)
            renewed = now


def _renew(database: Database, batch: Batch) -> None:
    with database.transaction() as tx:
        leases.require(tx, resource(batch.name), batch.token)
        leases.renew_one(tx, batch.holder, resource(batch.name), LEASE)


def _end_of(printed: IO[bytes]) -> str:
    printed.seek(max(0, os.fstat(printed.fileno()).st_size - SHOWN))
    text = printed.read().decode(errors="replace").replace("\0", "\ufffd")
    return text.strip()


def _lapsed(tx: Transaction, name: str) -> bool:
    """Whether somebody who handed events over fell silent."""
    key = resource(name)
    return any(lease.resource == key for lease in leases.lapsed(tx, key))


def _marker(project: str, name: str) -> str:
    return f"{project}:{resource(name)}"


def _end_left_over(project: str, name: str) -> None:
    """A process that was killed with -9 may have left its command, which must not run beside the next one."""
    marker = _marker(project, name)
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == marker:
                process.kill()
        except (psutil.Error, OSError):
            continue
