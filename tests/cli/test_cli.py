"""What every command promises: help, --json, one clear error with its exit code, from wherever it is called."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from intarsia.cli import cli
from intarsia.kernel import Database, issues
from intarsia.kernel.issues import Draft
from tests.support.disk import Disk
from tests.support.sandbox import Sandbox, adds
from tests.support.until import until

SCRIPT = "script: nowhere.toml"
PROGRAM = f"{shlex.quote(sys.executable)} -m intarsia"


def commands() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        yield name, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for below in command.list_commands(context):
                found = command.get_command(context, below)
                assert found
                yield from walk(f"{name} {below}", found)

    yield from walk("intarsia", cli)


LEAVES = [(name, command) for name, command in commands() if not isinstance(command, click.Group)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk", "16m")
    yield disk
    disk.unmount()


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What a command that refuses says: on stderr, in a line or two."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3, done.stderr
    return done.stderr


def refused_as_json(done: subprocess.CompletedProcess[str], code: int, name: str) -> dict[str, Any]:
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stderr == ""
    (line,) = done.stdout.splitlines()
    answer: dict[str, Any] = json.loads(line)
    assert (answer["ok"], answer["code"]) == (False, name)
    assert answer["message"]
    assert isinstance(answer["hint"], str)
    return answer


# Help.


@pytest.mark.parametrize(("name", "command"), LEAVES)
def test_every_command_has_an_example_and_json(name: str, command: click.Command) -> None:
    help = command.get_help(click.Context(command, info_name=name))
    assert "Example:" in help
    assert f"{name} " in help.partition("Example:")[2] or f"{name}\n" in help.partition("Example:")[2]
    assert "--json" in help
    undescribed = [o.name for o in command.params if isinstance(o, click.Option) and not o.help and not _explains(o)]
    assert undescribed == []


def _explains(option: click.Option) -> bool:
    """Its values or its default say what it is."""
    return isinstance(option.type, click.Choice) or bool(option.show_default) or option.name == "turn"


def test_help_is_printed_anywhere(tmp_path: Path) -> None:
    for args in (["--help"], ["run", "-h"], ["issue", "new", "--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "intarsia", *args], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("Usage: intarsia")
        assert "xit codes:" in done.stdout or args[0] == "issue"


# Where it is called from.


def test_subdirectories_and_linked_worktrees_are_one_project(sandbox: Sandbox) -> None:
    sandbox.write("deep/er/file.txt", "x")
    linked = sandbox.root.parent / "linked"
    sandbox.git("worktree", "add", "--quiet", str(linked))
    places = [sandbox.root / "deep" / "er", linked, sandbox.root / ".git", sandbox.root]
    for number, place in enumerate(places):
        sandbox.ok("issue", "new", f"From {place.name}", "--id", f"it-{number}", cwd=place)
    for place in places:
        assert sandbox.json("status", cwd=place)["issues"]["open"] == len(places)
    assert (sandbox.root / ".intarsia").is_dir()
    assert not list(linked.glob(".intarsia"))
    assert not (sandbox.root / "deep" / ".intarsia").exists()
    assert sandbox.git("status", "--porcelain") == "?? deep/"


# What is missing or broken around it.


def no_repository(sandbox: Sandbox) -> None:
    shutil.rmtree(sandbox.root / ".git")


def no_commit(sandbox: Sandbox) -> None:
    shutil.rmtree(sandbox.root / ".git")
    sandbox.git("init", "--quiet")


def bare_repository(sandbox: Sandbox) -> None:
    shutil.rmtree(sandbox.root)
    sandbox.root.mkdir()
    sandbox.git("init", "--quiet", "--bare")


def no_identity(sandbox: Sandbox) -> None:
    sandbox.env["GIT_CONFIG_GLOBAL"] = os.devnull


def no_git(sandbox: Sandbox) -> None:
    sandbox.env["PATH"] = str(sandbox.root)


def broken_config(sandbox: Sandbox) -> None:
    sandbox.write("intarsia.toml", "[run]\nagents = \n")


def unknown_key(sandbox: Sandbox) -> None:
    sandbox.write("intarsia.toml", "[run]\nagnets = 3\n")


def unknown_variable(sandbox: Sandbox) -> None:
    sandbox.env["INTARSIA_RUN_X"] = "1"


def unknown_database(sandbox: Sandbox) -> None:
    sandbox.env["INTARSIA_DATABASE_URL"] = "mysql://me:hunter2@host/db"


@pytest.mark.parametrize(
    ("break_it", "code", "said", "cure"),
    [
        (no_repository, "not_ready", "is not in a git repository", "git init"),
        (no_commit, "not_ready", "has no commit yet", "git commit"),
        (bare_repository, "not_ready", "is a bare repository", "Clone it"),
        (no_identity, "not_ready", "no name and e-mail address", "git config --global user.name"),
        (no_git, "not_ready", "git is not installed", "Install git"),
        (broken_config, "config", "at line 2", "Correct that line"),
        (unknown_key, "config", "unknown key run.agnets", "Did you mean run.agents?"),
        (unknown_variable, "config", "INTARSIA_RUN_X", "AGENTS"),
        (unknown_database, "config", "'mysql'", "postgresql://"),
    ],
)
def test_what_is_missing_is_named_with_its_cure(
    sandbox: Sandbox, break_it: Callable[[Sandbox], None], code: str, said: str, cure: str
) -> None:
    break_it(sandbox)
    command = ["run", "--agent", f"script: {sandbox.root.parent / 'scenario.toml'}"]
    (sandbox.root.parent / "scenario.toml").touch()
    text = refused(sandbox.call(*command), 2)
    assert said in text
    assert cure in text
    assert "hunter2" not in text
    answer = refused_as_json(sandbox.call(*command, "--json"), 2, code)
    assert said in answer["message"]
    assert cure in answer["hint"]


@pytest.mark.parametrize("break_it", [no_repository, no_commit, bare_repository, no_git, unknown_variable])
def test_where_nothing_can_be_done_nothing_is_left(sandbox: Sandbox, break_it: Callable[[Sandbox], None]) -> None:
    break_it(sandbox)
    before = sorted(sandbox.root.rglob("*"))
    for command in (["issue", "list"], ["issue", "new", "x"], ["init"]):
        refused(sandbox.call(*command), 2)
    assert sorted(sandbox.root.rglob("*")) == before
    examined = sandbox.json("doctor")
    assert examined["healthy"] is False
    assert any(finding["hint"] for finding in examined["findings"] if not finding["ok"])


def test_doctor_finds_nothing_wrong_with_a_good_project(sandbox: Sandbox) -> None:
    sandbox.ok("init")
    assert sandbox.json("doctor")["healthy"] is True


def test_a_directory_that_is_gone(sandbox: Sandbox) -> None:
    gone = sandbox.write("gone/file", "").parent
    done = subprocess.run(
        ["/bin/sh", "-c", f"rm -r {shlex.quote(str(gone))}; {PROGRAM} issue list"],
        cwd=gone, env=sandbox.env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "current directory is gone" in refused(done, 2)


# Bad input, conflicts and wrong use.


def test_bad_input_ends_with_4_and_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    sandbox.issue("it-2", "--needs", "it-1")
    for args, said in [
        (["issue", "new", " "], "needs a title"),
        (["issue", "new", "x", "--id", "it-1"], "already an issue it-1"),
        (["issue", "new", "x", "--needs", "it-9"], "no issue it-9"),
        (["issue", "show", "it-9"], "no issue it-9"),
        (["issue", "dep", "add", "it-1", "it-2"], "it-1 → it-2 → it-1"),
        (["issue", "dep", "remove", "it-1", "it-2"], "does not depend"),
        (["session", "show", "s-9"], "no session s-9"),
        (["config", "show", "run.agnets"], "no setting run.agnets"),
        (["run", "--agent", SCRIPT, "--issue", "it-9"], "no issue it-9"),
    ]:
        assert said in refused(sandbox.call(*args), 4), args
    refused_as_json(sandbox.call("issue", "new", "", "--json"), 4, "bad_input")
    refused_as_json(sandbox.call("issue", "show", "it-9", "--json"), 4, "not_found")
    assert len(sandbox.json("issue", "list")["issues"]) == 2


def test_text_that_is_not_utf8_is_bad_input(sandbox: Sandbox) -> None:
    assert "UTF-8" in refused(sandbox.call("issue", "new", os.fsdecode(b"caf\xe9")), 4)
    assert "UTF-8" in refused(sandbox.call("issue", "show", os.fsdecode(b"\xff")), 4)
    shell = f"printf 'caf\\351' | {PROGRAM} issue new Title --body -"
    done = subprocess.run(
        ["/bin/sh", "-c", shell], cwd=sandbox.root, env=sandbox.env | {"PYTHONUTF8": "1"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "UTF-8" in refused(done, 4)


def test_conflicts_end_with_1(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    assert "open already" in refused(sandbox.call("issue", "reopen", "it-1"), 1)
    sandbox.ok("issue", "close", "it-1")
    assert "closed already" in refused(sandbox.call("issue", "close", "it-1"), 1)
    refused_as_json(sandbox.call("issue", "close", "it-1", "--json"), 1, "conflict")
    sandbox.ok("init")
    written = (sandbox.root / "intarsia.toml").read_bytes()
    assert "exists already" in refused(sandbox.call("init"), 1)
    assert (sandbox.root / "intarsia.toml").read_bytes() == written


def test_wrong_use_ends_with_2(sandbox: Sandbox) -> None:
    for args in (["issue", "new"], ["issue", "list", "--nonsense"], ["nonsense"], ["run", "--agents", "0"]):
        done = sandbox.call(*args)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    refused_as_json(sandbox.call("issue", "new", "--json"), 2, "usage")
    refused_as_json(sandbox.call("nonsense", "--json"), 2, "usage")
    assert "Which agent?" in refused(sandbox.call("run"), 2)
    assert "no agent 'nobody'" in refused(sandbox.call("run", "--agent", "nobody"), 2)
    assert "not the environment of a session" in refused(sandbox.call("resolve", "no_change", "why"), 2)


def test_nothing_to_do_ends_with_0(sandbox: Sandbox) -> None:
    sandbox.ok("run", "--agent", sandbox.scenario({}))
    assert sandbox.json("issue", "list") == {"ok": True, "issues": []}


# Configuration, as shown.


def test_config_show_tells_origins_and_no_password(sandbox: Sandbox) -> None:
    sandbox.write("intarsia.toml", "[run]\nagents = 2\n")
    env = {"INTARSIA_RUN_FOLLOWUPS": "1", "INTARSIA_DATABASE_URL": "postgresql://me:hunter2@host/db"}
    text = sandbox.ok("config", "show", env=env)
    assert "hunter2" not in text
    assert "postgresql://me:…@host/db" in text
    settings = sandbox.json("config", "show", "run", env=env)["settings"]
    assert settings["run.agents"] == {"value": 2, "origin": "intarsia.toml"}
    assert settings["run.followups"] == {"value": 1, "origin": "INTARSIA_RUN_FOLLOWUPS"}
    assert settings["run.lease"]["origin"] == "default"
    assert set(sandbox.json("config", "show", "run.agents", env=env)["settings"]) == {"run.agents"}


# The record, as it grows.


def test_a_follower_of_the_log_gets_every_event_once_until_it_is_stopped(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    follower = sandbox.start("log", "--follow", "--json")
    assert follower.stdout
    first = json.loads(follower.stdout.readline())
    sandbox.issue("it-2")
    sandbox.ok("issue", "close", "it-1")
    events = [first, *(json.loads(follower.stdout.readline()) for _ in range(2))]
    follower.send_signal(signal.SIGINT)
    rest, _ = follower.communicate(timeout=300)
    assert [(event["kind"], event["issue"]) for event in events] == [
        ("issue_created", "it-1"),
        ("issue_created", "it-2"),
        ("issue_closed", "it-1"),
    ]
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    assert follower.returncode == 130
    assert rest.strip() == "Interrupted."


# Output that nobody reads.


def test_a_reader_that_leaves_early_is_no_error(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    database = Database(f"sqlite://{sandbox.root}/.intarsia/intarsia.db", sandbox.json("status")["project"])
    with database.transaction() as tx:
        for number in range(1000):
            issues.create(tx, Draft(f"issue {number} {'x' * 200}"), "test")
    database.close()
    for command in ("issue list", "issue list --json", "log --limit 1000"):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{PROGRAM} {command} | head -c 1"], cwd=sandbox.root, env=sandbox.env,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stderr == ""
        assert len(done.stdout) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_can_not_be_written_is_an_error(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "intarsia", "issue", "list"], cwd=sandbox.root, env=sandbox.env, stdout=full,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


# Disks that can't be written.


def intact(root: Path) -> bool:
    connection = sqlite3.connect(root / ".intarsia" / "intarsia.db")
    answer = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return bool(answer == "ok")


def test_a_full_disk_from_the_start(disk: Disk) -> None:
    sandbox = Sandbox(disk.path / "project")
    agent = sandbox.scenario({"it-1": adds("one.txt", "1\n")})
    disk.fill()
    for command in (["init"], ["issue", "new", "x"], ["issue", "list"], ["run", "--agent", agent]):
        refused(sandbox.call(*command), 2)
        refused_as_json(sandbox.call(*command, "--json"), 2, "not_ready")
    disk.free()
    assert not (sandbox.root / "intarsia.toml").exists()
    sandbox.issue("it-1")
    sandbox.ok("init")
    sandbox.ok("run", "--agent", agent)
    assert sandbox.status("it-1") == "closed"
    assert sandbox.git("status", "--porcelain") == "?? intarsia.toml"
    assert intact(sandbox.root)


def test_a_read_only_disk(disk: Disk) -> None:
    sandbox = Sandbox(disk.path / "project")
    agent = sandbox.scenario({"it-1": adds("one.txt", "1\n")})
    sandbox.issue("it-1")
    disk.remount("ro")
    for command in (["init"], ["issue", "new", "x"], ["issue", "close", "it-1"], ["run", "--agent", agent], ["clean"]):
        text = refused(sandbox.call(*command), 2)
        assert "writable" in text, command
    assert refused_as_json(sandbox.call("issue", "new", "x", "--json"), 2, "database")["hint"]
    assert sandbox.json("doctor")["healthy"] is False
    disk.remount("rw")
    assert intact(sandbox.root)
    sandbox.ok("run", "--agent", agent)
    assert [issue["id"] for issue in sandbox.json("issue", "list", "--all")["issues"]] == ["it-1"]
    assert sandbox.status("it-1") == "closed"


@pytest.mark.parametrize("stage", ["working", "checking"])
def test_a_disk_that_fills_up_during_a_run(tmp_path: Path, disk: Disk, database_url: str, stage: str) -> None:
    """Nobody is to blame for what fails then, so nothing is blocked, and the next run goes on to the same end."""
    local = database_url.startswith("sqlite")
    sandbox = Sandbox(disk.path / "project", "" if local else database_url)
    there, go = tmp_path / "there", tmp_path / "go"
    wait = f"touch {there}; while [ ! -e {go} ]; do sleep 0.02; done"
    sandbox.commit("intarsia.toml", f'[checks]\nlook = "{wait if stage == "checking" else "true"}"\n', "Configure")
    before = [{"shell": wait}] if stage == "working" else []
    scripts = {f"it-{n}": [[*before, *adds(f"{n}.txt", f"{n}\n")[0]]] for n in (1, 2, 3)}
    for issue in scripts:
        sandbox.issue(issue)
    agent = sandbox.scenario(scripts)
    run = sandbox.start("run", "--agent", agent, "--agents", "2")
    until(there.exists)
    disk.fill()
    go.touch()
    output, _ = run.communicate(timeout=300)
    assert run.returncode == 2, output
    assert "Traceback" not in output
    assert output.count("intarsia: ") == 1, output
    assert "room" in output
    disk.free()
    assert not local or intact(sandbox.root)
    assert {sandbox.status(issue) for issue in scripts} <= {"open", "in_progress", "closed"}
    sandbox.ok("run", "--agent", agent)
    assert [sandbox.show(f"{n}.txt") for n in (1, 2, 3)] == ["1", "2", "3"]
    assert {sandbox.status(issue) for issue in scripts} == {"closed"}
    assert [len(sandbox.sessions(issue)) for issue in scripts] == [1, 1, 1]
    assert not local or intact(sandbox.root)
    assert sandbox.git("status", "--porcelain") == ""
