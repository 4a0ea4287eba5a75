"""What the agent of a session gets for one turn, and what is kept of what it tells meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from intarsia.agents import (
    Conversation,
    Event,
    Limits,
    RateLimit,
    Said,
    ToolUse,
    Turn,
    TurnEnd,
    Unenforced,
    Usage,
    environment,
)
from intarsia.kernel import sessions
from intarsia.run import guides, limits, secret, tools, usage
from intarsia.run.claimed import Claimed
from intarsia.run.context import Context
from intarsia.run.desk import Desk
from intarsia.run.guard import Guard
from intarsia.run.limits import Reached
from intarsia.run.place import Place
from intarsia.run.resolution import in_message
from intarsia.run.unfinished import in_worktree
from intarsia.workspace.policy import Policy
from intarsia.workspace.worktree import Worktree


class Seat:
    def __init__(self, context: Context, claimed: Claimed, desk: Desk) -> None:
        self._context = context
        self._claimed = claimed
        self._desk = desk

    def limits(self) -> Limits:
        general, agent = self._context.config.limits, self._context.agent
        wall = general.wall if agent.wall is None else agent.wall
        idle = general.idle if agent.idle is None else agent.idle
        return Limits(wall, idle, general.output)

    def task(self) -> str:
        """What its agent is told first."""
        context = self._context
        commands = [check.command for check in context.config.check_list().values()]
        guide = guides.unread(context.repository.objects, self._desk.base or context.landing.tip(), context.driver)
        shared = context.tree is not None
        return context.prompts.task(self._claimed.issue, context.target, commands, shared=shared, guide=guide)

    def _prompt(self, *, resumed: bool) -> str:
        prompt = self._claimed.row.prompt or self.task()
        return self._context.prompts.resumed(self._claimed.issue.id, prompt) if resumed else prompt

    def turn(self, place: Place, *, resumed: bool = False) -> Turn:
        """`resumed` is one that was broken off and goes on."""
        row, folder = self._claimed.row, self._context.folder(self._claimed.id)
        env = {
            **environment.base([*self._context.config.run.env, *self._context.agent.env]),
            **self._desk.env(place),
            "INTARSIA_ROLE": "agent",
            "INTARSIA_TURN": str(row.turn),
            "INTARSIA_SECRET": secret.read(folder),
            **({"INTARSIA_URL": self._context.url} if self._context.url else {}),
        }
        return Turn(
            session=row.id,
            issue=row.issue,
            number=row.turn,
            prompt=self._prompt(resumed=resumed),
            workspace=place.path,
            folder=folder,
            env=env,
            limits=self.limits(),
            conversation=row.vendor_id or "",
            approver=Guard(self._policy(env), place.path, self._desk.approver(place)),
            tools=(
                *tools.for_session(self._context.database, row, self._show),
                *self._desk.tools(),
                *self._context.tools(row.id),
            ),
            objection=self._objection(place) if isinstance(place, Worktree) else None,
        )

    def _policy(self, env: dict[str, str]) -> Policy:
        return Policy.of(self._context.config.policy, env, shared=self._context.tree is not None)

    def _objection(self, worktree: Worktree) -> Callable[[str], str]:
        """What the gate would say at once to a turn that ended now; each thing is said once, the gate has the rest."""
        said: set[str] = set()

        def objection(last_words: str) -> str:
            with self._context.database.read() as tx:
                declared = sessions.get(tx, self._claimed.id).resolution
            if declared or in_message(last_words):
                return ""
            problem = in_worktree(worktree, self._desk.base)
            if not problem or problem in said:
                return ""
            said.add(problem)
            return problem

        return objection

    def begin_turn(self) -> Reached | None:
        """Count one more turn; or say which limit stands against it."""
        with self._context.database.read() as tx:
            reached = limits.before_turn(tx, self._context.config, self._claimed.row)
        if reached is None:
            self._claimed.book(usage.with_turn(self._claimed.row.usage), lambda tx, row: None)
        return reached

    def note(self, event: Event) -> TurnEnd | None:
        """Keep what the agent tells; the end of its turn, if it has used up what it may."""
        match event:
            case Said(text) | ToolUse(_, text):
                self._show(text)
            case Conversation(id) if id != self._claimed.row.vendor_id:
                self._claimed.update(vendor_id=id)
            case Usage():
                return self._spend(event)
            case RateLimit(text, seconds):
                self._claimed.record("agent_waits", reason=text, seconds=seconds)
                self._show(text)
            case Unenforced(text):
                self._claimed.record("unenforced", reason=text)
                self._show(text)
        return None

    def _spend(self, figure: Usage) -> TurnEnd | None:
        config, driver = self._context.config, self._context.driver
        used = usage.with_figure(self._claimed.row.usage, figure, config.prices, self._context.agent.model)
        reached = self._claimed.book(used, lambda tx, row: limits.within_turn(tx, config, row, driver))
        return TurnEnd(reached.outcome, reached.text) if reached else None

    def _show(self, text: str) -> None:
        self._context.reporter.activity(self._claimed.id, text)
