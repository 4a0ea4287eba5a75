"""A follow-up in the process of the turn before it, where that stays; in a new one where it does not."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from intarsia.agents import AgentEvent, Conversation, Driver, Running, ToolUse, Turn, TurnEnd, Usage, Waiting, wire
from intarsia.agents.claude import ClaudeDriver
from intarsia.agents.following import Following
from intarsia.agents.supervision import end_marked, marked
from intarsia.testing import acp_agent
from tests.agents.conftest import Script, Stage
from tests.agents.test_claude import asked, begun, opening, result, uses, wants, words
from tests.support.processes import command_line
from tests.support.sandbox import Sandbox
from tests.support.until import until

Json = dict[str, Any]
MODEL = {"inputTokens": 5, "outputTokens": 1}


def again(text: str = "Go on.") -> list[Json]:
    """The next prompt, to where the model is asked."""
    return [{"hear": {"type": "user", "message": {"content": text}}}, *begun()[len(opening()) + 1 :]]


class Session:
    """The turns of one session of a program that is played from a script."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.conversation = ""
        self.number = 0
        self.following = Following(ClaudeDriver(command="none"))

    def plays(self, script: Script, driver: Callable[[str], Driver] | None = None) -> None:
        program = self.stage.program(script)
        self.following = Following(driver(program) if driver else ClaudeDriver(command=program))

    def turn(self, prompt: str, **more: Any) -> Turn:
        self.number += 1
        return self.stage.turn(prompt=prompt, number=self.number, conversation=self.conversation, **more)

    def play(self, prompt: str, **more: Any) -> list[AgentEvent]:
        return self.heard(self.following.start(self.turn(prompt, **more)))

    def heard(self, running: Running) -> list[AgentEvent]:
        events: list[AgentEvent] = [event for event in running.events() if not isinstance(event, Waiting)]
        assert self.stage.unexpected == ""
        self.conversation = next((each.id for each in events if isinstance(each, Conversation)), self.conversation)
        return events

    @property
    def programs(self) -> list[psutil.Process]:
        return [each for each in marked(self.stage.session) if "wire_program.py" in " ".join(command_line(each))]


@pytest.fixture
def session(stage: Stage) -> Iterator[Session]:
    made = Session(stage)
    yield made
    made.following.close()
    until(lambda: not marked(stage.session))


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def test_a_follow_up_goes_on_in_the_same_process(session: Session) -> None:
    first = result("One.", modelUsage={"m": MODEL}, total_cost_usd=0.1)
    both = {"inputTokens": 12, "outputTokens": 3}
    second = [
        wants("Write", file_path="/work/a.txt", content="x"),
        {"hear": {"response": {"response": {"hookSpecificOutput": {"permissionDecision": "deny"}}}}},
        words("Two.", id="m-2", usage={"input_tokens": 7, "output_tokens": 2}),
        result("Two.", modelUsage={"m": both}, total_cost_usd=0.3),
    ]
    session.plays([*begun(), words("One.", id="m-1", usage={"input_tokens": 5}), first, *again(), *second])
    assert end(session.play("Do it.")) == TurnEnd("completed", "", "One.")
    assert session.following.stays
    before = session.programs
    events = session.play("Go on.")
    assert end(events) == TurnEnd("completed", "", "Two.")
    assert session.programs == before
    assert len(before) == 1
    used = {event.scope: event for event in events if isinstance(event, Usage)}
    assert [(each.input, each.output, each.cost) for each in used.values() if each.input] == [(12, 3, 0.3)]
    logs = [(session.stage.folder / f"output-{number}.log").read_text() for number in (1, 2)]
    assert [log.split("\n")[0] for log in logs] == ["One.", "Two."]


def test_the_approver_and_the_tools_are_those_of_its_own_turn(session: Session) -> None:
    asks = [wants("Bash", command="ls"), {"hear": {"type": "control_response"}}]
    session.plays([*begun(), *asks, result(), *again(), *asks, result()])
    heard: list[int] = []

    class Notes:
        def __init__(self, number: int) -> None:
            self.number = number

        def answer(self, ask: Any, withdrawn: Any) -> Any:
            heard.append(self.number)
            raise OSError

    session.play("Do it.", approver=Notes(1))
    session.play("Go on.", approver=Notes(2))
    assert heard == [1, 2]


def test_without_a_hook_a_follow_up_is_ended_too(session: Session) -> None:
    unasked = [again()[0], uses("Write", file_path="/work/a.txt", content="x")]
    session.plays([*begun(), result(), *unasked, {"hang": True}])
    session.play("Do it.")
    assert end(session.play("Go on.")).outcome == "unguarded"


@pytest.mark.parametrize(
    "then",
    [
        {"exit": 0},
        {"signal": 9},
        asked("PreToolUse", tool_name="Bash", tool_input={"command": "ls"}),
        uses("Bash", command="ls"),
        {"say": {"type": "system", "subtype": "session_state_changed", "state": "running"}},
    ],
    ids=["it ended", "it was killed", "it asks", "it acts", "it begins by itself"],
)
def test_one_that_is_gone_or_acts_by_itself_is_replaced(session: Session, then: Json) -> None:
    gone = session.stage.folder / "go"
    session.plays([*begun(), result(), {"await": str(gone)}, then, {"hang": True}])
    session.play("Do it.")
    before = session.programs
    gone.touch()
    until(lambda: not session.following.stays)
    until(lambda: not session.programs)
    gone.unlink()
    assert end(session.play("Do it.")) == TurnEnd("completed", "", "Done.")
    assert f"--resume={session.conversation}" in session.stage.arguments
    assert before[0] not in session.programs
    gone.touch()


