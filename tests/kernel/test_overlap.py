from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import Conflict, Held, InputError
from intarsia.kernel import Database, events, issues, leases, line, messages, sessions
from intarsia.kernel.issues import Draft
from intarsia.kernel.leases import Mode
from intarsia.kernel.overlap import EVENT, POLICIES, Advised, Allowed, Arbiter, Overlapping, Policy, Refused, policy_of
from tests.support.until import until

METHOD: dict[str, Mode] = {"code:a.py#C.m/body": "exclusive"}
CLASS: dict[str, Mode] = {"code:a.py#C": "exclusive"}


def session(database: Database, title: str) -> str:
    with database.transaction() as tx:
        issue = issues.create(tx, Draft(title), "me")
        started = sessions.start(
            tx, run="r", agent="fast", driver="script", supervisor="s", secret=title, ttl=6000, only=[issue.id]
        )
        assert started is not None
    return started[0].id


@pytest.fixture
def one(database: Database) -> str:
    return session(database, "Change the class")


@pytest.fixture
def other(database: Database) -> str:
    return session(database, "Change a method")


def asked(database: Database, session: str, policy: Policy, needs: dict[str, Mode]) -> Allowed | Advised | Refused:
    return Arbiter(database, session, policy, wait=0.05).ask(needs)


def held(database: Database, session: str) -> dict[str, str]:
    with database.read() as tx:
        return {lease.resource: lease.mode for lease in leases.of(tx, session) if lease.resource.startswith("code:")}


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_free_is_leased_at_once(database: Database, one: str, other: str, policy: Policy) -> None:
    for me in (one, other):
        answer = asked(database, me, policy, {"code:a.py": "imports", f"code:a.py#{me}": "exclusive"})
        assert isinstance(answer, Allowed)
        assert held(database, me) == {"code:a.py": "imports", f"code:a.py#{me}": "exclusive"}
    assert isinstance(asked(database, one, policy, {}), Allowed)
    with pytest.raises(InputError):
        asked(database, one, policy, {"a.py": "exclusive"})


@pytest.mark.parametrize("policy", ["refuse", "wait"])
def test_a_refusal_says_who_why_since_and_what_to_do(
    database: Database, clock: ManualClock, one: str, other: str, policy: Policy
) -> None:
    asked(database, one, policy, CLASS)
    clock.advance(5)
    refused = asked(database, other, policy, {**METHOD, "code:b.py": "exclusive"})
    assert isinstance(refused, Refused)
    with database.read() as tx:
        issue = sessions.get(tx, one).issue
    assert refused.text == (
        f"{one} (fast, {issue}: Change the class) holds code:a.py#C (exclusive) since 2023-11-14T22:13:20Z, "
        "which stands in the way of code:a.py#C.m/body. "
        "Nothing was changed. Do another part of your task meanwhile, then try again."
    )
    (obstacle,) = refused.obstacles
    assert (obstacle.asked, obstacle.held, obstacle.holder) == ("code:a.py#C.m/body", "code:a.py#C", one)
    assert held(database, other) == {}
    with pytest.raises(Overlapping) as raised:
        Arbiter(database, other, "refuse").require(METHOD)
    said = raised.value.as_json()
    assert (said["code"], said["holder"], said["issue"], said["agent"]) == ("held", one, issue, "fast")
    assert said["obstacles"][0]["since"] == "2023-11-14T22:13:20Z"


def test_who_waited_longer_stands_in_the_way_too(database: Database, one: str, other: str) -> None:
    asked(database, one, "refuse", METHOD)
    with database.transaction() as tx:
        line.join(tx, other, leases.wants(CLASS))
    refused = asked(database, session(database, "Third"), "refuse", {"code:a.py#C": "insert"})
    assert isinstance(refused, Refused)
    assert "has waited longer for code:a.py#C." in refused.text
    assert [obstacle.holder for obstacle in refused.obstacles] == [other]  # who changes a member is in nobody's way


def test_who_waits_goes_on_when_the_other_is_done(database: Database, clock: ManualClock, one: str, other: str) -> None:
    asked(database, one, "wait", CLASS)
    with ThreadPoolExecutor(1) as pool:
        second = Database(database.url, database.project, clock)
        waits = pool.submit(Arbiter(second, other, "wait", wait=60).ask, METHOD)
        until(lambda: standing(database))
        line.release(database, one, list(CLASS))
        assert isinstance(waits.result(), Allowed)
        second.close()
    assert held(database, other) == METHOD


