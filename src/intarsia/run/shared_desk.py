"""The desk of a session that works in the shared tree: nothing is prepared and nothing restored but its own changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property

from intarsia.agents import Approver, Tool
from intarsia.errors import Conflict, GitError
from intarsia.run import edit_tools, sharing
from intarsia.run.approver import SharedApprover
from intarsia.run.claimed import Claimed
from intarsia.run.context import Context
from intarsia.run.desk import Desk
from intarsia.run.held import Comparison
from intarsia.run.place import Place, Seated
from intarsia.workspace import hooked, pool
from intarsia.workspace.commits import SessionCommits
from intarsia.workspace.joining import Overlap
from intarsia.workspace.portion import Portion
from intarsia.workspace.shared import Shared, Tree
from intarsia.workspace.versions import name_of
from intarsia.workspace.worktree import Inspection, Worktree


class SharedDesk(Desk):
    def __init__(self, context: Context, claimed: Claimed, report: Callable[[str], None], tree: Tree) -> None:
        super().__init__(context, claimed, report)
        self._tree = tree
        self._slot: Worktree | None = None

    @cached_property
    def shared(self) -> Shared:
        """The tree as this session works in it."""
        return sharing.in_tree(self._tree, self._context.database, self._context.config, self._claimed.id)

    @cached_property
    def portion(self) -> Portion:
        """What this session has in there."""
        return sharing.portion_of(self._tree, self._context.database, self._context.config, self._claimed.id)

    @cached_property
    def commits(self) -> SessionCommits:
        return sharing.commits_of(self._tree, self._repository, self._context.target, self._claimed.row)

    def place(self) -> Place:
        """The shared tree, with ports, caches and a temporary directory of the session's own. Raises Lost."""
        self._claimed.assure()
        if not self.base:
            tip = self._context.landing.tip()
            self._claimed.update(base=tip, head=tip)
        slot = self._take_slot()
        return Seated(self._repository.root, slot.number, slot.tmp, slot.cache)

    def bench(self) -> Worktree:
        """A workspace with the session's commit, for its checks."""
        return self.show(self.head)

    def show(self, commit: str) -> Worktree:
        """A workspace with what would land in it: nothing made there is anybody's work."""
        slot = self._take_slot()
        self._vacate(slot)
        slot.prepare(None, "landing", commit, self._context.identity, self._context.config.workspace.keep)
        self._set_up(slot)
        return slot

    def clean(self) -> Worktree:
        """What the session has in the tree stays there."""
        return self._take_slot()

    def _take_slot(self) -> Worktree:
        if self._slot is None:
            self._slot = pool.worktree(self._repository, self._claimed.take_slot())
            for folder in (self._slot.tmp, self._slot.cache):
                folder.mkdir(parents=True, exist_ok=True)
        return self._slot

    def approver(self, place: Place) -> Approver:
        return SharedApprover(place)

    @property
    def is_in_place(self) -> bool:
        return not self.portion.is_out()

    @property
    def reconciling(self) -> str:
        return "Change your part so that both hold, and commit it by `intarsia commit`."

    def comparison(self) -> Comparison:
        """What the session's part changes was held when it was changed; some of it may have been lost since."""
        return Comparison(self._context, self._claimed, self.portion.needed, arbitrated=True)

    def env(self, place: Place) -> dict[str, str]:
        """The agent's git is kept from the branches; that of checks works in a repository of its own."""
        kept_off = hooked.environment(self._repository) if isinstance(place, Seated) else {}
        return {**super().env(place), **kept_off}

    def tools(self) -> tuple[Tool, ...]:
        return edit_tools.for_session(self.shared, self.portion, self.commits)

    def left_place(self) -> Place | None:
        return self.place()

    def come_back(self) -> str:
        """Hold again what the session holds, and put back into the tree what was taken out when it was parked.

        Once it is committed, landing does without both.
        """
        try:
            self.portion.put_in()
        except Conflict as conflict:
            if self._claimed.row.stage == "working":
                return f"While nobody ran this session, others took what it had: {conflict.message}"
        return ""

    def restart(self) -> None:
        """Begin again where this turn began, with its changes taken out of the tree and kept in the archive."""
        if self._claimed.row.stage == "working":
            self.keep_interrupted()

    def keep_interrupted(self) -> None:
        self.commits.archive(f"{self._claimed.row.turn}-interrupted-{int(time.time())}")
        self._note_left(self.portion.take_back(turn=True))

    def park(self) -> None:
        """Nobody holds the session's symbols while it is parked, so its changes wait outside of the tree."""
        self._claimed.assure()
        self.commits.archive(f"{self._claimed.row.turn}-parked")
        self._note_left(self.portion.take_out())

    def watch_repository(self) -> None:
        super().watch_repository()
        self.portion.begin_turn()

    def inspect(self) -> Inspection:
        """Judge what the session has committed, put on the newest commit of the branch where that can be done."""
        self.portion.look()
        refs = self._repository.refs()
        self._notice_changes(self._repository.fingerprint(refs))
        dirty = self.commits.dirty()
        if not dirty:
            self._renew()
        made = self.commits.made
        base = made.base if made else self.base
        head = made.head if made else base
        if base != self.base:
            self._claimed.update(base=base)
        own = (self._repository.since(base, head) or [])[::-1]
        return Inspection(head, own, dirty, self._state(dirty, head), [base] if own else [])

    def _renew(self) -> None:
        try:
            self.commits.renew()
        except Overlap:
            return  # landing says with whom

    def _state(self, dirty: list[str], head: str) -> str:
        parts = [self.portion.state_of(path) for path in dirty]
        return name_of("\n".join(parts).encode()) if dirty else head

    def put_target_back(self) -> bool:
        """Who moved the branch of the shared tree can't be told; the agent's git is kept from it by a hook."""
        return False

    def save(self, commit: str) -> None:
        """The session's commits are in the user's repository already."""

    def save_uncommitted(self) -> None:
        """What is not committed stays in the tree."""

    def meet(self) -> str:
        """Make room for what landed meanwhile; says to the agent where it finds that."""
        said, left = sharing.give_way(self.portion, self.commits, f"{self._claimed.row.turn}-overlap")
        self._note_left(left)
        return said

    def keep_work(self) -> None:
        """Archive everything of a session that failed, and take it out of the tree."""
        self._claimed.assure()
        try:
            self.commits.archive("end")
            self._note_left(self.portion.take_back())
            self.portion.forget()
        except (GitError, OSError, Conflict) as error:
            self._claimed.record("work_not_archived", problem=str(error), workspace="shared")

    def forget(self) -> None:
        """The work is on the branch, or there is none."""
        self._claimed.assure()
        self.portion.forget()

    def _note_left(self, left: list[str]) -> None:
        if left:
            self._claimed.record("left_in_tree", paths=left)
