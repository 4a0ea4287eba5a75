"""Running the project's checks, and remembering on which tree they passed."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from intarsia.agents.environment import MARKER
from intarsia.agents.supervision import end_marked, spawn
from intarsia.config import Check
from intarsia.errors import Aborted
from intarsia.kernel.database import Database, Transaction

SHOWN = 6_000
KILLED_TRIES = 3


@dataclass(frozen=True)
class Evidence:
    """The result of one check on one exact tree; `exit_code` is None when it was stopped at its timeout."""

    name: str
    tree: str
    command: str
    passed: bool
    exit_code: int | None
    seconds: float
    log: Path

    @property
    def summary(self) -> str:
        if self.passed:
            return f"{self.name} passed in {self.seconds:.1f} s"
        if self.exit_code is None:
            return f"{self.name} was stopped after {self.seconds:.0f} s (its timeout)"
        return f"{self.name} failed with exit code {self.exit_code} after {self.seconds:.1f} s"

    def tail(self) -> str:
        """The end of what it printed."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - SHOWN))
            return log.read().decode(errors="replace").strip()


@dataclass(frozen=True)
class Bench:
    """Where and how checks run: in `directory` with `env`, logging to the folder `logs`, until `stopped` says so."""

    directory: Path
    env: Mapping[str, str]
    logs: Path
    stopped: Callable[[], bool]

    def run(self, name: str, check: Check, tree: str) -> Evidence:
        """Run one check to its end. One that is killed from outside says nothing about the tree, so it is run again;
        not for ever, as what kills it may be its own hunger for memory. Raises Aborted when the run is being stopped.
        """
        for _ in range(KILLED_TRIES):
            evidence = self._run_once(name, check, tree)
            if evidence.exit_code not in (-signal.SIGKILL, 128 + signal.SIGKILL):
                break
        return evidence

    def _run_once(self, name: str, check: Check, tree: str) -> Evidence:
        log = self.logs / f"check-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}-{tree[:12]}.log"
        log.unlink(missing_ok=True)
        started = time.monotonic()
        env = {**self.env, "INTARSIA_ROLE": "check"}
        process = spawn(["/bin/sh", "-c", check.command], cwd=self.directory, env=env, output=log)
        code = wait(process, started + check.timeout, self.stopped)
        if code is None:
            end_marked(env[MARKER], grace=0)
        seconds = time.monotonic() - started
        return Evidence(name, tree, _fingerprint(check), code == 0, code, seconds, log)


def run_all(
    database: Database,
    bench: Bench,
    checks: Mapping[str, Check],
    tree: str,
    session: str,
    *,
    started: Callable[[str], None],
    fence: Callable[[Transaction], None],
) -> Evidence | None:
    """Run what has not passed on this tree before, one after another; the first failure, or None when all passed.

    Raises Aborted when the run is being stopped. Nothing is recorded unless `fence` lets it pass: it raises StaleLease
    when the directory may have been another's meanwhile.
    """
    with database.read() as tx:
        missing = {name: check for name, check in checks.items() if not has_passed(tx, tree, name, check)}
    for name, check in missing.items():
        started(name)
        evidence = bench.run(name, check, tree)
        with database.transaction() as tx:
            fence(tx)
            record(tx, evidence, session)
        if not evidence.passed:
            return evidence
    return None


def has_passed(tx: Transaction, tree: str, name: str, check: Check) -> bool:
    found = tx.one(
        """SELECT 1 AS one FROM evidence
            WHERE project = :project AND tree = :tree AND name = :name AND command = :command AND passed = 1""",
        tree=tree,
        name=name,
        command=_fingerprint(check),
    )
    return found is not None


def record(tx: Transaction, evidence: Evidence, session: str) -> None:
    tx.execute(
        """INSERT INTO evidence (project, tree, name, command, passed, exit_code, seconds, log, session, time)
           VALUES (:project, :tree, :name, :command, :passed, :exit_code, :seconds, :log, :session, :now)
           ON CONFLICT (project, tree, name, command) DO UPDATE SET passed = excluded.passed,
               exit_code = excluded.exit_code, seconds = excluded.seconds, log = excluded.log,
               session = excluded.session, time = excluded.time""",
        tree=evidence.tree,
        name=evidence.name,
        command=evidence.command,
        passed=int(evidence.passed),
        exit_code=evidence.exit_code,
        seconds=evidence.seconds,
        log=str(evidence.log),
        session=session,
    )


def _fingerprint(check: Check) -> str:
    return hashlib.sha256(check.command.encode()).hexdigest()[:16]


def wait(process: subprocess.Popen[bytes], deadline: float, stopped: Callable[[], bool]) -> int | None:
    """The exit code, or None when the deadline passed; nothing of the process group is left either way."""
    try:
        while time.monotonic() < deadline:
            if stopped():
                raise Aborted("The run was interrupted.")
            try:
                return process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        return None
    finally:
        _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
