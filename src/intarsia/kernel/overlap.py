"""What becomes of a session that wants to change what another holds: it waits, is refused, or is told and goes on.

Whoever is about to make a change for a session (an edit tool, an agent that asks before it edits) asks the session's
arbiter, with the resources and modes that the change needs. What is free is leased at once, in any policy.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from intarsia.clock import iso
from intarsia.errors import Held, NotFound
from intarsia.kernel import events, issues, leases, line, members, messages, sessions
from intarsia.kernel.database import Database, Transaction
from intarsia.kernel.leases import Grant, Lease, Mode, Want, wants
from intarsia.kernel.line import Deadlock, Waiting

Policy = Literal["wait", "refuse", "advise"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
MESSAGE = "overlap"  # the kind of the messages that advise
EVENT = "overlap_advised"


class Obstacle(Struct, frozen=True):
    """Who stands in the way of `asked`, by holding `held`; or by waiting for it since earlier, without `expires`."""

    asked: str
    held: str
    mode: Mode
    holder: str
    agent: str | None = None
    issue: str | None = None
    title: str = ""
    note: str = ""
    since: float | None = None
    expires: float | None = None

    @property
    def text(self) -> str:
        who = f"{self.agent}, " if self.agent and self.agent != self.holder else ""
        why = f"{self.issue}: {self.title}" if self.issue else self.note
        named = f"{self.holder} ({who}{why})" if who or why else self.holder
        if self.expires is None:
            return f"{named} has waited longer for {self.held}."
        around = "" if self.held == self.asked else f", which stands in the way of {self.asked}"
        return f"{named} holds {self.held} ({self.mode}) since {iso(self.since)}{around}."

    def as_json(self) -> dict[str, Any]:
        return {**msgspec.structs.asdict(self), "since": iso(self.since), "expires": iso(self.expires)}


class Allowed(Struct, frozen=True):
    grant: Grant


class Advised(Struct, frozen=True):
    """It may go on; `text` is for the session, and empty if it was told the same before."""

    obstacles: list[Obstacle]
    text: str
    grant: Grant | None = None


class Refused(Struct, frozen=True):
    """It may not. `text` says why and what to do meanwhile; `cycle` is of sessions that would wait for ever."""

    obstacles: list[Obstacle]
    text: str
    cycle: list[str] | None = None


Answer = Allowed | Advised | Refused


class Overlapping(Held):
    """A refusal, raised."""

    def __init__(self, refused: Refused) -> None:
        first = refused.obstacles[0] if refused.obstacles else None
        super().__init__(
            refused.text,
            resource=first and first.asked,
            holder=first and first.holder,
            agent=first and first.agent,
            issue=first and first.issue,
            held_since=first and iso(first.since),
            expires_at=first and iso(first.expires),
            obstacles=[obstacle.as_json() for obstacle in refused.obstacles],
            cycle=refused.cycle,
        )


def policy_of(configured: str, *, shared: bool) -> Policy:
    """`run.on_overlap`, or what goes without saying: where all edit one tree they wait, else landing merges."""
    return next((policy for policy in POLICIES if policy == configured), "wait" if shared else "advise")


class Arbiter:
    """Answers for one session (or member). `ttl` and `wait` are seconds: of a lease, and for those in the way."""

    def __init__(self, database: Database, session: str, policy: Policy, *, ttl: int = 1800, wait: float = 60) -> None:
        self._database = database
        self._session = session
        self._policy = policy
        self._ttl = ttl
        self._wait = wait if policy == "wait" else 0.0

    def ask(
        self, needs: Mapping[str, Mode], note: str = "", withdrawn: Callable[[], bool] = lambda: False
    ) -> Allowed | Advised | Refused:
        """Lease what is needed, all of it, or say what stands in the way; raises InputError for a bad name.

        Waiting ends early when `withdrawn` says that the answer is not wanted any more. To advise, what is free among
        it is leased all the same.
        """
        if not needs:
            return Allowed(Grant(self._session, [], 0, 0.0))
        try:
            return Allowed(self._acquire(needs, note, withdrawn))
        except Deadlock as deadlock:
            return self._refused(needs, deadlock.message, deadlock.data["cycle"])
        except Held as held:
            if self._policy != "advise":
                return self._refused(needs, held.message)
        with self._database.transaction() as tx:
            return advise(tx, self._session, wants(needs), self._ttl, note)

    def require(self, needs: Mapping[str, Mode]) -> None:
        """The same; raises Overlapping where `ask` refuses."""
        answer = self.ask(needs)
        if isinstance(answer, Refused):
            raise Overlapping(answer)

    def _acquire(self, needs: Mapping[str, Mode], note: str, withdrawn: Callable[[], bool]) -> Grant:
        return line.acquire(
            self._database, self._session, needs, self._ttl, wait=self._wait, note=note, withdrawn=withdrawn
        )

    def _refused(self, needs: Mapping[str, Mode], why: str, cycle: list[str] | None = None) -> Refused:
        with self._database.read() as tx:
            found = obstacles(tx, self._session, wants(needs))
        said = " ".join([why] if cycle or not found else [obstacle.text for obstacle in found])
        again = "Give back what you hold, or do it in another way." if cycle else _MEANWHILE
        return Refused(found, f"{said} {again}", cycle)


_MEANWHILE = "Nothing was changed. Do another part of your task meanwhile, then try again."


def obstacles(tx: Transaction, session: str, asked: Collection[Want]) -> list[Obstacle]:
    """Who stands in the way of what, each once."""
    found: dict[tuple[str, str], Obstacle] = {}
    for want in asked:
        for entry in line.blockers(tx, session, [want]):
            obstacle = _held(tx, want, entry) if isinstance(entry, Lease) else _waited_for(tx, want, entry)
            found.setdefault((obstacle.holder, obstacle.held), obstacle)
    return list(found.values())


def _held(tx: Transaction, want: Want, lease: Lease) -> Obstacle:
    return Obstacle(
        asked=want.resource.name,
        held=lease.resource,
        mode=lease.mode,
        holder=lease.session,
        agent=lease.agent,
        issue=lease.issue,
        title=_title(tx, lease.issue),
        note=lease.note,
        since=lease.acquired,
        expires=lease.expires,
    )


def _waited_for(tx: Transaction, want: Want, waiting: Waiting) -> Obstacle:
    theirs = next((other for other in waiting.wants if not leases.go_together(want, other)), waiting.wants[0])
    session = sessions.get(tx, waiting.session) if sessions.exists(tx, waiting.session) else None
    return Obstacle(
        asked=want.resource.name,
        held=theirs.resource.name,
        mode=theirs.mode,
        holder=waiting.session,
        agent=session.agent if session else None,
        issue=session.issue if session else None,
        title=_title(tx, session.issue if session else None),
    )


def _title(tx: Transaction, issue: str | None) -> str:
    try:
        return issues.get(tx, issue).title if issue else ""
    except NotFound:
        return ""


def advise(tx: Transaction, session: str, asked: Collection[Want], ttl: int, note: str = "") -> Allowed | Advised:
    """Lease what is free, and tell the session, once, who else changes the rest; recorded."""
    free = [want for want in asked if not line.blockers(tx, session, [want])]
    grant = leases.write(tx, session, free, ttl, note) if free else None
    found = obstacles(tx, session, asked)
    if grant and not found:
        return Allowed(grant)
    told = _told(tx, session)
    news = [obstacle for obstacle in found if (obstacle.holder, obstacle.held) not in told]
    text = f"{' '.join(obstacle.text for obstacle in news)} {_GO_ON}" if news else ""
    if news:
        _tell(tx, session, text, news)
    return Advised(found, text, grant)


_GO_ON = (
    "Go on all the same, and change there no more than your task needs: what you both change is merged when it lands, "
    "and what can't be merged comes back to whoever lands second."
)


def _told(tx: Transaction, session: str) -> set[tuple[str, str]]:
    advice = [event for event in events.latest(tx, 1000, session=session) if event.kind == EVENT]
    return {(obstacle["holder"], obstacle["held"]) for event in advice for obstacle in event.data["obstacles"]}


def _tell(tx: Transaction, session: str, text: str, found: list[Obstacle]) -> None:
    issue = sessions.get(tx, session).issue if sessions.exists(tx, session) else None
    if issue or any(member.name == session for member in members.everybody(tx)):
        messages.send(tx, "intarsia", [session], text, MESSAGE)
    events.record(
        tx, EVENT, actor="intarsia", issue=issue, session=session,
        obstacles=[obstacle.as_json() for obstacle in found],
    )  # fmt: skip
