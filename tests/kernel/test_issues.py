from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Conflict, InputError, NotFound
from intarsia.kernel import Database, events, issues, leases, sessions
from intarsia.kernel.issues import NEEDS_FOLLOWUP, Draft, Issue
from tests.kernel.worker import workers


def new(database: Database, id: str, **values: Any) -> Issue:
    with database.transaction() as tx:
        return issues.create(tx, Draft(values.pop("title", f"Do {id}"), id=id, **values), "test")


def get(database: Database, id: str) -> Issue:
    with database.read() as tx:
        return issues.get(tx, id)


def set_values(database: Database, id: str, **values: Any) -> None:
    with database.transaction() as tx:
        for name, value in values.items():
            tx.execute(f"UPDATE issues SET {name} = :value WHERE project = :project AND id = :id", id=id, value=value)


def ready(database: Database, *only: str) -> list[str]:
    with database.read() as tx:
        return [issue.id for issue in issues.ready(tx, only)]


def depend(database: Database, issue: str, target: str, kind: str = "blocks") -> None:
    with database.transaction() as tx:
        issues.add_dependency(tx, issue, target, kind, "test")


def close(database: Database, id: str) -> None:
    with database.transaction() as tx:
        issues.close(tx, id, "done", "test")


def claim(database: Database, session: str, *only: str) -> Issue | None:
    with database.transaction() as tx:
        claimed = issues.claim(tx, session, 60, only)
    return claimed[0] if claimed else None


def count(database: Database) -> int:
    with database.read() as tx:
        return len(issues.find(tx))


# Creating.


def test_an_issue_keeps_what_it_was_given(database: Database, clock: ManualClock) -> None:
    new(database, "epic", type="epic")
    given = Draft(
        "  Parse dates  ",
        "as ISO 8601",
        "tests pass",
        type="bug",
        priority=0,
        labels=["b", "a", "b"],
        claims=["code:src/a.py", "code:src"],
        parent="epic",
        external="gh-12",
        queue="slow",
        id="ia-1",
    )
    with database.transaction() as tx:
        made = issues.create(tx, given, "person:me")
    assert made == get(database, "ia-1")
    expected = {
        **msgspec.structs.asdict(given),
        "title": "Parse dates",
        "labels": ["a", "b"],
        "status": "open",
        "attempts": 0,
        "created": clock.now(),
        "updated": clock.now(),
        "closed": None,
        "assignee": None,
        "resolution": None,
        "needs": [],
    }
    for name in ("blocks", "prefix", "sla"):  # kept as dependencies, in the id, as a deadline
        del expected[name]
    assert {name: value for name, value in msgspec.structs.asdict(made).items() if name in expected} == expected
    assert made.as_json()["created"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    "draft",
    [
        Draft(""),
        Draft(" \t "),
        Draft("two\nlines"),
        Draft("x" * 301),
        Draft("title", type="story"),
        Draft("title", priority=5),
        Draft("title", priority=-1),
        Draft("title", priority=True),
        Draft("title", body="a\x00b"),
        Draft("title", acceptance="\x00"),
        Draft("title\x00"),
        Draft("title", parent="nobody"),
        Draft("title", needs=["nobody"]),
        Draft("title", blocks=["nobody"]),
        Draft("title", id="taken"),
        Draft("title", needs=["me"], id="me"),
        *(
            Draft("title", id=bad)
            for bad in ("", "-a", ".a", "a b", "a/b", "a..b", "a.", "a.lock", "a~1", "a'b", "ä", "a\n", "x" * 65)
        ),
    ],
)
def test_bad_input_makes_no_issue(database: Database, draft: Draft) -> None:
    new(database, "taken")
    with pytest.raises(InputError) as refused, database.transaction() as tx:
        issues.create(tx, draft, "test")
    assert refused.value.exit_code == 4
    assert count(database) == 1


def test_ids_are_short_and_unique(database: Database) -> None:
    with database.transaction() as tx:
        made = [issues.create(tx, Draft("title"), "test").id for _ in range(600)]
    assert len(set(made)) == 600
    for id in made:
        issues.check_id(id)
        assert id.startswith("ia-")
        assert len(id) <= 9


