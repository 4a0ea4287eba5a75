"""What is said to the app server of Codex, and what is made of its words; the real one is in tests/real_agents."""

from __future__ import annotations

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
from intarsia.agents.codex import CodexDriver, edits, script_of
from intarsia.agents.codex_ends import end_of
from intarsia.errors import NotReady
from tests.agents.conftest import Script, Stage

Json = dict[str, Any]
NO_LOGIN = {"account": None, "requiresOpenaiAuth": True}
ASKING = {"approvalPolicy": "on-request", "sandbox": {"type": "readOnly"}, "approvalsReviewer": "user"}
TOOL = Tool("status", "Say how it goes.", {"type": "object"}, lambda given: f"shown {given['text']}")


def call(method: str, result: Json, **params: Any) -> list[Json]:
    """It is called, and answers."""
    return [{"hear": {"id": "$id", "method": method, "params": params}}, {"say": {"id": "$id", "result": result}}]


def tells(method: str, **params: Any) -> Json:
    return {"say": {"method": method, "params": {"threadId": "th-1", "turnId": "tu-1", **params}}}


def connected(account: Json | None = None) -> list[Json]:
    return [
        *call("initialize", {}, clientInfo={"name": "intarsia"}),
        {"hear": {"method": "initialized"}},
        *call("account/read", account or {"account": {"type": "apiKey"}}),
    ]


def opened(**instead: Any) -> list[Json]:
    thread = {"thread": {"id": "th-1"}, **ASKING, **instead}
    return [*connected(), *call("thread/start", thread, approvalPolicy="on-request", sandbox="read-only")]


def begun() -> list[Json]:
    """To where the model is asked."""
    given = [{"type": "text", "text": "Do it."}]
    return [*opened(), *call("turn/start", {"turn": {"id": "tu-1"}}, threadId="th-1", input=given)]


def item(kind: str, event: str = "started", **facts: Any) -> Json:
    return tells(f"item/{event}", item={"type": kind, "id": "i-1", **facts})


def change(path: str, kind: str = "add", diff: str = "x\n", **more: Any) -> Json:
    return {"path": path, "kind": {"type": kind, **more}, "diff": diff}


def asks(method: str, **params: Any) -> Json:
    return {"say": {"id": 70, "method": method, "params": {"threadId": "th-1", "itemId": "i-1", **params}}}


def decision(word: str) -> Json:
    return {"hear": {"id": 70, "result": {"decision": word}}}


def ended(**facts: Any) -> Json:
    return tells("turn/completed", turn={"id": "tu-1", "status": "completed", "error": None, **facts})


class Says:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[Ask] = []

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        return self._answer


def play(stage: Stage, script: Script, **given: Any) -> list[AgentEvent]:
    driver = CodexDriver(command=stage.program(script))
    turn = stage.turn(**given)
    events: list[AgentEvent] = [e for e in driver.start(turn).events() if not isinstance(e, Waiting)]
    assert stage.unexpected == ""
    return events


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def test_a_turn_from_its_first_word_to_its_last(stage: Stage) -> None:
    changes = [change("/work/a.txt")]
    used = {"total": {"inputTokens": 10, "cachedInputTokens": 4, "outputTokens": 2}}
    script = [
        *begun(),
        item("userMessage"),
        item("fileChange", changes=changes),
        asks("item/fileChange/requestApproval"),
        decision("accept"),
        item("fileChange", "completed", changes=changes, status="completed"),
        tells("thread/tokenUsage/updated", tokenUsage=used),
        tells("thread/tokenUsage/updated", threadId="th-2", tokenUsage=used),
        tells("error", willRetry=True, error={"message": "Reconnecting"}),
        item("agentMessage", "completed", text="Done."),
        ended(),
    ]
    approver = Says(Answer(True))
    assert play(stage, script, approver=approver) == [
        Conversation("th-1"),
        ToolUse("i-1", "apply_patch /work/a.txt"),
        ToolResult("i-1", True),
        Usage("th-1", 10, 4, 2),
        RateLimit("The model's server: Reconnecting; it asks again."),
        Said("Done."),
        TurnEnd("completed", "", "Done."),
    ]
    (ask,) = approver.asked
    assert (ask.kind, ask.edits) == ("edit", (Edit(Path("/work/a.txt"), "x\n"),))


