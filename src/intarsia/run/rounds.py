"""How much of what is open can be worked on side by side, as the scheduler would do it; changes nothing.

A plan of rounds, as if every issue took as long as every other: in each, the agents get the issues that the scheduler
would start, and all of them are done before the next.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import reduce
from operator import or_
from typing import Any

from msgspec import Struct

from intarsia.clock import iso
from intarsia.kernel.issues import Issue
from intarsia.kernel.overlap import Policy
from intarsia.run.field import Field, Overlap, choose
from intarsia.run.forecast import Forecast

MOST_PAIRS = 1000


class Planned(Struct, frozen=True):
    """An issue in its round; `beside` is what it changes together with others of the round."""

    issue: Issue
    forecast: Forecast
    beside: list[Overlap]

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.issue.id,
            "title": self.issue.title,
            "priority": self.issue.priority,
            "needs": self.issue.needs,
            "expected": [{"resource": e.uri, "mode": e.mode, "why": e.why} for e in self.forecast.expected],
            "beside": [overlap_json(overlap) for overlap in self.beside],
        }


class Pair(Struct, frozen=True):
    """Two issues that could be worked on at the same time, but for what both change."""

    one: str
    other: str
    overlaps: list[Overlap]

    def as_json(self) -> dict[str, Any]:
        return {"issues": [self.one, self.other], "overlaps": [overlap_json(overlap) for overlap in self.overlaps]}


class Rounds(Struct, frozen=True):
    """`best` is the number of rounds if nothing overlapped; `chain` the longest of issues that need each other;
    `left` says of the others why they are in no round.
    """

    agents: int
    policy: Policy
    rounds: list[list[Planned]]
    best: int
    running: list[str]
    chain: list[str]
    pairs: list[Pair]
    left: dict[str, str]

    @property
    def count(self) -> int:
        return sum(len(round) for round in self.rounds)

    def as_json(self) -> dict[str, Any]:
        return {
            "agents": self.agents,
            "policy": self.policy,
            "issues": self.count,
            "rounds": [[planned.as_json() for planned in round] for round in self.rounds],
            "rounds_without_overlaps": self.best,
            "running": self.running,
            "longest_chain": self.chain,
            "overlaps": [pair.as_json() for pair in self.pairs],
            "left": self.left,
        }


def overlap_json(overlap: Overlap) -> dict[str, Any]:
    mine, theirs = overlap.mine, overlap.theirs
    return {
        "with": overlap.owner,
        "resource": mine.uri,
        "why": mine.why,
        "their_resource": theirs.uri,
        "their_why": theirs.why,
        "certain": overlap.certain,
    }


class Backlog:
    """All that is not closed, most urgent first, and what of it may be worked on: in these queues, and only these.

    `locked` says who holds an issue that is open.
    """

    def __init__(
        self,
        everything: Iterable[Issue],
        queues: Collection[str],
        only: Collection[str],
        now: float,
        locked: Mapping[str, str],
    ) -> None:
        self._all = {issue.id: issue for issue in everything}
        self._needs: dict[str, list[str]] = {}
        self.left: dict[str, str] = {}
        self.running = [issue for issue in self._all.values() if issue.status == "in_progress"]
        asked = [issue for issue in self._all.values() if issue.type != "epic" and issue.status != "in_progress"]
        for issue in asked:
            if why := _out_of_reach(issue, queues, only, now, locked):
                self.left[issue.id] = why
        self._drop_those_who_wait_for_them()
        self.work = [issue for issue in asked if issue.id not in self.left]
        if only:
            self.left = {name: why for name, why in self.left.items() if name in only}

    def needs(self, issue: Issue) -> list[str]:
        """What is open of that which the issue waits for, itself or by what it is part of."""
        if issue.id not in self._needs:
            found, here = list(issue.needs), issue
            while here.parent in self._all:
                here = self._all[here.parent]
                found += here.needs
            self._needs[issue.id] = [name for name in dict.fromkeys(found) if name in self._all]
        return self._needs[issue.id]

    def _drop_those_who_wait_for_them(self) -> None:
        reachable = {issue.id for issue in self.running}
        needs = {issue.id: self.needs(issue) for issue in self._all.values() if issue.type != "epic"}
        for name in _in_order(needs):
            missing = [need for need in needs[name] if need not in reachable]
            if not missing and name not in self.left:
                reachable.add(name)
            elif missing and name not in self.left and name not in reachable:
                self.left[name] = f"needs {missing[0]}"


def _out_of_reach(
    issue: Issue, queues: Collection[str], only: Collection[str], now: float, locked: Mapping[str, str]
) -> str:
    if only and issue.id not in only:
        return "not asked for"
    if issue.status != "open":
        return f"is {issue.status}"
    if issue.queue not in queues:
        return f"is in the queue {issue.queue}"
    if issue.id in locked:
        return f"is held by {locked[issue.id]}"
    return f"not before {iso(issue.not_before)}" if issue.not_before and issue.not_before > now else ""


def plan(backlog: Backlog, held: Field, forecast: Callable[[Issue], Forecast], agents: int, policy: Policy) -> Rounds:
    """`held` is what people hold, in whose way nobody is put; it is taken as free after the first round."""
    found = _rounds(backlog, held, forecast, agents, policy)
    apart = _rounds(backlog, Field(), lambda issue: Forecast(issue.id, []), agents, "advise")
    return Rounds(
        agents=agents,
        policy=policy,
        rounds=found,
        best=min(len(apart), len(found)),  # another order can be better by chance
        running=[issue.id for issue in backlog.running],
        chain=_longest_chain(backlog),
        pairs=_pairs(backlog, forecast),
        left=backlog.left,
    )


def _rounds(
    backlog: Backlog, held: Field, forecast: Callable[[Issue], Forecast], agents: int, policy: Policy
) -> list[list[Planned]]:
    found: list[list[Planned]] = []
    queue, running = _Queue(backlog), list(backlog.running)
    times: Counter[str] = Counter()
    while queue.ready or running:
        started = _round(queue, running, held, forecast, agents, policy, times)
        found += [started] if started else []
        queue.finish([*running, *(planned.issue for planned in started)])
        held, running = Field(), []
    return found


def _round(
    queue: _Queue,
    running: list[Issue],
    held: Field,
    forecast: Callable[[Issue], Forecast],
    agents: int,
    policy: Policy,
    times: Counter[str],
) -> list[Planned]:
    started: list[Planned] = []
    while len(started) < agents:
        field = held.copy()
        for issue in (*running, *(planned.issue for planned in started)):
            field.add(issue.id, forecast(issue).expected)
        choice = choose(queue.waiting(), forecast, field, policy, times)
        if choice.issue is None:
            break
        queue.start(choice.issue)
        times.update(choice.passed.keys())
        started.append(Planned(choice.issue, forecast(choice.issue), choice.overlaps))
    return started


class _Queue:
    """What is ready, by its place in the backlog."""

    def __init__(self, backlog: Backlog) -> None:
        self._work = backlog.work
        self._place = {issue.id: n for n, issue in enumerate(backlog.work)}
        self._missing = {issue.id: len(backlog.needs(issue)) for issue in backlog.work}
        self._waiting: dict[str, list[str]] = {}
        for issue in backlog.work:
            for need in backlog.needs(issue):
                self._waiting.setdefault(need, []).append(issue.id)
        self.ready = [self._place[name] for name, missing in self._missing.items() if not missing]

    def waiting(self) -> Iterator[Issue]:
        return (self._work[n] for n in self.ready)

    def start(self, issue: Issue) -> None:
        self.ready.remove(self._place[issue.id])

    def finish(self, issues: Iterable[Issue]) -> None:
        for issue in issues:
            for name in self._waiting.get(issue.id, ()):
                self._missing[name] -= 1
                if not self._missing[name]:
                    insort(self.ready, self._place[name])


def _longest_chain(backlog: Backlog) -> list[str]:
    """Of issues each of which needs the one before; what runs already is left out."""
    work = {issue.id: backlog.needs(issue) for issue in backlog.work}
    length: dict[str, int] = {}
    before: dict[str, str] = {}
    for name in _in_order(work):
        needs = [need for need in work[name] if need in length]
        length[name] = 1 + max((length[need] for need in needs), default=0)
        if needs:
            before[name] = max(needs, key=length.__getitem__)
    chain = [max(length, key=length.__getitem__)] if length else []
    while chain and chain[0] in before:
        chain.insert(0, before[chain[0]])
    return chain


def _in_order(needs: Mapping[str, list[str]]) -> list[str]:
    """Each after all that it needs; a circle, which only a foreign hand can make, is broken somewhere."""
    done: dict[str, None] = {}
    begun: set[str] = set()
    todo = list(needs)[::-1]
    while todo:
        name = todo[-1]
        missing = [] if name in begun else [need for need in needs[name] if need in needs and need not in done]
        begun.add(name)
        if missing:
            todo += missing
        else:
            done[todo.pop()] = None
    return list(done)


def _pairs(backlog: Backlog, forecast: Callable[[Issue], Forecast]) -> list[Pair]:
    """Those that overlap, neither of which has to wait for the other anyway; at most MOST_PAIRS."""
    everything = {issue.id: issue for issue in (*backlog.running, *backlog.work)}
    needs = {name: backlog.needs(issue) for name, issue in everything.items()}
    bits = {name: 1 << n for n, name in enumerate(needs)}
    above: dict[str, int] = {}  # all that it waits for, as bits
    for name in _in_order(needs):
        above[name] = reduce(or_, (bits[need] | above.get(need, 0) for need in needs[name] if need in bits), 0)
    field = Field()
    found: dict[tuple[str, str], list[Overlap]] = {}
    for name, issue in everything.items():
        for overlap in field.overlaps(forecast(issue)):
            if not above[name] & bits[overlap.owner] and not above[overlap.owner] & bits[name]:
                found.setdefault((overlap.owner, name), []).append(overlap)
        if len(found) > MOST_PAIRS:
            break
        field.add(name, forecast(issue).expected)
    return [Pair(one, other, overlaps) for (one, other), overlaps in found.items()][:MOST_PAIRS]


def text_of(plan: Rounds, table: Callable[[list[list[str]]], str]) -> str:
    """For a terminal."""
    if not plan.rounds and not plan.left:
        return "Nothing is open."
    parts = [_headline(plan)]
    for number, round in enumerate(plan.rounds, start=1):
        parts.append(f"\nRound {number}\n" + _indented(table([_row(planned) for planned in round])))
        parts += [f"    {p.issue.id} at the same time as {o.owner}: {o.text}" for p in round for o in p.beside[:1]]
    pairs = [f"  {pair.one} and {pair.other}: {pair.overlaps[0].text}{_more(pair.overlaps, 1)}" for pair in plan.pairs]
    if pairs:
        parts.append("\nChange the same\n" + "\n".join(pairs[:_SHOWN]) + _more(pairs, _SHOWN))
    if len(plan.chain) > 1:
        parts.append("\nLongest chain: " + " → ".join(plan.chain))
    if plan.left:
        parts.append("\nIn no round\n" + _indented(table([[name, why] for name, why in plan.left.items()])))
    return "\n".join(parts)


_SHOWN = 20


def _headline(plan: Rounds) -> str:
    rounds = _counted(len(plan.rounds), "round")
    best = f", {plan.best} if nothing overlapped" if plan.best < len(plan.rounds) else ""
    working = f" {', '.join(plan.running)} already worked on." if plan.running else ""
    return f"{_counted(plan.count, 'issue')} for {_counted(plan.agents, 'agent')}: {rounds}{best}.{working}"


def _row(planned: Planned) -> list[str]:
    issue, expected = planned.issue, planned.forecast.expected
    named = [f"{one.claim} ({one.why})" for one in expected]
    what = ", ".join(named[:2]) + _more(named, 2) if named else "-"
    title = issue.title if len(issue.title) <= 40 else f"{issue.title[:39]}…"
    return [issue.id, f"P{issue.priority}", title, what]


def _more(entries: Collection[object], shown: int) -> str:
    return f" and {len(entries) - shown} more" if len(entries) > shown else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
