"""The workspace of one session: taken, prepared, restarted, inspected, and given back with nothing lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from intarsia.agents import Approver, Tool, environment
from intarsia.agents.supervision import end_marked, spawn
from intarsia.errors import GitError
from intarsia.kernel import sessions
from intarsia.kernel.database import Transaction
from intarsia.kernel.modes import Mode
from intarsia.kernel.sessions import Session
from intarsia.run import checks, held
from intarsia.run.approver import WorkspaceApprover
from intarsia.run.claimed import Claimed
from intarsia.run.context import Context
from intarsia.run.held import Comparison
from intarsia.run.place import Place
from intarsia.workspace import pool
from intarsia.workspace.git import shown
from intarsia.workspace.worktree import ARCHIVE, Inspection, Worktree


class Desk:
    def __init__(self, context: Context, claimed: Claimed, report: Callable[[str], None]) -> None:
        self._context = context
        self._repository = context.repository
        self._claimed = claimed
        self._report = report
        self._worktree: Worktree | None = None
        self._before: dict[str, str] = {}
        self._tip = ""
        self._known: set[str] = set()
        self._just_watched = False

    @property
    def base(self) -> str:
        return self._claimed.row.base or ""

    @property
    def head(self) -> str:
        return self._claimed.row.head or ""

    @property
    def branch(self) -> str:
        return self._claimed.row.branch or ""

    def place(self) -> Place:
        """Where the agent works. Raises Lost."""
        return self.worktree()

    def left_place(self) -> Place | None:
        """Where it was working before it was broken off, if that is still there."""
        return self.left()

    def bench(self) -> Worktree:
        """Where the session's checks run. Raises Lost."""
        return self.worktree()

    def approver(self, place: Place) -> Approver:
        """Who answers the agent when it asks before it changes something."""
        context = self._context
        return WorkspaceApprover(place, held.arbiter(context.database, context.config, self._claimed.id, shared=False))

    @property
    def is_in_place(self) -> bool:
        """Whether the session's work is where its agent would go on with it."""
        return True

    @property
    def reconciling(self) -> str:
        """What an agent is to do about a conflict with what landed."""
        return "Merge that branch, so that both changes hold."

    def comparison(self) -> Comparison:
        """What the session's commits change, beside what it holds."""
        return Comparison(self._context, self._claimed, self._changed)

    def _changed(self, matters: Callable[[str], bool]) -> Mapping[str, Mode]:
        from intarsia.workspace.appending import needs_between  # and with it the grammars
        from intarsia.workspace.changed import changed

        found: dict[str, Mode] = {}
        for one in changed(self._repository, self.base, self.head, self._context.landing.tip(), matters):
            found |= needs_between(one.path, one.before, one.after)
        return found

    def tools(self) -> tuple[Tool, ...]:
        """What the agent may call to change files, where it can't do that by itself."""
        return ()

    def come_back(self) -> str:
        """Take up what another supervisor left; says why where that can't be."""
        return ""

    def park(self) -> None:
        """All is committed or archived, so the workspace is free."""
        self.forget()

    def meet(self) -> str:
        """Show the session what landed meanwhile; says to the agent where it finds that."""
        target = self._context.target
        self.clean().show_target(target, self._context.landing.tip())
        return f"The newest {target} is here as `origin/{target}`."

    def worktree(self) -> Worktree:
        """The session's worktree, as it was left; made and prepared first if it has none. Raises Lost."""
        self._claimed.assure()
        return self._worktree or self.left() or self._make()

    def left(self) -> Worktree | None:
        """The worktree with what was done in it before the stage was broken off, if there is such a one."""
        if self._claimed.row.workspace is None:
            return None
        worktree = pool.worktree(self._repository, self._claimed.row.workspace)
        if worktree.owner != self._claimed.id:
            return None
        worktree.resume(self._context.identity)
        self._worktree = worktree
        return worktree

    def _make(self) -> Worktree:
        if self._claimed.row.workspace is None:
            self._take()
        worktree = pool.worktree(self._repository, self._claimed.row.workspace or "")
        self._prepare(worktree)
        self._worktree = worktree
        return worktree

    def restart(self) -> None:
        """Begin again where this stage began; what was done since is kept under refs/intarsia/archive."""
        self._worktree = None
        if self.left() is not None:
            self.keep_interrupted()

    def keep_interrupted(self) -> None:
        label = f"{self._claimed.row.turn}-interrupted-{int(time.time())}"
        self.worktree().archive(self._claimed.id, label, self.base)
        self.forget()
        self._worktree = None

    def clean(self) -> Worktree:
        """The tree as the session last committed it."""
        self.worktree().restore(self.head, self._context.config.workspace.keep)
        return self.worktree()

    def watch_repository(self) -> None:
        """Remember the user's repository as it is before a turn."""
        if not self._just_watched:
            self._before = self._repository.fingerprint(self._repository.refs())
        self._just_watched = False

    def inspect(self) -> Inspection:
        """Judge what the turn left here, and notice what changed in the user's repository meanwhile."""
        worktree = self.worktree()
        refs = self._repository.refs()
        self._tip = refs.get(f"refs/heads/{self._context.target}", "")
        self._known = set(refs.values())
        own = (f"refs/heads/{self.branch}", f"{ARCHIVE}/{self._claimed.id}/")
        found = worktree.inspect(self.base, {oid for ref, oid in refs.items() if not ref.startswith(own)})
        if found.tampered:
            self._claimed.record("workspace_tampered", changed=list(found.tampered))
        if found.lost:
            self._claimed.record("workspace_lost", restored=found.head)
        self._notice_changes(self._repository.fingerprint(refs))
        return found

    def _notice_changes(self, after: dict[str, str]) -> None:
        before, target = self._before, f"refs/heads/{self._context.target}"
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        names = sorted(shown(name) for name in changed - {target})
        if before and names:
            self._claimed.record("repository_changed", changed=names)
            said = f"{self._claimed.issue.id}: while it worked, your repository changed: {', '.join(names)}"
            self._context.reporter.notice(said)

    def put_target_back(self) -> bool:
        """If the target branch was found at a commit of the agent's own, take it off again."""
        ref = f"refs/heads/{self._context.target}"
        tip = self._tip
        if tip in ("", self.base) or not self.worktree().made_here(tip):
            return False
        earlier = self._repository.git.run("reflog", "show", "--format=%H", ref, "--", ok=(0, 128)).split()
        candidates = [*earlier, self._before.get(ref, ""), self.base]
        before = next(oid for oid in candidates if oid and not self.worktree().made_here(oid))
        if not self._context.landing.put_back(tip, before):
            return False
        self._claimed.record("target_put_back", moved_to=tip, back_to=before)
        return True

    def save(self, commit: str) -> None:
        """Bring the session's commits, up to this one, into the user's repository, on the session's branch."""
        self.worktree().save(self.branch, commit, self._known)

    def save_uncommitted(self) -> None:
        """Keep what the turn left uncommitted, so that the next one finds it even after a crash."""
        self.worktree().archive(self._claimed.id, str(self._claimed.row.turn), self.base)

    def keep_work(self) -> None:
        """Archive everything of a session that failed, so that its workspace can be used again."""
        self._claimed.assure()
        try:
            worktree = self._worktree or self.left()
            if worktree is None:
                return
            if self._claimed.row.stage != "landing":  # then all is on the branch, and here may be a combination
                self._archive_end(worktree)
            worktree.forget()
        except (GitError, OSError) as error:
            # The slot still names its owner, so the work is archived before the next session gets it.
            self._claimed.record("work_not_archived", problem=str(error), workspace=self._claimed.row.workspace)

    def _archive_end(self, worktree: Worktree) -> None:
        kept = worktree.archive(self._claimed.id, "end", self.base)
        head = worktree.git.line("rev-parse", "HEAD")
        if kept and head != self.base:
            self.save(head)

    def forget(self) -> None:
        """Nothing in the workspace is wanted any more."""
        self._claimed.assure()
        if resource := self._claimed.row.workspace:
            worktree = pool.worktree(self._repository, resource)
            if worktree.owner == self._claimed.id:
                worktree.forget()

    def drop_branch(self) -> None:
        self._claimed.assure()
        if self.head != self.base:
            self._repository.delete_ref(f"refs/heads/{self.branch}")

    def show(self, commit: str) -> Worktree:
        """The workspace with what would land in it, for checks; the session's own commits are on its branch by then."""
        worktree = self.worktree()
        worktree.show(commit, self._context.config.workspace.keep)
        self._set_up(worktree)
        return worktree

    def env(self, place: Place) -> dict[str, str]:
        """What agents, checks and setup get: the allow-list, and this workspace's own caches and ports; no keys."""
        settings = self._context.config.workspace
        first = settings.port_base + settings.ports * (place.number - 1)
        return {
            **environment.base(),
            environment.MARKER: self._claimed.id,
            "INTARSIA_ISSUE": self._claimed.issue.id,
            "INTARSIA_ROOT": str(self._repository.root),
            "INTARSIA_PORTS": f"{first}-{first + settings.ports - 1}",
            "PORT": str(first),
            "TMPDIR": str(place.tmp),
            "XDG_CACHE_HOME": str(place.cache),
        }

    def _take(self) -> None:
        refs = self._repository.refs()
        self._before, self._just_watched = self._repository.fingerprint(refs), True
        start = self.base or refs.get(f"refs/heads/{self._context.target}") or self._context.landing.tip()

        def take(tx: Transaction) -> Session:
            row = self._claimed.row
            slot = pool.acquire(tx, row.id, self._context.host, self._context.config.run.lease)
            return sessions.update(tx, row, workspace=slot, base=start, head=row.head or start)

        self._claimed.change(take)

    def _prepare(self, worktree: Worktree) -> None:
        self._vacate(worktree)
        keep = self._context.config.workspace.keep
        tip = self.base if self._claimed.row.turn == 1 else self._context.landing.tip()
        seen = {f"refs/remotes/origin/{self._context.target}": tip}
        worktree.prepare(self._claimed.id, self.branch, self.head, self._context.identity, keep, seen)
        self._lay_uncommitted(worktree)
        self._set_up(worktree)

    @staticmethod
    def _vacate(worktree: Worktree) -> None:
        """What a session left running that was given up while its supervisor was away."""
        if worktree.owner is not None:
            end_marked(worktree.owner)

    def _lay_uncommitted(self, worktree: Worktree) -> None:
        """A follow-up turn starts with the files that the turn before left uncommitted."""
        row = self._claimed.row
        if row.stage != "working" or row.turn == 1:
            return
        ref = f"{ARCHIVE}/{row.id}/{row.turn - 1}/work"
        snapshot = self._repository.git.try_line("rev-parse", "--verify", "--quiet", ref)
        if snapshot is not None:
            worktree.lay(snapshot)

    def _set_up(self, worktree: Worktree) -> None:
        settings = self._context.config.workspace
        if not settings.setup:
            return
        self._report(f"setup: {settings.setup}")
        log = self._context.folder(self._claimed.id) / "setup.log"
        env = {**self.env(worktree), "INTARSIA_ROLE": "setup"}
        process = spawn(["/bin/sh", "-c", settings.setup], cwd=worktree.path, env=env, output=log)
        code = checks.wait(process, time.monotonic() + settings.setup_timeout, self._claimed.stopped)
        if code != 0:
            how = f"with exit code {code}" if code is not None else f"at its limit of {settings.setup_timeout} s"
            raise GitError(f"The setup command ended {how}; see {log}.")


def make_desk(context: Context, claimed: Claimed, report: Callable[[str], None]) -> Desk:
    """For the kind of workspace that is configured."""
    if context.tree is None:
        return Desk(context, claimed, report)
    from intarsia.run.shared_desk import SharedDesk  # and with it the grammars

    return SharedDesk(context, claimed, report, context.tree)