def paid(total: int, words: int = 50, reasoning: int = 0) -> Json:
    last = {"outputTokens": words, "reasoningOutputTokens": reasoning}
    figures = {"inputTokens": total, "cachedInputTokens": 0, "outputTokens": total}
    return tells("thread/tokenUsage/updated", tokenUsage={"total": figures, "last": last})


def ran() -> list[Json]:
    facts = {"command": "ls", "status": "completed"}
    return [item("commandExecution", **facts), item("commandExecution", "completed", **facts)]


def spoke() -> list[Json]:
    return [item("agentMessage", text=""), item("agentMessage", "completed", text="Done.")]


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ([item("userMessage"), paid(1)], "refused"),
        ([item("userMessage"), item("reasoning"), paid(1)], "refused"),
        ([*spoke(), *ran(), paid(1), paid(2)], "refused"),
        ([*ran()[:1], paid(1), *ran()[1:], paid(2)], "refused"),
        ([item("userMessage"), *spoke(), paid(1)], "completed"),
        ([item("userMessage"), paid(0), *spoke(), paid(1)], "completed"),
        ([item("userMessage"), item("reasoning"), paid(1, words=50, reasoning=50)], "completed"),
        ([*ran(), paid(1)], "completed"),
        ([*spoke(), paid(1), paid(1)], "completed"),
        ([*spoke(), paid(1), paid(2)], "completed"),
    ],
)
def test_an_answer_that_it_leaves_out_is_a_refusal(stage: Stage, steps: list[Json], outcome: str) -> None:
    assert end(play(stage, [*begun(), *steps, ended()])).outcome == outcome


def test_a_refusal_comes_with_its_reason(stage: Stage) -> None:
    steer = {"hear": {"method": "turn/steer", "params": {"threadId": "th-1", "expectedTurnId": "tu-1"}}}
    command = asks("item/commandExecution/requestApproval", command="/bin/bash -lc 'git push'", cwd="/work")
    script = [*begun(), command, steer, decision("decline"), ended()]
    approver = Says(Answer(False, "Not now."))
    assert end(play(stage, script, approver=approver)).outcome == "completed"
    assert [(ask.command, ask.cwd) for ask in approver.asked] == [("git push", Path("/work"))]


def test_a_patch_of_which_nothing_is_known_is_asked_for_without_a_file(stage: Stage) -> None:
    approver = Says(Answer(False))
    script = [*begun(), asks("item/fileChange/requestApproval"), decision("decline"), ended()]
    play(stage, script, approver=approver)
    assert [ask.edits for ask in approver.asked] == [()]


def test_a_command_without_words_is_declined_without_a_question(stage: Stage) -> None:
    approver = Says(Answer(True))
    script = [*begun(), asks("item/commandExecution/requestApproval"), decision("decline"), ended()]
    play(stage, script, approver=approver)
    assert approver.asked == []


@pytest.mark.parametrize(
    "method", ["item/permissions/requestApproval", "mcpServer/elicitation/request", "execCommandApproval", "new/thing"]
)
def test_other_questions_get_no_yes(stage: Stage, method: str) -> None:
    script = [*begun(), asks(method), {"hear": {"id": 70, "error": {"code": -32601}}}, ended()]
    assert end(play(stage, script, approver=Says(Answer(True)))).outcome == "completed"


