"""The commands with which agents change files, called as a session calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.support.sandbox import Sandbox
from tests.support.until import until

CODE = "def a():\n    return 1\n\n\nclass C:\n    def m(self):\n        return 1\n"


class Session:
    """A session that waits in its turn, so that the test can act as it."""

    def __init__(self, sandbox: Sandbox, issue: str) -> None:
        self._sandbox = sandbox
        self.id = sandbox.sessions(issue)[0]["id"]
        secret = (sandbox.root / ".intarsia/sessions" / self.id / "secret").read_text()
        self._env = {"INTARSIA_SESSION": self.id, "INTARSIA_SECRET": secret, "INTARSIA_ROOT": str(sandbox.root)}

    def call(self, *args: str, given: bytes = b"", cwd: str = "") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-m", "intarsia", *args],
            input=given,
            cwd=self._sandbox.root / cwd,
            env={**self._sandbox.env, **self._env},
            capture_output=True,
            timeout=300,
            check=False,
        )

    def ok(self, *args: str, given: bytes = b"", cwd: str = "") -> str:
        done = self.call(*args, given=given, cwd=cwd)
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return done.stdout.decode()

    def json(self, *args: str, given: bytes = b"") -> Mapping[str, object]:
        answer: Mapping[str, object] = json.loads(self.call(*args, "--json", given=given).stdout)
        return answer


@pytest.fixture(params=["shared", "worktree"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(sandbox: Sandbox, kind: str, *issues: str) -> subprocess.Popen[str]:
    sandbox.commit("intarsia.toml", f"[workspace]\nkind = '{kind}'\nwait = 0\n", "Configure")
    sandbox.commit("src/a.py", CODE, "Code")
    for issue in issues:
        sandbox.issue(issue)
    run = sandbox.start("run", "--agent", sandbox.scenario({issue: [[{"hang": True}]] for issue in issues}))
    until(lambda: all(_works(sandbox, issue) for issue in issues))
    return run


def _works(sandbox: Sandbox, issue: str) -> bool:
    found = sandbox.sessions(issue)
    return bool(found) and (sandbox.root / ".intarsia/sessions" / found[0]["id"] / "output-1.log").exists()


def stop(run: subprocess.Popen[str]) -> None:
    run.kill()
    run.communicate()


def test_every_command_in_both_kinds_of_workspace(sandbox: Sandbox, kind: str) -> None:
    run = start(sandbox, kind, "it-1")
    session = Session(sandbox, "it-1")
    tree = sandbox.root if kind == "shared" else sandbox.root / ".intarsia/worktrees/1" / sandbox.root.name
    here = str(tree / "src")
    try:
        assert session.ok("edit", "a.py", "--old", "return 1\n\n", "--new", "return 2\n\n", cwd=here) == (
            "src/a.py: a (body).\n"
        )
        (sandbox.root.parent / "method").write_text("    def n(self):\n        pass\n")
        session.ok("insert", "a.py", "--into", "C", given=b"    def n(self):\n        pass\n", cwd=here)
        session.ok("import", "a.py", "import os", cwd=here)
        assert session.ok("read", "a.py", cwd=here).startswith("import os\n")
        session.ok("write", "b.txt", given=b"x\r\n", cwd=here)
        session.ok("move", "b.txt", "c.txt", cwd=here)
        assert "Committed" in session.ok("commit", "-m", "By commands", cwd=here)
        session.ok("remove", "c.txt", cwd=here)
    finally:
        stop(run)
    assert (tree / "src/a.py").read_text() == (
        "import os\ndef a():\n    return 2\n\n\nclass C:\n    def m(self):\n        return 1\n\n"
        "    def n(self):\n        pass\n"
    )
    assert not (tree / "src/c.txt").exists()
    if kind == "shared":
        branch = "intarsia/it-1/1"
        assert sandbox.show("src/a.py", branch) + "\n" == (tree / "src/a.py").read_text()
        assert sandbox.files(branch) >= {"src/c.txt"} and "src/b.txt" not in sandbox.files(branch)
    else:
        assert (sandbox.root / "src/a.py").read_text() == CODE


def test_who_holds_it_is_named(sandbox: Sandbox) -> None:
    run = start(sandbox, "shared", "it-1", "it-2")
    one, two = Session(sandbox, "it-1"), Session(sandbox, "it-2")
    try:
        one.ok("edit", "src/a.py", "--old", "def a():\n    return 1", "--new", "def a():\n    return 2")
        edit = ("edit", "src/a.py", "--old", "def a():\n    return 2", "--new", "def a():\n    return 3")
        refused = two.call(*edit)
        assert refused.returncode == 1
        said = refused.stderr.decode()
        assert one.id in said and "it-1" in said and "since" in said and "meanwhile" in said
        answer = two.json(*edit)
        assert (answer["ok"], answer["code"], answer["holder"], answer["issue"]) == (False, "held", one.id, "it-1")
        two.ok("edit", "src/a.py", "--old", "class C:", "--new", "class C:  # two")
    finally:
        stop(run)
    text = (sandbox.root / "src/a.py").read_text()
    assert "return 2" in text and "# two" in text


def test_a_change_of_another_since_it_was_read_is_kept_or_said(sandbox: Sandbox) -> None:
    run = start(sandbox, "shared", "it-1", "it-2")
    one, two = Session(sandbox, "it-1"), Session(sandbox, "it-2")
    try:
        seen = two.ok("read", "src/a.py")
        one.ok("edit", "src/a.py", "--old", "def a():\n    return 1", "--new", "def a():\n    return 2")
        done = two.json("write", "src/a.py", given=seen.replace("        return 1", "        return 5").encode())
        assert done["merged"] is True and done["changes"] == [{"kind": "body", "key": "C.m"}]
        (sandbox.root / "src/a.py").write_text((sandbox.root / "src/a.py").read_text().replace("return 5", "return 6"))
        answer = two.json("write", "src/a.py", given=seen.replace("        return 1", "        return 7").encode())
        assert (answer["code"], answer["symbols"]) == ("overlap", ["C.m"])
    finally:
        stop(run)
    text = (sandbox.root / "src/a.py").read_text()
    assert "return 2" in text and "return 6" in text


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("edit", "src/a.py", "--old", "nowhere", "--new", "x"), 4, "does not contain"),
        (("edit", "src/a.py", "--old", "return 1", "--new", "x"), 4, "2 times"),
        (("edit", "src/none.py", "--old", "a", "--new", "b"), 4, "no file"),
        (("edit", "src/a.py", "--old", "@none", "--new", "b"), 4, "can't be read"),
        (("write", "src/a.py"), 1, "have not read"),
        (("write", "../x"), 4, "outside"),
        (("write", ".git/config"), 4, "not a file of the project"),
        (("insert", "src/a.py", "--after", "none"), 4, "no symbol"),
        (("insert", "src/a.py"), 4, "Say where"),
        (("import", "src/a.py", ""), 4, "one line"),
        (("read", "none"), 4, "no file"),
        (("commit", "-m", "x"), 1, "changed nothing"),
        (("commit", "-m", " "), 4, "message"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_refusals(waiting: Session, args: tuple[str, ...], code: int, says: str) -> None:
    done = waiting.call(*args, given=b"text\n")
    assert (done.returncode, says in done.stderr.decode()) == (code, True), done.stderr.decode()
    answer = waiting.json(*args, given=b"text\n")
    assert answer["ok"] is False and says in str(answer["message"])


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One session for all refusals, as none of them changes anything."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        (home / "gitconfig").write_text("[user]\nname = Test\nemail = test@example.invalid\n")
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        sandbox = Sandbox(tmp_path_factory.mktemp("refusals") / "project")
        run = start(sandbox, "shared", "it-1")
        yield Session(sandbox, "it-1")
        stop(run)
        assert (sandbox.root / "src/a.py").read_text() == CODE


def test_only_for_sessions(sandbox: Sandbox) -> None:
    done = sandbox.call("edit", "README.md", "--old", "A", "--new", "B")
    assert done.returncode == 2 and "sessions of intarsia run" in done.stderr
    wrong = {"INTARSIA_SESSION": "s-00000000", "INTARSIA_SECRET": "x"}
    assert sandbox.call("edit", "README.md", "--old", "A", "--new", "B", env=wrong).returncode == 4


def test_a_session_with_a_tree_of_its_own_can_change_nothing_outside(sandbox: Sandbox) -> None:
    run = start(sandbox, "worktree", "it-1")
    session = Session(sandbox, "it-1")
    try:
        done = session.call("edit", str(sandbox.root / "README.md"), "--old", "A", "--new", "B")
    finally:
        stop(run)
    assert done.returncode == 4 and "workspace" in done.stderr.decode()


def test_a_confined_agent_commits_by_its_own_git(sandbox: Sandbox) -> None:
    """Hooks that it wrote would run outside of what confines it."""
    sandbox.commit("intarsia.toml", "[run]\nconfine = 'on'\n", "Configure")
    sandbox.issue("it-1")
    run = sandbox.start("run", "--agent", "command: sh -c 'echo begun; sleep 600'")
    try:
        until(lambda: _works(sandbox, "it-1"))
        done = Session(sandbox, "it-1").call("commit", "-m", "x")
    finally:
        run.terminate()  # with its agent, which would outlive a supervisor that is killed
        run.communicate(timeout=300)
    assert done.returncode == 1 and "git commit -m" in done.stderr.decode()


def test_when_the_branch_has_changed_the_same_the_session_begins_anew_there(sandbox: Sandbox) -> None:
    run = start(sandbox, "shared", "it-1")
    session = Session(sandbox, "it-1")
    try:
        session.ok("edit", "src/a.py", "--old", "def a():\n    return 1", "--new", "def a():\n    return 2")
        session.ok("edit", "src/a.py", "--old", "class C:", "--new", "class C:  # mine")
        sandbox.commit("src/a.py", CODE.replace("return 1", "return 9", 1), "By a person, elsewhere")
        answer = session.json("commit", "-m", "Change a")
        assert (answer["ok"], answer["code"], answer["symbols"]) == (False, "overlap", ["a"])
        assert "taken out" in str(answer["message"])
        assert (sandbox.root / "src/a.py").read_text() == sandbox.show("src/a.py") + "\n"
        kept = f"refs/intarsia/archive/{session.id}/overlap/work"
        assert "return 2" in sandbox.show("src/a.py", kept) and "# mine" in sandbox.show("src/a.py", kept)
        session.ok("edit", "src/a.py", "--old", "return 9", "--new", "return 10")
        session.ok("commit", "-m", "Change a")
    finally:
        stop(run)
    assert sandbox.git("diff", "main", "intarsia/it-1/1", "--unified=0").splitlines()[-2:] == [
        "-    return 9", "+    return 10"
    ]  # fmt: skip
