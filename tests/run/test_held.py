"""What agents changed without asking: before it lands it is compared with what they hold."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intarsia.kernel import line
from tests.run.test_crash import finish, opened
from tests.run.test_overlaps import prompt
from tests.run.test_shared_run import CODE, changed, changes, on_disk, prepare
from tests.support.sandbox import Sandbox, Step
from tests.support.until import until

A = "code:a.py#a"


def project(sandbox: Sandbox, policy: str = "", wait: int = 0) -> Sandbox:
    """ann holds a; sessions edit by their shell, or by what asks as little."""
    sandbox.commit("intarsia.toml", f"[run]\non_overlap = '{policy}'\n[workspace]\nwait = {wait}\n", "Configure")
    sandbox.commit("a.py", CODE, "Code")
    sandbox.issue("it-1")
    sandbox.ok("agent", "join", "ann")
    sandbox.ok("lock", "acquire", A, "--note", "by hand")
    return sandbox


def by_shell(name: str, old: str = "1", new: str = "2") -> list[Step]:
    """A change of one function that nobody is asked for."""
    return [{"shell": f"sed -i '/def {name}/,/return/s/return {old}/return {new}/' a.py"}, {"commit": f"Change {name}"}]


def asking(sandbox: Sandbox, scripts: Mapping[str, Sequence[Sequence[Step]]]) -> str:
    """An agent that asks before each step, and leaves out what it may not do."""
    agent = sandbox.scenario(scripts)
    path = Path(agent.removeprefix("script: "))
    path.write_text("asks = true\n" + path.read_text())
    return agent


def noted(sandbox: Sandbox) -> list[dict[str, Any]]:
    return [event["data"] for event in sandbox.events("changed_unheld")]


def holders(told: dict[str, Any]) -> list[str]:
    return [obstacle["holder"] for obstacle in told["obstacles"]]


def waits(sandbox: Sandbox) -> bool:
    with opened(sandbox).read() as tx:
        return bool(line.standing(tx))


def test_what_another_holds_goes_back_and_the_rest_lands(each_sandbox: Sandbox) -> None:
    box = project(each_sandbox, "refuse")
    box.ok("run", "--agent", box.scenario({"it-1": [by_shell("a"), [*by_shell("a", "2", "1"), *by_shell("b")]]}))
    assert box.show("a.py") + "\n" == changed("b")
    told, later = noted(box)
    assert (told["resources"], holders(told)) == ({f"{A}/body": "exclusive"}, ["ann"])
    assert (later["resources"], holders(later)) == ({"code:a.py#b/body": "exclusive"}, [])
    said = prompt(box, "it-1", 2)
    assert "Nothing landed" in said and f"ann (by hand) holds {A} (exclusive) since" in said


def test_it_is_waited_for_before_it_lands(each_sandbox: Sandbox) -> None:
    box = project(each_sandbox, "wait", 600)
    run = box.start("run", "--agent", box.scenario({"it-1": [by_shell("a")]}))
    until(lambda: waits(box))
    assert box.show("a.py") + "\n" == CODE
    box.ok("lock", "release", A)
    finish(run)
    assert box.show("a.py") + "\n" == changed("a")
    assert [(told["resources"], holders(told)) for told in noted(box)] == [({f"{A}/body": "exclusive"}, ["ann"])]


def test_waiting_has_an_end_and_nothing_lands_then(sandbox: Sandbox) -> None:
    """To come again with the same work is no idle turn; only the number of tries ends it."""
    box = project(sandbox, "wait")
    before = box.git("rev-parse", "main")
    done = box.call("run", "--agent", box.scenario({"it-1": [by_shell("a")]}), env={"INTARSIA_RUN_FOLLOWUPS": "2"})
    assert done.returncode == 1
    assert box.git("rev-parse", "main") == before
    (session,) = box.sessions()
    assert (session["stage"], session["turn"]) == ("blocked", 3)
    assert "ann (by hand) holds" in session["reason"]
    assert "return 2" in box.show("a.py", "intarsia/it-1/1")


def test_who_comes_again_lands_when_it_is_free(sandbox: Sandbox) -> None:
    box = project(sandbox, "refuse")
    again: Step = {"shell": "cd $INTARSIA_ROOT && touch again && until test -e free; do sleep 0.02; done"}
    run = box.start("run", "--agent", box.scenario({"it-1": [by_shell("a"), [again]]}))
    until((box.root / "again").exists)
    box.ok("lock", "release", A)
    box.write("free", "")
    finish(run)
    assert box.show("a.py") + "\n" == changed("a")
    assert [holders(told) for told in noted(box)] == [["ann"], []]


def test_to_advise_is_to_record_it(sandbox: Sandbox) -> None:
    box = project(sandbox)
    box.ok("run", "--agent", box.scenario({"it-1": [by_shell("a")]}))
    assert box.show("a.py") + "\n" == changed("a")
    (told,) = noted(box)
    assert (told["resources"], told["obstacles"][0]["held"]) == ({f"{A}/body": "exclusive"}, A)


def test_what_nobody_holds_is_no_matter(sandbox: Sandbox) -> None:
    box = project(sandbox, "refuse")
    box.ok("lock", "release", A)
    box.ok("run", "--agent", box.scenario({"it-1": [by_shell("a")]}))
    assert [holders(told) for told in noted(box)] == [[]]
    box.issue("it-2")
    box.ok("run", "--agent", box.scenario({"it-2": [by_shell("b")]}), env={"INTARSIA_RUN_ON_OVERLAP": "advise"})
    assert len(noted(box)) == 1
    assert box.show("a.py") + "\n" == changed("a", "b")


def test_what_was_leased_when_it_was_asked_for_needs_no_more(sandbox: Sandbox) -> None:
    """An agent that asks, is refused what another holds, does something else, and lands."""
    box = project(sandbox, "refuse")
    steps = [
        {"replace": "a.py", "old": f"def {name}():\n    return 1", "new": f"def {name}():\n    return 2"}
        for name in "ab"
    ]
    box.ok("run", "--agent", asking(box, {"it-1": [[*steps, {"commit": "Change what is free"}]]}))
    assert box.show("a.py") + "\n" == changed("b")
    assert noted(box) == []


def test_what_was_leased_for_less_is_not_held_for_more(sandbox: Sandbox) -> None:
    """It may add to the file, beside ann, and then does something to all of it."""
    box = project(sandbox, "refuse")
    steps: list[Step] = [{"append": "a.py", "text": "\n\ndef n():\n    pass\n"}, {"shell": "chmod +x a.py"}]
    agent = asking(box, {"it-1": [[*steps, {"commit": "Add n"}]]})
    box.call("run", "--agent", agent, env={"INTARSIA_RUN_FOLLOWUPS": "0"})
    assert [(told["resources"], holders(told)) for told in noted(box)] == [({"code:a.py": "exclusive"}, ["ann"])]
    assert box.show("a.py") + "\n" == CODE


def test_what_the_branch_brought_is_not_the_sessions(sandbox: Sandbox) -> None:
    """It merges the newest branch, which has changed what ann holds."""
    box = project(sandbox, "refuse")
    meanwhile: Step = {"shell": "cd $INTARSIA_ROOT && sed -i 's/return 1/return 9/' a.py && git commit -qam 'By ann'"}
    take: Step = {"shell": "git pull --quiet --no-rebase $INTARSIA_ROOT main"}
    box.ok(
        "run",
        "--agent",
        box.scenario({"it-1": [[meanwhile, take, {"write": "b.py", "text": "b = 1\n"}, {"commit": "b"}]]}),
    )
    assert "b.py" in box.files() and "return 9" in box.show("a.py")
    assert [told["resources"] for told in noted(box)] == [{"code:b.py": "exclusive"}]


def test_in_a_shared_tree_what_was_given_away_goes_back(sandbox: Sandbox) -> None:
    """An agent edits by our tools, and then gives up what it holds before it has landed."""
    box = prepare(sandbox, "wait = 0\n")
    box.issue("it-a")
    box.ok("agent", "join", "ann")
    give = f"{sys.executable} -m intarsia lock release {A}/body && touch given"
    steps: list[Step] = [*changes("a")[0], {"shell": f"{give} && until test -e taken; do sleep 0.02; done"}]
    free: Step = {"shell": "touch again; until test -e free; do sleep 0.02; done"}
    box.write(".gitignore", "given\ntaken\nagain\nfree\n")
    run = box.start("run", "--agent", box.scenario({"it-a": [steps, [free]]}))
    until((box.root / "given").exists)
    box.ok("lock", "acquire", A)
    box.write("taken", "")
    until((box.root / "again").exists)
    assert box.show("a.py") + "\n" == CODE
    assert f"ann holds {A} (exclusive)" in prompt(box, "it-a", 2)
    box.ok("lock", "release", A)
    box.write("free", "")
    finish(run)
    assert box.show("a.py") + "\n" == changed("a") == on_disk(box)


def test_in_a_shared_tree_what_was_parked_waits_for_who_took_it_meanwhile(sandbox: Sandbox) -> None:
    """Nobody holds what is parked, and its changes are not in the tree: its agent could do nothing about it."""
    box = prepare(sandbox, "wait = 0\n")
    box.issue("it-a")
    box.ok("agent", "join", "ann")
    box.write("a.py", CODE.replace("def c():\n    return 1", "def c():\n    return 7"))
    box.git("add", "a.py")
    agent = box.scenario({"it-a": changes("a")})
    assert "you have staged other changes of a.py" in box.call("run", "--agent", agent).stdout
    box.git("reset", "--quiet", "a.py")
    box.ok("lock", "acquire", A)
    assert f"Ready to land, but ann holds {A} (exclusive)" in box.call("run", "--agent", agent).stdout
    assert (box.show("a.py") + "\n", box.sessions()[0]["turn"]) == (CODE, 1)
    box.ok("lock", "release", A)
    box.ok("run", "--agent", agent)
    assert box.show("a.py") + "\n" == changed("a")
    assert "return 7" in on_disk(box)


def test_in_a_shared_tree_a_shell_that_is_asked_about_writes_beside_it_only(sandbox: Sandbox) -> None:
    """What it may not write is not taken for a person's, and by our commands it is the session's."""
    box = prepare(sandbox)
    box.issue("it-a")
    ours = f"{sys.executable} -m intarsia"
    commands = (
        "echo 1 > a.py",
        f"{ours} edit a.py --old 'def a():\n    return 1' --new 'def a():\n    return 2'",
        f"{ours} commit -m 'By commands'",
    )
    box.ok("run", "--agent", asking(box, {"it-a": [[{"shell": command} for command in commands]]}))
    assert box.show("a.py") + "\n" == changed("a") == on_disk(box)
    assert box.events("adopted") == []


def test_in_a_shared_tree_nobody_is_told_to_merge_a_branch(sandbox: Sandbox) -> None:
    box = prepare(sandbox)
    box.issue("it-a")
    box.write(".git/info/exclude", "ready\ngo\n")
    first: list[Step] = [*changes("a")[0], {"shell": "touch ready; until test -e go; do sleep 0.02; done"}]
    second: list[Step] = [{"replace": "a.py", "old": "return 7", "new": "return 9"}, {"commit": "Both"}]
    run = box.start("run", "--agent", box.scenario({"it-a": [first, second]}))
    until((box.root / "ready").exists)
    commit_beside(box, CODE.replace("return 1", "return 7", 1))
    box.write("go", "")
    finish(run)
    assert box.show("a.py") + "\n" == CODE.replace("return 1", "return 9", 1) == on_disk(box)
    told = prompt(box, "it-a", 2)
    assert "In conflict with what landed meanwhile: a.py. Change your part so that both hold" in told
    assert "make them again on what is there" in told and "Merge that branch" not in told


def commit_beside(box: Sandbox, text: str) -> None:
    """A person's commit to a.py that leaves the file on disk as it is."""
    path = box.root.parent / "a.py"
    path.write_text(text)
    box.git("update-index", "--cacheinfo", f"100644,{box.git('hash-object', '-w', str(path))},a.py")
    box.git("commit", "--quiet", "-m", "By hand")
