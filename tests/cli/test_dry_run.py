"""`--dry-run` of every command that changes something: it says what it would do, and writes nothing.

Mai's `--dry-run issue claim` took the lock, `--dry-run project init` made the project, and both said that they had.
"""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path

import click
import psycopg
import pytest

from intarsia.kernel import Database
from tests.cli.test_cli import LEAVES
from tests.support.dump import dump
from tests.support.here import Here
from tests.support.postgres import create_database, drop_database
from tests.support.sandbox import Sandbox, adds

CONFIG = """
[queues.reviews]
sla = 60
escalate_to = "decisions"

[queues.decisions]

[queues.reading]
handler = "reader"

[daily]
order = ["alice", "bob"]

[sync.tracker]
command = "cat > /dev/null"
"""
ESCALATION = [
    "--disagreement", "d", "--position", "a", "--position", "b", "--facts", "f", "--option", "a", "--option", "b",
]  # fmt: skip
# A day: each command is tried, and then done. Whoever comes before the colon does it.
DAY = {
    "agent join": "agent join carol",
    "issue new": "issue new reviews Title --id t-1",
    "issue dep add": "issue dep add t-1 t-0",
    "issue dep remove": "issue dep remove t-1 t-0",
    "issue claim": "alice: issue claim t-1",
    "issue heartbeat": "alice: issue heartbeat t-1 --ttl 86400",
    "issue escalate": f"bob: issue escalate t-1 {' '.join(ESCALATION)}",
    "issue release": "alice: issue release t-1",
    "issue block": "bob: issue block t-1 reason",
    "issue unblock": "bob: issue unblock t-1",
    "issue transfer": "bob: issue transfer t-1 default",
    "issue complete": "alice: issue complete t-0 conclusion",
    "issue amend": "bob: issue amend t-0 remark",
    "issue close": "issue close t-1",
    "issue reopen": "issue reopen t-1",
    "lock acquire": "alice: lock acquire code:a code:b",
    "lock heartbeat": "alice: lock heartbeat --ttl 86400",
    "lock release": "alice: lock release code:a",
    "lock force-release": "bob: lock force-release code:b --yes",
    "lock guard": "alice: lock guard --on code:c -- sh -c 'touch guarded'",
    "guardian": "guardian",
    "log write": "alice: log write meeting text",
    "message send": "alice: message send --to bob hello",
    "message ack": "bob: message ack",
    "call start": "alice: call start Title --to reader",
    "daily trigger": "daily trigger",
    "daily write": "alice: daily write done",
    "daily skip": "daily skip bob --yes",
    "daily collect": "daily collect",
    "daily reset": "daily reset --yes",
    "sync run": "sync run",
    "init": "init",
    "run": "run --agent {agent}",
}
# These have their own tests: of what they write outside of the database, or because they need more than a day.
ELSEWHERE = {"agent resume", "clean", "mirror", "sync retry"}
# What each needs that came before.
BEFORE = {
    "issue complete": ["alice: issue claim t-0"],
    "guardian": ["alice: lock acquire code:d --ttl 1"],
    "message ack": ["bob: message inbox"],
}


def files(root: Path) -> dict[str, tuple[int, int]]:
    """Every file and directory, apart from git's, with its size and the time of its last change."""
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != ".git"]
        for name in [*folders, *names]:
            path = Path(folder) / name
            found[str(path.relative_to(root))] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


def words(line: str) -> tuple[str, list[str]]:
    me, colon, rest = line.partition(": ")
    return (me, shlex.split(rest)) if colon else ("", shlex.split(line))


def do(here: Here, line: str, *more: str) -> str:
    me, args = words(line)
    at = args.index("--") if "--" in args else len(args)
    said = here.call(*args[:at], *more, *args[at:], me=me)
    assert (said.code, said.err) == (0, ""), (line, said)
    return said.out


def test_every_command_that_changes_something_is_here() -> None:
    changing = {
        name.removeprefix("intarsia ") for name, command in LEAVES for p in command.params if "--dry-run" in p.opts
    }
    assert changing - ELSEWHERE == set(DAY)


def test_commands_without_a_dry_run_change_nothing_that_is_shared() -> None:
    """`call return` and `resolve` are a session's word to its caller and its run, `ask` a question that waits for its
    answer; the others only read, serve, or change just the files they name.
    """
    reading = {"list", "show", "ready", "check", "blockers", "status", "log", "history", "whoami", "inbox", "wait"}
    reading |= {"done", "doctor", "completion", "logs", "read", "outline", "touched", "index", "who", "conflicts"}
    serving = {"gateway", "mcp", "hook", "test"}
    editing = {"edit", "write", "insert", "import", "remove", "move", "commit", "merge", "install", "run", "uninstall"}
    left = [n for n, c in LEAVES if not any("--dry-run" in p.opts for p in c.params)]
    saying = {"intarsia call return", "intarsia ask", "intarsia resolve"}
    assert {name for name in left if name.split()[-1] not in reading | serving | editing} == saying
    assert all(isinstance(command, click.Command) for _, command in LEAVES)


