"""Which issue to start beside those that are worked on: one that changes something else, if there is one.

A field holds what is being changed: leases, and what running sessions are expected to change. It knows nothing of git,
databases or time, so that a plan and the scheduler decide alike.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable

from msgspec import Struct

from intarsia.kernel.issues import Issue
from intarsia.kernel.modes import conflict, near, within
from intarsia.kernel.overlap import Policy
from intarsia.kernel.resources import parse
from intarsia.run.forecast import Forecast, Predicted

PATIENCE = 8
"""How often others may be started before an issue because it overlaps with what runs; then it is its turn."""
LOOK_AHEAD = 50
"""How many issues are looked at for one that overlaps with nothing, before one that does is started."""


class Overlap(Struct, frozen=True):
    """What an issue is expected to change, and what stands against it; `owner` is an issue, or who holds a lease."""

    owner: str
    mine: Predicted
    theirs: Predicted

    @property
    def certain(self) -> bool:
        """Whether both sides were said, by a claim or a lease, and not guessed."""
        return self.mine.declared and self.theirs.declared

    @property
    def text(self) -> str:
        mine, theirs = self.mine, self.theirs
        if mine.claim == theirs.claim:
            return f"{mine.claim} ({mine.why}; {self.owner}: {theirs.why})"
        return f"{mine.claim} ({mine.why}), {self.owner}: {theirs.claim} ({theirs.why})"


class Field:
    def __init__(self) -> None:
        self._keys: list[str] = []
        self._at: dict[str, list[tuple[str, Predicted]]] = {}

    def add(self, owner: str, expected: Iterable[Predicted]) -> None:
        for one in expected:
            key = one.key
            if key not in self._at:
                insort(self._keys, key)
            self._at.setdefault(key, []).append((owner, one))

    def copy(self) -> Field:
        other = Field()
        other._keys = list(self._keys)
        other._at = {key: list(found) for key, found in self._at.items()}
        return other

    def overlaps(self, forecast: Forecast) -> list[Overlap]:
        """Each pair of resources once per owner; what is said stands before what is guessed."""
        found: dict[tuple[str, str, str], Overlap] = {}
        for mine in forecast.expected:
            for owner, theirs in self._against(mine):
                known = found.setdefault((owner, mine.uri, theirs.uri), Overlap(owner, mine, theirs))
                if theirs.declared and not known.theirs.declared:
                    found[owner, mine.uri, theirs.uri] = Overlap(owner, mine, theirs)
        return sorted(found.values(), key=lambda one: not one.certain)

    def _against(self, mine: Predicted) -> Iterable[tuple[str, Predicted]]:
        resource = parse(mine.uri)
        low, high, _ = within(resource, mine.mode)
        inside = self._keys[bisect_left(self._keys, low) : bisect_left(self._keys, high)]
        for key in (*near(resource, mine.mode), *inside):
            for owner, theirs in self._at.get(key, ()):
                if conflict(mine.mode, resource.key, theirs.mode, key):
                    yield owner, theirs


class Choice(Struct, frozen=True):
    """`issue` is to be started, beside what it overlaps with; `passed` are the earlier ones that were not taken."""

    issue: Issue | None
    overlaps: list[Overlap]
    passed: dict[str, list[Overlap]]


def choose(
    ready: Iterable[Issue], forecast: Callable[[Issue], Forecast], field: Field, policy: Policy, times: Counter[str]
) -> Choice:
    """The first that overlaps with nothing; else the first at all, as no agent idles for what is only guessed.

    With the policies wait and refuse, an issue whose claims are taken is not started. `times` says how often each was
    passed already: who was too often is started before all others, or, if it may not be, no later one may overtake it
    on what it claims, which is added to the field.
    """
    passed: dict[str, list[Overlap]] = {}
    second: Choice | None = None
    for issue in ready:
        overlaps = field.overlaps(forecast(issue))
        if not overlaps:
            return Choice(issue, [], passed)
        due = times[issue.id] >= PATIENCE
        may = policy == "advise" or not any(overlap.certain for overlap in overlaps)
        if may and due:
            return Choice(issue, overlaps, passed)
        if may and second is None:
            second = Choice(issue, overlaps, dict(passed))
        if due:
            field.add(issue.id, [one for one in forecast(issue).expected if one.declared])
        passed[issue.id] = overlaps
        if second and len(passed) >= LOOK_AHEAD:
            break
    return second or Choice(None, [], passed)