def test_an_unknown_issue_is_named(database: Database) -> None:
    with pytest.raises(NotFound, match="ia-404") as refused:
        get(database, "ia-404")
    assert refused.value.exit_code == 4
    with pytest.raises(NotFound, match="ia-404"):
        close(database, "ia-404")
    with pytest.raises(NotFound, match="ia-404"):
        depend(database, "ia-404", "ia-405")


# Dependencies.


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        ([("a", "a")], "a → a"),
        ([("a", "b"), ("b", "a")], "b → a → b"),
        ([("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")], "d → a → b → c → d"),
    ],
)
def test_a_circle_is_refused_and_shown(database: Database, edges: list[tuple[str, str]], circle: str) -> None:
    for id in "abcd":
        new(database, id)
    for edge in edges[:-1]:
        depend(database, *edge)
    with pytest.raises(InputError) as refused:
        depend(database, *edges[-1])
    assert refused.value.message == f"That would be a circle of dependencies: {circle}."
    assert get(database, edges[-1][0]).needs == []


def test_a_circle_through_a_parent_is_refused(database: Database) -> None:
    new(database, "epic", type="epic")
    new(database, "child", parent="epic")
    with pytest.raises(InputError, match="epic → child → epic"):
        depend(database, "epic", "child")
    with pytest.raises(InputError, match="circle"):
        depend(database, "epic", "child", "parent-child")
    assert ready(database) == ["child"]


def test_a_circle_between_new_issues_is_refused_whole(database: Database) -> None:
    new(database, "a")
    with pytest.raises(InputError, match="circle"):
        new(database, "b", needs=["a"], blocks=["a"])
    assert count(database) == 1
    assert get(database, "a").needs == []


def test_loose_relations_make_no_circle_and_block_nothing(database: Database) -> None:
    new(database, "a")
    new(database, "b")
    for kind in ("related", "discovered-from"):
        depend(database, "a", "b", kind)
        depend(database, "b", "a", kind)
    assert ready(database) == ["a", "b"]
    with pytest.raises(InputError, match="blocks, parent-child, related, discovered-from"):
        depend(database, "a", "b", "loves")


def test_dependencies_are_listed_at_both_ends_and_removed(database: Database) -> None:
    new(database, "epic", type="epic")
    new(database, "a", parent="epic")
    new(database, "b", needs=["a"])
    depend(database, "b", "a")
    with database.read() as tx:
        of_a = issues.dependencies(tx, "a")
    assert of_a == [
        {"issue": "b", "target": "a", "kind": "blocks"},
        {"issue": "a", "target": "epic", "kind": "parent-child"},
    ]
    with database.transaction() as tx:
        issues.remove_dependency(tx, "b", "a", "test")
        issues.remove_dependency(tx, "a", "epic", "test")
        assert issues.dependencies(tx, "a") == []
    with pytest.raises(NotFound, match="b does not depend on a"), database.transaction() as tx:
        issues.remove_dependency(tx, "b", "a", "test")


# Ready.


def test_the_most_urgent_comes_first_then_the_oldest(database: Database, clock: ManualClock) -> None:
    for id, priority in [("late", 2), ("low", 4), ("urgent", 0), ("later", 2)]:
        clock.advance(1)
        new(database, id, priority=priority)
    assert ready(database) == ["urgent", "late", "later", "low"]
    assert ready(database, "low", "late") == ["late", "low"]


def test_only_open_issues_that_are_no_epics_are_ready(database: Database) -> None:
    new(database, "epic", type="epic")
    for status in issues.STATUSES:
        new(database, status.replace("_", "-"))
        set_values(database, status.replace("_", "-"), status=status)
    assert ready(database) == ["open"]


def test_an_issue_waits_for_its_time(database: Database, clock: ManualClock) -> None:
    new(database, "later")
    set_values(database, "later", not_before=clock.now() + 10)
    assert ready(database) == []
    clock.advance(10)
    assert ready(database) == ["later"]


@pytest.mark.parametrize("status", ["open", "in_progress", "blocked", "deferred"])
def test_a_blocker_holds_until_it_is_closed(database: Database, status: str) -> None:
    new(database, "first")
    new(database, "second", needs=["first"])
    set_values(database, "first", status=status)
    assert "second" not in ready(database)
    close(database, "first")
    assert ready(database) == ["second"]


