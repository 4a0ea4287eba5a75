"""Amp, played by a program that prints what Amp is known to print. The real one was never run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from intarsia.agents import AgentEvent, Answer, Ask, Conversation, Said, ToolResult, TurnEnd, Usage, Waiting
from intarsia.agents.amp import AmpDriver, end_of
from intarsia.errors import ConfigError, NotReady
from tests.agents.conftest import Stage
from tests.support import amp_program

Json = dict[str, Any]
GOOD: Json = {"result": {"subtype": "success", "is_error": False, "result": "I am done.", "num_turns": 1}}


@dataclass
class Approver:
    refused: tuple[str, ...] = ()
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        text = f"{ask.command} {[edit.path.name for edit in ask.edits]}"
        return Answer(not any(word in text for word in self.refused), "bob holds it.")


def create(name: str, **more: Any) -> Json:
    return {"use": "create_file", "input": {"path": name, "content": "x"}, **more}


def bash(command: str, **more: Any) -> Json:
    return {"use": "Bash", "input": {"cmd": command}, **more}


def program(stage: Stage, *steps: Json, **script: Any) -> str:
    place = stage.folder / "script.json"
    place.write_text(json.dumps({"steps": steps, **script}))
    made = stage.folder / "amp"
    made.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(amp_program.__file__), str(place)])} "$@"\n')
    made.chmod(0o755)
    return str(made)


def play(stage: Stage, *steps: Json, approver: Any = None, mode: str = "", **script: Any) -> list[AgentEvent]:
    turn = stage.turn(conversation=script.pop("conversation", ""))
    env = {**turn.env, "AMP_HEARD": str(stage.folder / "heard")}
    turn = stage.turn(env=env, approver=approver or Approver(), conversation=turn.conversation)
    driver = AmpDriver(mode, command=program(stage, *steps, **script))
    return [event for event in driver.start(turn).events() if not isinstance(event, Waiting)]


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def there(stage: Stage) -> set[str]:
    return {path.name for path in stage.workspace.iterdir()}


def test_every_tool_is_asked_for(stage: Stage) -> None:
    approver = Approver()
    events = play(
        stage, {"say": "I write."}, create("a.txt"), bash("touch b.txt"), GOOD, approver=approver, mode="deep"
    )
    assert events[0] == Conversation("T-1")
    assert Said("I write.") in events
    assert end(events) == TurnEnd("completed", "", "I am done.")
    edit, shell = approver.asked
    assert (edit.kind, edit.edits[0].path, edit.edits[0].text) == ("edit", stage.workspace / "a.txt", "x")
    assert (shell.kind, shell.command, shell.cwd) == ("shell", "touch b.txt", stage.workspace)
    assert there(stage) == {"a.txt", "b.txt"}
    used = [event for event in events if isinstance(event, Usage)]
    assert (used[-1].input, used[-1].cached, used[-1].output) == (30, 10, 4)
    arguments, prompt = (stage.folder / "heard").read_text().splitlines()
    assert json.loads(arguments)[:3] == ["--execute", "--stream-json", "--stream-json-input"]
    assert "--mode=deep" in arguments
    assert json.loads(prompt)["message"]["content"][0]["text"] == "Do it."


def test_what_is_refused_is_not_done(stage: Stage) -> None:
    events = play(stage, create("held.txt"), create("free.txt"), GOOD, approver=Approver(("held",)))
    assert end(events).outcome == "completed"
    assert there(stage) == {"free.txt"}
    first, second = [event for event in events if isinstance(event, ToolResult)]
    assert (first.ok, second.ok) == (False, True)
    assert "bob holds it." in first.text


def test_a_dead_approver_allows_nothing(stage: Stage) -> None:
    class Dead:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            raise OSError("the database is gone")

    play(stage, create("a"), bash("touch b"), GOOD, approver=Dead())
    assert there(stage) == set()


@pytest.mark.parametrize("tested", ["action: allow", "", "No such command."])
def test_one_that_would_not_ask_is_not_started(stage: Stage, tested: str) -> None:
    found = end(play(stage, create("a.txt"), GOOD, tested=tested))
    assert found.outcome == "unguarded"
    assert found.detail.startswith("Nothing was done: it says that it would not ask for Bash")
    assert not (stage.folder / "heard").exists()


def test_one_that_uses_a_tool_unasked_is_ended(stage: Stage) -> None:
    found = end(play(stage, bash("true"), bash("touch a", unasked=True), {"hang": True}))
    assert found == TurnEnd("unguarded", "It was ended: it used Bash without asking.")
    assert end(play(stage, {"use": "Read", "input": {"path": "a"}, "unasked": True}, GOOD)).outcome == "completed"


def test_a_tool_server_that_is_down_ends_it(stage: Stage) -> None:
    servers = [{"name": "files", "status": "failed"}]
    assert end(play(stage, {"hang": True}, servers=servers)).outcome == "unguarded"


def test_a_thread_is_continued(stage: Stage) -> None:
    play(stage, GOOD, conversation="T-1")
    assert json.loads((stage.folder / "heard").read_text().splitlines()[0])[:3] == ["threads", "continue", "T-1"]


def test_the_delegate_rejects_when_nobody_can_be_asked(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "intarsia.agents.amp_delegate", str(tmp_path / "gone")]
    for env, given in (({"AGENT_TOOL_NAME": "Bash"}, "{}"), ({}, "{}"), ({"AGENT_TOOL_NAME": "Bash"}, "no json")):
        done = subprocess.run(argv, env={**os.environ, **env}, input=given, capture_output=True, text=True)
        assert done.returncode == 2
        assert "not allowed" in done.stderr


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ([{"exit": 0}], "failed"),
        ([{"exit": 1}], "failed"),
        ([{"print": "Error: Invalid API key. Run `amp login`."}, {"exit": 1}], "auth"),
        ([{"print": "Error: 529 overloaded"}, {"exit": 1}], "overloaded"),
        ([GOOD, {"exit": 3}], "failed"),
    ],
)
def test_how_one_that_ends_without_a_result_is_read(stage: Stage, steps: list[Json], outcome: str) -> None:
    assert end(play(stage, *steps)).outcome == outcome


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"subtype": "success", "is_error": False, "result": ""}, "failed"),
        ({"subtype": "success", "is_error": True, "result": "x"}, "failed"),
        ({"subtype": "success", "result": "x"}, "failed"),
        ({"subtype": "error_max_turns", "is_error": True, "error": "x"}, "exhausted"),
        ({"subtype": "error_during_execution", "is_error": True, "error": "Out of free quota"}, "rate_limited"),
        ({"subtype": "error_during_execution", "is_error": True, "error": "Overloaded"}, "overloaded"),
        ({"subtype": "error_during_execution", "is_error": True}, "failed"),
    ],
)
def test_how_a_turn_ends(result: Json, outcome: str) -> None:
    assert end_of(result).outcome == outcome


def test_a_driver_knows_its_modes_and_its_version(stage: Stage) -> None:
    with pytest.raises(ConfigError, match="no mode 'large'"):
        AmpDriver("large")
    with pytest.raises(NotReady, match="no-such-amp"):
        AmpDriver(command="no-such-amp").check()
    assert AmpDriver(command=program(stage)).version() == "0.0.1790142911"
