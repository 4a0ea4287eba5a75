"""What is made of the events of `codex exec`; the real one is in tests/real_agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intarsia.agents import (
    AgentEvent,
    Conversation,
    RateLimit,
    Said,
    ToolResult,
    ToolUse,
    TurnEnd,
    Usage,
    Waiting,
    codex_exec,
)
from intarsia.agents.codex import CodexDriver
from intarsia.agents.codex_exec import CodexExecDriver
from intarsia.agents.drivers import make
from intarsia.config import Agent
from intarsia.errors import ConfigError
from tests.agents.conftest import Script, Stage

Json = dict[str, Any]


def tells(kind: str, **facts: Any) -> Json:
    return {"say": {"type": kind, **facts}}


def item(event: str, kind: str, **facts: Any) -> Json:
    return tells(f"item.{event}", item={"id": "item_0", "type": kind, **facts})


def words(text: str) -> Json:
    return item("completed", "agent_message", text=text)


BEGUN = [tells("thread.started", thread_id="th-1"), tells("turn.started")]
DONE = tells("turn.completed", usage={"input_tokens": 7, "cached_input_tokens": 4, "output_tokens": 2})


def play(stage: Stage, script: Script, **given: Any) -> list[AgentEvent]:
    driver = CodexExecDriver("gpt-9", ["--more"], stage.program(script))
    return [event for event in driver.start(stage.turn(**given)).events() if not isinstance(event, Waiting)]


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def test_a_turn_from_its_first_word_to_its_last(stage: Stage) -> None:
    (stage.workspace / ".git").write_text("gitdir: ../git\n")
    ran = {"command": "/bin/bash -lc 'git status'", "status": "completed"}
    script = [
        {"shell": f"cat >{stage.folder}/given"},
        *BEGUN,
        words("I look."),
        item("started", "command_execution", **ran),
        item("completed", "command_execution", **ran, aggregated_output="clean", exit_code=0),
        item("started", "file_change", changes=[{"path": "/work/a.txt"}], status="in_progress"),
        item("completed", "file_change", changes=[{"path": "/work/a.txt"}], status="failed"),
        tells("error", message="Reconnecting... 1/1 (unexpected status 529)"),
        words("Done."),
        DONE,
    ]
    assert play(stage, script) == [
        Conversation("th-1"),
        Said("I look."),
        ToolUse("item_0", "exec_command git status"),
        ToolResult("item_0", True, "clean"),
        ToolUse("item_0", "apply_patch /work/a.txt"),
        ToolResult("item_0", False),
        RateLimit("The model's server: Reconnecting... 1/1 (unexpected status 529)"),
        Said("Done."),
        Usage("th-1", 7, 4, 2),
        TurnEnd("completed", "", "Done."),
    ]
    assert (stage.folder / "given").read_text() == "Do it."
    arguments = stage.arguments.split()
    assert arguments[:3] == ["exec", "--json", "--sandbox=workspace-write"]
    assert "--config=sandbox_workspace_write.network_access=false" in arguments
    assert f"--add-dir={stage.workspace}/../git" in arguments
    assert arguments[-3:] == ["--model=gpt-9", "--more", "-"]


def test_the_repository_of_a_shared_tree_stays_closed(stage: Stage) -> None:
    env = {**stage.turn().env, "INTARSIA_ROOT": str(stage.workspace)}
    play(stage, [*BEGUN, words("Done."), DONE], env=env)
    assert "--add-dir" not in stage.arguments


def test_a_conversation_is_resumed(stage: Stage) -> None:
    events = play(stage, [*BEGUN, words("Done."), DONE], conversation="th-1")
    assert end(events).outcome == "completed"
    assert stage.arguments.split()[-3:] == ["resume", "th-1", "-"]


def test_a_conversation_that_is_gone_is_begun_anew(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program plays the same script again, so that it is gone again: that is an end then."""
    monkeypatch.setattr(codex_exec, "STARTS", 2)
    events = play(stage, [{"shell": "echo no rollout found for thread id >&2"}, {"exit": 1}], conversation="th-1")
    assert "resume" not in stage.arguments
    assert end(events) == TurnEnd("failed", "no rollout found for thread id")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        ("unexpected status 529 <unknown status code>: scripted 529, url: http://127.0.0.1:40329/v1", "overloaded"),
        ("exceeded retry limit, last status: 429 Too Many Requests", "rate_limited"),
        ("unexpected status 401 Unauthorized: scripted 401", "auth"),
        ("stream disconnected before completion: Transport error: network error", "api_error"),
        ("Incomplete response returned, reason: max_output_tokens", "truncated"),
        ("Incomplete response returned, reason: content_filter", "refused"),
        ("It is broken.", "failed"),
    ],
)
def test_how_a_failed_turn_is_read(stage: Stage, error: str, outcome: str) -> None:
    script = [*BEGUN, tells("error", message=error), tells("turn.failed", error={"message": error}), {"exit": 1}]
    assert end(play(stage, script)) == TurnEnd(outcome, error)  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [[], [words("I try."), item("started", "command_execution", command="ls")]])
def test_a_turn_without_last_words_is_a_refusal(stage: Stage, before: Script) -> None:
    assert end(play(stage, [*BEGUN, *before, DONE])).outcome == "refused"


@pytest.mark.parametrize(
    ("last", "outcome"), [({"exit": 0}, "failed"), ({"exit": 1}, "failed"), ({"signal": 9}, "killed")]
)
def test_an_end_without_a_completed_turn_is_no_success(stage: Stage, last: Json, outcome: str) -> None:
    assert end(play(stage, [*BEGUN, words("Half"), last])).outcome == outcome


def test_a_failure_after_its_last_word_is_a_failure(stage: Stage) -> None:
    assert end(play(stage, [*BEGUN, words("Done."), DONE, {"exit": 3}])).outcome == "failed"


def test_it_is_a_mode_of_codex(tmp_path: Path) -> None:
    assert isinstance(make(Agent(driver="codex", mode="exec"), tmp_path), CodexExecDriver)
    assert isinstance(make(Agent(driver="codex"), tmp_path), CodexDriver)
    with pytest.raises(ConfigError, match="no mode 'fast'"):
        make(Agent(driver="codex", mode="fast"), tmp_path)
    assert not CodexExecDriver.capabilities.asks_edits