def test_blockers_of_ancestors_hold_too(database: Database) -> None:
    new(database, "blocker")
    new(database, "epic", type="epic", needs=["blocker"])
    new(database, "inner", type="epic", parent="epic")
    new(database, "leaf", parent="inner")
    new(database, "free")
    assert sorted(ready(database)) == ["blocker", "free"]
    close(database, "blocker")
    assert sorted(ready(database)) == ["free", "leaf"]


# Claiming.


def test_a_claim_takes_the_most_urgent_with_its_lease(database: Database) -> None:
    new(database, "a")
    new(database, "b", priority=1)
    claimed = claim(database, "s-1")
    assert claimed is not None
    assert (claimed.id, claimed.status, claimed.assignee) == ("b", "in_progress", "s-1")
    with database.read() as tx:
        assert [(lease.resource, lease.session) for lease in leases.held(tx)] == [("issue:b", "s-1")]
    assert claim(database, "s-2", "b") is None
    second = claim(database, "s-2")
    assert second is not None
    assert second.id == "a"
    assert claim(database, "s-3") is None


def test_one_of_twenty_processes_gets_an_issue(database: Database) -> None:
    with workers(20, database.url, database.project) as processes:
        processes.all("open")
        for round in range(8):
            new(database, f"it-{round}")
            winners = [session for session in processes.all("claim", f"it-{round}") if session != "-"]
            assert winners == [get(database, f"it-{round}").assignee]
    with database.read() as tx:
        assert len(sessions.find(tx)) == len(leases.held(tx)) == 8
        assert [event.kind for event in events.everything(tx)].count("session_started") == 8


def test_one_of_many_threads_gets_an_issue(database: Database) -> None:
    new(database, "it-1")
    winners: list[str] = []
    start = threading.Barrier(8)

    def work(me: str) -> None:
        start.wait()
        if claim(database, me):
            winners.append(me)

    threads = [threading.Thread(target=work, args=[f"s-{n}"]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert winners == [get(database, "it-1").assignee]


# The rest of its life.


def test_a_closed_issue_is_closed_once_and_can_be_reopened(database: Database, clock: ManualClock) -> None:
    new(database, "a")
    clock.advance(7)
    close(database, "a")
    closed = get(database, "a")
    assert (closed.status, closed.resolution, closed.closed) == ("closed", "done", clock.now())
    with pytest.raises(Conflict, match="closed already"):
        close(database, "a")
    with database.transaction() as tx:
        opened = issues.reopen(tx, "a", "test", "not done at all")
        assert issues.notes(tx, "a") == ["not done at all"]
    assert (opened.status, opened.resolution, opened.closed) == ("open", None, None)
    with pytest.raises(Conflict, match="open already"), database.transaction() as tx:
        issues.reopen(tx, "a", "test")


def test_a_blocked_issue_asks_for_a_person(database: Database) -> None:
    new(database, "a", labels=["mine"])
    claim(database, "s-1")
    with database.transaction() as tx:
        issues.block(tx, "a", "it can't be done", "s-1")
    blocked = get(database, "a")
    assert (blocked.status, blocked.assignee, blocked.attempts) == ("blocked", None, 1)
    assert blocked.labels == ["mine", NEEDS_FOLLOWUP]
    with database.transaction() as tx:
        assert issues.notes(tx, "a") == ["it can't be done"]
        assert issues.reopen(tx, "a", "test").labels == ["mine"]


@pytest.mark.parametrize(("counts", "attempts"), [(True, 1), (False, 0)])
def test_a_requeued_issue_is_open_with_a_note(database: Database, counts: bool, attempts: int) -> None:
    new(database, "a")
    claim(database, "s-1")
    with database.transaction() as tx:
        issues.requeue(tx, "a", "again", "s-1", attempt=counts)
        assert issues.notes(tx, "a") == ["again"]
    requeued = get(database, "a")
    assert (requeued.status, requeued.assignee, requeued.attempts) == ("open", None, attempts)


def test_issues_are_found_by_status_and_label_and_counted(database: Database) -> None:
    new(database, "a", labels=["ui"])
    new(database, "b", labels=["ui", "api"])
    new(database, "c")
    close(database, "b")
    with database.read() as tx:
        assert [issue.id for issue in issues.find(tx, label="ui")] == ["a", "b"]
        assert [issue.id for issue in issues.find(tx, statuses=["closed"], label="api")] == ["b"]
        assert issues.counts(tx) == {"open": 2, "in_progress": 0, "blocked": 0, "deferred": 0, "closed": 1}
