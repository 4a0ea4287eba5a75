from __future__ import annotations

from tests.support.sandbox import Sandbox


def test_a_followup_says_the_task_again_as_a_program_may_remember_nothing(sandbox: Sandbox) -> None:
    sandbox.commit("intarsia.toml", "[checks]\nanswer = 'grep -q 42 answer.txt'\n", "Configure")
    sandbox.issue("it-1", "--body", "Costs $5 and ${more}.", title="Answer the question")
    sandbox.call("run", "--agent", sandbox.scenario({"it-1": [[{"write": "answer.txt", "text": "41\n"}]]}))
    folder = sandbox.root / ".intarsia/sessions" / sandbox.sessions()[0]["id"]
    first = (folder / "prompt-1.md").read_text()
    second = (folder / "prompt-2.md").read_text()
    assert "Costs $5 and ${more}." in first
    assert second.endswith(first)
    assert second.startswith("# it-1: not done yet\n")
