"""`intarsia sync` as people and cron call it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.support.sandbox import Sandbox
from tests.support.until import until

WORKING = "cat >> out.jsonl"
REPAIRABLE = "cat >> out.jsonl; test -e repaired"


def configure(sandbox: Sandbox, retries: int = 8, **commands: str) -> None:
    parts = [f"[sync.{name}]\ncommand = {json.dumps(text)}\nretries = {retries}\n" for name, text in commands.items()]
    sandbox.write("intarsia.toml", "\n".join(parts))


def got(sandbox: Sandbox, name: str = "out.jsonl") -> list[int]:
    return [json.loads(line)["id"] for line in (sandbox.root / name).read_text().splitlines()]


def test_run_hands_over_everything_once(each_sandbox: Sandbox) -> None:
    configure(each_sandbox, tracker=WORKING, other="cat >> other.jsonl")
    each_sandbox.issue("a-1")
    each_sandbox.ok("sync", "run")
    assert "current" in each_sandbox.ok("sync", "run")
    ids = [event["id"] for event in each_sandbox.events()]
    assert got(each_sandbox) == got(each_sandbox, "other.jsonl") == ids
    each_sandbox.issue("a-2")
    each_sandbox.ok("sync", "run", "tracker")
    states = {one["name"]: (one["state"], one["behind"]) for one in each_sandbox.json("sync", "status")["syncs"]}
    assert states == {"tracker": ("current", 0), "other": ("behind", 1)}


def test_a_failure_is_told_waits_and_is_retried(each_sandbox: Sandbox) -> None:
    configure(each_sandbox, tracker=REPAIRABLE)
    each_sandbox.issue("a-1")
    done = each_sandbox.call("sync", "run")
    assert done.returncode == 1
    assert "tracker is 1 events behind after 1 failures, next try at" in done.stderr
    for _ in range(4):  # each pause is twice as long as the one before
        assert each_sandbox.call("sync", "retry", "tracker").returncode == 1
    (found,) = each_sandbox.json("sync", "status")["syncs"]
    assert (found["failures"], found["problem"]) == (5, "It exited with 1.")
    answer = each_sandbox.json("sync", "run")  # too early, so nothing was tried: no success either
    assert (answer["ok"], answer["code"]) == (False, "sync_failed")
    assert (answer["syncs"][0]["state"], answer["syncs"][0]["failures"]) == ("waiting", 5)
    assert found["next_try"].endswith("Z")
    each_sandbox.write("repaired", "")
    retried = each_sandbox.json("sync", "retry", "tracker")
    assert (retried["ok"], retried["syncs"][0]["behind"]) == (True, 0)
    assert len(set(got(each_sandbox))) == 1


def test_one_that_stopped_goes_on_only_by_a_retry(sandbox: Sandbox) -> None:
    configure(sandbox, retries=1, tracker=REPAIRABLE)
    sandbox.issue("a-1")
    assert "stopped" in sandbox.call("sync", "run").stderr
    sandbox.write("repaired", "")
    done = sandbox.call("sync", "run")
    assert (done.returncode, len(got(sandbox))) == (1, 1)
    assert "intarsia sync retry tracker" in done.stderr
    sandbox.ok("sync", "retry", "tracker")
    sandbox.ok("sync", "run")


def test_what_can_not_be_asked_for(sandbox: Sandbox) -> None:
    assert sandbox.call("sync", "run").returncode == 2
    configure(sandbox, tracker=WORKING)
    answer = sandbox.json("sync", "run", "nobody")
    assert (answer["code"], "tracker" in answer["hint"]) == ("not_found", True)
    answer = sandbox.json("sync", "retry", "tracker")
    assert (answer["ok"], answer["code"]) == (False, "conflict")
    assert sandbox.call("sync", "retry", "tracker").returncode == 1
    assert sandbox.call("sync", "run", "--follow", "--dry-run").returncode == 2


def test_a_dry_run_hands_nothing_over(each_sandbox: Sandbox) -> None:
    configure(each_sandbox, tracker=WORKING)
    each_sandbox.issue("a-1")
    ids = [event["id"] for event in each_sandbox.events()]
    assert each_sandbox.json("sync", "run", "--dry-run")["batches"] == {"tracker": ids}
    assert not (each_sandbox.root / "out.jsonl").exists()
    assert each_sandbox.json("sync", "status")["syncs"][0]["cursor"] == 0


def test_a_second_run_leaves_the_first_alone(each_sandbox: Sandbox) -> None:
    configure(each_sandbox, tracker="cat >> out.jsonl; touch began; while ! test -e go; do sleep 0.02; done")
    each_sandbox.issue("a-1")
    first = each_sandbox.start("sync", "run")
    until((each_sandbox.root / "began").exists)
    answer = each_sandbox.json("sync", "run")
    assert (answer["ok"], answer["syncs"][0]["state"]) == (False, "running")
    each_sandbox.write("go", "")
    first.communicate()
    assert first.returncode == 0
    assert len(got(each_sandbox)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_follower_hands_over_what_happens_until_it_is_stopped(sandbox: Sandbox, number: int) -> None:
    configure(sandbox, tracker=WORKING)
    follower = sandbox.start("sync", "run", "--follow", "--json")
    assert follower.stdout is not None
    assert json.loads(follower.stdout.readline())["state"] == "current"
    sandbox.issue("a-1")
    assert json.loads(follower.stdout.readline())["cursor"] > 0
    assert len(got(sandbox)) == 1
    os.kill(follower.pid, number)
    follower.communicate()
    assert follower.returncode == 130


def test_a_stopped_run_takes_its_command_with_it(sandbox: Sandbox) -> None:
    configure(sandbox, tracker="echo $$ > pid; touch began; sleep 600")
    sandbox.issue("a-1")
    run = sandbox.start("sync", "run")
    until((sandbox.root / "began").exists)
    os.kill(run.pid, signal.SIGTERM)
    run.communicate()
    with pytest.raises(ProcessLookupError):
        os.kill(int((sandbox.root / "pid").read_text()), 0)
    (found,) = sandbox.json("sync", "status")["syncs"]
    assert (found["state"], found["failures"]) == ("behind", 0)
