"""What a session changes, compared with what it holds: when it asks, and again before its work lands.

An agent may change files without asking: by its shell, or because its driver can't ask. So what its commits really
change is compared with its leases before anything lands. With the policies `wait` and `refuse`, what is missing is
leased then; what another session holds sends the work back. With `advise` that is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from intarsia.config import Config
from intarsia.errors import Aborted
from intarsia.kernel import leases, overlap
from intarsia.kernel.database import Database
from intarsia.kernel.leases import Lease, Want, wants
from intarsia.kernel.modes import Mode, place, stronger
from intarsia.kernel.overlap import Arbiter, Obstacle, Refused, policy_of
from intarsia.kernel.resources import parse

if TYPE_CHECKING:
    from intarsia.run.claimed import Claimed
    from intarsia.run.context import Context

Needed = Callable[[Callable[[str], bool]], Mapping[str, Mode]]
"""What has to be held for what was changed, in files that matter."""

EVENT = "changed_unheld"
CODE = "code:"


class NotHeld(Exception):
    """The work changes what another session holds, so it does not land now; the text is for its agent."""

    def __init__(self, refused: Refused) -> None:
        self.holders = refused.text if refused.cycle else " ".join(obstacle.text for obstacle in refused.obstacles)
        super().__init__(f"Nothing landed, as your commits change what others hold. {self.holders} {_INSTEAD}")


_INSTEAD = (
    "Take that part out of your work by a commit, and say so in its message; or see to the rest of your task, and end "
    "your turn: then it is tried again as it is."
)


def arbiter(database: Database, config: Config, session: str, *, shared: bool, longest: float | None = None) -> Arbiter:
    """Who takes leases for a session as the project wants it; they last until it ends. It waits `longest` seconds."""
    wait = config.workspace.wait if longest is None else min(longest, config.workspace.wait)
    return Arbiter(database, session, policy_of(config.run.on_overlap, shared=shared), ttl=config.run.lease, wait=wait)


class Comparison:
    """Of what one session changed and what it holds. `needed` is asked once, and only if anything depends on it.

    `arbitrated`: it could change things only while it held them, in whatever mode that took.
    """

    def __init__(self, context: Context, claimed: Claimed, needed: Needed, *, arbitrated: bool = False) -> None:
        self._context = context
        self._claimed = claimed
        self._find = needed
        self._arbitrated = arbitrated
        self._policy = policy_of(context.config.run.on_overlap, shared=context.tree is not None)
        self._needed: list[Want] | None = None
        self._noted = False

    def settle(self, *, patient: bool) -> None:
        """Hold all that was changed, after waiting for it if `patient`; raises NotHeld, Aborted or Lost."""
        if self._policy == "advise":
            self._note()
        elif lacking := self._lacking():
            self._take(lacking, patient=patient)

    def _note(self) -> None:
        """Record what others hold of it, once; where nobody holds anything there is nothing to find out."""
        if self._noted:
            return
        with self._context.database.read() as tx:
            others = [lease.key for lease in leases.held(tx, CODE) if lease.session != self._claimed.id]
        lacking = self._lacking(lambda path: _is_near(path, others)) if others else []
        if lacking and (found := self._obstacles(lacking)):
            self._record(lacking, found)
        self._noted = True

    def _take(self, lacking: Sequence[Want], *, patient: bool) -> None:
        self._record(lacking, self._obstacles(lacking))
        context, longest = self._context, None if patient else 0
        shared = context.tree is not None
        asked = arbiter(context.database, context.config, self._claimed.id, shared=shared, longest=longest)
        answer = asked.ask(_named(lacking), "landing", self._claimed.stopped)
        if isinstance(answer, Refused):
            if context.stopping.is_set():
                raise Aborted("The run was interrupted.")
            raise NotHeld(answer)

    def _lacking(self, matters: Callable[[str], bool] = lambda path: True) -> list[Want]:
        """What was changed and is not held."""
        if self._needed is None:
            found = self._find(matters)
            self._needed = wants(found) if found else []
        with self._context.database.read() as tx:
            own = leases.of(tx, self._claimed.id) if self._needed else []
        return [want for want in self._needed if not any(self._covers(lease, want) for lease in own)]

    def _covers(self, lease: Lease, want: Want) -> bool:
        where = place(lease.key, want.resource.key)
        if where == "same":
            return self._arbitrated or stronger(lease.mode, want.mode) == lease.mode
        if self._arbitrated and want.mode == "exclusive":
            return where is not None
        return where in ("around", "unit") and lease.mode == "exclusive"

    def _obstacles(self, lacking: Sequence[Want]) -> list[Obstacle]:
        with self._context.database.read() as tx:
            return overlap.obstacles(tx, self._claimed.id, lacking)

    def _record(self, lacking: Sequence[Want], found: Sequence[Obstacle]) -> None:
        self._claimed.record(EVENT, resources=_named(lacking), obstacles=[obstacle.as_json() for obstacle in found])


def _named(asked: Sequence[Want]) -> dict[str, Mode]:
    return {want.resource.name: want.mode for want in asked}


def _is_near(path: str, keys: Sequence[str]) -> bool:
    """Whether one of these is the file, or something around or inside it."""
    from intarsia.code.leases import uri  # and with it the grammars

    file = parse(uri(path)).key
    return any(place(key, file) is not None for key in keys)
