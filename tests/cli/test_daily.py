from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from intarsia.kernel import Database, daily
from tests.support.dump import dump
from tests.support.sandbox import Sandbox

DATE = "2020-02-29"
ALICE, BOB, NOBODY = {"INTARSIA_AGENT": "alice"}, {"INTARSIA_AGENT": "bob"}, {"INTARSIA_AGENT": ""}


@pytest.fixture
def team(each_sandbox: Sandbox) -> Sandbox:
    each_sandbox.write("intarsia.toml", '[daily]\norder = ["alice", "bob"]\ntimeout = 30\n')
    each_sandbox.ok("agent", "join", "alice")
    each_sandbox.ok("agent", "join", "bob")
    return each_sandbox


def open_database(team: Sandbox) -> Database:
    return Database(team.env["INTARSIA_DATABASE_URL"], team.env["INTARSIA_PROJECT_ID"])


def call(team: Sandbox, *args: str, env: dict[str, str] = NOBODY, date: str = DATE) -> dict[str, Any]:
    return team.json("daily", *args, "--date", date, env=env)


def summary(team: Sandbox, *args: str, env: dict[str, str] = NOBODY) -> dict[str, Any]:
    answer = call(team, *args, env=env)
    assert answer["ok"], answer
    found: dict[str, Any] = answer["summary"]
    return found


def code(team: Sandbox, *args: str, env: dict[str, str] = NOBODY) -> tuple[int, str]:
    done = team.call("daily", *args, "--date", DATE, "--json", env=env)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)["code"]


def test_a_day(team: Sandbox) -> None:
    assert summary(team, "trigger")["turn"] == "alice"
    refused = team.call("daily", "write", "mine", "--date", DATE, env=BOB)
    assert (refused.returncode, refused.stderr) == (1, "intarsia: It is alice's turn, not bob's.\n")
    assert call(team, "write", "mine", env=BOB)["turn"] == "alice"
    assert summary(team, "write", "parser done", env=ALICE)["turn"] == "bob"
    assert code(team, "collect") == (1, "conflict")
    partial = call(team, "collect", "--partial")
    assert (partial["complete"], "(partial)" in partial["report"]) == (False, True)
    assert summary(team, "write", "schema done", env=BOB)["missing"] == []
    report = team.ok("daily", "collect", "--date", DATE, env=NOBODY)
    assert report == f"# Daily summary of {DATE}\n\n## alice\n\nparser done\n\n## bob\n\nschema done\n"
    assert call(team, "collect")["report"] == report.rstrip("\n")
    text = team.ok("daily", "status", "--date", DATE)
    assert "All are through. Collected at" in text
    kinds = ("daily_triggered", "daily_written", "daily_collected")
    assert [event["kind"] for event in team.events(*kinds)] == [
        "daily_triggered",
        "daily_written",
        "daily_collected",
        "daily_written",
        "daily_collected",
    ]


def test_today_is_the_default_and_no_other_day_stands_in_its_way(team: Sandbox) -> None:
    summary(team, "trigger")
    today = team.json("daily", "trigger", env=NOBODY)["summary"]["date"]
    assert today != DATE
    assert team.json("daily", "status", "--date", today)["uncollected"] == [DATE]
    assert summary(team, "write", "late", env=ALICE)["entries"][0]["text"] == "late"


def test_a_missing_agent_is_skipped(team: Sandbox) -> None:
    summary(team, "trigger")
    too_early = call(team, "skip", "alice")
    assert (too_early["code"], "can be skipped from" in too_early["message"]) == ("conflict", True)
    assert code(team, "skip", "bob") == (1, "not_your_turn")
    assert code(team, "skip", "carol", "--yes") == (4, "not_found")
    assert summary(team, "skip", "alice", "--yes", "--note", "ill", env=BOB)["skipped"] == ["alice"]
    summary(team, "write", "alone", env=BOB)
    assert "ill" in call(team, "collect")["report"]
    (event,) = team.events("daily_skipped")
    assert (event["actor"], event["data"]["agent"], event["data"]["reason"]) == ("bob", "alice", "ill")


def test_a_day_is_reset_only_on_purpose(team: Sandbox) -> None:
    assert code(team, "reset", "--yes") == (1, "conflict")
    summary(team, "trigger")
    summary(team, "write", "x", env=ALICE)
    refused = call(team, "reset")
    assert (refused["code"], refused["message"]) == ("usage", f"alice wrote for {DATE}.")
    assert summary(team, "reset", "--yes")["turn"] == "bob"
    assert call(team, "status")["summary"] is None
    assert summary(team, "trigger")["turn"] == "alice"


def test_who_writes_must_prove_it(team: Sandbox) -> None:
    summary(team, "trigger")
    forged = {"INTARSIA_AGENT": "alice", "INTARSIA_SECRET": "guessed"}
    assert code(team, "write", "x", env=forged) == (4, "not_found")
    assert code(team, "skip", "alice", "--yes", env=forged) == (4, "not_found")
    assert code(team, "collect", "--partial", env={"INTARSIA_SESSION": "s-00000000"}) == (4, "not_found")
    assert code(team, "write", "x", env=NOBODY) == (2, "not_ready")


def test_nobody_in_the_order_is_an_error(sandbox: Sandbox) -> None:
    done = sandbox.call("daily", "trigger")
    assert done.returncode == 2
    assert "[daily] order" in done.stderr
    assert sandbox.call("daily", "status", "--date", "yesterday").returncode == 4


def test_of_twenty_processes_that_trigger_or_write_at_once_one_succeeds(team: Sandbox) -> None:
    assert sorted(race(team, "trigger", env=NOBODY)) == [0] + [1] * 19
    assert sorted(race(team, "write", "mine", env=ALICE)) == [0] + [1] * 19
    assert [entry["status"] for entry in summary(team, "collect", "--partial")["entries"]] == ["written", "waiting"]
    assert len(team.events("daily_triggered", "daily_written")) == 2


def race(team: Sandbox, *args: str, env: dict[str, str]) -> list[int]:
    """They all start while the database is kept busy, and go on together."""
    database = open_database(team)
    with database.transaction():
        started: list[subprocess.Popen[str]] = [team.start("daily", *args, "--date", DATE, env=env) for _ in range(20)]
    database.close()
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert "Traceback" not in said
    return [process.returncode for process in started]


def test_a_dry_run_writes_nothing(team: Sandbox) -> None:
    database = open_database(team)
    before = dump(database)
    assert "nothing was changed" in team.ok("daily", "trigger", "--dry-run", env=NOBODY)
    assert dump(database) == before
    with database.transaction() as tx:
        daily.trigger(tx, DATE, ["alice", "bob"], "test")
    before = dump(database)
    for args, env in [
        (["write", "x"], ALICE),
        (["skip", "bob", "--yes"], NOBODY),
        (["collect", "--partial"], NOBODY),
        (["reset", "--yes"], NOBODY),
    ]:
        assert call(team, *args, "--dry-run", env=env)["dry_run"]
        assert dump(database) == before
    database.close()
