from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from intarsia.kernel import Database, events, issues, sessions
from intarsia.kernel.issues import Draft
from tests.support.here import Here


@pytest.fixture
def team(here: Here) -> Here:
    here.ok("agent", "join", "alice")
    here.ok("agent", "join", "alicia")
    return here


def record(store: Database, actor: str, about: str, time: str = "2026-11-20T12:00:00") -> None:
    with store.transaction() as tx:
        events.record(tx, "note", actor=actor, about=about, text="x")
        at = datetime.fromisoformat(f"{time}+00:00").timestamp()
        last = events.latest(tx, 1)[0].id
        tx.execute("UPDATE events SET time = :at WHERE project = :project AND id = :id", at=at, id=last)


def said(here: Here, *args: str) -> list[str]:
    return [event["data"]["about"] for event in notes(here, *args)]


def notes(here: Here, *args: str) -> list[dict[str, Any]]:
    return [event for event in here.json("log", "history", *args)["events"] if event["kind"] == "note"]


def test_the_plain_command_still_works(team: Here) -> None:
    team.ok("issue", "new", "x", "--id", "t-1")
    team.ok("issue", "new", "y", "--id", "t-2")
    assert [e["kind"] for e in team.json("log", "--issue", "t-1")["events"]] == ["issue_created"]
    assert team.ok("log", "--limit", "1").endswith("title=y\n")
    assert len(team.json("log", "-n", "3")["events"]) == 3
    assert team.refused("log", "nonsense") == (2, "usage")
    assert team.refused("log", "--issue", "t-1", "history") == (2, "usage")


def test_a_day_is_a_date_in_utc(team: Here, store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    for about, time in [
        ("before", "2026-11-19T23:59:59.999"), ("first", "2026-11-20T00:00:00"), ("last", "2026-11-20T23:59:59.999"),
        ("after", "2026-11-21T00:00:00"),
    ]:  # fmt: skip
        record(store, "alice", about, time)
    assert said(team, "--date", "2026-11-20") == ["first", "last"]
    assert said(team, "--date", "2026-11-19") == ["before"]
    assert said(team) == ["before", "first", "last", "after"]
    assert team.ok("log", "history", "--date", "2020-02-29") == "Nothing happened.\n"


@pytest.mark.parametrize(
    "date", ["", "today", "2026-13-01", "2025-02-29", "20261120", "2026-11-20T00:00", "../2026-11-20", "2026-1-1"]
)
def test_a_bad_date_is_bad_input(team: Here, date: str) -> None:
    """Mai: an empty history, exit code 0."""
    assert team.refused("log", "history", "--date", date) == (4, "bad_input")


def test_an_agent_is_named_exactly(team: Here, store: Database) -> None:
    """Mai: any part of a name."""
    for actor in ("alice", "alicia", "Alice", "person:alice"):
        record(store, actor, actor)
    for actor in ("alice", "alicia", "person:alice"):
        assert said(team, "--agent", actor) == [actor]
    for other in ("ali", "a%", "alic_", ""):
        assert said(team, "--agent", other) == []
    text = team.ok("log", "history", "--agent", "alice")
    assert "  alice            -          agent_joined" in text
    assert "alicia" not in text


def test_what_the_sessions_of_an_agent_did_is_among_it(team: Here, store: Database) -> None:
    with store.transaction() as tx:
        issues.create(tx, Draft(title="x"), "person:me")
        started = sessions.start(tx, run="r", agent="bot", driver="script", supervisor="h:1:1", secret="s", ttl=60)
    assert started
    session = started[0].id
    for name in ("bot", session):
        found = team.json("log", "history", "--agent", name)["events"]
        assert [(e["kind"], e["session"]) for e in found] == [("session_started", session)]


def test_a_note_is_recorded_as_its_writer(team: Here) -> None:
    before = datetime.now(UTC).date()
    made = team.json("log", "write", "meeting", "  the old parser stays ", me="alice")["event"]
    assert (made["kind"], made["actor"]) == ("note", "alice")
    assert made["data"] == {"about": "meeting", "text": "the old parser stays"}
    assert before.isoformat() <= made["time"][:10] <= datetime.now(UTC).date().isoformat()
    text = team.ok("log", "write", "meeting", "again", me="alice")
    assert text.startswith("Written: 2")
    for args in (["", "x"], ["x", " "]):
        assert team.refused("log", "write", *args, me="alice") == (4, "bad_input")
    assert team.refused("log", "write", "x") == (2, "usage")
    assert team.refused("log", "write", "x", "y", me="mallory") == (2, "not_ready")
    assert len(notes(team)) == 2


def test_no_text_can_pass_for_another_entry(team: Here) -> None:
    forged = "x\n2026-11-20T00:00:00Z  t-1        issue_closed\x1b[2K\r\u2028\x85\u202e"
    team.ok("log", "write", forged, forged, me="alice")
    assert notes(team)[0]["data"]["text"] == forged.strip()
    for args in (["log"], ["log", "history"]):
        text = team.ok(*args)
        assert len(text.splitlines()) == 3
        assert "\x1b" not in text
        assert "\u202e" not in text
