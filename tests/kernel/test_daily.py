from __future__ import annotations

from collections.abc import Callable

import pytest

from intarsia.clock import ManualClock
from intarsia.errors import ConfigError, Conflict, InputError, NotFound
from intarsia.kernel import Database, Transaction, daily, events
from intarsia.kernel.daily import NotYourTurn, Summary
from tests.kernel.worker import workers
from tests.support.dump import dump

ORDER = ["alice", "bob", "carol"]
TODAY, TOMORROW = "2023-11-14", "2023-11-15"  # where the clock of the tests begins: 22:13:20
HOUR = 3600.0


def do(database: Database, work: Callable[..., Summary], *args: object, **kwargs: object) -> Summary:
    with database.transaction() as tx:
        return work(tx, *args, **kwargs)


def trigger(database: Database, date: str = TODAY) -> Summary:
    return do(database, daily.trigger, date, ORDER, "cron")


def write(database: Database, agent: str, text: str = "", date: str = TODAY) -> Summary:
    return do(database, daily.write, date, agent, text or f"{agent} was busy")


def skip(database: Database, agent: str, patience: float | None = HOUR, reason: str = "") -> Summary:
    return do(database, daily.skip, TODAY, agent, "dave", patience, reason)


def collect(database: Database, date: str = TODAY, *, partial: bool = False) -> Summary:
    return do(database, daily.collect, date, "dave", partial=partial)


def today(database: Database) -> str:
    with database.read() as tx:
        return daily.day(tx)


def recorded(database: Database, kind: str) -> list[tuple[str, dict[str, object]]]:
    with database.read() as tx:
        return [(event.actor, event.data) for event in events.everything(tx) if event.kind == f"daily_{kind}"]


# The date.


def test_a_day_is_a_date_in_utc_by_the_clock_of_the_database(database: Database, clock: ManualClock) -> None:
    assert today(database) == TODAY
    clock.advance(6399)
    assert today(database) == TODAY
    clock.advance(1)
    assert today(database) == TOMORROW


@pytest.mark.parametrize("date", ["", "today", "2023-11-31", "20231114", "2023-W46-2", "2023-1-4", "../../etc"])
def test_what_is_no_date_is_refused(database: Database, date: str) -> None:
    with pytest.raises(InputError, match="no date"), database.read() as tx:
        daily.day(tx, date)


# Opening.


def test_a_day_is_opened_once(database: Database, clock: ManualClock) -> None:
    opened = trigger(database)
    assert (opened.turn, opened.turn_began, opened.missing) == ("alice", clock.now(), ORDER)
    with pytest.raises(Conflict, match="open already"):
        trigger(database)
    assert recorded(database, "triggered") == [("cron", {"date": TODAY, "order": ORDER})]


@pytest.mark.parametrize("order", [[], ["a", "b", "a"], ["a", ""]])
def test_a_bad_order_opens_nothing(database: Database, order: list[str]) -> None:
    with pytest.raises(ConfigError):
        do(database, daily.trigger, TODAY, order, "cron")
    with database.read() as tx:
        assert daily.find(tx, TODAY) is None


def test_an_uncollected_yesterday_does_not_block_today(database: Database, clock: ManualClock) -> None:
    trigger(database)
    write(database, "alice")
    clock.advance(2 * HOUR)
    trigger(database, today(database))
    write(database, "alice", "a new day", date=TOMORROW)
    assert collect(database, TOMORROW, partial=True).missing == ["bob", "carol"]
    with database.read() as tx:
        assert daily.uncollected(tx) == [TODAY, TOMORROW]


def test_a_text_after_midnight_belongs_to_the_day_that_is_named(database: Database, clock: ManualClock) -> None:
    trigger(database)
    clock.advance(2 * HOUR)
    with pytest.raises(Conflict, match=f"{TOMORROW} was not opened") as refused:
        write(database, "alice", date=today(database))
    assert f"--date {TODAY}" in refused.value.hint
    assert write(database, "alice", "late", date=TODAY).entries[0].text == "late"


# Writing.


def test_agents_write_in_turn(database: Database, clock: ManualClock) -> None:
    trigger(database)
    for agent, following in [("alice", "bob"), ("bob", "carol"), ("carol", None)]:
        clock.advance(60)
        summary = write(database, agent)
        assert summary.turn == following
        assert summary.turn_began == (clock.now() if following else None)
    assert [(e.agent, e.status, e.text) for e in summary.entries] == [(a, "written", f"{a} was busy") for a in ORDER]
    assert recorded(database, "written") == [(agent, {"date": TODAY}) for agent in ORDER]


def test_nobody_writes_out_of_turn_twice_or_uninvited(database: Database) -> None:
    trigger(database)
    with pytest.raises(NotYourTurn, match="alice's turn") as refused:
        write(database, "bob")
    assert refused.value.data == {"turn": "alice"}
    with pytest.raises(NotFound, match="alice, bob, carol"):
        write(database, "mallory")
    write(database, "alice", "first")
    with pytest.raises(Conflict, match="written already"):
        write(database, "alice", "second")
    with database.read() as tx:
        assert [entry.text for entry in daily.get(tx, TODAY).entries] == ["first", "", ""]


@pytest.mark.parametrize("text", ["  \n", "a\x00b"])
def test_a_bad_text_is_refused(database: Database, text: str) -> None:
    trigger(database)
    with pytest.raises(InputError):
        write(database, "alice", text)


# Skipping.


