"""Starting the next session: on what it is, who is told what, and what is leased for it in the same transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from intarsia.config import Config
from intarsia.errors import Held
from intarsia.kernel import events, issues, leases, line, messages, overlap, sessions
from intarsia.kernel.database import Database, Transaction
from intarsia.kernel.issues import Issue
from intarsia.kernel.leases import Lease
from intarsia.kernel.overlap import Policy
from intarsia.kernel.sessions import Session
from intarsia.run import rounds, secret
from intarsia.run.context import Context, Worker
from intarsia.run.field import LOOK_AHEAD, Choice, Field, Overlap, choose
from intarsia.run.forecast import Forecaster, Predicted, declared
from intarsia.run.names import IndexedNames
from intarsia.run.rounds import Backlog, Rounds
from intarsia.workspace.repository import Repository

TOLD = 5
LOOK_SECONDS = 2.0  # what the branch has is for guesses, and work may land ten times a second


def plan(
    repository: Repository, database: Database, config: Config, queues: Collection[str], only: Collection[str]
) -> Rounds:
    """How what is open would be dispatched; raises NotReady when there is no branch to land on."""
    with database.read() as tx:
        everything = issues.find(tx, statuses=[status for status in issues.STATUSES if status != "closed"])
        held = leases.held(tx, "code:")
        locked = {lease.resource.removeprefix("issue:"): lease.session for lease in leases.held(tx, "issue:")}
        now = tx.now
    names = IndexedNames(repository, wait=None)
    forecaster = Forecaster(repository.git, repository.target(config.land.target), names)
    forecaster.look()
    working = {issue.assignee for issue in everything if issue.status == "in_progress"}
    by_others = field_of([lease for lease in held if lease.session not in working])
    backlog = Backlog(everything, queues, only, now, locked)
    return rounds.plan(backlog, by_others, forecaster.of, config.run.agents, policy_of(config))


def policy_of(config: Config) -> Policy:
    return overlap.policy_of(config.run.on_overlap, shared=config.workspace.kind == "shared")


def field_of(held: Collection[Lease], owners: Mapping[str, str] | None = None) -> Field:
    """What is held, by the issue that its holder works on where that is known."""
    field, known = Field(), owners or {}
    for lease in held:
        field.add(
            known.get(lease.session, lease.session), [Predicted(lease.resource, lease.mode, "held", declared=True)]
        )
    return field


class Dispatch:
    """Of one run. `waiting` are ready issues that were not started, because others hold what they claim."""

    def __init__(self, context: Context, only: Collection[str]) -> None:
        self._context = context
        self._only = only
        self._policy = policy_of(context.config)
        names = IndexedNames(context.repository)
        self._forecaster = Forecaster(context.repository.git, context.target, names, every=LOOK_SECONDS)
        self._passed: Counter[str] = Counter()
        self._noted: set[tuple[str, str]] = set()
        self.waiting: set[str] = set()

    @property
    def waits(self) -> bool:
        """Whether to stay although nothing runs: what was not started has only to wait."""
        return self._policy == "wait" and bool(self.waiting)

    def claim(self, worker: Worker) -> tuple[Session, Issue] | None:
        """Start a session on the issue that goes best with what runs; None when nothing is ready, or may be started."""
        self.waiting = set()
        taken: set[str] = set()
        while True:
            choice = self._choose(taken)
            self._note_passed(choice)
            if choice.issue is None:
                return None
            started = self._start(choice.issue, choice.overlaps, worker)
            if started is not None:
                self._passed.update(choice.passed.keys())
                del self._passed[choice.issue.id]
                return started
            taken.add(choice.issue.id)

    def _choose(self, taken: Collection[str]) -> Choice:
        """Looks at all that is ready only if nothing among the most urgent will do."""
        context = self._context
        for limit in (LOOK_AHEAD, 1_000_000):
            with context.database.read() as tx:
                ready = issues.ready(tx, self._only, context.config.queues_of(context.agent_name), limit)
                working = {session.id: session.issue for session in sessions.find(tx, stages=sessions.ACTIVE)}
                running = [issues.get(tx, name) for name in working.values()]
                held = leases.held(tx, "code:")
            left = [issue for issue in ready if issue.id not in taken]
            field = self._field(running, held, working)
            choice = choose(left, self._forecaster.of, field, self._policy, self._passed)
            if choice.issue or len(ready) < limit:
                break
        return choice

    def _field(self, running: list[Issue], held: list[Lease], working: Mapping[str, str]) -> Field:
        if running or held:
            self._forecaster.look()
        field = field_of(held, working)
        for issue in running:
            field.add(issue.id, self._forecaster.of(issue).expected)
        return field

    def _start(self, issue: Issue, overlaps: list[Overlap], worker: Worker) -> tuple[Session, Issue] | None:
        context, token = self._context, sessions.new_secret()
        try:
            with context.database.transaction() as tx:
                claimed = sessions.start(
                    tx,
                    run=context.run,
                    agent=worker.name,
                    driver=worker.driver.name,
                    supervisor=context.supervisor,
                    secret=token,
                    ttl=context.config.run.lease,
                    only=[issue.id],
                    queues=context.config.queues_of(context.agent_name),
                    parent=context.parent,
                )
                if claimed is not None:
                    self._take_claims(tx, *claimed)
                    self._tell(tx, claimed[0], overlaps)
        except Held as held:
            self._wait_for(issue.id, held.message)
            return None
        if claimed is not None:
            secret.write(context.folder(claimed[0].id), token)
        return claimed

    def _take_claims(self, tx: Transaction, session: Session, issue: Issue) -> None:
        """Lease what the issue declares that it writes; raises Held, unless the policy is to advise."""
        wanted = {one.uri: one.mode for one in declared(issue)}
        if not wanted:
            return
        ttl, asked = self._context.config.run.lease, leases.wants(wanted)
        if self._policy == "advise":
            overlap.advise(tx, session.id, asked, ttl, issue.title)
        else:
            line.request(tx, session.id, asked, ttl, issue.title)

    def retake(self, tx: Transaction, session: Session, issue: Issue) -> None:
        """Lease again what a session that is resumed declares, as far as nobody else took it meanwhile."""
        if wanted := {one.uri: one.mode for one in declared(issue)}:
            overlap.advise(tx, session.id, leases.wants(wanted), self._context.config.run.lease, issue.title)

    def _tell(self, tx: Transaction, session: Session, overlaps: list[Overlap]) -> None:
        """Let a session know what it is expected to change together with others, besides what it is told of claims."""
        guessed = [one for one in overlaps if not one.certain]
        if not guessed:
            return
        said = "".join(f"\n- {one.text}" for one in guessed[:TOLD])
        body = f"Others are expected to change the same as you, so change there no more than your task needs:{said}"
        messages.send(tx, "intarsia", [session.id], body, overlap.MESSAGE)
        facts = {"run": session.run, "issue": session.issue, "session": session.id}
        events.record(tx, "overlap_expected", actor=session.supervisor, **facts, overlaps=[o.text for o in guessed])

    def _note_passed(self, choice: Choice) -> None:
        for name, overlaps in choice.passed.items():
            first = overlaps[0]
            if first.certain and self._policy != "advise":
                self._wait_for(name, first.text)
            else:
                self._record_once(name, first.text)

    def _wait_for(self, issue: str, what: str) -> None:
        self.waiting.add(issue)
        if self._record_once(issue, what):
            self._context.reporter.notice(f"{issue} waits: {what}")

    def _record_once(self, issue: str, what: str) -> bool:
        """Record why an issue was not started yet, though it is ready; false if that is known."""
        if (issue, what) in self._noted:
            return False
        self._noted.add((issue, what))
        with self._context.database.transaction() as tx:
            facts = {"actor": self._context.supervisor, "run": self._context.run, "issue": issue}
            events.record(tx, "issue_passed_over", **facts, reason=what)
        return True
