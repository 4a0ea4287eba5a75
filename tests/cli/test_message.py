from __future__ import annotations

import getpass
import json
import subprocess
import sys
from typing import Any

import pytest

from intarsia.kernel import Database
from tests.support.dump import dump
from tests.support.sandbox import Sandbox

ALICE, BOB = {"INTARSIA_AGENT": "alice"}, {"INTARSIA_AGENT": "bob"}


@pytest.fixture
def team(each_sandbox: Sandbox) -> Sandbox:
    each_sandbox.ok("agent", "join", "alice")
    each_sandbox.ok("agent", "join", "bob")
    return each_sandbox


def send(team: Sandbox, env: dict[str, str], *args: str) -> dict[str, Any]:
    answer = team.json("message", "send", *args, env=env)
    assert answer["ok"], answer
    sent: dict[str, Any] = answer["message"]
    return sent


def bodies(team: Sandbox, env: dict[str, str], *args: str) -> list[str]:
    return [entry["body"] for entry in team.json("message", "inbox", *args, env=env)["messages"]]


def refused(team: Sandbox, env: dict[str, str], *args: str) -> tuple[int, str, str]:
    """Exit code, code and message."""
    done = team.call("message", *args, "--json", env=env)
    answer = json.loads(done.stdout)
    assert not answer["ok"]
    return done.returncode, answer["code"], answer["message"]


def test_a_conversation(team: Sandbox) -> None:
    asked = send(team, ALICE, "--to", "bob", "--to", "@human", "--kind", "question", "which parser?")
    assert (asked["from"], asked["to"], asked["kind"]) == ("alice", ["bob", "@human"], "question")
    assert bodies(team, BOB) == ["which parser?"]
    text = team.ok("message", "inbox", env=BOB)
    assert "alice → bob, @human  (question)\n    which parser?" in text
    assert team.json("message", "ack", env=BOB) == {"ok": True, "up_to": asked["id"], "count": 1, "unread": 0}
    assert team.ok("message", "inbox", env=BOB) == "No messages.\n"
    answered = send(team, BOB, "--reply-to", str(asked["id"]), "the new one")
    assert (answered["to"], answered["reply_to"], answered["thread"]) == (["alice"], asked["id"], asked["id"])
    assert bodies(team, BOB, "--all") == ["which parser?"]
    assert bodies(team, BOB, "--thread", str(answered["id"])) == ["which parser?", "the new one"]


def test_a_person_reads_and_answers_without_having_joined(team: Sandbox) -> None:
    person = {"INTARSIA_AGENT": ""}
    asked = send(team, ALICE, "--to", "@human", "may I drop the table?")
    assert bodies(team, person, "--human") == ["may I drop the table?"]
    answer = send(team, person, "--human", "--reply-to", str(asked["id"]), "no")
    assert answer["from"] == f"person:{getpass.getuser()}"
    assert bodies(team, ALICE) == ["no"]
    assert team.json("message", "ack", "--human", env=person)["count"] == 1
    assert bodies(team, person, "--human") == []
    code, _, said = refused(team, {"INTARSIA_SESSION": "s-00000000"}, "inbox", "--human")
    assert (code, "for people" in said) == (2, True)


def test_a_body_comes_from_standard_input(team: Sandbox) -> None:
    command = [sys.executable, "-m", "intarsia", "message", "send", "--to", "bob", "-"]
    subprocess.run(command, cwd=team.root, env={**team.env, **ALICE}, input="two\nlines\n", text=True, check=True)
    assert bodies(team, BOB) == ["two\nlines\n"]


def test_what_was_not_shown_is_not_acknowledged(team: Sandbox) -> None:
    for number in range(3):
        send(team, ALICE, "--to", "bob", f"{number}")
    assert refused(team, BOB, "ack")[:2] == (1, "conflict")
    assert "2 more wait" in team.ok("message", "inbox", "--limit", "1", env=BOB)
    assert team.json("message", "ack", env=BOB)["unread"] == 2
    assert bodies(team, BOB) == ["1", "2"]


@pytest.mark.parametrize(
    ("args", "code", "name"),
    [
        (["send", "--to", "carol", "x"], 4, "not_found"),
        (["send", "--to", "bob", " "], 4, "bad_input"),
        (["send", "x"], 4, "bad_input"),
        (["send", "--reply-to", "99999999999999999999", "x"], 4, "bad_input"),
        (["send", "--to", "bob", "--reply-to", "7", "x"], 4, "not_found"),
        (["inbox", "--thread", "7"], 4, "not_found"),
        (["inbox", "--thread", "7", "--all"], 2, "usage"),
        (["ack"], 1, "conflict"),
        (["ack", "7"], 4, "not_found"),
        (["wait", "--timeout", "0"], 1, "nothing_came"),
        (["wait", "--timeout", "nan"], 4, "bad_input"),
    ],
)
def test_what_can_not_be_done_is_an_error(sandbox: Sandbox, args: list[str], code: int, name: str) -> None:
    sandbox.ok("agent", "join", "alice")
    sandbox.ok("agent", "join", "bob")
    assert refused(sandbox, ALICE, *args)[:2] == (code, name)


def test_who_has_not_joined_can_not_write_or_read(sandbox: Sandbox) -> None:
    sandbox.ok("init")
    for args in (["send", "--to", "@human", "x"], ["inbox"], ["wait"], ["ack"]):
        assert refused(sandbox, {}, *args)[:2] == (2, "not_ready")


def test_waiting_ends_when_a_message_comes(team: Sandbox) -> None:
    waiter = team.start("message", "wait", "--timeout", "300", env=BOB)
    send(team, ALICE, "--to", "bob", "come")
    said, _ = waiter.communicate(timeout=300)
    assert (waiter.returncode, "come" in said) == (0, True)
    assert team.json("message", "ack", env=BOB)["count"] == 1


def test_a_dry_run_writes_nothing(team: Sandbox) -> None:
    send(team, ALICE, "--to", "bob", "hello")
    team.ok("message", "inbox", env=BOB)
    database = Database(team.env["INTARSIA_DATABASE_URL"], team.env["INTARSIA_PROJECT_ID"])
    before = dump(database)
    assert "nothing was changed" in team.ok("message", "send", "--to", "@team", "x", "--dry-run", env=ALICE)
    assert team.json("message", "ack", "--dry-run", env=BOB)["dry_run"]
    assert dump(database) == before
    team.ok("message", "ack", env=BOB)
    assert dump(database) != before
    database.close()
