"""What becomes of a session at the end of a stage: it goes back to its agent, is done, set aside, or waits."""

from __future__ import annotations

from collections.abc import Callable

from intarsia.agents.following import Following
from intarsia.agents.supervision import end_marked
from intarsia.kernel import issues
from intarsia.kernel.database import Transaction
from intarsia.run import prompts, room
from intarsia.run.claimed import Claimed
from intarsia.run.context import Context
from intarsia.run.desk import Desk
from intarsia.run.resolution import Resolution, add_named_dependency
from intarsia.run.seat import Seat
from intarsia.workspace.worktree import Inspection

DIFF_SHOWN = 8_000
KILLED_TRIES = 3


class Closing:
    def __init__(self, context: Context, claimed: Claimed, desk: Desk, seat: Seat, turns: Following) -> None:
        self._context = context
        self._claimed = claimed
        self._desk = desk
        self._seat = seat
        self._turns = turns
        self._id = claimed.id
        self._issue = claimed.issue

    # Back to its agent.

    def follow_up(self, problem: str, found: Inspection | None = None) -> None:
        """Tell the agent what failed and let it go on, unless it had all its tries."""
        problem = prompts.readable(problem)
        self.require_room()
        row = self._claimed.row
        left = self._context.config.run.followups - row.turn
        if left < 0:
            return self.give_up("blocked", f"{prompts.first_line(problem)} That was turn {row.turn}.")
        if found and found.dirty:
            self._desk.save_uncommitted()
        self._claimed.advance(
            "working",
            prompts.first_line(problem),
            turn=row.turn + 1,
            prompt=self._context.prompts.followup(self._issue.id, problem, left, self._seat.task()),
            head=found.head if found else self._desk.head,
            progress=progress(found) if found else row.progress,
            resolution=None,
        )
        return self._context.reporter.told(self._id, prompts.first_line(problem))

    def hand_back(self, problem: str, other: str) -> None:
        """Return the work to its agent, with the branch as it is now and what the others changed there."""
        shown = self._desk.meet()
        self.follow_up(
            f"{problem}\n\n{shown} Since you began, this landed there:\n\n```diff\n{other[:DIFF_SHOWN]}\n```"
        )

    # Done.

    def landed(self, commit: str) -> None:
        """The work is on the branch: close the issue, and leave nothing behind."""
        self._desk.drop_branch()
        self._desk.forget()
        self._claimed.end("done", f"landed as {commit[:10]}", self._closed("landed"), head=commit)

    def end_without_commit(self, resolution: Resolution) -> None:
        if resolution.kind == "blocked":
            return self._end_waiting(resolution)
        said = f"{resolution.kind}: {resolution.rationale}"
        self._desk.forget()
        self._desk.drop_branch()
        return self._claimed.end("done", said, self._closed(resolution.kind), resolution=resolution.as_json())

    def _closed(self, resolution: str) -> Callable[[Transaction], None]:
        def close(tx: Transaction) -> None:
            issues.close(tx, self._issue.id, resolution, self._id, self._id)

        return close

    def _end_waiting(self, resolution: Resolution) -> None:
        """The agent waits for another issue: record that and give this one back; block it if it names none."""

        def give_back(tx: Transaction) -> None:
            actor, note = self._id, resolution.rationale
            if not add_named_dependency(tx, self._issue.id, resolution.rationale, actor):
                return issues.block(tx, self._issue.id, note, actor, actor)
            return issues.requeue(tx, self._issue.id, note, actor, session=actor, attempt=False)

        self._desk.keep_work()
        said = f"blocked: {resolution.rationale}"
        self._claimed.end("released", said, give_back, resolution=resolution.as_json())

    # Set aside.

    def give_up(self, stage: str, reason: str, *, unlucky: bool = False) -> None:
        """End without success, with everything the agent made kept in the user's repository."""
        self.require_room()
        self.clear_processes()
        self._desk.keep_work()
        context = self._context
        note = f"{reason} Log: {context.folder(self._id).relative_to(context.repository.root)}"
        tries = max(context.config.run.attempts, KILLED_TRIES if unlucky else 1)

        def set_aside(tx: Transaction) -> None:
            if stage == "failed" and self._issue.attempts + 1 < tries:
                issues.requeue(tx, self._issue.id, note, self._id, session=self._id)
            else:
                issues.block(tx, self._issue.id, note, self._id, self._id)

        self._claimed.end(stage, reason, set_aside)

    def park(self, reason: str, resume: str) -> None:
        """Let it wait for a later run, which enters the stage `resume`."""
        self.clear_processes()
        self._desk.park()
        self._claimed.park(reason, resume)

    # For all.

    def clear_processes(self) -> None:
        """Nothing that its agent started survives."""
        self._turns.close()
        if not self._context.driver.capabilities.leaves_processes:
            return
        self._claimed.assure()
        if count := end_marked(self._id):
            self._claimed.record("processes_ended", count=count)

    def require_room(self, problem: str = "") -> None:
        """What fails on a full disk proves nothing: raises NotReady, which leaves the session to the next run."""
        context = self._context
        room.require(context.folder(self._id), context.repository.git_dir, problem=problem)


def progress(found: Inspection) -> str:
    """What is different after a turn that changed anything."""
    return f"{found.head} {found.left}"
