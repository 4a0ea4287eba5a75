"""The loop: resume what others left, claim what is ready, keep every agent busy, stop when nothing is left to do."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from intarsia.agents.environment import MARKER
from intarsia.agents.supervision import end_marked, marked_sessions
from intarsia.errors import Held, NotFound, StaleLease
from intarsia.kernel import claims, events, issues, leases, sessions, spending
from intarsia.kernel.issues import Issue
from intarsia.kernel.sessions import Session
from intarsia.run import limits, secret
from intarsia.run.claimed import Lost
from intarsia.run.context import Context, Worker, is_alive
from intarsia.run.dispatch import Dispatch
from intarsia.run.pipeline import Ending, Pipeline
from intarsia.run.progress import Summary
from intarsia.run.staff import Staff

POLL = 1.0


@dataclass(frozen=True)
class Scope:
    """What this run works on: these issues (all, if none are named), at most so many, and whether it waits for more."""

    only: Collection[str] = ()
    max_issues: int | None = None
    watch: bool = False


@dataclass
class Interrupts:
    """Ctrl-C once: finish what runs. Twice: stop the agents and park their sessions. Three times: kill.

    A signal's handler only counts and wakes the loop, by the one thing that may be used there: it runs in the midst of
    any statement of the main thread, which may hold the lock of whatever else it would touch.
    """

    count: int = 0
    heeded: int = 0
    wake: SimpleQueue[None] = field(default_factory=SimpleQueue)


class Scheduler:
    def __init__(self, context: Context, scope: Scope) -> None:
        self._context = context
        self._scope = scope
        self._crew = context.crew
        self._interrupts = Interrupts()
        self._crew.when_free = lambda: self._interrupts.wake.put(None)
        self._dispatch = Dispatch(context, scope.only)
        self._running: dict[str, Future[Ending]] = {}
        self._endings: list[Ending] = []
        self._staff = Staff(context)
        self._unstaffed = False
        self._begun: set[str] = set()
        self._parked: list[Session] = []
        self._renewed = 0.0
        self._looked = -POLL
        self._abandoned: list[Session] = []
        self._limit = ""

    def run(self) -> Summary:
        """Work until nothing is ready and nothing runs; if it raises, every session can be resumed."""
        started = time.monotonic()
        self._record("run_started", target=self._context.target, agent=self._context.agent_name)
        with self._signals(), ThreadPoolExecutor(self._crew.most, "session") as executor:
            try:
                self._end_orphans()
                with self._context.database.read() as tx:
                    self._parked = sessions.find(tx, stages=[sessions.PARKED])
                self._loop(executor)
            except BaseException:
                self._context.stopping.set()
                raise
        summary = self._summary(time.monotonic() - started)
        self._record("run_ended", **summary.counts(), seconds=summary.seconds)
        self._context.reporter.finished(summary)
        return summary

    def _loop(self, executor: ThreadPoolExecutor) -> None:
        while True:
            self._heed_interrupts()
            self._collect()
            self._heartbeat()
            self._look_for_abandoned()
            idle = self._fill(executor)
            if not self._running and (self._draining or (idle and not self._expects_more())):
                return
            self._wait()

    def _wait(self) -> None:
        """Until a session or a signal wakes us, or it is time to look around."""
        with suppress(Empty):
            self._interrupts.wake.get(timeout=POLL)
            while True:
                self._interrupts.wake.get_nowait()

    def _heed_interrupts(self) -> None:
        count, before = self._interrupts.count, self._interrupts.heeded
        self._interrupts.heeded = count
        if count == 1 and before == 0:
            self._context.reporter.notice("Finishing what runs; press Ctrl-C again to stop the agents now.")
        elif count > 1 and before < 2:
            self._context.reporter.notice("Stopping the agents; 'intarsia run' will go on from here.")
            self._context.stopping.set()

    @property
    def _draining(self) -> bool:
        limit = self._scope.max_issues
        return self._interrupts.count > 0 or bool(self._limit) or (limit is not None and len(self._begun) >= limit)

    def _expects_more(self) -> bool:
        """Whether to stay although nothing is ready: others still work on what ours may wait for.

        A run that a session started waits for nobody: that session waits for it, and others may wait for the session.
        """
        if self._context.parent is not None:
            return False
        if self._scope.watch or self._dispatch.waits or self._waits_for_service():
            return True
        with self._context.database.read() as tx:
            return bool(sessions.find(tx, stages=sessions.ACTIVE, limit=1))

    def _heed_limits(self) -> None:
        """Begin nothing more when this run, or the day, has used up what it may."""
        if self._limit or not limits.of_runs(self._context.config):
            return
        with self._context.database.read() as tx:
            self._limit = limits.reached_by_run(tx, self._context.config, self._context.run)
        if self._limit:
            self._context.reporter.notice(f"Finishing what runs: {self._limit}")

    def _fill(self, executor: ThreadPoolExecutor) -> bool:
        """Start sessions for all free agents; true when there was nothing more to start."""
        self._heed_limits()
        while self._crew.has_room() and not self._draining:
            found = self._resumable() or self._claim()
            if found is None:
                return self._crew.has_agent()
            self._start(executor, *found)
        return False

    def _waits_for_service(self) -> bool:
        """Whether there is something to do for agents that can't work now, but soon."""
        context = self._context
        if not self._parked and not self._unstaffed:
            return False
        queues = context.config.queues_of(context.agent_name)
        with context.database.read() as tx:
            left = self._parked or issues.ready(tx, self._scope.only, queues, 1)
        return bool(left) and self._staff.worth_waiting()

    def _start(
        self, executor: ThreadPoolExecutor, worker: Worker, session: Session, issue: Issue, inherited: bool
    ) -> None:
        self._begun.add(session.id)
        self._crew.join(session.id, working=session.stage == "working")
        self._context.reporter.started(session.id, issue.id, issue.title, worker.name)
        pipeline = Pipeline(self._staff.seat(worker), session, issue, inherited=inherited)
        future = executor.submit(pipeline.run)
        self._running[session.id] = future
        future.add_done_callback(lambda _: self._interrupts.wake.put(None))

    def _claim(self) -> tuple[Worker, Session, Issue, bool] | None:
        if not self._crew.has_agent():
            return None
        worker = self._staff.free()
        self._unstaffed = worker is None
        claimed = self._dispatch.claim(worker) if worker else None
        return (worker, *claimed, False) if worker and claimed else None

    # Recovery: sessions whose supervisor is gone are continued, wherever it stopped.

    def _resumable(self) -> tuple[Worker, Session, Issue, bool] | None:
        """What can go on now: to be checked or landed, a session needs no agent."""
        later: list[Session] = []
        try:
            for seen in self._left_behind():
                worker = self._staff.free(seen.agent) if self._crew.has_agent() else None
                if worker is None and (seen.resume or seen.stage) == "working":
                    later.append(seen)
                    continue
                worker = worker or self._context.worker
                try:
                    return worker, *self._take_over(seen, worker), True
                except (StaleLease, Held):
                    continue
            return None
        finally:
            self._parked.extend(later)

    def _left_behind(self) -> Iterator[Session]:
        for waiting in (self._parked, self._abandoned):
            while waiting:
                yield waiting.pop()

    def _look_for_abandoned(self) -> None:
        """Notice sessions whose supervisor is gone, or slept too long, even while nothing can be begun."""
        if time.monotonic() - self._looked < POLL:
            return
        self._looked = time.monotonic()
        with self._context.database.read() as tx:
            active = [s for s in sessions.find(tx, stages=sessions.ACTIVE) if s.id not in self._running]
            lapsed = {lease.session for lease in leases.lapsed(tx, "issue:")}
        alive = {session.id: is_alive(session.supervisor, self._context.host) for session in active}
        self._abandoned = [s for s in active if alive[s.id] is False or (alive[s.id] and s.id in lapsed)]
        if dead := {(session.id, session.supervisor) for session in active if alive[session.id] is False}:
            self._free_queues(dead)

    def _free_queues(self, dead: Collection[tuple[str, str]]) -> None:
        """Our own sessions may be waiting, all of them, to land after one of these."""
        with self._context.database.transaction() as tx:
            for lease in leases.held(tx, "land:"):
                if (lease.session, sessions.get(tx, lease.session).supervisor) in dead:
                    leases.release(tx, lease.session, lease.resource)

    def _take_over(self, seen: Session, worker: Worker) -> tuple[Session, Issue]:
        context = self._context
        with context.database.transaction() as tx:
            session = sessions.take_over(tx, seen, context.supervisor, context.run, context.config.run.lease)
            if not secret.exists(context.folder(session.id)):
                token = sessions.new_secret()
                secret.write(context.folder(session.id), token)
                session = sessions.update(tx, session, secret_hash=sessions.digest(token))
            session = sessions.hand_over(tx, session, worker.name, worker.driver.name)
            issue = issues.get(tx, session.issue)
            self._dispatch.retake(tx, session, issue)
            return session, issue

    def _end_orphans(self) -> None:
        """Processes of sessions that ended, of this project, that nobody is responsible for any more."""
        for session_id, processes in marked_sessions().items():
            try:
                with self._context.database.read() as tx:
                    ended = sessions.get(tx, session_id).stage in sessions.ENDED
            except NotFound:
                continue
            if ended and processes and session_id != os.environ.get(MARKER):
                end_marked(session_id)

    def _heartbeat(self) -> None:
        """Renew our leases, and give up those of supervisors on other hosts, and of members, that fell silent."""
        ttl = self._context.config.run.lease
        if time.monotonic() - self._renewed < ttl / 4:
            return
        self._renewed = time.monotonic()
        with self._context.database.transaction() as tx:
            sessions.renew(tx, self._context.supervisor, ttl)
            sessions.expire(tx, spare_host=self._context.host)
            claims.expire(tx)

    def _collect(self) -> None:
        for session_id, future in list(self._running.items()):
            if future.done():
                del self._running[session_id]
                self._crew.leave(session_id)
                self._settle(session_id, future)

    def _settle(self, session_id: str, future: Future[Ending]) -> None:
        try:
            ending = future.result()
        except Lost:
            self._context.reporter.ended(session_id, "lost", "another supervisor took it over")
            return
        self._endings.append(ending)
        if ending.unserved:
            self._parked.append(ending.session)
            if ending.unserved.closed:
                self._staff.close(ending.unserved.account, ending.session.reason)
        self._context.reporter.ended(session_id, ending.session.stage, ending.session.reason)

    # Ending.

    def _summary(self, seconds: float) -> Summary:
        context = self._context
        summary = Summary(
            context.run, context.target, round(seconds, 3), interrupted=self._interrupts.count > 1, limit=self._limit
        )
        last = {ending.session.issue: ending for ending in self._endings}  # an issue may have been tried again
        for ending in last.values():
            session = ending.session
            entry = {"issue": session.issue, "session": session.id, "title": ending.title, "reason": session.reason}
            if ending.commit:
                summary.landed.append({**entry, "commit": ending.commit})
            elif session.stage == "done":
                resolution = session.resolution or {}
                summary.closed.append(
                    {**entry, "resolution": str(resolution.get("kind")), "detail": str(resolution.get("rationale"))}
                )
            elif session.stage == sessions.PARKED:
                summary.parked.append(entry)
            else:
                summary.blocked.append({**entry, "outcome": session.stage})
        with context.database.read() as tx:
            still_open = [issue for issue in issues.find(tx, statuses=["open"]) if issue.type != "epic"]
            summary.used = spending.of(tx, "run", context.run).as_json()
        queues = context.config.queues_of(context.agent_name)
        summary.waiting = [issue.id for issue in still_open if issue.queue in queues]
        return summary

    def _record(self, kind: str, **data: Any) -> None:
        with self._context.database.transaction() as tx:
            events.record(tx, kind, actor=self._context.supervisor, run=self._context.run, **data)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._interrupts.count += 1 if number == signal.SIGINT else 2
        if self._interrupts.count > 2 and self._context.stopping.is_set():
            for session_id in self._running:
                end_marked(session_id, grace=0)
            self._context.reporter.close()
            os._exit(130)
        self._interrupts.wake.put(None)