def standing(database: Database) -> bool:
    with database.read() as tx:
        return bool(line.standing(tx))


def test_waiting_ends_when_nobody_wants_the_answer_any_more(
    database: Database, clock: ManualClock, one: str, other: str
) -> None:
    asked(database, one, "wait", CLASS)
    gone = Event()
    with ThreadPoolExecutor(1) as pool:
        second = Database(database.url, database.project, clock)
        waits = pool.submit(Arbiter(second, other, "wait", wait=60).ask, METHOD, "", gone.is_set)
        until(lambda: standing(database))
        gone.set()
        assert isinstance(waits.result(30), Refused)
        second.close()
    assert not standing(database)


def test_two_that_would_wait_for_each_other_are_told(database: Database, one: str, other: str) -> None:
    asked(database, one, "wait", METHOD)
    asked(database, other, "wait", {"code:b.py": "exclusive"})
    with database.transaction() as tx:
        line.join(tx, one, leases.wants({"code:b.py": "exclusive"}))
    refused = asked(database, other, "wait", CLASS)
    assert isinstance(refused, Refused)
    assert refused.cycle == [other, "code:a.py#C.m/body", one, "code:b.py", other]
    assert "Waiting would never end" in refused.text


def test_advice_lets_it_go_on_and_is_given_once(database: Database, one: str, other: str) -> None:
    asked(database, one, "advise", CLASS)
    needs: dict[str, Mode] = {**METHOD, "code:b.py": "exclusive"}
    first = asked(database, other, "advise", needs)
    assert isinstance(first, Advised)
    assert first.text.startswith(f"{one} (fast, ")
    assert "Go on all the same" in first.text
    assert held(database, other) == {"code:b.py": "exclusive"}  # what is free is leased all the same
    again = asked(database, other, "advise", needs)
    assert isinstance(again, Advised)
    assert (again.text, again.obstacles) == ("", first.obstacles)
    with database.read() as tx:
        assert [(m.kind, m.body) for m in messages.inbox(tx, other, 10)] == [("overlap", first.text)]
        assert messages.inbox(tx, one, 10) == []
        told = [event for event in events.latest(tx, 100, session=other) if event.kind == EVENT]
    assert [event.data["obstacles"][0]["held"] for event in told] == ["code:a.py#C"]


def test_advice_of_another_overlap_is_news(database: Database, one: str, other: str) -> None:
    asked(database, one, "advise", {**CLASS, "code:b.py": "exclusive"})
    asked(database, other, "advise", METHOD)
    answer = asked(database, other, "advise", {**METHOD, "code:b.py#f": "insert"})
    assert isinstance(answer, Advised)
    assert "code:b.py" in answer.text
    assert "code:a.py" not in answer.text


def test_when_the_other_is_done_what_was_only_advised_is_leased(database: Database, one: str, other: str) -> None:
    asked(database, one, "advise", CLASS)
    asked(database, other, "advise", METHOD)
    line.release(database, one, list(CLASS))
    assert isinstance(asked(database, other, "advise", METHOD), Allowed)
    assert held(database, other) == METHOD


def test_a_person_without_a_name_here_is_advised_without_a_message(database: Database, one: str) -> None:
    asked(database, one, "advise", CLASS)
    answer = asked(database, "person:ann", "advise", METHOD)
    assert isinstance(answer, Advised)
    assert answer.text


@pytest.mark.parametrize("policy", POLICIES)
def test_a_session_that_has_ended_gets_nothing(database: Database, one: str, policy: Policy) -> None:
    with database.transaction() as tx:
        sessions.end(tx, sessions.get(tx, one), "done")
    with pytest.raises(Conflict, match="ended"):
        asked(database, one, policy, METHOD)


def test_what_goes_without_saying() -> None:
    assert [policy_of("", shared=shared) for shared in (False, True)] == ["advise", "wait"]
    assert [policy_of(policy, shared=True) for policy in POLICIES] == list(POLICIES)
    assert issubclass(Overlapping, Held)