def test_a_day_of_dry_runs_writes_nothing(here: Here, store: Database) -> None:
    here.sandbox.write("intarsia.toml", CONFIG)
    agent = here.sandbox.scenario({"t-1": adds("one.txt", "1\n")})
    for line in ("agent join alice", "agent join bob", "issue new Title --id t-0"):
        do(here, line)
    for name, line in DAY.items():
        for earlier in BEFORE.get(name, []):
            do(here, earlier)
        if name == "init":
            (here.sandbox.root / "intarsia.toml").unlink()
        if name == "guardian":
            with store.transaction() as tx:
                tx.execute("UPDATE leases SET expires = 1 WHERE project = :project")
        me, args = words(line)
        args = [agent if word == "{agent}" else word for word in args]
        before, there = dump(store), files(here.sandbox.root)
        for more in (["--dry-run"], ["--dry-run", "--json"]):
            at = args.index("--") if "--" in args else len(args)
            said = here.call(*args[:at], *more, *args[at:], me=me)
            assert (said.code, said.err) == (0, ""), (name, said)
            if name == "run":
                assert "t-1" in said.out
            elif "--json" in more:
                assert said.json["dry_run"] is True, name
            else:
                assert said.out.startswith("Dry run, nothing was changed: "), (name, said)
        assert dump(store) == before, name
        assert files(here.sandbox.root) == there, name
        if name == "run":
            here.sandbox.ok(*args)
        else:
            here.call(*args, me=me)
        assert dump(store) != before or files(here.sandbox.root) != there, f"{name} changes nothing at all"


def test_what_would_be_refused_is_refused_by_a_dry_run(here: Here, store: Database) -> None:
    for line in ("agent join alice", "agent join bob", "issue new Title --id t-0", "alice: issue claim t-0"):
        do(here, line)
    before = dump(store)
    for line, code in [
        ("bob: issue claim t-0", 1), ("bob: issue complete t-0 x", 1), ("alice: issue complete t-0 ''", 4),
        ("issue new '' ", 4), ("agent join alice", 1), ("bob: lock release x:y", 1),
        ("bob: lock force-release issue:t-0", 2),
    ]:  # fmt: skip
        me, args = words(line)
        assert here.call(*args, "--dry-run", me=me).code == code, line
    assert dump(store) == before


@pytest.fixture
def untouched(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """On the database that is used when none is configured."""
    return Here(sandbox, monkeypatch, capfd)


def test_the_database_file_stays_as_it_is(untouched: Here) -> None:
    for line in ("agent join alice", "issue new Title --id t-0", "issue claim t-0"):
        untouched.sandbox.ok(*words(line)[1])
    database = untouched.sandbox.root / ".intarsia" / "intarsia.db"
    before, names = database.read_bytes(), set(files(untouched.sandbox.root))
    for line in ("issue complete t-0 done", "agent join bob", "lock acquire code:a", "guardian"):
        untouched.sandbox.ok(*words(line)[1], "--dry-run")
    assert database.read_bytes() == before
    assert set(files(untouched.sandbox.root)) == names


def test_an_empty_postgresql_database_stays_empty(untouched: Here, postgres_url: str) -> None:
    name = f"empty_{secrets.token_hex(4)}"
    url = create_database(postgres_url, name)
    env = {"INTARSIA_DATABASE_URL": url}
    try:
        for line, code in [("agent join alice", 0), ("issue new Title", 0), ("guardian", 0), ("issue close t-1", 4)]:
            said = untouched.call(*words(line)[1], "--dry-run", env=env)
            assert said.code == code, said
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 2200").fetchall() == []
        untouched.ok("agent", "join", "alice", **env)
        assert untouched.json("agent", "join", "bob", "--dry-run", **env)["agent"]["name"] == "bob"
        assert untouched.ok("agent", "whoami", **env) == "alice\n"
    finally:
        drop_database(postgres_url, name)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("init", 0),
        ("agent join alice", 0),
        ("issue new Title", 0),
        ("guardian", 0),
        ("issue claim t-1", 2),
        ("lock acquire code:a", 2),
        ("issue close t-1", 4),
        ("log write a b", 2),
    ],
)
@pytest.mark.parametrize("configured", [False, True])
def test_where_intarsia_was_never_used_a_dry_run_leaves_nothing(
    untouched: Here, tmp_path: Path, line: str, code: int, configured: bool
) -> None:
    before = files(tmp_path)
    env = {"INTARSIA_DATABASE_URL": f"sqlite://{tmp_path / 'elsewhere.db'}"} if configured else {}
    said = untouched.call(*words(line)[1], "--dry-run", env=env)
    assert said.code == code, said
    assert files(tmp_path) == before
    assert untouched.sandbox.git("status", "--porcelain", "--ignored") == ""
