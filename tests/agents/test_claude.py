"""What is said to Claude Code, and what is made of its words; the real one is in tests/real_agents."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Conversation,
    Edit,
    RateLimit,
    Said,
    Tool,
    ToolResult,
    ToolUse,
    TurnEnd,
    Usage,
    Waiting,
)
from intarsia.agents.claude import OBJECTIONS, ClaudeDriver, end_of, total
from intarsia.agents.claude_tools import TOOLS, changed, question
from intarsia.errors import NotReady
from tests.agents.conftest import Script, Stage

Json = dict[str, Any]
READY = {"hook_on_failure_supported": True, "hooks_applied": True}
TOOL = Tool("status", "Say how it goes.", {"type": "object"}, lambda given: f"shown {given['text']}")


def say(**message: Any) -> Json:
    return {"say": message}


def opening(**ready: Any) -> list[Json]:
    response = {"subtype": "success", "request_id": "$id", "response": {**READY, **ready}}
    return [
        {"hear": {"type": "control_request", "request_id": "$id", "request": {"subtype": "initialize"}}},
        say(type="control_response", response=response),
    ]


def asked(hook: str, **given: Any) -> Json:
    request = {"subtype": "hook_callback", "callback_id": hook, "input": given}
    return say(type="control_request", request_id=f"{hook}-1", request=request)


def answered(hook: str, **answer: Any) -> Json:
    return {"hear": {"type": "control_response", "response": {"request_id": f"{hook}-1", "response": answer}}}


def begun(mode: str = "dontAsk", servers: tuple[Json, ...] = ()) -> list[Json]:
    """To where the model is asked."""
    return [
        *opening(),
        {"hear": {"type": "user", "message": {"role": "user", "content": "Do it."}}},
        asked("UserPromptSubmit"),
        answered("UserPromptSubmit"),
        say(type="system", subtype="init", permissionMode=mode, mcp_servers=list(servers)),
    ]


def uses(tool: str, **given: Any) -> Json:
    block = {"type": "tool_use", "id": "t-1", "name": tool, "input": given}
    return say(type="assistant", parent_tool_use_id=None, message={"role": "assistant", "content": [block]})


def words(text: str, parent: str | None = None, **message: Any) -> Json:
    content = [{"type": "text", "text": text}]
    return say(
        type="assistant", parent_tool_use_id=parent, message={"role": "assistant", "content": content, **message}
    )


def result(text: str = "Done.", **more: Any) -> Json:
    facts = {"subtype": "success", "is_error": False, "stop_reason": "end_turn", "result": text, **more}
    return say(type="result", **facts)


def wants(tool: str, **given: Any) -> Json:
    return asked("PreToolUse", tool_name=tool, tool_input=given, tool_use_id="t-1", cwd="/work")


def verdict(decision: str, **more: Any) -> Json:
    return answered("PreToolUse", hookSpecificOutput={"permissionDecision": decision, **more})


class Says:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[Ask] = []

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        return self._answer


def play(stage: Stage, script: Script, **given: Any) -> list[AgentEvent]:
    driver = ClaudeDriver(command=stage.program(script))
    events: list[AgentEvent] = [e for e in driver.start(stage.turn(**given)).events() if not isinstance(e, Waiting)]
    assert stage.unexpected == ""
    return events


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def test_a_turn_from_its_first_word_to_its_last(stage: Stage) -> None:
    said = {"type": "tool_result", "tool_use_id": "t-1", "content": [{"type": "text", "text": "written"}]}
    script = [
        *begun(),
        uses("Write", file_path="/work/a.txt", content="x"),
        wants("Write", file_path="/work/a.txt", content="x"),
        verdict("allow"),
        say(type="user", parent_tool_use_id=None, message={"role": "user", "content": [said]}),
        say(type="system", subtype="api_retry", error="overloaded", retry_delay_ms=1500),
        words("Done."),
        asked("Stop", last_assistant_message="Done."),
        answered("Stop"),
        result(),
    ]
    approver = Says(Answer(True))
    first, *events = play(stage, script, approver=approver)
    assert isinstance(first, Conversation)
    assert f"--session-id={first.id}" in stage.arguments
    assert "--permission-mode=dontAsk" in stage.arguments
    assert events == [
        ToolUse("t-1", "Write /work/a.txt"),
        ToolResult("t-1", True, "written"),
        RateLimit("The model's server: overloaded; it asks again.", 1.5),
        Said("Done."),
        TurnEnd("completed", "", "Done."),
    ]
    (ask,) = approver.asked
    assert (ask.kind, ask.edits) == ("edit", (Edit(Path("/work/a.txt"), "x"),))
    assert (stage.folder / "output-1.log").read_text().splitlines()[0] == "→ Write /work/a.txt"


@pytest.mark.parametrize(
    ("answer", "decision", "more"),
    [
        (Answer(False, "bob holds it"), "deny", {"permissionDecisionReason": "bob holds it"}),
        (Answer(True, text="y"), "allow", {"updatedInput": {"file_path": "/work/a.txt", "content": "y"}}),
        (Answer(True, command="ls"), "deny", {}),
    ],
)
def test_an_answer_reaches_it(stage: Stage, answer: Answer, decision: str, more: Json) -> None:
    ask = wants("Write", file_path="/work/a.txt", content="x")
    script = [*begun(), ask, verdict(decision, **more), result()]
    assert end(play(stage, script, approver=Says(answer))).outcome == "completed"


def test_a_tool_that_is_not_known_is_denied_without_a_question(stage: Stage) -> None:
    approver = Says(Answer(True))
    play(stage, [*begun(), wants("Telephone", number=1), verdict("deny"), result()], approver=approver)
    assert approver.asked == []


@pytest.mark.parametrize(
    "script",
    [
        opening(hook_on_failure_supported=False),
        opening(hooks_applied=False),
        begun(mode="acceptEdits"),
        begun(servers=({"name": "files", "status": "failed"},)),
        [*opening(), {"hear": {"type": "user"}}, uses("Write", file_path="/work/a.txt", content="x")],
        [*opening(), {"hear": {"type": "user"}}, words("Hello.")],
    ],
    ids=["hooks that fail open", "hooks not taken", "mode", "a server is down", "a tool first", "words first"],
)
def test_what_is_not_guarded_is_ended_before_it_works(stage: Stage, script: Script) -> None:
    place = str(stage.folder / "after")
    events = play(stage, [*script, {"hang": True}, {"file": [place, "it went on"]}, result()])
    assert end(events).outcome == "unguarded"
    time.sleep(0.05)
    assert not Path(place).exists()


def test_without_our_tool_server_it_is_not_guarded(stage: Stage) -> None:
    assert end(play(stage, [*begun(), {"hang": True}], tools=(TOOL,))).outcome == "unguarded"


def test_our_tools_answer(stage: Stage) -> None:
    def call(id: int, method: str, **params: Any) -> Json:
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
        return say(type="control_request", request_id=f"m-{id}", request={"subtype": "mcp_message", "message": message})

    def told(id: int, **answer: Any) -> Json:
        response = {"mcp_response": {"id": id, **answer}}
        return {"hear": {"response": {"request_id": f"m-{id}", "response": response}}}

    content = [{"type": "text", "text": "shown hi"}]
    script = [
        *begun(servers=({"name": "intarsia", "status": "connected"},)),
        call(1, "initialize", protocolVersion="2025-11-25"),
        told(1, result={"protocolVersion": "2025-11-25"}),
        call(2, "tools/list"),
        told(2, result={"tools": [{"name": "status", "inputSchema": {"type": "object"}}]}),
        call(3, "tools/call", name="status", arguments={"text": "hi"}),
        told(3, result={"isError": False, "content": content}),
        call(4, "tools/call", name="none", arguments={}),
        told(4, result={"isError": True}),
        call(5, "resources/list"),
        told(5, error={"code": -32601}),
        wants("mcp__intarsia__status", text="hi"),
        verdict("allow"),
        result(),
    ]
    assert end(play(stage, script, tools=(TOOL,))).outcome == "completed"


def test_an_objection_sends_it_back(stage: Stage) -> None:
    script = [
        *begun(),
        asked("Stop", last_assistant_message="Done."),
        answered("Stop", decision="block", reason="Not yet: Done."),
        result(),
    ]
    assert end(play(stage, script, objection=lambda last: f"Not yet: {last}")).outcome == "completed"


def test_it_is_not_sent_back_for_ever(stage: Stage) -> None:
    stop, blocked = asked("Stop", last_assistant_message="Done."), answered("Stop", decision="block")
    free = [stop, {"hear": {"response": {"request_id": "Stop-1", "response": "$answer"}}}]
    script = [*begun(), *[stop, blocked] * OBJECTIONS, *free, {"say": "$answer"}, result()]
    assert end(play(stage, script, objection=lambda last: "Not yet.")).outcome == "completed"
    assert (stage.folder / "wire-1.jsonl").read_text().splitlines()[-2] == "{}"


def test_a_result_is_the_end_only_when_it_has_nothing_more_to_do(stage: Stage) -> None:
    def state(now: str) -> Json:
        return say(type="system", subtype="session_state_changed", state=now)

    script = [
        *begun(),
        state("running"),
        result("A subagent works on it."),
        words("Its own words", parent="t-9"),
        result("Now it is done."),
        state("idle"),
    ]
    events = play(stage, script)
    assert end(events) == TurnEnd("completed", "", "Now it is done.")
    assert Said("Its own words") not in events


def test_a_conversation_that_is_gone_is_begun_anew(stage: Stage) -> None:
    """The program plays the same script again, so that it is gone again: that is an end then."""
    lost = say(type="result", subtype="error_during_execution", is_error=True, errors=["No conversation found with …"])
    events = play(stage, [lost, {"exit": 1}], conversation="c-1")
    assert "--session-id=" in stage.arguments
    assert end(events).outcome == "failed"


@pytest.mark.parametrize(
    ("last", "outcome"),
    [({"exit": 0}, "failed"), ({"exit": 1}, "failed"), ({"signal": 9}, "killed"), ({"signal": 15}, "killed")],
)
def test_an_end_without_a_result_is_no_success(stage: Stage, last: Json, outcome: str) -> None:
    events = play(stage, [*begun(), words("Half", id="m-1", usage={"input_tokens": 7, "output_tokens": 1}), last])
    assert end(events).outcome == outcome
    (usage,) = [event for event in events if isinstance(event, Usage)]
    assert (usage.input, usage.output) == (7, 1)


def test_a_failure_after_the_result_is_a_failure(stage: Stage) -> None:
    assert end(play(stage, [*begun(), result(), {"exit": 3}])).outcome == "failed"


def test_what_is_no_message_is_passed_over_and_what_can_not_be_understood_is_an_end(stage: Stage) -> None:
    script = [{"raw": "Warning: hello"}, {"raw": "{half a message"}, *begun(), result()]
    assert end(play(stage, script)).outcome == "completed"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_message_that_can_not_be_understood_ends_the_turn(stage: Stage) -> None:
    assert end(play(stage, [*begun(), words("x", content=[{"type": "text"}], usage=3, id="m")])).outcome == "failed"


def test_too_many_words_end_it(stage: Stage) -> None:
    assert end(play(stage, [{"raw": "x" * 1_100_000}, {"hang": True}])).outcome == "flooded"


def test_the_total_replaces_what_was_counted_meanwhile(stage: Stage) -> None:
    model = {"inputTokens": 5, "cacheReadInputTokens": 100, "cacheCreationInputTokens": 10, "outputTokens": 9}
    used = {"input_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10, "output_tokens": 1}
    script = [*begun(), words("Done.", id="m-1", usage=used), result(modelUsage={"m": model}, total_cost_usd=0.5)]
    before, nothing, after = [event for event in play(stage, script) if isinstance(event, Usage)]
    assert (before.input, before.cached, before.output) == (115, 100, 1)
    assert nothing == Usage(before.scope)
    assert (after.input, after.cached, after.output, after.cost) == (115, 100, 9, 0.5)
    assert before.scope.startswith(after.scope)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        ({}, "completed"),
        ({"is_error": True}, "failed"),
        ({"is_error": None}, "failed"),
        ({"subtype": "error_during_execution", "is_error": True}, "failed"),
        ({"subtype": "error_max_turns", "is_error": True}, "exhausted"),
        ({"subtype": "error_max_budget_usd", "is_error": True}, "exhausted"),
        ({"stop_reason": "refusal", "is_error": True}, "refused"),
        ({"stop_reason": "refusal"}, "refused"),
        ({"stop_reason": "max_tokens"}, "truncated"),
        ({"is_error": True, "terminal_reason": "api_error", "api_error": "max_output_tokens"}, "truncated"),
        ({"is_error": True, "terminal_reason": "api_error"}, "api_error"),
        ({"is_error": True, "api_error_status": 529}, "overloaded"),
        ({"is_error": True, "api_error_status": 429}, "rate_limited"),
        ({"is_error": True, "api_error_status": 401}, "auth"),
        ({"is_error": True, "api_error_status": 400}, "api_error"),
        ({"is_error": True, "api_error_status": 403, "api_error": "billing_error"}, "auth"),
    ],
)
def test_how_a_result_is_read(facts: Json, outcome: str) -> None:
    assert end_of({"subtype": "success", "is_error": False, "result": "x", **facts}).outcome == outcome


def test_without_a_login_its_last_message_says_so(stage: Stage) -> None:
    said = words("Not logged in")
    said["say"]["error"] = "authentication_failed"
    failed = result("Not logged in", is_error=True, terminal_reason="api_error", api_error_status=None)
    assert end(play(stage, [*begun(), said, failed])) == TurnEnd("auth", "Not logged in", "Not logged in")


def test_a_result_without_figures_is_nothing_used() -> None:
    assert total({}, "c") == Usage("c")


def test_what_an_edit_would_make_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one two one\n")

    def text(**given: Any) -> str | None:
        ask = question("Edit", {"file_path": str(path), **given}, "t-1", tmp_path)
        assert ask is not None
        return ask.edits[0].text

    assert text(old_string="one", new_string="1") == "1 two one\n"
    assert text(old_string="one", new_string="1", replace_all=True) == "1 two 1\n"
    assert text(old_string="three", new_string="3") == "one two one\n"  # the tool refuses
    assert text(old_string="", new_string="3") is None
    assert text() is None
    path.write_text("say \u201cone\u201d\n")
    assert text(old_string='say "one"', new_string="two") == "two\n"  # as the tool has it


def test_paths_are_those_that_the_tool_itself_would_use() -> None:
    def path(name: str) -> Path:
        ask = question("Write", {"file_path": name, "content": ""}, "t-1", Path("/work"))
        assert ask is not None
        return ask.edits[0].path

    assert path("a.txt") == Path("/work/a.txt")
    assert path("/etc/passwd") == Path("/etc/passwd")
    assert not path("~/a.txt").is_absolute()  # the tool would write into the home directory


@pytest.mark.parametrize("name", TOOLS)
def test_every_tool_we_let_it_have_leads_to_a_question(name: str) -> None:
    given = {"command": "ls", "file_path": "/a", "notebook_path": "/a"}
    assert question(name, given, "t-1", Path("/work")) is not None


def test_other_tools_and_odd_inputs_lead_to_none() -> None:
    assert question("Telephone", {}, "t-1", Path("/work")) is None
    assert question("Bash", {"command": 3}, "t-1", Path("/work")) is None
    ask = question("Write", {"file_path": 3}, "t-1", Path("/work"))
    assert ask is not None
    assert ask.edits == ()


def test_a_change_is_made_only_where_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    given = {"file_path": str(path), "old_string": "b", "new_string": "c"}
    made = changed("Edit", given, Answer(True, text="after"))
    assert made is not None
    assert (made["old_string"], made["new_string"]) == ("before", "after")
    assert changed("NotebookEdit", {"notebook_path": str(path)}, Answer(True, text="after")) is None
    assert changed("Write", given, Answer(True, command="ls")) is None


def test_a_program_that_is_not_there_is_refused_before_anything_starts() -> None:
    with pytest.raises(NotReady, match="no-such-claude"):
        ClaudeDriver(command="no-such-claude").check()
