from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from intarsia.agents.command import CommandDriver
from intarsia.agents.confinement import Confinement
from intarsia.run import guides
from intarsia.workspace.git import Git
from intarsia.workspace.objects import Objects
from tests.support.sandbox import Sandbox, adds


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


def own(sandbox: Sandbox, name: str, text: str) -> Sandbox:
    sandbox.write(f"prompts/{name}", text)
    sandbox.commit("intarsia.toml", "[run]\nprompts = 'prompts'\n", "Configure")
    sandbox.issue("it-1", "--body", "Costs $5.", title="Answer")
    return sandbox


def test_a_project_says_it_in_its_own_words(sandbox: Sandbox) -> None:
    own(sandbox, "task.md", "Please: $title!\n$body It costs $$1.\n")
    sandbox.ok("run", "--agent", sandbox.scenario({"it-1": adds("a.txt", "a\n")}))
    folder = sandbox.root / ".intarsia/sessions" / sandbox.sessions()[0]["id"]
    assert (folder / "prompt-1.md").read_text() == "Please: Answer!\nCosts $5. It costs $1.\n"
    assert "prompts: yours instead of ours: task.md" in sandbox.call("doctor").stdout


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("task.md", "$title $body $titel", "$titel is not known"),
        ("task.md", "$title", "$body is missing"),
        ("followup.md", "$problem", "$task is missing"),
        ("resume.md", "$prompt costs $5", "a dollar sign stands for nothing"),
        ("tsak.md", "$title $body", "is no template of ours"),
    ],
)
def test_a_template_that_can_not_be_filled_in_is_refused_before_anything_begins(
    sandbox: Sandbox, name: str, text: str, said: str
) -> None:
    own(sandbox, name, text)
    done = sandbox.call("run", "--agent", sandbox.scenario({}))
    assert (done.returncode, sandbox.sessions()) == (2, [])
    assert said in done.stderr
    assert said in sandbox.call("doctor").stdout


@pytest.mark.parametrize(
    ("files", "reads", "told"),
    [
        (["AGENTS.md", "CLAUDE.md"], (), "say AGENTS.md"),
        (["CLAUDE.md"], (), "say CLAUDE.md"),
        (["CLAUDE.md"], ("AGENTS.md",), "say CLAUDE.md"),
        (["AGENTS.md", "CLAUDE.md"], ("CLAUDE.md",), ""),
        (["AGENTS.md"], ("AGENTS.md", "CLAUDE.md"), ""),
        ([], (), ""),
    ],
)
def test_what_the_project_says_to_agents_is_told_to_those_that_do_not_read_it(
    sandbox: Sandbox, tmp_path: Path, files: list[str], reads: tuple[str, ...], told: str
) -> None:
    for name in files:
        sandbox.commit(name, f"say {name}", f"Add {name}")
    driver = CommandDriver("true", "", Confinement())
    driver.capabilities = replace(driver.capabilities, guides=reads)
    assert guides.unread(Objects(Git(sandbox.root)), sandbox.git("rev-parse", "HEAD"), driver) == told


def test_a_guide_that_is_a_link_is_not_followed_and_a_long_one_is_cut(sandbox: Sandbox) -> None:
    driver = CommandDriver("true", "", Confinement())
    driver.capabilities = replace(driver.capabilities, guides=())
    sandbox.commit("CLAUDE.md", "x" * 40_000, "Add it")
    (sandbox.root / "AGENTS.md").symlink_to("/etc/passwd")
    sandbox.git("add", "AGENTS.md")
    sandbox.git("commit", "--quiet", "--message=Link")
    text = guides.unread(Objects(Git(sandbox.root)), sandbox.git("rev-parse", "HEAD"), driver)
    assert text == "x" * guides.LONGEST + "\n[… cut]"
