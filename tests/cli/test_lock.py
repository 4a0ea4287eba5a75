"""`intarsia lock`, as agents and people call it; what leases are is proven in tests/kernel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from intarsia.kernel import Database, leases, line
from tests.support.dump import dump
from tests.support.here import Here
from tests.support.sandbox import Sandbox
from tests.support.until import until


@pytest.fixture
def team(here: Here) -> Here:
    here.ok("agent", "join", "alice")
    here.ok("agent", "join", "bob")
    return here


def held(store: Database) -> dict[str, str]:
    with store.read() as tx:
        return {lease.resource: lease.session for lease in leases.held(tx)}


def test_holding_and_giving_back(team: Here) -> None:
    taken = team.json("lock", "acquire", "code:src/a.py", "code:./src//b.py", "--note", "tokenizer", me="alice")
    assert taken["resources"] == ["code:src/a.py", "code:src/b.py"]
    assert (taken["holder"], taken["mode"], taken["token"] > 0, "expires_at" in taken) == (
        "alice",
        "exclusive",
        True,
        True,
    )
    done = team.call("lock", "acquire", "code:src/a.py#f", "code:c", "--json", me="bob")
    assert (done.code, done.json["code"], done.json["holder"], done.json["resource"]) == (
        1,
        "held",
        "alice",
        "code:src/a.py",
    )
    assert set(done.json) >= {"held_since", "expires_at", "note", "hint", "message"}
    assert [lease["resource"] for lease in team.json("lock", "list")["leases"]] == ["code:src/a.py", "code:src/b.py"]
    assert team.ok("lock", "list", "--prefix", "code:src/b").startswith("code:src/b.py  exclusive  alice  until 2")
    assert team.json("lock", "release", "code:src/b.py", me="alice")["released"] == ["code:src/b.py"]
    assert team.ok("lock", "release", "--all", me="alice") == "Released: code:src/a.py.\n"
    assert team.ok("lock", "list") == "Nothing is held.\n"


def test_shared_holders_and_checking(team: Here) -> None:
    team.ok("lock", "acquire", "code:a", "--shared", me="alice")
    team.ok("lock", "acquire", "code:a", "--shared", me="bob")
    assert team.json("lock", "check", "code:a", "--shared", me="bob")["free"] is True
    checked = team.call("lock", "check", "code:a", "--json", me="bob")
    assert (checked.code, checked.json["free"], [le["session"] for le in checked.json["holders"]]) == (
        1,
        False,
        ["alice"],
    )
    assert team.refused("lock", "wait", "code:a", "--timeout", "0", me="bob") == (1, "held")
    team.ok("lock", "release", "code:a", me="alice")
    assert team.ok("lock", "check", "code:a", me="bob") == "code:a is free.\n"
    assert team.ok("lock", "wait", "code:a", me="bob") == "Free.\n"


def test_those_who_only_add_hold_it_together(team: Here) -> None:
    assert team.json("lock", "acquire", "code:a#C", "--mode", "insert", me="alice")["mode"] == "insert"
    team.ok("lock", "acquire", "code:a#C", "--mode", "insert", me="bob")
    team.ok("lock", "acquire", "code:a#C.m", me="bob")
    assert team.json("lock", "check", "code:a#C", "--mode", "append", me="alice")["free"] is True
    done = team.call("lock", "check", "code:a#C/body", me="alice")
    assert (done.code, done.out.partition(" until")[0]) == (1, "code:a#C is held by bob (insert)")
    assert team.ok("lock", "list").splitlines()[0].startswith("code:a#C    insert     alice")
    assert [lease["mode"] for lease in team.json("lock", "list")["leases"]] == ["insert", "insert", "exclusive"]


def test_one_mode_is_said_at_most(team: Here) -> None:
    done = team.call("lock", "acquire", "code:a", "--shared", "--mode", "insert", me="alice")
    assert (done.code, "--shared and --mode insert" in done.err) == (2, True)
    assert team.json("lock", "acquire", "code:a", "--shared", "--mode", "shared", me="alice")["mode"] == "shared"
    assert team.call("lock", "acquire", "code:a", "--mode", "write", me="alice").code == 2


def test_nobody_gives_back_or_renews_what_another_holds(team: Here, store: Database) -> None:
    team.ok("lock", "acquire", "code:a", me="alice")
    team.ok("lock", "acquire", "code:b", me="bob")
    for args in (
        ["release", "code:a"],
        ["heartbeat", "code:a"],
        ["release", "code:b", "code:a"],
        ["heartbeat", "code:b", "code:a"],
    ):
        assert team.refused("lock", *args, me="bob") == (1, "not_holder")
    assert held(store) == {"code:a": "alice", "code:b": "bob"}


@pytest.mark.parametrize(
    ("args", "code", "name"),
    [
        (["acquire", "nonsense"], 4, "bad_input"),
        (["acquire", "code:../../etc"], 4, "bad_input"),
        (["acquire", "code:a", "--ttl", "0"], 4, "bad_input"),
        (["acquire", "code:a", "--ttl", "86401"], 4, "bad_input"),
        (["acquire", "code:a", "--ttl", "1.5"], 2, "usage"),
        (["acquire", "code:a", "--wait", "nan"], 4, "bad_input"),
        (["acquire", "code:a", "--wait", "-1"], 4, "bad_input"),
        (["acquire"], 2, "usage"),
        (["release"], 2, "usage"),
        (["release", "code:a", "--all"], 2, "usage"),
        (["release", "--all"], 1, "not_holder"),
        (["release", "code:a"], 1, "not_holder"),
        (["heartbeat"], 1, "not_holder"),
        (["heartbeat", "--ttl", "0", "code:a"], 1, "not_holder"),
        (["check", "x"], 4, "bad_input"),
        (["wait", "code:a", "--timeout", "nan"], 4, "bad_input"),
        (["wait", "code:a", "--timeout", "inf"], 4, "bad_input"),
        (["force-release", "code:a", "--yes"], 1, "conflict"),
        (["guard", "--on", "code:a"], 2, "usage"),
        (["guard", "true"], 2, "usage"),
        (["guard", "--on", "code:a", "--wait", "nan", "true"], 4, "bad_input"),
        (["guard", "--on", "code:a", "--ttl", "0", "true"], 4, "bad_input"),
        (["guard", "--on", "code:a", "/nowhere/to/be/found"], 2, "usage"),
    ],
)
def test_what_can_not_be_done_is_an_error(team: Here, store: Database, args: list[str], code: int, name: str) -> None:
    assert team.refused("lock", *args, me="alice") == (code, name)
    assert held(store) == {}


def test_taking_by_force_needs_a_yes_and_is_recorded(team: Here) -> None:
    team.ok("lock", "acquire", "code:a", me="alice")
    assert team.refused("lock", "force-release", "code:a", me="bob") == (2, "usage")
    taken = team.json("lock", "force-release", "code:a", "--yes", "--note", "on holiday", me="bob")
    assert (taken["resource"], taken["holder"]) == ("code:a", "alice")
    assert team.refused("lock", "heartbeat", "code:a", me="alice") == (1, "not_holder")
    (event,) = [event for event in team.json("log")["events"] if event["kind"] == "lock_forced"]
    assert (event["actor"], event["data"]) == ("bob", {"resource": "code:a", "holder": "alice", "note": "on holiday"})


def test_an_issue_that_was_claimed_is_open_again_when_its_lock_goes(team: Here) -> None:
    for number, args in enumerate([["release", "issue:t-0"], ["release", "--all"]]):
        team.ok("issue", "new", "x", "--id", f"t-{number}")
        team.ok("issue", "claim", f"t-{number}", me="alice")
        team.ok("lock", *args, me="alice")
        assert team.json("issue", "show", f"t-{number}")["issue"]["status"] == "open"
    team.ok("issue", "claim", "t-0", me="alice")
    team.ok("lock", "force-release", "issue:t-0", "--yes", me="bob")
    shown = team.json("issue", "show", "t-0")
    assert (shown["issue"]["status"], shown["notes"][-1]) == ("open", "Taken from alice by bob.")
    assert team.refused("issue", "complete", "t-0", "late", me="alice") == (1, "not_holder")


# guard


TTL = 4
"""Seconds; so long a guard that is alive may get no turn."""


@pytest.fixture
def alone(each_sandbox: Sandbox) -> Sandbox:
    each_sandbox.ok("agent", "join", "alice")
    return each_sandbox


@contextmanager
def guarding(sandbox: Sandbox, shell: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A guard on code:a whose command has come to READY, and is ended with the test."""
    ready = sandbox.root.parent / "ready"
    ready.unlink(missing_ok=True)
    shell = shell.replace("READY", f"echo $$ > {ready}.new; mv {ready}.new {ready}")
    process = sandbox.start("lock", "guard", "--on", "code:a", *options, "--", "sh", "-c", shell)
    until(ready.exists)
    try:
        yield process
    finally:
        process.kill()
        with suppress(ProcessLookupError):
            os.kill(int(ready.read_text()), signal.SIGKILL)
        process.communicate(timeout=300)