def test_an_agent_is_skipped_once_its_time_is_over(database: Database, clock: ManualClock) -> None:
    trigger(database)
    clock.advance(HOUR - 1)
    write(database, "alice")  # bob's time begins now, not when the day was opened
    clock.advance(HOUR - 1)
    with pytest.raises(Conflict, match="can be skipped from 2023-11-15T00:13:19Z"):
        skip(database, "bob")
    clock.advance(1)
    with pytest.raises(NotYourTurn, match="bob's turn"):
        skip(database, "carol")
    assert skip(database, "bob").turn == "carol"
    with pytest.raises(Conflict, match="was skipped"):
        write(database, "bob")
    assert recorded(database, "skipped") == [
        ("dave", {"date": TODAY, "agent": "bob", "forced": False, "reason": ""}),
    ]


def test_an_agent_can_be_skipped_at_once_by_force_even_before_its_turn(database: Database, clock: ManualClock) -> None:
    trigger(database)
    clock.advance(10)
    assert skip(database, "bob", None, "on holiday").turn == "alice"
    clock.advance(10)
    summary = write(database, "alice")
    assert (summary.turn, summary.turn_began) == ("carol", clock.now())
    assert skip(database, "carol", None).complete
    assert recorded(database, "skipped")[0][1]["reason"] == "on holiday"


def test_only_who_is_still_to_write_can_be_skipped(database: Database) -> None:
    trigger(database)
    write(database, "alice")
    skip(database, "bob", None)
    for agent, said in [("alice", "has written"), ("bob", "was skipped")]:
        with pytest.raises(Conflict, match=said):
            skip(database, agent, None)
    with pytest.raises(NotFound):
        skip(database, "mallory", None)


# Collecting.


def test_what_is_not_complete_is_collected_only_as_partial(database: Database) -> None:
    trigger(database)
    write(database, "alice")
    with pytest.raises(Conflict, match="bob, carol") as refused:
        collect(database)
    assert refused.value.data == {"turn": "bob", "missing": ["bob", "carol"]}
    assert recorded(database, "collected") == []
    partial = collect(database, partial=True)
    assert (partial.complete, partial.collected) == (False, None)
    assert "(partial)" in partial.as_markdown()
    assert "Not written yet: bob, carol." in partial.as_markdown()


def test_a_partial_collection_can_be_redone_until_it_is_complete(database: Database, clock: ManualClock) -> None:
    trigger(database)
    for agent in ORDER:
        write(database, agent)
        clock.advance(60)
        collected = collect(database, partial=True)
    assert (collected.complete, collected.collected) == (True, clock.now())
    assert collected.as_markdown() == (
        f"# Daily summary of {TODAY}\n\n## alice\n\nalice was busy\n\n## bob\n\nbob was busy\n\n"
        "## carol\n\ncarol was busy"
    )
    clock.advance(60)
    assert collect(database) == collected
    assert [data["complete"] for _, data in recorded(database, "collected")] == [False, False, True]


def test_a_complete_summary_names_who_was_skipped(database: Database) -> None:
    trigger(database)
    write(database, "alice")
    skip(database, "bob", None, "ill")
    write(database, "carol")
    collected = collect(database)
    assert (collected.complete, collected.skipped) == (True, ["bob"])
    assert "## bob\n\n(skipped at 2023-11-14T22:13:20Z: ill)" in collected.as_markdown()


@pytest.mark.parametrize("partial", [False, True])
def test_what_was_not_opened_is_not_collected(database: Database, partial: bool) -> None:
    with pytest.raises(Conflict, match="not opened"):
        collect(database, partial=partial)
    trigger(database)
    assert collect(database, partial=True).missing == ORDER


# Starting over.


def test_a_day_can_be_opened_anew_and_the_log_keeps_what_was_written(database: Database) -> None:
    trigger(database)
    write(database, "alice", "kept in the log")
    do(database, daily.reset, TODAY, "dave")
    with pytest.raises(Conflict, match="not opened"):
        do(database, daily.reset, TODAY, "dave")
    assert trigger(database).turn == "alice"
    ((actor, data),) = recorded(database, "reset")
    assert actor == "dave"
    assert "kept in the log" in str(data)


# Many at once, and dry.


def test_of_twenty_that_trigger_and_write_at_once_one_wins(database: Database) -> None:
    with workers(20, database.url, database.project) as processes:
        assert set(processes.all("open")) == {"opened"}
        for number in range(1, 6):
            date = f"2023-11-{number:02}"
            assert sorted(processes.all("trigger", date)) == ["lost"] * 19 + ["won"]
            answers = processes.all("write", date)
            assert sorted(answers) == ["lost"] * 19 + ["won"]
            with database.read() as tx:
                entries = daily.get(tx, date).entries
            assert [(e.agent, e.text) for e in entries] == [("a", f"by w{answers.index('won')}"), ("b", "")]
    assert len(recorded(database, "triggered")) == len(recorded(database, "written")) == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: daily.trigger(tx, TOMORROW, ORDER, "x"),
        lambda tx: daily.write(tx, TODAY, "alice", "x"),
        lambda tx: daily.skip(tx, TODAY, "alice", "x", None),
        lambda tx: daily.collect(tx, TODAY, "x", partial=True),
        lambda tx: daily.reset(tx, TODAY, "x"),
    ],
    ids=["trigger", "write", "skip", "collect", "reset"],
)
def test_a_dry_run_writes_nothing(database: Database, change: Callable[[Transaction], Summary]) -> None:
    trigger(database)
    before = dump(database)
    dry = Database(database.url, database.project, dry_run=True)
    with dry.transaction() as tx:
        change(tx)
    dry.close()
    assert dump(database) == before
    with database.transaction() as tx:
        change(tx)
    assert dump(database) != before
