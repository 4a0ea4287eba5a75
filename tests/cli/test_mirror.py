"""`intarsia mirror` as people and cron call it."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.support.sandbox import Sandbox


def test_it_writes_what_changed_and_says_so(each_sandbox: Sandbox, tmp_path: Path) -> None:
    each_sandbox.issue("a-1", title="First")
    place = tmp_path / "mirror"
    first = each_sandbox.json("mirror", str(place))
    assert first["ok"]
    assert "issues/a-1.md" in first["files"]
    assert (place / "issues" / "a-1.md").read_text().startswith("# a-1: First\n")
    assert each_sandbox.json("mirror", str(place))["files"] == []
    each_sandbox.ok("issue", "close", "a-1")
    said = each_sandbox.ok("mirror", str(place))
    assert "3 files written" in said
    assert "| status | closed |" in (place / "issues" / "a-1.md").read_text()


def test_from_a_subdirectory_the_path_is_relative_to_it(sandbox: Sandbox) -> None:
    (sandbox.root / "deep").mkdir()
    sandbox.ok("mirror", "m", cwd=sandbox.root / "deep")
    assert (sandbox.root / "deep" / "m" / "README.md").exists()


def test_queues_of_the_configuration_are_there(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.write("intarsia.toml", '[queues.reviews]\nhandler = "bob"\nsla = 30\n')
    sandbox.ok("mirror", str(tmp_path / "m"))
    sandbox.write("intarsia.toml", '[queues.reviews]\nhandler = "eve"\nsla = 30\n')
    assert sandbox.json("mirror", str(tmp_path / "m"))["files"] == ["queues/reviews.md"]
    assert "| handler | eve |" in (tmp_path / "m" / "queues" / "reviews.md").read_text()


def test_a_directory_of_something_else_is_refused(sandbox: Sandbox) -> None:
    answer = sandbox.json("mirror", ".")
    assert (answer["ok"], answer["code"]) == (False, "conflict")
    done = sandbox.call("mirror", ".")
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert sorted(path.name for path in sandbox.root.iterdir()) == [".git", ".gitignore", ".intarsia", "README.md"]


def test_a_dry_run_writes_nothing(each_sandbox: Sandbox, tmp_path: Path) -> None:
    each_sandbox.issue("a-1")
    said = each_sandbox.ok("mirror", str(tmp_path / "m"), "--dry-run")
    assert "issues/a-1.md" in said
    assert not (tmp_path / "m").exists()
    assert each_sandbox.call("mirror", str(tmp_path / "m"), "--dry-run", "--follow").returncode == 2


def test_a_follower_keeps_up_and_may_be_killed(each_sandbox: Sandbox, tmp_path: Path) -> None:
    place = tmp_path / "m"
    each_sandbox.issue("a-0")
    follower = each_sandbox.start("mirror", str(place), "--follow", "--json")
    try:
        assert follower.stdout is not None
        assert json.loads(follower.stdout.readline())["cursor"] > 0
        assert each_sandbox.call("mirror", str(place)).returncode == 1  # one writes at a time
        each_sandbox.issue("a-1")
        assert "issues/a-1.md" in json.loads(follower.stdout.readline())["files"]
    finally:
        os.kill(follower.pid, signal.SIGKILL)
        follower.communicate()
    each_sandbox.issue("a-2")
    assert "issues/a-2.md" in each_sandbox.json("mirror", str(place))["files"]
    assert {path.name for path in (place / "issues").iterdir()} == {"a-0.md", "a-1.md", "a-2.md"}
