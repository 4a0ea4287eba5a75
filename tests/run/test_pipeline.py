"""The main job, end to end, on both databases."""

from __future__ import annotations

from tests.support.sandbox import Sandbox, adds


def test_issues_become_landed_commits(each_sandbox: Sandbox) -> None:
    each_sandbox.issue("it-1")
    each_sandbox.issue("it-2", "--needs", "it-1")
    agent = each_sandbox.scenario({"it-1": adds("one.txt", "1\n"), "it-2": adds("two.txt", "2\n")})
    each_sandbox.ok("run", "--agent", agent)
    assert {"one.txt", "two.txt"} <= each_sandbox.files()
    assert each_sandbox.status("it-1") == each_sandbox.status("it-2") == "closed"


def test_a_failed_check_is_told_to_the_same_session_which_repairs_it(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[checks]\nanswer = 'grep -q 42 answer.txt'\n", "Configure")
    sandbox.issue("it-1")
    wrong = [{"write": "answer.txt", "text": "41\n"}, {"commit": "Answer"}]
    right = [{"write": "answer.txt", "text": "42\n"}, {"commit": "Correct the answer"}]
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": [wrong, right]}))
    assert sandbox.show("answer.txt") == "42"
    assert [s["turn"] for s in sandbox.sessions()] == [2]
    told = sandbox.root / ".intarsia/sessions" / sandbox.sessions()[0]["id"] / "prompt-2.md"
    assert "the check answer failed with exit code 1" in told.read_text().lower()


def test_keys_reach_agents_and_not_checks(sandbox: Sandbox) -> None:
    sandbox.commit(
        "intarsia.toml", "[checks]\nclean = 'test -z \"$AGENT_KEY$OTHER_KEY$INTARSIA_SECRET\"'\n", "Configure"
    )
    sandbox.issue("it-1")
    agent = "command: sh -c 'echo \"$AGENT_KEY-$OTHER_KEY\" > seen && git add seen && git commit -qm seen'"
    env = {"AGENT_KEY": "k1", "OTHER_KEY": "k2"}
    sandbox.ok("run", "--agent", agent, "--env", "AGENT_KEY", env=env)
    assert sandbox.show("seen") == "k1-"