def test_a_command_is_run_while_it_is_held(team: Here, store: Database) -> None:
    listed = [sys.executable, "-m", "intarsia", "lock", "list", "--json"]
    done = team.call("lock", "guard", "--on", "code:b", "--on", "code:a", "--", *listed, me="alice")
    assert (done.code, done.err) == (0, "")
    assert [lease["resource"] for lease in done.json["leases"]] == ["code:a", "code:b"]
    assert held(store) == {}


@pytest.mark.parametrize(("shell", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_its_exit_code_is_that_of_the_command(team: Here, store: Database, shell: str, code: int) -> None:
    text = team.call("lock", "guard", "--on", "code:a", "--", "sh", "-c", f"echo said; {shell}", me="alice")
    assert (text.code, text.out, text.err) == (code, "said\n", "")
    done = team.call("lock", "guard", "--on", "code:a", "--json", "--", "sh", "-c", f"echo said; {shell}", me="alice")
    assert (done.code, done.err, done.json["exit_code"], done.json["resources"]) == (code, "said\n", code, ["code:a"])
    assert held(store) == {}


def test_nothing_is_run_without_the_lease(team: Here, store: Database) -> None:
    for holder in ("alice", "bob"):
        team.ok("lock", "acquire", "code:a", me=holder)
        assert team.refused("lock", "guard", "--on", "code:a", "touch", "done", me="alice") == (1, "held")
        assert held(store) == {"code:a": holder}
        team.ok("lock", "release", "--all", me=holder)
    assert not (team.sandbox.root / "done").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_reaches_the_command_and_the_lease_ends_after_it(
    alone: Sandbox, store: Database, number: signal.Signals
) -> None:
    wait = "until test -e go; do sleep 0.02; done"
    slow = f"trap 'echo got it; {wait}; exit 9' TERM INT HUP; READY; while :; do sleep 0.02; done"
    with guarding(alone, slow) as guard:
        guard.send_signal(number)
        assert guard.stdout
        assert guard.stdout.readline() == "got it\n"
        assert held(store) == {"code:a": "alice"}
        alone.write("go", "")
        assert guard.wait(60) == 9
        assert held(store) == {}


PTY = """
import os, pty, sys
pid, terminal = pty.fork()
if not pid:
    os.execv(sys.executable, [sys.executable, "-m", "intarsia", *sys.argv[1:]])
seen, typed = b"", 0
try:
    while chunk := os.read(terminal, 1000):
        seen += chunk
        if b"ready" in seen and not typed:
            typed = os.write(terminal, b"\\x03")
except OSError:
    pass
print(seen.count(b"got it"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


COUNT = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(time.sleep(0.02)))
print("ready", flush=True)
while not seen:
    time.sleep(0.01)
time.sleep(0.5)
print("got it " * len(seen), flush=True)
sys.exit(9)
"""


def test_control_c_in_a_terminal_reaches_the_command_once(alone: Sandbox, store: Database) -> None:
    """Twice would mean something else to many programs, for instance to intarsia run."""
    command = [sys.executable, "-c", PTY, "lock", "guard", "--on", "code:a", "--", sys.executable, "-c", COUNT]
    done = subprocess.run(
        command, cwd=alone.root, env=alone.env, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == ["1", "9"], done
    assert held(store) == {}


def test_a_guard_that_waits_can_be_interrupted(alone: Sandbox, store: Database) -> None:
    alone.ok("agent", "join", "bob")
    alone.ok("lock", "acquire", "code:a", env={"INTARSIA_AGENT": "bob"})
    for number, code in [(signal.SIGINT, 130), (signal.SIGTERM, 143)]:
        guard = alone.start("lock", "guard", "--on", "code:a", "--wait", "60", "true", env={"INTARSIA_AGENT": "alice"})
        until(lambda: waiting(store))
        guard.send_signal(number)
        assert guard.wait(60) == code
        guard.communicate()
        until(lambda: not waiting(store))  # at the latest when its place in the line lapses
    assert held(store) == {"code:a": "bob"}


def waiting(store: Database) -> bool:
    with store.read() as tx:
        return bool(line.standing(tx))


def test_when_the_guard_is_killed_the_lease_ends_with_its_time(alone: Sandbox, store: Database) -> None:
    with guarding(alone, "READY; exec sleep 600", "--ttl", str(TTL)) as guard:
        until(lambda: renewed(store))
        guard.kill()
        guard.wait(60)
        assert held(store) == {"code:a": "alice"}
        until(lambda: not held(store))


def renewed(store: Database) -> bool:
    with store.read() as tx:
        return any(lease.expires - lease.acquired > TTL + 0.2 for lease in leases.held(tx))


def test_a_command_does_not_go_on_without_its_lease(alone: Sandbox, store: Database) -> None:
    with guarding(alone, "READY; exec sleep 600", "--ttl", str(TTL)) as guard:
        alone.ok("lock", "force-release", "code:a", "--yes")
        assert guard.wait(60) == 143
        assert guard.stdout
        assert "the lease was lost; ending the command" in guard.stdout.read()


def test_two_guards_of_one_agent_take_turns(alone: Sandbox, store: Database) -> None:
    """As two runs of one cron job do, although a holder does not conflict with itself."""
    with guarding(alone, "READY; while [ ! -e go ]; do sleep 0.02; done") as first:
        before = dump(store)["leases"]
        for wait in ("0", "0.2"):
            refused = alone.call("lock", "guard", "--on", "code:a", "--wait", wait, "--json", "true")
            assert (refused.returncode, json.loads(refused.stdout)["holder"]) == (1, "alice")
        assert dump(store)["leases"] == before
        second = alone.start("lock", "guard", "--on", "code:a", "--wait", "60", "--", "sh", "-c", "echo mine")
        assert held(store) == {"code:a": "alice"}
        alone.write("go", "")
        assert first.wait(60) == 0
        said, _ = second.communicate(timeout=300)
        assert (second.returncode, said) == (0, "mine\n")
    assert held(store) == {}
