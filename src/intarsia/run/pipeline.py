"""One session from claim to close: the agent works, intarsia judges, the work lands.

Every stage ends with one transaction that names the next. A supervisor may be killed between any two statements;
whoever takes the session over enters the stage that the row says and does it again from its start, which changes
nothing that was done before.
"""

from __future__ import annotations

from dataclasses import dataclass

from intarsia.agents import Running, TurnEnd
from intarsia.agents.following import Following
from intarsia.agents.supervision import end_marked, watch
from intarsia.errors import Aborted, GitError, StaleLease
from intarsia.kernel import line, sessions
from intarsia.kernel.issues import Issue
from intarsia.kernel.sessions import Session
from intarsia.run import clashes, mail, service
from intarsia.run.checks import Evidence
from intarsia.run.claimed import Claimed
from intarsia.run.closing import KILLED_TRIES, Closing, progress
from intarsia.run.context import Context
from intarsia.run.desk import make_desk
from intarsia.run.gate import Gate
from intarsia.run.held import NotHeld
from intarsia.run.lander import Lander
from intarsia.run.limits import Reached
from intarsia.run.line import Entry
from intarsia.run.outcomes import HANDLING
from intarsia.run.proof import Proof, RedCombination
from intarsia.run.resolution import Resolution, in_message, make
from intarsia.run.seat import Seat
from intarsia.run.service import Unserved
from intarsia.workspace.git import was_killed
from intarsia.workspace.landing import InTheWay, MergeConflict, NothingToLand, Work
from intarsia.workspace.worktree import Inspection, Worktree

RESUMPTIONS = 2


@dataclass(frozen=True)
class Ending:
    """How a session ended, for the run's summary; `commit` is what landed."""

    session: Session
    title: str
    commit: str = ""
    unserved: Unserved | None = None


class BrokenOff(Exception):
    """The agent's turn was broken off, and can be gone on with."""


