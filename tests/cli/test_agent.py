"""Who one is: a name and a secret that nobody else can read, guess or leave out."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import click
import pytest

from intarsia.kernel import Database, issues, sessions
from intarsia.kernel.issues import Draft
from tests.cli.test_cli import LEAVES
from tests.support.dump import dump
from tests.support.here import Here


def agents(here: Here) -> Path:
    return here.sandbox.root / ".intarsia" / "agents"


def secret_of(here: Here, name: str) -> str:
    return (agents(here) / name).read_text()


def start_session(store: Database, secret: str) -> str:
    with store.transaction() as tx:
        issues.create(tx, Draft(title="Do it", id="ia-run"), "person:test")
        started = sessions.start(
            tx, run="r", agent="bot", driver="script", supervisor="host:1:1", secret=secret, ttl=60, only=["ia-run"]
        )
    assert started
    return started[0].id


def test_joining_once(here: Here) -> None:
    assert here.ok("agent", "join", "alice") == "alice has joined.\n"
    assert here.ok("agent", "whoami") == "alice\n"
    assert here.refused("agent", "join", "alice") == (1, "conflict")
    assert here.refused("agent", "join", "a/b") == (4, "bad_input")
    joined = here.json("agent", "join", "bob")["agent"]
    assert set(joined) == {"name", "joined", "seen"}
    assert [agent["name"] for agent in here.json("agent", "list")["agents"]] == ["alice", "bob"]
    assert re.search(r"^alice +joined 2", here.ok("agent", "list"), re.MULTILINE)


def test_what_needs_no_settings_is_listed_where_it_is_installed(here: Here, tmp_path: Path) -> None:
    codex = tmp_path / "bin" / "codex"
    codex.parent.mkdir()
    codex.write_text("#!/bin/sh\n")
    codex.chmod(0o755)
    known = here.json("agent", "list", PATH=f"{codex.parent}{os.pathsep}{os.environ['PATH']}")["configured"]
    assert {"name": "codex", "driver": "codex", "model": ""} in known


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_only_the_user_can_read_the_secret(here: Here, umask: int) -> None:
    before = os.umask(umask)
    try:
        here.ok("agent", "join", "alice")
    finally:
        os.umask(before)
    assert stat.S_IMODE(agents(here).stat().st_mode) == 0o700
    assert stat.S_IMODE((agents(here) / "alice").stat().st_mode) == 0o600
    assert [path.name for path in agents(here).iterdir()] == ["alice"]
    assert len(bytes.fromhex(secret_of(here, "alice"))) == 32


def test_a_folder_that_others_could_read_is_closed(here: Here) -> None:
    agents(here).mkdir(parents=True, mode=0o755)
    here.ok("agent", "join", "alice")
    assert stat.S_IMODE(agents(here).stat().st_mode) == 0o700


def test_the_secret_is_in_no_output_log_or_database(here: Here, store: Database) -> None:
    said = here.ok("agent", "join", "alice") + here.ok("agent", "join", "bob", "--json")
    for args in (["agent", "list"], ["agent", "whoami"], ["log"], ["log", "history"], ["status"], ["config", "show"]):
        said += here.ok(*args, me="alice") + here.ok(*args, "--json", me="alice")
    here.ok("issue", "new", "x", "--id", "t-1")
    here.ok("issue", "claim", "t-1", me="alice")
    said += str(here.call("issue", "claim", "t-1", "--json", me="bob"))
    for name in ("alice", "bob"):
        assert secret_of(here, name) not in said + str(dump(store))


def test_no_command_takes_a_secret_or_a_name_to_act_for() -> None:
    """It would be seen in the list of processes; and who acts is proven, never said."""
    words = [(name, o) for name, command in LEAVES for p in command.params for o in p.opts]
    assert len(words) > 100
    assert [word for word in words if "secret" in word[1] or word[1] in ("--as", "--me", "--holder")] == []
    named = [name for name, command in LEAVES for p in command.params if "--agent" in p.opts]
    assert named == ["intarsia run", "intarsia log history"]
    assert all(isinstance(command, click.Command) for _, command in LEAVES)


def test_who_has_not_joined_can_take_nothing(here: Here) -> None:
    here.ok("issue", "new", "x", "--id", "t-1")
    for args in (
        ["issue", "claim", "t-1"],
        ["lock", "acquire", "code:a"],
        ["agent", "whoami"],
        ["log", "write", "a", "b"],
    ):
        assert here.refused(*args) == (2, "not_ready")
    assert here.json("issue", "show", "t-1")["issue"]["status"] == "open"


def test_one_of_several_agents_says_which(here: Here) -> None:
    here.ok("agent", "join", "alice")
    here.ok("agent", "join", "bob")
    assert here.refused("agent", "whoami") == (2, "not_ready")
    assert "alice, bob" in here.call("agent", "whoami").err
    assert here.ok("agent", "whoami", me="bob") == "bob\n"


def test_naming_somebody_else_is_not_being_them(here: Here, store: Database) -> None:
    here.ok("agent", "join", "alice")
    here.ok("agent", "join", "bob")
    own = secret_of(here, "bob")
    (agents(here) / "alice").unlink()  # alice joined on another machine
    before = dump(store)
    assert here.refused("agent", "whoami", me="alice") == (2, "not_ready")
    assert here.refused("agent", "whoami", me="alice", INTARSIA_SECRET=own) == (4, "not_found")
    assert here.refused("agent", "whoami", me="alice", INTARSIA_SECRET="x") == (4, "not_found")
    assert here.refused("agent", "whoami", me="nobody", INTARSIA_SECRET=own) == (4, "not_found")
    assert here.refused("agent", "whoami", INTARSIA_SESSION="alice", INTARSIA_SECRET=own) == (4, "not_found")
    assert dump(store) == before
    assert here.ok("agent", "whoami", me="bob", INTARSIA_SECRET=own) == "bob\n"


@pytest.mark.parametrize("name", ["../project", "/etc/hostname", ".", "..", "alice/", "alice\n", "\udcff", "a" * 5000])
def test_a_name_leads_to_no_other_file(here: Here, name: str) -> None:
    here.ok("agent", "join", "alice")
    assert here.refused("agent", "whoami", INTARSIA_AGENT=name) == (4, "not_found")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 64])
def test_a_spoiled_secret_is_refused(here: Here, content: bytes) -> None:
    here.ok("agent", "join", "alice")
    (agents(here) / "alice").write_bytes(content)
    assert here.refused("agent", "whoami") == (4, "not_found")
    assert here.refused("agent", "whoami", INTARSIA_SECRET="\udcff") == (4, "not_found")


def test_joining_goes_on_where_it_was_killed(here: Here) -> None:
    """Between the file and the commit; and half a file is never seen."""
    agents(here).mkdir(parents=True)
    (agents(here) / "alice").write_text("ab" * 32)
    (agents(here) / ".bob.4711").write_text("ab")
    here.ok("agent", "join", "alice")
    assert here.ok("agent", "whoami") == "alice\n"


def test_the_same_name_in_two_databases_has_one_secret(here: Here, tmp_path: Path) -> None:
    elsewhere = {"INTARSIA_DATABASE_URL": f"sqlite://{tmp_path / 'other.db'}"}
    here.ok("agent", "join", "alice")
    here.ok("agent", "join", "alice", **elsewhere)
    assert here.ok("agent", "whoami") == here.ok("agent", "whoami", **elsewhere) == "alice\n"


# Sessions of `intarsia run`.


def test_a_sessions_secret_is_its_identity(here: Here, store: Database) -> None:
    session = start_session(store, "s3cret")
    env = {"INTARSIA_SESSION": session, "INTARSIA_SECRET": "s3cret"}
    assert here.ok("agent", "whoami", **env) == f"{session}\n"
    assert here.ok("agent", "whoami", me="alice", **env) == f"{session}\n"
    for secret in ("", "S3cret", "\udcff"):
        assert here.refused("agent", "whoami", **{**env, "INTARSIA_SECRET": secret}) == (4, "not_found")
        assert here.refused("issue", "new", "x", **{**env, "INTARSIA_SECRET": secret}) == (4, "not_found")
    assert here.refused("agent", "whoami", INTARSIA_SESSION="s-00000000", INTARSIA_SECRET="s3cret") == (4, "not_found")


def test_a_session_can_lock_but_not_finish_or_let_go_what_its_run_holds(here: Here, store: Database) -> None:
    """An agent that could would go around the checks, or have its work thrown away."""
    session = start_session(store, "s3cret")
    env = {"INTARSIA_SESSION": session, "INTARSIA_SECRET": "s3cret"}
    here.ok("agent", "join", "alice")
    for verb in (
        ["complete", "ia-run", "done"],
        ["release", "ia-run"],
        ["block", "ia-run", "why"],
        ["heartbeat", "ia-run"],
    ):
        assert here.refused("issue", *verb, **env) == (1, "conflict")
    here.ok("issue", "new", "x", "--id", "t-1")
    assert here.refused("issue", "claim", "t-1", **env) == (1, "conflict")
    here.ok("lock", "acquire", "code:a", **env)
    for verb in (["release", "issue:ia-run"], ["heartbeat", "issue:ia-run"]):
        assert here.refused("lock", *verb, **env) == (1, "conflict")
    assert here.json("lock", "heartbeat", **env)["renewed"] == ["code:a"]
    assert here.json("lock", "release", "--all", **env)["released"] == ["code:a"]
    assert here.refused("lock", "force-release", "issue:ia-run", "--yes", me="alice") == (1, "conflict")
    (lease,) = here.json("lock", "list")["leases"]
    assert (lease["resource"], lease["session"]) == ("issue:ia-run", session)


def test_what_is_recorded_names_who_proved_it(here: Here) -> None:
    """Mai takes an environment variable's word, and "unknown" else; who began an issue is lost."""
    here.ok("agent", "join", "alice")
    here.ok("issue", "new", "x", "--id", "t-1", me="alice")
    here.ok("issue", "new", "x", "--id", "t-2")
    assert here.refused("issue", "new", "x", me="mallory") == (2, "not_ready")
    assert here.refused("issue", "close", "t-1", INTARSIA_SESSION="s-00000000") == (4, "not_found")
    created = [event["actor"] for event in here.json("log")["events"] if event["kind"] == "issue_created"]
    assert created[0] == "alice"
    assert created[1].startswith("person:")
