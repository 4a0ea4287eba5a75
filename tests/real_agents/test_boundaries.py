"""What each program can reach, and what not: the table in docs/how-to/claude-and-codex.md."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from intarsia.testing import ModelServer, Step
from tests.real_agents.programs import AgentProgram, ClaudeCode, Codex
from tests.support.sandbox import Sandbox

NOTHING = Step(text="ISSUE_NO_CHANGE: I only looked around.")


def results(project: Sandbox, model: ModelServer, *steps: Step) -> list[str]:
    """Let the agent do this; what its tools answered."""
    model.add({"it-1": [*steps, NOTHING]})
    project.issue("it-1", "--body", "[[script:it-1]]")
    project.ok("run")
    return [json.dumps(request.said) for request in model.requests if request.script and request.step]


def test_only_named_variables_reach_the_agent(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    project.env |= {"AWS_SECRET_ACCESS_KEY": "not for agents"}
    names = "$AWS_SECRET_ACCESS_KEY/$INTARSIA_ISSUE/$INTARSIA_TURN"
    (result,) = results(project, model, program.shell(f"echo seen: {names}"))
    assert "seen: /it-1/1" in result


@pytest.mark.parametrize("program", [Codex], indirect=True)
def test_codex_is_kept_in_the_workspace(
    project: Sandbox, model: ModelServer, program: AgentProgram, has_sandbox: bool
) -> None:
    if not has_sandbox:
        pytest.skip("This machine does not let Codex make a sandbox.")
    config = (project.root / ".git" / "config").read_bytes()
    attack = "git -C $INTARSIA_ROOT config user.name Mallory; echo >$INTARSIA_ROOT/outside.txt; echo >$HOME/outside.txt"
    lines = program.shell(f"({attack}; intarsia resolve obsolete because) 2>&1")
    edit = program.create(str(project.root / "patched.txt"), "Not here")
    result, _ = results(project, model, lines, edit)
    assert result.count("Read-only file system") >= 2
    assert (project.root / ".git" / "config").read_bytes() == config
    assert not (project.root / "outside.txt").exists()
    assert not (project.root / "patched.txt").exists()
    assert not (Path.home() / "outside.txt").exists()
    assert project.events("resolution_declared") == []


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_the_file_tools_of_claude_are_kept_in_the_workspace(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    (result,) = results(project, model, program.create(str(project.root / "outside.txt"), "Not here"))
    assert '"is_error": true' in result
    assert not (project.root / "outside.txt").exists()


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_the_shell_of_claude_can_use_our_commands(project: Sandbox, model: ModelServer, program: AgentProgram) -> None:
    (result,) = results(project, model, program.shell("intarsia resolve obsolete 'It was removed.'"))
    assert "Recorded: obsolete." in result
    assert project.sessions()[0]["reason"] == "obsolete: It was removed."


@pytest.mark.parametrize("program", [ClaudeCode], indirect=True)
def test_the_shell_of_claude_is_not_kept_in_the_workspace(
    project: Sandbox, model: ModelServer, program: AgentProgram
) -> None:
    results(project, model, program.shell("git -C $INTARSIA_ROOT branch mallory"))
    (noticed,) = project.events("repository_changed")
    assert noticed["data"]["changed"] == ["refs/heads/mallory"]


def test_the_outside_is_out_of_reach(is_offline: bool) -> None:
    if not is_offline:
        pytest.skip("This machine does not let us leave its network.")
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 443), timeout=5)
