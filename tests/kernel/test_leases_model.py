"""Leases and the line do what a plain model of them does, whatever is done to them in whatever order.

The model keeps lists and looks at all of them, and knows names only as paths of words.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from intarsia.clock import ManualClock
from intarsia.errors import Held, NotHolder, StaleLease
from intarsia.kernel import Database, leases, line
from intarsia.kernel.leases import Grant, Mode
from intarsia.kernel.line import WAITER_TTL, Deadlock
from intarsia.kernel.modes import MODES

Path = tuple[str, ...]
Asked = dict[Path, Mode]

PATHS: dict[Path, str] = {
    ("code",): "code:",
    ("code", "s"): "code:s",
    ("code", "s", "a"): "code:s/a",
    ("code", "s", "a2"): "code:s/a2",
    ("code", "s", "a", "#C"): "code:s/a#C",
    ("code", "s", "a", "#C", ".m"): "code:s/a#C.m",
    ("code", "s", "a", "#C", "/body"): "code:s/a#C/body",
    ("code", "t"): "code:t",
}
SESSIONS = ["ann", "bob", "cay"]
TTLS = [10_000, 30_000]
INNER: list[Path] = [path for path in PATHS if len(path) > 1]


# The model.


@dataclass
class Holding:
    path: Path
    session: str
    mode: Mode
    token: int
    since: float
    until: float


@dataclass
class Waiter:
    turn: int
    session: str
    asked: Asked
    until: float


@dataclass
class Model:
    now: float = 0
    holdings: list[Holding] = field(default_factory=list)
    line: list[Waiter] = field(default_factory=list)

    def alive(self) -> list[Holding]:
        return [holding for holding in self.holdings if holding.until > self.now]

    def waiting(self) -> list[Waiter]:
        return [waiter for waiter in self.line if waiter.until > self.now]

    def of(self, session: str) -> list[Holding]:
        return [holding for holding in self.alive() if holding.session == session]

    def against(self, session: str, asked: Asked) -> set[str]:
        """Sessions that hold what is asked for."""
        return {h.session for h in self.alive() if h.session != session and conflict(asked, {h.path: h.mode})}

    def before(self, session: str, asked: Asked, turn: float) -> set[str]:
        """Sessions in the line to be served first."""
        behind = self.behind(turn)
        return {
            w.session
            for w in self.waiting()
            if w.turn < turn
            and w.session != session
            and conflict(asked, w.asked)
            and session not in reached(behind, w.session)
        }

    def behind(self, turn: float) -> dict[str, set[str]]:
        """Who waits for whom: for holders, and for those before in the line unless these wait for them already."""
        edges = {w.session: self.against(w.session, w.asked) for w in self.waiting()}
        for n, waiter in enumerate(w for w in self.waiting() if w.turn < turn):
            for other in self.waiting()[:n]:
                if conflict(waiter.asked, other.asked) and waiter.session not in reached(edges, other.session):
                    edges[waiter.session] = edges[waiter.session] | {other.session}
        return edges

    def deadlock(self, session: str, asked: Asked) -> bool:
        edges = {w.session: self.against(w.session, w.asked) for w in self.waiting()}
        edges[session] = self.against(session, asked)
        return session in set[str]().union(*(reached(edges, other) for other in edges[session]))

    def grant(self, session: str, asked: Asked, token: int, ttl: int) -> None:
        for path, mode in asked.items():
            mine = next((h for h in self.of(session) if h.path == path), None)
            if mine:
                mode = max(mine.mode, mode, key=["append", "imports", "insert", "shared", "exclusive"].index)
                self.holdings.remove(mine)
            since = mine.since if mine else self.now
            self.holdings.append(Holding(path, session, mode, token, since, self.now + ttl))


def nested(one: Path, other: Path) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))


def conflict(some: Asked, others: Asked) -> bool:
    return any(nested(a, b) and clash(a, some[a], b, others[b]) for a in some for b in others)


def clash(one: Path, mode: Mode, other: Path, other_mode: Mode) -> bool:
    """Of two that are nested: one changes what is there, and the other does so, needs it as it is, or adds to it."""
    if mode != "exclusive" and other_mode != "exclusive":
        return False
    if {mode, other_mode} <= {"exclusive", "shared"}:
        return True
    changed, added = (one, other) if mode == "exclusive" else (other, one)
    return len(changed) <= len(added) or changed[len(added)].startswith("/")


def reached(edges: dict[str, set[str]], start: str) -> set[str]:
    """All that can be come to from here, and here itself."""
    found = {start}
    while more := set[str]().union(*(edges.get(name, set()) for name in found)) - found:
        found |= more
    return found


# The machine.


class Leases(RuleBasedStateMachine):
    """Does the same to the database and to the model, and compares."""

    def __init__(self, database: Database, advance: Callable[[int], None]) -> None:
        super().__init__()
        database.project = f"p-{secrets.token_hex(6)}"
        self.database, self.pass_time = database, advance
        self.model = Model()
        self.past: list[tuple[str, Path, int]] = []
        self.greatest = 0

    sessions = st.sampled_from(SESSIONS)
    ttls = st.sampled_from(TTLS)
    modes: st.SearchStrategy[Mode] = st.sampled_from(["exclusive", "shared", "exclusive", *MODES])
    asked = st.dictionaries(st.sampled_from([*INNER, *PATHS]), modes, min_size=1, max_size=2)

    def granted(self, session: str, asked: Asked, grant: Grant, ttl: int) -> None:
        assert grant.token > self.greatest
        self.greatest = grant.token
        self.past += [(session, path, grant.token) for path in asked]
        self.model.grant(session, asked, grant.token, ttl)

    @initialize(paths=st.permutations(INNER), modes=st.tuples(*[modes] * len(SESSIONS)))
    def somebody_holds_something(self, paths: list[Path], modes: tuple[Mode, ...]) -> None:
        for session, path, mode in zip(SESSIONS, paths, modes, strict=False):
            self.attempt_once(session, {path: mode}, 10_000)

    @rule(session=sessions, asked=asked, ttl=ttls)
    def try_once(self, session: str, asked: Asked, ttl: int) -> None:
        self.attempt_once(session, asked, ttl)

    def attempt_once(self, session: str, asked: Asked, ttl: int) -> None:
        held = self.model.against(session, asked)
        before = self.model.before(session, asked, float("inf"))
        try:
            grant = line.acquire(self.database, session, named(asked), ttl)
        except Held as error:
            assert (error.data["holder"] or error.data["waiting"]) in (held or before)
        else:
            assert not held and not before
            self.granted(session, asked, grant, ttl)

    @rule(session=sessions, asked=asked, ttl=ttls)
    def try_and_stand_in_line(self, session: str, asked: Asked, ttl: int) -> None:
        if any(waiter.session == session for waiter in self.model.line):
            return
        self.attempt(Waiter(0, session, asked, 0), ttl)

    @precondition(lambda self: self.model.line)
    @rule(data=st.data(), ttl=ttls)
    def try_again_in_line(self, data: st.DataObject, ttl: int) -> None:
        self.attempt(data.draw(st.sampled_from(self.model.line)), ttl)

    def attempt(self, waiter: Waiter, ttl: int) -> None:
        session, asked = waiter.session, waiter.asked
        turn = waiter.turn or float("inf")
        in_the_way = self.model.against(session, asked) | self.model.before(session, asked, turn)
        expected = "grant" if not in_the_way else "deadlock" if self.model.deadlock(session, asked) else "wait"
        try:
            with self.database.transaction() as tx:
                outcome = line.attempt(tx, session, leases.wants(named(asked)), ttl, "", waiter.turn or None)
        except Deadlock as error:
            assert expected == "deadlock"
            self.check_cycle(error.data["cycle"], session)
            self.leave(waiter)
            return
        if isinstance(outcome, Grant):
            assert expected == "grant"
            self.forget(waiter)
            self.granted(session, asked, outcome, ttl)
        else:
            assert expected == "wait"
            if not waiter.turn:
                waiter.turn = outcome[0]
                self.model.line.append(waiter)
            waiter.until = self.model.now + WAITER_TTL

    def check_cycle(self, cycle: list[str], session: str) -> None:
        """Each waits for something held by the next, back to the first."""
        assert cycle[0] == cycle[-1] == session
        path = {name: path for path, name in PATHS.items()}
        for holder, name in zip(cycle[2::2], cycle[1::2], strict=True):
            assert any(h.path == path[name] for h in self.model.of(holder))

    def leave(self, waiter: Waiter) -> None:
        if waiter.turn:
            with self.database.transaction() as tx:
                line.leave(tx, waiter.turn)
        self.forget(waiter)

    def forget(self, waiter: Waiter) -> None:
        self.model.line = [other for other in self.model.line if other is not waiter]

    @precondition(lambda self: self.model.line)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.leave(data.draw(st.sampled_from(self.model.line)))

    @precondition(lambda self: self.past)
    @rule(data=st.data(), what=st.sampled_from(["release", "release all", "renew", "renew all"]), ttl=ttls)
    def give_back_or_renew(self, data: st.DataObject, what: str, ttl: int) -> None:
        """What somebody holds or held."""
        session, path, _ = data.draw(st.sampled_from(self.past))
        mine = [h for h in self.model.of(session) if "all" in what or h.path == path]
        with self.database.transaction() as tx:
            if what == "renew":
                assert leases.renew_one(tx, session, PATHS[path], ttl) == bool(mine)
            elif what == "renew all":
                assert leases.renew(tx, [session], ttl) == len(mine)
            elif what == "release all":
                leases.release_all(tx, session)
        if what == "release":
            assert line.release(self.database, session, [PATHS[path]]) == [PATHS[path] for _ in mine]
        for holding in mine:
            holding.until = self.model.now + ttl if "renew" in what else 0

    @rule(seconds=st.sampled_from([1, 11_000, 21_000]))
    def advance(self, seconds: int) -> None:
        self.pass_time(seconds)
        self.model.now += seconds

    @precondition(lambda self: self.past)
    @rule(data=st.data())
    def write_under_a_token(self, data: st.DataObject) -> None:
        session, path, token = data.draw(st.sampled_from(self.past))
        holders = {h.session: h.token for h in self.model.alive() if h.path == path}
        try:
            with self.database.transaction() as tx:
                leases.require(tx, PATHS[path], token)
        except StaleLease:
            assert token not in holders.values()
        else:
            assert token in holders.values()
        try:
            with self.database.read() as tx:
                leases.require_holder(tx, PATHS[path], session)
        except NotHolder as error:
            assert session not in holders
            assert error.data["holder"] in holders if holders else error.data["holder"] is None
        else:
            assert session in holders

    @invariant()
    def the_same_is_held_and_waited_for(self) -> None:
        with self.database.read() as tx:
            held = {
                (h.resource, h.session, h.mode, h.token, round(h.expires - h.acquired, -3)) for h in leases.held(tx)
            }
            waiting = line.standing(tx)
            free = [w.session for w in waiting if not line.blockers(tx, w.session, w.wants, w.turn)]
        alive = self.model.alive()
        assert held == {(PATHS[h.path], h.session, h.mode, h.token, round(h.until - h.since, -3)) for h in alive}
        assert [(w.turn, w.session) for w in waiting] == [(w.turn, w.session) for w in self.model.waiting()]
        for n, one in enumerate(alive):
            others = [other for other in alive[n + 1 :] if other.session != one.session]
            assert not any(conflict({one.path: one.mode}, {other.path: other.mode}) for other in others)
        if waiting and {h.session for h in alive} <= {w.session for w in waiting}:
            # All that is held is held by those who wait: somebody can go on, or is told of a deadlock next.
            assert free or any(self.model.deadlock(w.session, w.asked) for w in self.model.waiting())


def named(asked: Asked) -> dict[str, Mode]:
    return {PATHS[path]: mode for path, mode in asked.items()}


def run(database: Database, advance: Callable[[int], None], examples: int) -> None:
    class OnThisDatabase(Leases):
        def __init__(self) -> None:
            super().__init__(database, advance)

    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_leases_are_as_in_the_model(database: Database, clock: ManualClock) -> None:
    run(database, clock.advance, 2000 if database.url.startswith("sqlite") else 150)


def test_leases_granted_by_the_server_are_as_in_the_model(postgres_url: str) -> None:
    """With the server's clock; what has passed is taken off the times in its tables."""
    database = Database(postgres_url, "p")

    def advance(seconds: int) -> None:
        with database.transaction() as tx:
            tx.execute(
                "UPDATE leases SET acquired = acquired - :s, expires = expires - :s WHERE project = :project", s=seconds
            )
            tx.execute("UPDATE line SET expires = expires - :s WHERE project = :project", s=seconds)

    run(database, advance, 150)
    database.close()