@pytest.mark.parametrize(
    "instead",
    [
        {"sandbox": {"type": "workspaceWrite"}},
        {"sandbox": {"type": "dangerFullAccess"}},
        {"approvalPolicy": "never"},
        {"approvalsReviewer": "auto_review"},
        {"sandbox": None},
    ],
)
def test_a_thread_that_does_not_ask_gets_no_prompt(stage: Stage, instead: Json) -> None:
    events = play(stage, [*opened(**instead), {"hang": True}])
    assert end(events).outcome == "unguarded"
    assert not any(isinstance(event, Conversation) for event in events)


def test_a_tool_server_that_is_down_ends_it(stage: Stage) -> None:
    down = tells("mcpServer/startupStatus/updated", name="files", status="failed")
    assert end(play(stage, [*begun(), down, {"hang": True}])) == TurnEnd(
        "unguarded", "Nothing was done: the tool server files is not connected."
    )


def test_without_a_login_or_a_key_nothing_is_begun(stage: Stage) -> None:
    found = end(play(stage, [*connected(NO_LOGIN), {"hang": True}], env={}))
    assert found.outcome == "auth"
    assert "codex login" in found.detail


def test_a_key_is_for_this_process_only(stage: Stage) -> None:
    script = [
        *connected(NO_LOGIN),
        *call("account/login/start", {"type": "apiKey"}, type="apiKey", apiKey="k-1"),
        *begun()[len(connected()) :],
        ended(),
    ]
    turn = stage.turn()
    events = play(stage, script, env={**turn.env, "CODEX_API_KEY": "k-1"})
    assert end(events).outcome == "completed"
    assert 'cli_auth_credentials_store="ephemeral"' in stage.arguments
    assert "k-1" not in stage.arguments


def test_a_conversation_is_resumed_and_one_that_is_gone_is_begun_anew(stage: Stage) -> None:
    gone: list[Json] = [
        {"hear": {"id": "$id", "method": "thread/resume", "params": {"threadId": "th-0", "sandbox": "read-only"}}},
        {"say": {"id": "$id", "error": {"code": -32600, "message": "no rollout found"}}},
    ]
    rest = begun()[len(connected()) :]
    assert end(play(stage, [*connected(), *gone, *rest, ended()], conversation="th-0")).outcome == "completed"
    thread = {"thread": {"id": "th-1"}, **ASKING}
    resumed = call("thread/resume", thread, threadId="th-1", approvalPolicy="on-request", sandbox="read-only")
    script = [*connected(), *resumed, *rest[2:], ended()]
    assert end(play(stage, script, conversation="th-1")).outcome == "completed"


def test_our_tools_answer(stage: Stage) -> None:
    def answer(success: bool, text: str) -> Json:
        content = [{"type": "inputText", "text": text}]
        return {"hear": {"id": 70, "result": {"success": success, "contentItems": content}}}

    offered = {"dynamicTools": [{"type": "function", "name": "status", "inputSchema": {"type": "object"}}]}
    thread = {"thread": {"id": "th-1"}, **ASKING}
    script = [
        *connected(),
        *call("thread/start", thread, **offered),
        *call("turn/start", {"turn": {"id": "tu-1"}}),
        asks("item/tool/call", tool="status", arguments={"text": "hi"}),
        answer(True, "shown hi"),
        asks("item/tool/call", tool="none", arguments={}),
        answer(False, "There is no tool 'none'."),
        asks("item/tool/call", tool="status", arguments={}),
        {"hear": {"id": 70, "result": {"success": False}}},
        ended(),
    ]
    assert end(play(stage, script, tools=(TOOL,))).outcome == "completed"


def test_a_call_that_fails_is_no_success(stage: Stage) -> None:
    script: list[Json] = [
        {"hear": {"id": "$id"}},
        {"say": {"id": "$id", "error": {"message": "Not today."}}},
        {"hang": True},
    ]
    assert end(play(stage, script)) == TurnEnd("failed", "initialize: Not today.")