@pytest.mark.parametrize("command", ["sleep 600", "setsid sleep 600"])
def test_one_that_left_something_running_does_not_stay(
    session: Session, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "ENDING", 0.3)
    told = session.stage.folder / "told"
    left = [uses("Bash", command=command), {"await": str(told)}, {"shell": f"{command} >/dev/null 2>&1 &"}]
    session.plays([*begun(), *left, result()])
    running = session.following.start(session.turn("Do it."))
    events: list[AgentEvent] = []
    for event in running.events():
        events.append(event)
        if isinstance(event, ToolUse):
            told.touch()
    assert end(events).outcome == "completed"
    assert not session.following.stays
    assert session.programs == []
    assert end_marked(session.stage.session) == 1


def test_what_it_has_of_its_own_ends_with_it(session: Session) -> None:
    session.plays([{"shell": "sleep 600 >/dev/null 2>&1 &"}, *begun(), uses("Bash", command="ls"), result()])
    session.play("Do it.")
    assert session.following.stays
    until(lambda: ["sleep", "600"] in map(command_line, marked(session.stage.session)))


def test_it_stays_only_so_long(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LASTS", 0.2)
    session.plays([*begun(), result()])
    session.play("Do it.")
    until(lambda: not session.programs)
    assert not session.following.stays


def test_in_other_surroundings_it_is_started_anew(session: Session) -> None:
    session.plays([*begun(), result()])
    session.play("Do it.")
    (before,) = session.programs
    turn = session.turn("Do it.")
    session.heard(session.following.start(replace(turn, env={**turn.env, "PORT": "2"})))
    assert [each for each in session.programs if each != before] == session.programs


def test_in_a_directory_that_was_made_anew_it_is_started_anew(session: Session) -> None:
    session.plays([*begun(), result()])
    session.play("Do it.")
    (before,) = session.programs
    session.stage.workspace.rmdir()
    session.stage.workspace.mkdir()
    session.play("Do it.")
    assert before not in session.programs


def committed(text: str) -> list[Json]:
    return [{"edit": "answer.txt", "text": text}, {"shell": "git add . && git commit -qm Work"}, {"say": "Done."}]


def configured(sandbox: Sandbox, stage: Stage, check: str, work: list[Json]) -> None:
    """A repository with one issue, for an agent that speaks ACP."""
    script = stage.folder / "script.json"
    script.write_text(json.dumps({"agent": {"modes": ["default"], "mode": "default"}, "work": work}))
    command = shlex.join([sys.executable, str(acp_agent.__file__), str(script)])
    table = f"[agents.one]\ndriver = 'acp'\nagent = 'gemini'\ncommand = '{command}'\n"
    sandbox.commit("intarsia.toml", f"[checks]\nanswer = '{check}'\n{table}", "Configure")
    sandbox.issue("it-1")


def test_in_a_run_it_goes_on_after_a_failed_check(sandbox: Sandbox, stage: Stage) -> None:
    work = [*committed("41"), {"end": "end_turn"}, *committed("42")]
    configured(sandbox, stage, "grep -qx 42 answer.txt", work)
    sandbox.ok("run")
    (done,) = sandbox.sessions()
    assert (done["stage"], done["turn"]) == ("done", 2)
    folder = sandbox.root / ".intarsia" / "sessions" / done["id"]
    began = ["protocolVersion" in (folder / f"wire-{turn}.jsonl").read_text() for turn in (1, 2)]
    assert began == [True, False]
    assert marked(done["id"]) == []


def test_one_that_waits_ends_with_its_supervisor(sandbox: Sandbox, stage: Stage) -> None:
    checking, go = stage.folder / "checking", stage.folder / "go"
    configured(sandbox, stage, f"test -e {go} || {{ touch {checking}; sleep 60; }}", committed("42"))
    with sandbox.start("run") as supervisor:
        until(checking.exists)
        (working,) = sandbox.sessions()
        assert marked(working["id"], "agent")
        supervisor.kill()
    until(lambda: not marked(working["id"], "agent"))
    go.touch()
    sandbox.ok("run")
    assert sandbox.sessions()[0]["stage"] == "done"
    assert marked(working["id"]) == []


def test_the_turn_of_which_the_environment_tells_may_be_another(session: Session) -> None:
    session.plays([*begun(), result(), *again(), result()])
    turn = session.turn("Do it.")
    session.heard(session.following.start(replace(turn, env={**turn.env, "INTARSIA_TURN": "1"})))
    before, turn = session.programs, session.turn("Go on.")
    session.heard(session.following.start(replace(turn, env={**turn.env, "INTARSIA_TURN": "2"})))
    assert session.programs == before


def test_a_turn_that_failed_leaves_no_program(session: Session) -> None:
    session.plays([*begun(), result(is_error=True)])
    assert end(session.play("Do it.")).outcome == "failed"
    assert not session.following.stays
    assert session.programs == []


def test_closed_it_leaves_nothing(session: Session) -> None:
    session.plays([*begun(), result()])
    session.play("Do it.")
    session.following.close()
    assert not session.following.stays
    assert session.programs == []
