"""What counts as an issue's own work, and how often its agent is told that it is not done."""

from __future__ import annotations

import pytest

from tests.support.sandbox import Sandbox, Step, adds

NO_COMMIT = "There is no commit of yours on the current branch."


def trailers(sandbox: Sandbox, at: str = "main") -> list[tuple[str, str]]:
    """Issue and session of every commit that carries either, newest first."""
    wanted = (
        "%(trailers:key=Issue,valueonly,separator=%x2C)%x01%(trailers:key=Intarsia-Session,valueonly,separator=%x2C)"
    )
    pairs = [line.split("\x01") for line in sandbox.git("log", f"--format={wanted}", at).splitlines()]
    return [(issue, session) for issue, session in pairs if issue or session]


def test_an_issue_is_satisfied_only_by_a_commit_of_its_own_session(sandbox: Sandbox) -> None:
    """Not by one for an issue whose id begins alike, nor one that was there before, nor one that names it."""
    before = "it-1: do it-1\n\nIssue: it-1\nIntarsia-Session: s-00000000\n"
    sandbox.commit("before.txt", "1\n", before)
    sandbox.issue("it-10", "--priority", "0")
    sandbox.issue("it-1", "--needs", "it-10")
    ten: list[Step] = [
        {"write": "ten.txt", "text": "1\n"},
        {"commit": "it-1: also do it-1\n\nIssue: it-1\nFixes: it-1"},
    ]
    done = sandbox.call("run", "--agent", sandbox.scenario({"it-10": [ten], "it-1": [[{"say": "Done in it-10."}]]}))
    assert done.returncode == 1
    assert (sandbox.status("it-10"), sandbox.status("it-1")) == ("closed", "blocked")
    assert sandbox.sessions("it-1")[0]["reason"].startswith(NO_COMMIT)
    assert trailers(sandbox)[0] == ("it-10", sandbox.sessions("it-10")[0]["id"])
    assert len(trailers(sandbox)) == 2
    body = sandbox.git("log", "-1", "--format=%B", "main")
    assert body.startswith("it-1: also do it-1\n\nFixes: it-1\nIssue: it-10\nIntarsia-Session: ")


def test_a_second_session_is_not_satisfied_by_what_the_first_one_made(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    work: list[Step] = [{"write": "a.txt", "text": "1\n"}, {"commit": "Work"}, {"fail": "I give up"}]
    assert sandbox.call("run", "--agent", sandbox.scenario({"it-1": [work]})).returncode == 1
    sandbox.ok("issue", "reopen", "it-1")
    take: list[Step] = [{"shell": 'git fetch -q "$INTARSIA_ROOT" intarsia/it-1/1 && git reset -q --hard FETCH_HEAD'}]
    assert sandbox.call("run", "--agent", sandbox.scenario({"it-1": [take]})).returncode == 1
    second, first = sandbox.sessions("it-1")
    assert (first["stage"], first["reason"]) == ("failed", "The agent failed. I give up")
    assert (second["stage"], second["attempt"]) == ("blocked", 2)
    assert second["reason"].startswith(NO_COMMIT)
    assert sandbox.files() == {"README.md", ".gitignore"}
    assert sandbox.show("a.txt", "intarsia/it-1/1") == "1"


@pytest.mark.parametrize("strategy", ["rebase", "merge", "squash"])
def test_every_landed_commit_carries_exactly_its_issue_and_session(sandbox: Sandbox, strategy: str) -> None:
    sandbox.commit("intarsia.toml", f"[land]\nstrategy = '{strategy}'\n", "Configure")
    first = sandbox.git("rev-parse", "main")
    messages = [
        "Plain",
        "Lies\n\nIssue: it-99\nIntarsia-Session: s-00000000",
        "Lies twice\n\nissue : it-98\nISSUE: it-97\nIntarsia-Session:s-1\nSigned-off-by: A <a@b.c>",
        "Lie in the only line: Issue: it-96",
        "Blank\n \nIssue: it-95\n\n\n",
        "Folded\n\nIssue: it-94\n it-93\nKey: value\n",
        "Not trailers\n\nIssue: it-92\nbut prose follows here",
    ]
    steps: list[Step] = []
    for number, message in enumerate(messages):
        steps += [{"write": f"{number}.txt", "text": "x\n"}, {"commit": message}]
    sandbox.issue("it-1", title="The title")
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [steps]}))
    mine = ("it-1", sandbox.sessions()[0]["id"])
    count = {"rebase": len(messages), "merge": len(messages) + 1, "squash": 1}[strategy]
    assert trailers(sandbox, f"{first}..main") == [mine] * count
    assert sandbox.git("rev-list", "--count", f"{first}..main") == str(count)


def test_follow_ups_stop_at_the_limit(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[run]\nfollowups = 2\n[checks]\nnever = 'echo the details; false'\n", "Configure")
    sandbox.issue("it-1")
    turns = [[{"append": "a.txt", "text": f"{n}\n"}, {"commit": f"Try {n}"}] for n in range(5)]
    assert sandbox.call("run", "--agent", sandbox.scenario({"it-1": turns})).returncode == 1
    (session,) = sandbox.sessions()
    assert (session["stage"], session["turn"]) == ("blocked", 3)
    assert session["reason"].endswith("That was turn 3.")
    folder = sandbox.root / ".intarsia/sessions" / session["id"]
    told = [(folder / f"prompt-{number}.md").read_text() for number in (2, 3)]
    assert all("the details" in text for text in told)
    assert ["one more try" in text for text in told] == [True, False]
    assert "this is the last try" in told[1]
    assert not (folder / "prompt-4.md").exists()
    assert sandbox.show("a.txt", "intarsia/it-1/1") == "0\n1\n2"


def test_without_follow_ups_the_first_turn_is_the_only_one(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[run]\nfollowups = 0\n", "Configure")
    sandbox.issue("it-1")
    assert sandbox.call("run", "--agent", sandbox.scenario({"it-1": [[], *adds("a.txt", "1\n")]})).returncode == 1
    (session,) = sandbox.sessions()
    assert (session["turn"], session["reason"]) == (1, f"{NO_COMMIT} That was turn 1.")


def test_uncommitted_files_are_found_again_in_the_next_turn(sandbox: Sandbox) -> None:
    sandbox.issue("it-1")
    turns: list[list[Step]] = [[{"write": "a.txt", "text": "1\n"}], [{"shell": "grep 1 a.txt"}, {"commit": "Work"}]]
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": turns}))
    assert sandbox.show("a.txt") == "1"


@pytest.mark.parametrize("where", ["local", "global"])
def test_untracked_files_are_seen_though_the_user_hides_them_from_status(sandbox: Sandbox, where: str) -> None:
    sandbox.git("config", f"--{where}", "status.showUntrackedFiles", "no")
    sandbox.issue("it-1")
    left: list[Step] = [*adds("a.txt", "1\n")[0], {"write": "left.txt", "text": "1\n"}]
    assert sandbox.call("run", "--agent", sandbox.scenario({"it-1": [left]})).returncode == 1
    assert "These changes are not committed: left.txt." in sandbox.sessions()[0]["reason"]
