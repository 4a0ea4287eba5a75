"""`intarsia run` where all sessions edit one tree."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from intarsia.kernel.line import Waiting, standing
from tests.run.test_crash import finish, opened
from tests.support.sandbox import Sandbox, Step, adds
from tests.support.until import until

SHARED = "[workspace]\nkind = 'shared'\n"
CODE = "import os\n\n\ndef a():\n    return 1\n\n\ndef b():\n    return 1\n\n\ndef c():\n    return 1\n"


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    return prepare(sandbox)


def prepare(sandbox: Sandbox, config: str = "") -> Sandbox:
    sandbox.commit("intarsia.toml", SHARED + config, "Configure")
    sandbox.commit("a.py", CODE, "Code")
    return sandbox


def change(name: str, to: str = "2") -> Step:
    return {"replace": "a.py", "old": f"def {name}():\n    return 1", "new": f"def {name}():\n    return {to}"}


def changes(name: str, *, wait: float = 0) -> list[list[Step]]:
    """A script of one turn that changes a function and commits that."""
    return [[change(name), *([{"wait": wait}] if wait else []), {"commit": f"Change {name}"}]]


def after_match(pattern: str, path: str = "a.py") -> Step:
    """Go on as soon as a line of the file is like that."""
    return {"shell": f"until grep -q '{pattern}' {path}; do sleep 0.02; done"}


def after_change_of(name: str) -> Step:
    return {"shell": f"until grep -A1 'def {name}' a.py | grep -q 'return 2'; do sleep 0.02; done"}


def changed(*names: str) -> str:
    text = CODE
    for name in names:
        text = text.replace(f"def {name}():\n    return 1", f"def {name}():\n    return 2")
    return text


def stop(run: subprocess.Popen[str]) -> None:
    """Once only: at the third Ctrl-C it would take nothing out of the tree."""
    run.terminate()
    finish(run, 130)


def remembered(sandbox: Sandbox) -> dict[str, int]:
    database = sqlite3.connect(sandbox.root / ".intarsia" / "shared.db")
    tables = ("versions", "files", "seen", "own", "commits", "intents")
    found = {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    database.close()
    return found


def on_disk(sandbox: Sandbox, name: str = "a.py") -> str:
    return (sandbox.root / name).read_bytes().decode()


def test_sessions_share_a_file_and_land_each_its_own(each_sandbox: Sandbox) -> None:
    sandbox = prepare(each_sandbox)
    for name in "abc":
        sandbox.issue(f"it-{name}")
    agent = sandbox.scenario({f"it-{name}": changes(name, wait=0.3) for name in "abc"})
    sandbox.ok("run", "--agent", agent)
    assert sandbox.show("a.py") + "\n" == changed("a", "b", "c") == on_disk(sandbox)
    assert sandbox.git("status", "--short") == ""
    subjects = {}
    for line in sandbox.git("log", "-3", "--format=%H %s").splitlines():
        commit, _, subject = line.partition(" ")
        added = sandbox.git("show", "--format=", "--unified=0", commit, "--", "a.py").splitlines()
        subjects[subject] = [part for part in added if part.startswith(("+ ", "- "))]
    assert subjects == {f"Change {name}": ["-    return 1", "+    return 2"] for name in "abc"}
    assert set(remembered(sandbox).values()) == {0}
    assert sandbox.git("for-each-ref", "refs/heads/intarsia", "refs/intarsia") == ""


def test_uncommitted_work_of_others_does_not_land(project: Sandbox) -> None:
    project.issue("it-a")
    project.issue("it-b")
    hanging: list[list[Step]] = [[change("b"), {"hang": True}]]
    agent = project.scenario({"it-a": [[after_change_of("b"), *changes("a")[0]]], "it-b": hanging})
    run = project.start("run", "--agent", agent)
    until(lambda: project.status("it-a") == "closed")
    assert on_disk(project) == changed("a", "b")
    assert project.show("a.py") + "\n" == changed("a")
    assert project.git("status", "--short") == "M a.py"
    stop(run)
    assert on_disk(project) == changed("a"), "an interrupted turn is taken out"
    assert project.json("session", "list", "--issue", "it-b")["sessions"][0]["stage"] == "parked"


def test_the_users_index_and_dirty_files_stay(project: Sandbox) -> None:
    project.write("mine.txt", "staged\n")
    project.git("add", "mine.txt")
    project.write("README.md", "Changed by me.\n")
    project.write("a.py", CODE.replace("def c():\n    return 1", "def c():\n    return 7"))
    project.issue("it-a")
    project.ok("run", "--agent", project.scenario({"it-a": changes("a")}))
    assert project.show("a.py") + "\n" == changed("a")
    assert on_disk(project) == changed("a").replace("def c():\n    return 1", "def c():\n    return 7")
    assert project.git("diff", "--cached", "--name-only") == "mine.txt"
    assert project.git("diff", "--name-only").splitlines() == ["README.md", "a.py"]


def test_what_the_user_has_staged_in_a_file_that_lands_is_in_the_way(project: Sandbox) -> None:
    project.write("a.py", CODE.replace("def c():\n    return 1", "def c():\n    return 7"))
    project.git("add", "a.py")
    project.issue("it-a")
    agent = project.scenario({"it-a": changes("a")})
    said = project.call("run", "--agent", agent).stdout
    assert "you have staged other changes of a.py" in said
    assert project.show("a.py") + "\n" == CODE
    project.git("reset", "--quiet", "a.py")
    project.ok("run", "--agent", agent)
    assert project.show("a.py") + "\n" == changed("a")
    assert "return 7" in on_disk(project)


def test_checks_judge_the_branch_with_the_sessions_changes_alone(sandbox: Sandbox) -> None:
    """Another session has left the file broken; a check of the tree would fail."""
    prepare(sandbox, "[checks]\ncompiles = 'python3 -m py_compile a.py'\n")
    sandbox.issue("it-a")
    sandbox.issue("it-b")
    breaking: Step = {"replace": "a.py", "old": "def b():", "new": "def b(:"}
    after = after_match("def b(:")
    agent = sandbox.scenario({"it-a": [[after, *changes("a")[0]]], "it-b": [[breaking, {"hang": True}]]})
    run = sandbox.start("run", "--agent", agent)
    until(lambda: sandbox.status("it-a") == "closed")
    assert "def b(:" in on_disk(sandbox)
    assert sandbox.show("a.py") + "\n" == changed("a")
    stop(run)


def test_a_failed_check_is_repaired_in_the_tree(sandbox: Sandbox) -> None:
    prepare(sandbox, "[checks]\nanswer = 'grep -q \"return 42\" a.py'\n")
    sandbox.issue("it-a")
    wrong: list[Step] = [change("a", "41"), {"commit": "Answer"}]
    right: list[Step] = [{"replace": "a.py", "old": "return 41", "new": "return 42"}, {"commit": "Correct it"}]
    sandbox.ok("run", "--agent", sandbox.scenario({"it-a": [wrong, right]}))
    assert "return 42" in sandbox.show("a.py")
    assert sandbox.git("log", "-1", "--format=%s") == "Correct it"
    assert sandbox.sessions()[0]["turn"] == 2


def test_what_was_not_committed_is_told(project: Sandbox) -> None:
    project.issue("it-a")
    project.ok("run", "--agent", project.scenario({"it-a": [[change("a")], [{"commit": "Change a"}]]}))
    assert project.show("a.py") + "\n" == changed("a")
    told = project.root / ".intarsia/sessions" / project.sessions()[0]["id"] / "prompt-2.md"
    assert "a.py" in told.read_text()


def test_work_of_a_session_that_fails_is_archived_and_taken_out(project: Sandbox) -> None:
    project.issue("it-a")
    project.issue("it-b")
    failing: list[list[Step]] = [[change("a"), {"write": "new.py", "text": "x = 1\n"}, {"fail": "no more"}]]
    done = project.call("run", "--agent", project.scenario({"it-a": failing, "it-b": changes("b")}))
    assert done.returncode == 1
    assert on_disk(project) == changed("b") == project.show("a.py") + "\n"
    assert not (project.root / "new.py").exists()
    session = project.sessions("it-a")[0]["id"]
    kept = f"refs/intarsia/archive/{session}/end/work"
    assert "return 2" in project.show("a.py", kept) and project.show("new.py", kept) == "x = 1"
    assert set(remembered(project).values()) == {0}


def test_when_all_tries_are_used_up_the_work_is_kept(sandbox: Sandbox) -> None:
    prepare(sandbox, "[run]\nfollowups = 1\n[checks]\nno = 'false'\n")
    sandbox.issue("it-a")
    agent = sandbox.scenario({"it-a": [changes("a")[0], [{"append": "a.py", "text": "# x\n"}, {"commit": "More"}]]})
    assert sandbox.call("run", "--agent", agent).returncode == 1
    assert sandbox.status("it-a") == "blocked"
    assert on_disk(sandbox) == CODE
    assert "return 2" in sandbox.show("a.py", "intarsia/it-a/1")


def test_the_same_symbol_is_waited_for(project: Sandbox) -> None:
    """The second session edits what the first one has made of it, once that has landed."""
    project.issue("it-1")
    project.issue("it-2")
    first: list[Step] = [change("a"), {"wait": 0.5}, {"commit": "First"}]
    second: list[Step] = [
        after_change_of("a"),
        {"replace": "a.py", "old": "def a():\n", "new": "def a():\n    log()\n"},
        {"commit": "Second"},
    ]
    project.ok("run", "--agent", project.scenario({"it-1": [first], "it-2": [second]}))
    assert project.show("a.py") + "\n" == changed("a").replace("def a():\n", "def a():\n    log()\n")
    assert on_disk(project) == project.show("a.py") + "\n"
    assert project.git("log", "-2", "--format=%s").splitlines() == ["Second", "First"]


def test_a_refusal_names_the_holder(sandbox: Sandbox) -> None:
    prepare(sandbox, "wait = 0\n")
    again: Step = {"replace": "a.py", "old": "def a():\n    return 2", "new": "def a():\n    return 3"}
    sandbox.issue("it-1")
    agent = sandbox.scenario({"it-1": [[change("a"), {"hang": True}]], "it-2": [[again]]})
    run = sandbox.start("run", "--agent", agent)
    until(lambda: on_disk(sandbox) == changed("a"))
    sandbox.issue("it-2")
    until(lambda: sandbox.sessions("it-2") and sandbox.sessions("it-2")[0]["stage"] == "failed")
    said = sandbox.sessions("it-2")[0]["reason"]
    assert sandbox.sessions("it-1")[0]["id"] in said and "code:a.py#a" in said and "since" in said
    assert on_disk(sandbox) == changed("a")
    stop(run)


def test_a_person_edits_beside_and_holders_are_told(project: Sandbox) -> None:
    project.issue("it-a")
    mine = "sed -i 's/# nothing//; s/def a():/def a():  # mine/' a.py"
    steps: list[Step] = [change("a"), {"shell": mine}, {"append": "a.py", "text": "# more\n"}, {"commit": "Change a"}]
    project.ok("run", "--agent", project.scenario({"it-a": [steps]}))
    (adopted,) = project.events("adopted")
    assert adopted["data"] == {"path": "a.py", "symbols": ["a"]}
    assert "# mine" in on_disk(project) and "# mine" not in project.show("a.py")
    assert [event["data"]["to"] for event in project.events("message_sent")] == [[project.sessions()[0]["id"]]]


def test_an_agent_that_runs_commands_uses_the_same_tree(project: Sandbox) -> None:
    project.issue("it-a")
    edit = f"{sys.executable} -m intarsia"
    script = project.root.parent / "agent.sh"
    script.write_text(
        f"""set -e
        {edit} edit a.py --old 'def a():
    return 1' --new 'def a():
    return 2'
        {edit} import a.py 'import sys'
        printf 'x = 1\\n' | {edit} write pkg/x.py
        {edit} commit -m 'By commands'
        """
    )
    project.ok("run", "--agent", f"command: sh {script}")
    assert project.show("a.py") + "\n" == changed("a").replace("import os\n", "import os\nimport sys\n")
    assert project.show("pkg/x.py") == "x = 1"


KILLED_AT = ["turn", "commit", "check", "landing"]


@pytest.mark.parametrize("moment", KILLED_AT)
def test_a_killed_supervisor_is_continued(sandbox: Sandbox, moment: str) -> None:
    prepare(sandbox, "[checks]\nslow = 'test ! -e slow || sleep 60'\n")
    sandbox.issue("it-a")
    sandbox.issue("it-b")
    waits = {"turn": [change("a"), {"hang": True}], "commit": [*changes("a")[0], {"hang": True}]}
    slow: Sequence[Step] = waits.get(moment, changes("a")[0])
    agent = sandbox.scenario({"it-a": [list(slow)], "it-b": changes("b")})
    if moment in ("check", "landing"):
        hold = sandbox.root / ".git" / ("index.lock" if moment == "landing" else "x")
        hold.touch()
    run = sandbox.start("run", "--agent", agent)
    try:
        until(lambda: "return 2" in on_disk(sandbox) and (moment != "commit" or _has_branch(sandbox)))
    finally:
        run.kill()
        run.communicate()
    if moment in ("check", "landing"):
        hold.unlink()
    sandbox.ok("run", "--agent", sandbox.scenario({"it-a": changes("a"), "it-b": changes("b")}))
    assert sandbox.show("a.py") + "\n" == changed("a", "b") == on_disk(sandbox)
    assert sandbox.git("status", "--short") == ""
    assert sandbox.git("log", "--format=%s", "-2").splitlines() in (["Change a", "Change b"], ["Change b", "Change a"])


def _has_branch(sandbox: Sandbox) -> bool:
    return bool(sandbox.git("for-each-ref", "refs/heads/intarsia/it-a"))


def test_the_tree_must_be_that_of_the_target(project: Sandbox) -> None:
    project.git("branch", "other")
    project.issue("it-a")
    done = project.call("run", "--agent", project.scenario({"it-a": changes("a")}), "--target", "other")
    assert done.returncode == 2 and "git switch other" in done.stderr


def test_new_files_and_crlf_land_as_they_are(project: Sandbox) -> None:
    (project.root / "win.txt").write_bytes(b"one\r\ntwo\r\n")
    project.git("add", "win.txt")
    project.git("commit", "--quiet", "-m", "Windows")
    project.issue("it-a")
    steps: list[Step] = [{"replace": "win.txt", "old": "two", "new": "three"}, {"commit": "Three"}]
    project.ok("run", "--agent", project.scenario({"it-a": [steps], "it-b": adds("x", "y")}))
    raw = Path(project.root / "win.txt").read_bytes()
    assert raw == b"one\r\nthree\r\n"
    assert project.git("status", "--short") == ""


def test_what_a_session_left_that_others_gave_up_is_swept(project: Sandbox) -> None:
    """As when its machine was away for long: another one ended it, and only here its changes are in the tree."""
    project.issue("it-a")
    run = project.start("run", "--agent", project.scenario({"it-a": [[change("a"), {"hang": True}]]}))
    until(lambda: "return 2" in on_disk(project))
    run.kill()
    run.communicate()
    session = project.sessions("it-a")[0]["id"]
    database = sqlite3.connect(project.root / ".intarsia/intarsia.db")
    database.execute("UPDATE sessions SET stage = 'released', ended = 1")
    database.execute("DELETE FROM leases")
    database.commit()
    database.close()
    project.call("clean")
    assert on_disk(project) == CODE
    assert "return 2" in project.show("a.py", f"refs/intarsia/archive/{session}/end/work")
    assert set(remembered(project).values()) == {0}


REGISTRY = "def register(found):\n    return found\n"


def test_what_all_may_add_to_is_added_to_at_the_same_time(sandbox: Sandbox) -> None:
    """Each session holds it from its edit until it has landed, together with the others, and commits its line only."""
    prepare(sandbox, "append = ['registry.py#register']\nwait = 0\n")
    sandbox.commit("registry.py", REGISTRY, "Registry")
    agents: dict[str, list[list[Step]]] = {}
    for name in "abc":
        sandbox.issue(f"it-{name}")
        line = f"    found['{name}'] = {name!r}\n    return found"
        agents[f"it-{name}"] = [
            [{"replace": "registry.py", "old": "    return found", "new": line}, {"wait": 0.5}, {"commit": name}]
        ]
    sandbox.ok("run", "--agent", sandbox.scenario(agents))
    lines = [f"    found['{name}'] = {name!r}" for name in "abc"]
    assert sorted(sandbox.show("registry.py").splitlines()[1:-1]) == lines
    assert on_disk(sandbox, "registry.py") == sandbox.show("registry.py") + "\n"
    for commit in sandbox.git("log", "-3", "--format=%H").split():
        diff = sandbox.git("show", "--format=", "--unified=0", commit, "--", "registry.py").splitlines()
        assert len([part for part in diff if part.startswith(("+ ", "- "))]) == 1


def test_changing_what_others_add_to_is_refused(sandbox: Sandbox) -> None:
    prepare(sandbox, "append = ['registry.py#register']\nwait = 0\n")
    sandbox.commit("registry.py", REGISTRY, "Registry")
    add: Step = {"replace": "registry.py", "old": "    return found", "new": "    found[1] = 1\n    return found"}
    alter: Step = {"replace": "registry.py", "old": "    return found", "new": "    return dict(found)"}
    sandbox.issue("it-a")
    sandbox.issue("it-b")
    after = after_match("found.1.", "registry.py")
    run = sandbox.start("run", "--agent", sandbox.scenario({"it-a": [[add, {"hang": True}]], "it-b": [[after, alter]]}))
    until(lambda: sandbox.sessions("it-b") and sandbox.sessions("it-b")[0]["stage"] == "failed")
    assert "code:registry.py#register (append)" in sandbox.sessions("it-b")[0]["reason"]
    stop(run)


def test_an_agents_own_git_can_not_commit_what_all_have_in_the_tree(project: Sandbox) -> None:
    project.issue("it-a")
    project.write("README.md", "Mine, not done yet.\n")
    before = project.git("for-each-ref")
    elsewhere = project.root.parent / "elsewhere"
    script = project.root.parent / "agent.sh"
    script.write_text(
        f"""
        git commit -qam 'All of it' && exit 1
        git stash && exit 1
        git branch mine && exit 1
        git init -q {elsewhere} && cd {elsewhere} && git commit -q --allow-empty -m 'Elsewhere' || exit 1
        echo 'ISSUE_NO_CHANGE: only tried'
        """
    )
    project.ok("run", "--agent", f"command: sh {script}")
    assert project.git("for-each-ref") == before
    assert project.git("diff", "--name-only") == "README.md"
    log = project.root / ".intarsia/sessions" / project.sessions()[0]["id"] / "output-1.log"
    assert log.read_text().count("intarsia commit -m MESSAGE") == 3


def test_one_that_is_sent_back_goes_before_agents_that_wait_for_what_it_holds(sandbox: Sandbox) -> None:
    """Both agents there may be would else wait for it, and it for them, until they are refused."""
    place = sandbox.root.parent
    prepare(
        sandbox,
        "wait = 600\n[run]\nagents = 2\non_overlap = 'wait'\n"
        f"[checks]\nfine = 'until [ -e {place}/go ]; do sleep 0.02; done; ! grep -q wrong a.py'\n",
    )
    sandbox.commit("a.py", "def a():\n    print(1)\n    print(2)\n    print(3)\n", "More code")
    wrong, right = replaces("print(1)", "wrong"), replaces("wrong", "print('one')")
    held: Step = {"shell": f"until [ -e {place}/held ]; do sleep 0.02; done"}
    first = [[wrong, {"shell": f"touch {place}/held"}, {"commit": "Wrong"}], [right, {"commit": "Right"}]]
    scripts = {
        "it-1": first,
        **{f"it-{n}": [[held, replaces(f"print({n})", f"print('{n}')"), {"commit": "Quote"}]] for n in (2, 3)},
    }
    for name in scripts:
        sandbox.issue(name)
    run = sandbox.start("run", "--agent", sandbox.scenario(scripts))
    until(lambda: len(waiting(sandbox)) == 2)
    (place / "go").touch()
    finish(run)
    assert sandbox.show("a.py") == "def a():\n    print('one')\n    print('2')\n    print('3')"
    assert [session["turn"] for session in sandbox.sessions("it-1")] == [2]


def replaces(old: str, new: str) -> Step:
    return {"replace": "a.py", "old": old, "new": new}


def waiting(sandbox: Sandbox) -> list[Waiting]:
    with opened(sandbox).read() as tx:
        return standing(tx)