def test_a_program_that_ends_before_its_first_word_is_started_again_a_few_times(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intarsia.agents.codex.STARTS", 3)
    counted = stage.folder / "starts"
    driver = CodexDriver(command=stage.program([{"exit": 1}]))
    with (stage.folder / "program").open("r+") as program:
        lines = program.read().replace("#!/bin/sh\n", f"#!/bin/sh\necho . >>{counted}\n")
        program.seek(0)
        program.write(lines)
    events = list(driver.start(stage.turn()).events())
    assert end(events) == TurnEnd("failed", "It ended with exit code 1 in the midst of its turn.")
    assert counted.read_text().count(".") == 3


@pytest.mark.parametrize(
    ("last", "outcome"), [({"exit": 0}, "failed"), ({"exit": 1}, "failed"), ({"signal": 9}, "killed")]
)
def test_an_end_without_a_completed_turn_is_no_success(stage: Stage, last: Json, outcome: str) -> None:
    assert end(play(stage, [*begun(), last])).outcome == outcome


def http(kind: str, status: int | None) -> Json:
    return {kind: {"httpStatusCode": status}}


@pytest.mark.parametrize(
    ("info", "outcome"),
    [
        ("usageLimitExceeded", "rate_limited"),
        ("rateLimitExceeded", "rate_limited"),
        ("serverOverloaded", "overloaded"),
        ("unauthorized", "auth"),
        ("cyberPolicy", "refused"),
        ("contextWindowExceeded", "exhausted"),
        ("internalServerError", "api_error"),
        ("other", "api_error"),
        ("something new", "api_error"),
        (http("httpConnectionFailed", 529), "overloaded"),
        (http("responseTooManyFailedAttempts", 429), "rate_limited"),
        (http("responseStreamDisconnected", None), "api_error"),
        (http("httpConnectionFailed", 401), "auth"),
        (None, "failed"),
    ],
)
def test_how_a_failed_turn_is_read(info: Any, outcome: str) -> None:
    error = {"message": "It failed.", "codexErrorInfo": info}
    assert end_of({"status": "failed", "error": error}, "") == TurnEnd(outcome, "It failed.", "")  # type: ignore[arg-type]


def test_only_a_completed_turn_without_an_error_is_completed() -> None:
    assert end_of({"status": "completed", "error": None}, "Done.").outcome == "completed"
    assert end_of({"status": "completed", "error": {"message": "x"}}, "Done.").outcome == "failed"
    assert end_of({"status": "interrupted"}, "Done.").outcome == "failed"
    incomplete = {"message": "Incomplete response returned, reason: max_output_tokens", "codexErrorInfo": "other"}
    assert end_of({"status": "failed", "error": incomplete}, "").outcome == "truncated"


def test_the_files_of_a_patch(tmp_path: Path) -> None:
    path, new = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("one\ntwo\n")
    diff = "@@ -1,2 +1,2 @@\n-one\n+1\n two\n"
    assert list(edits([change(str(path), "update", diff, move_path=None)])) == [Edit(path, "1\ntwo\n")]
    moved = change(str(path), "update", f"{diff}\n\nMoved to: {new}", move_path=str(new))
    assert list(edits([moved])) == [Edit(path, None, deletes=True), Edit(new, "1\ntwo\n")]
    assert list(edits([change(str(path), "delete")])) == [Edit(path, None, deletes=True)]
    assert list(edits([change(str(new), "update", diff)])) == [Edit(new, None)]


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("/bin/bash -lc 'git push && ls'", "git push && ls"),
        ("zsh -c ls", "ls"),
        ("git push", "git push"),
        ("python -c ls", "python -c ls"),
        ("bash -lc 'unclosed", "bash -lc 'unclosed"),
    ],
)
def test_the_script_that_a_shell_is_asked_to_run(command: str, script: str) -> None:
    assert script_of(command) == script


def test_a_program_that_is_not_there_is_refused_before_anything_starts() -> None:
    with pytest.raises(NotReady, match="no-such-codex"):
        CodexDriver(command="no-such-codex").check()
