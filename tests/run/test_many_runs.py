"""Many `intarsia run` at once on one repository: every issue is worked exactly once."""

from __future__ import annotations

from collections import Counter

import pytest

from intarsia.kernel import issues
from intarsia.kernel.issues import Draft
from tests.run.test_crash import check_clean, finish, kill, opened
from tests.support.sandbox import Sandbox, Step, after
from tests.support.until import until


def prepared(box: Sandbox, count: int, *before: Step) -> tuple[list[str], str]:
    """So many issues, by id, and an agent that notes what it works on and commits it."""
    names = [f"it-{number}" for number in range(1, count + 1)]
    box.ok("issue", "list")
    with opened(box).transaction() as tx:
        for name in names:
            issues.create(tx, Draft(f"Do {name}", id=name), "test")
    note = {"shell": 'echo "$INTARSIA_ISSUE" >> "$INTARSIA_ROOT/.intarsia/worked"'}
    turns = {name: [[*before, note, {"append": f"{name}.txt", "text": "done\n"}, {"commit": name}]] for name in names}
    return names, box.scenario(turns)


def worked(box: Sandbox) -> Counter[str]:
    path = box.root / ".intarsia/worked"
    return Counter(path.read_text().split() if path.exists() else [])


@pytest.mark.parametrize("runs", [2, 8])
def test_runs_started_at_once_share_the_issues(each_sandbox: Sandbox, runs: int) -> None:
    box = each_sandbox
    go = box.root.parent / "go"
    names, agent = prepared(box, 40, after(go))
    before = int(box.git("rev-list", "--count", "main"))
    started = [box.start("run", "--agent", agent, "--agents", "2") for _ in range(runs)]
    until(lambda: len({event["run"] for event in box.events("session_started")}) == runs)
    go.touch()
    said = [finish(run) for run in started]
    assert worked(box) == Counter(names)
    assert Counter(e["issue"] for e in box.events("session_started")) == Counter(names)
    assert int(box.git("rev-list", "--count", "main")) - before == len(names)
    assert {box.show(f"{name}.txt") for name in names} == {"done"}
    assert all("landed" in text for text in said)
    check_clean(box, names)


def test_the_others_finish_what_a_killed_run_had_begun(each_sandbox: Sandbox) -> None:
    box = each_sandbox
    names, agent = prepared(box, 20)
    before = int(box.git("rev-list", "--count", "main"))
    victim, *others = (box.start("run", "--agent", agent, "--agents", "2") for _ in range(3))
    until(lambda: worked(box).total() > 5)
    kill(victim)
    for run in others:
        finish(run)
    assert Counter(e["issue"] for e in box.events("session_started")) == Counter(names)
    assert int(box.git("rev-list", "--count", "main")) - before == len(names)
    assert {box.show(f"{name}.txt") for name in names} == {"done"}
    check_clean(box, names)