class Pipeline:
    """Drives one session; `inherited` says that another supervisor began it."""

    def __init__(self, context: Context, session: Session, issue: Issue, *, inherited: bool = False) -> None:
        self._context = context
        self._claimed = Claimed(context, session, issue)
        self._issue = issue
        self._inherited = inherited
        self._desk = make_desk(context, self._claimed, lambda text: self._report(self._row.stage, text))
        self._seat = Seat(context, self._claimed, self._desk)
        self._proof = Proof(context, self._claimed, self._desk, self._report)
        self._lander = Lander(context, self._claimed, self._desk, self._proof, self._report)
        self._turns = Following(context.driver)
        self._closing = Closing(context, self._claimed, self._desk, self._seat, self._turns)
        self._gate = Gate(context.repository, context.config, context.target)
        self._commit = ""
        self._goes_on = False
        self._resumed = 0
        self._unserved: Unserved | None = None

    def run(self) -> Ending:
        """Go on until the session is over or parked; raises Lost when another supervisor took it."""
        try:
            return self._go_through()
        finally:
            self._turns.close()

    def _go_through(self) -> Ending:
        stages = {"working": self._work, "checking": self._check, "landing": self._land}
        self._context.folder(self._row.id).mkdir(parents=True, exist_ok=True)
        killed = 0
        while self._row.active:
            stage = self._row.stage
            try:
                if self._inherited and stage != "working":
                    end_marked(self._row.id)
                if self._inherited and (problem := self._desk.come_back()):
                    self._closing.give_up("blocked", problem)
                    continue
                stages[stage]()
                self._inherited = False
            except Aborted as stop:
                self._unserved = stop if isinstance(stop, Unserved) else None
                self._closing.park(str(stop), resume=stage)
            except InTheWay as obstacle:
                self._closing.park(f"{obstacle.message} {obstacle.hint}", resume=stage)
            except (StaleLease, BrokenOff):
                self._begin_again()
            except (GitError, OSError) as error:
                self._closing.require_room(str(error))
                killed += was_killed(error)
                if was_killed(error) and killed < KILLED_TRIES:
                    self._begin_again()
                else:
                    self._closing.give_up("failed", f"{error} (while {stage})")
        return Ending(self._row, self._issue.title, self._commit, self._unserved)

    def _begin_again(self) -> None:
        """The stage was broken off, so it is entered as if another supervisor had begun it. Raises Lost."""
        self._claimed.assure()
        self._inherited = True

    # Working: the agent has its turn, then what it left is looked at.

    def _work(self) -> None:
        self._report("working", "preparing the workspace")
        self._goes_on = False
        running = self._adopted() if self._inherited else None
        if running is None:
            if not self._gets_agent():
                return self._put_off(Aborted("The run was interrupted."))
            if refusal := service.refusal(self._context):
                return self._put_off(refusal)
            if reached := self._seat.begin_turn():
                return self._stop_at(reached)
            turn = mail.enclosed(self._context.database, self._seat.turn(self._desk.place(), resumed=self._goes_on))
            turn.prompt_file.write_text(turn.prompt, encoding="utf-8")
            self._desk.watch_repository()
            running = self._turns.start(turn)
        self._report("working")
        end = watch(running, self._seat.limits(), self._seat.note, self._claimed.stopped)
        if not self._turns.stays:
            self._closing.clear_processes()
        self._context.crew.rest(self._row.id)
        return self._judge(end)

    def _gets_agent(self) -> bool:
        """Wait until its agent may work; false when the run is interrupted meanwhile."""
        crew, id = self._context.crew, self._row.id
        if not crew.may_work(id):
            self._report("working", "waiting for an agent to be free")
        return crew.work(id, self._claimed.stopped, self._is_waited_for)

    def _is_waited_for(self) -> bool:
        """Whether others' agents can't go on before this one's."""
        with self._context.database.read() as tx:
            return line.is_waited_for(tx, self._row.id)

    def _put_off(self, why: Aborted) -> None:
        """Begin no turn now. Raises `why`, and with it parks the session."""
        if self._goes_on:
            self._desk.keep_interrupted()
        raise why

    def _stop_at(self, reached: Reached) -> None:
        """Begin no turn: one of a run or a day is for later, one of the session or its issue ends the session."""
        if reached.scope in ("run", "day"):
            return self._put_off(Aborted(reached.text))
        handling = HANDLING[reached.outcome]
        reason = f"The agent {handling.said}. {reached.text} {self._row.reason}".strip()
        return self._closing.give_up("blocked" if handling.then == "block" else "failed", reason)

    def _adopted(self) -> Running | None:
        """The turn that was begun before, if it can be followed to its end.

        If not, it is begun again: as a new turn of its conversation where there is one, in the workspace as it is; else
        from its start, with what was done archived.
        """
        place = self._desk.left_place()
        running = self._context.driver.adopt(self._seat.turn(place)) if place else None
        if running is not None:
            self._claimed.record("agent_adopted", turn=self._row.turn)
            return running
        end_marked(self._row.id)
        self._goes_on = isinstance(place, Worktree) and self._can_resume
        if self._goes_on:
            self._claimed.record("agent_resumed", turn=self._row.turn, conversation=self._row.vendor_id)
        else:
            self._desk.restart()
            self._claimed.update(resolution=None, vendor_id=None)
        return None

    @property
    def _can_resume(self) -> bool:
        return self._context.driver.capabilities.resumes and bool(self._row.vendor_id)

    def _judge(self, end: TurnEnd) -> None:
        if end.outcome == "stopped":
            self._desk.keep_interrupted()
            raise Aborted(end.detail)
        found = self._desk.inspect()
        facts = {"outcome": end.outcome, "detail": end.detail, "retry_after": end.retry_after, "head": found.head}
        self._claimed.record("turn_ended", turn=self._row.turn, **facts)
        if self._desk.put_target_back():
            return self._closing.give_up(
                "failed", f"The agent moved {self._context.target} by itself; that was put back."
            )
        if end.outcome != "completed":
            return self._handle(end, found)
        mail.acknowledge(self._context.database, self._row.id)
        service.served(self._context)
        resolution = self._resolution(end)
        if resolution is None and self._row.turn > 1 and progress(found) == self._row.progress:
            return self._closing.give_up("blocked", f"{self._row.reason} It changed nothing when told so.")
        if found.commits:
            self._desk.save(found.head)
        verdict = self._gate.judge(found, resolution, self._desk.base)
        if verdict.problem:
            return self._closing.follow_up(verdict.problem, found)
        if verdict.ends:
            self._turns.close()
            return self._closing.end_without_commit(verdict.ends)
        declared = verdict.docs_only.as_json() if verdict.docs_only else None
        self._claimed.advance("checking", head=found.head, progress=progress(found), resolution=declared)
        return None

    def _handle(self, end: TurnEnd, found: Inspection) -> None:
        """The turn did not end well: what becomes of the session depends on why."""
        handling = HANDLING[end.outcome]
        reason = f"The agent {handling.said}. {end.detail}".strip()
        match handling.then:
            case "park":
                self._desk.keep_interrupted()
                raise service.met(self._context, self._row.id, end, reason)
            case "follow up":
                self._closing.follow_up(f"{reason} Go on from there.", found)
            case "block":
                self._closing.give_up("blocked", reason)
            case "again" if self._can_resume and self._resumed < RESUMPTIONS:
                self._resumed += 1
                raise BrokenOff(reason)
            case "fail" | "again":
                self._closing.give_up("failed", reason, unlucky=handling.then == "again")

    def _resolution(self, end: TurnEnd) -> Resolution | None:
        """What the agent declared by command in this turn, else by its last words."""
        with self._context.database.read() as tx:
            declared = sessions.get(tx, self._row.id).resolution
        return make(declared["kind"], declared["rationale"]) if declared else in_message(end.last_message)

    # Checking: intarsia runs the project's commands on the very tree that was committed.

    def _check(self) -> None:
        self._report("checking")
        if self._inherited:
            self._desk.restart()
        [tree] = self._context.repository.trees(self._desk.head)
        failure = None if self._unchecked else self._proof.failure(tree, self._desk.bench)
        if failure is None:
            return self._claimed.advance("landing")
        self._desk.clean()
        return self._closing.follow_up(_explain(failure))

    @property
    def _unchecked(self) -> bool:
        return self._row.resolution is not None and self._row.resolution["kind"] == "docs_only"

    # Landing: with all others that wait, combine with what landed meanwhile, check that too, and move the branch.

    def _land(self) -> None:
        self._turns.close()
        self._report("landing")
        work = Work(self._issue.id, self._row.id, self._issue.title, self._desk.base, self._desk.head)
        entry = Entry(work, self._claimed, self._desk.comparison(), self._unchecked, self._inherited)
        try:
            if not entry.tried:  # not while others wait for us in the queue
                entry.comparison.settle(patient=True)
            self._commit = self._context.line.land(entry, self._lander.lead, self._claimed.stopped, self._waits)
            self._closing.landed(self._commit)
        except MergeConflict as conflict:
            explained = clashes.explain(conflict.clashes, lambda path: self._context.landing.issues_since(work, path))
            self._closing.hand_back(f"{conflict.message} {self._desk.reconciling}\n\n{explained}", conflict.other)
        except clashes.BrokenTogether as together:
            self._closing.hand_back(f"{together}\n\n{together.explained}", self._landed_since())
        except RedCombination as red:
            failed = f"Together with what landed meanwhile, {_explain(red.evidence)}"
            self._closing.hand_back(failed, self._landed_since())
        except NothingToLand as nothing:
            self._closing.follow_up(nothing.message)
        except NotHeld as others:
            self._wait_for_others(others)

    def _waits(self) -> None:
        self._report("landing", "waiting for its turn")

    def _wait_for_others(self, others: NotHeld) -> None:
        """Return the work to its agent, who may as well bring it again as it is."""
        if not self._desk.is_in_place:
            raise InTheWay(f"Ready to land, but {others.holders}", hint="When that is done: intarsia run")
        self._claimed.update(progress="")
        self._closing.follow_up(str(others))

    def _landed_since(self) -> str:
        return self._context.repository.git.run("diff", self._desk.base, self._context.landing.tip())

    # Small words.

    @property
    def _row(self) -> Session:
        return self._claimed.row

    def _report(self, stage: str, detail: str = "") -> None:
        self._context.reporter.stage(self._row.id, stage, detail)


def _explain(failure: Evidence) -> str:
    return f"the check {failure.summary}. The end of its output:\n\n```\n{failure.tail()}\n```"
