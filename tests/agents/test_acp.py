"""What is said to agents that speak the Agent Client Protocol, with the scripted one that comes with intarsia."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from acp import schema

from intarsia.agents import (
    AgentEvent,
    Answer,
    Ask,
    Conversation,
    Edit,
    Limits,
    Said,
    Tool,
    ToolResult,
    ToolUse,
    TurnEnd,
    Unenforced,
    Usage,
    Waiting,
    acp_opening,
)
from intarsia.agents.acp import AcpDriver, AcpTurn
from intarsia.agents.acp_agents import AGENTS, AcpAgent
from intarsia.agents.acp_asks import option, questions
from intarsia.agents.outcomes import of_error
from intarsia.agents.supervision import marked
from intarsia.errors import ConfigError, InputError, NotReady
from intarsia.testing import acp_agent
from tests.agents.conftest import Stage
from tests.support.until import until

Json = dict[str, Any]
ASKING = AcpAgent("", settings={"mode": "ask"})
DONE = {"say": "Done."}


@dataclass
class Approver:
    """Refuses what names one of these words, and remembers all it was asked."""

    refused: tuple[str, ...] = ()
    asked: list[Ask] = field(default_factory=list)

    def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
        self.asked.append(ask)
        text = f"{ask.command} {[edit.path.name for edit in ask.edits]}"
        return Answer(not any(word in text for word in self.refused), "bob holds it.")


def play(
    stage: Stage,
    *steps: Json,
    approver: Any = None,
    about: AcpAgent = ASKING,
    like: Json | None = None,
    model: str = "",
    env: Mapping[str, str] | None = None,
    **given: Any,
) -> list[AgentEvent]:
    script = stage.folder / "script.json"
    script.write_text(json.dumps({"agent": like or {}, "work": list(steps)}))
    turn = stage.turn(approver=approver or Approver(), **given)
    turn = stage.turn(
        approver=approver or Approver(),
        **given,
        env={**turn.env, "ACP_HEARD": str(stage.folder / "heard.jsonl"), **(env or {})},
    )
    argv = [sys.executable, str(acp_agent.__file__), str(script)]
    return [event for event in AcpTurn(turn, argv, about, model).events() if not isinstance(event, Waiting)]


def heard(stage: Stage) -> list[Json]:
    """What the agent was told."""
    return [json.loads(line) for line in (stage.folder / "heard.jsonl").read_text().splitlines()]


def calls(stage: Stage, method: str) -> list[Json]:
    return [message["params"] for message in heard(stage) if message.get("method") == method]


def there(stage: Stage) -> set[str]:
    return {path.name for path in stage.workspace.iterdir()}


def end(events: list[AgentEvent]) -> TurnEnd:
    assert isinstance(events[-1], TurnEnd)
    return events[-1]


def test_a_turn_from_its_first_word_to_its_last(stage: Stage) -> None:
    approver = Approver()
    events = play(
        stage,
        {"say": "I wr"},
        {"say": "ite.\nAnd run."},
        {"edit": "a.txt", "text": "one"},
        {"shell": "cat a.txt >b.txt"},
        {"notify": {"sessionUpdate": "usage_update", "used": 5, "size": 9, "cost": {"amount": 0.5, "currency": "USD"}}},
        DONE,
        {"end": "end_turn", "result": {"usage": {"inputTokens": 7, "outputTokens": 2, "totalTokens": 9}}},
        approver=approver,
    )
    id = next(event.id for event in events if isinstance(event, Conversation))
    scope = next(event.scope for event in events if isinstance(event, Usage) and event.input)
    path = stage.workspace / "a.txt"
    assert events == [
        Conversation(id),
        Said("I write."),
        Said("And run."),
        ToolUse("call-1", f"edit {path}"),
        ToolResult("call-1", True),
        ToolUse("call-3", "execute cat a.txt >b.txt"),
        ToolResult("call-3", True),
        Usage(id, cost=0.5),
        Said("Done."),
        Usage(scope, 7, 0, 2),
        TurnEnd("completed", "", "Done."),
    ]
    edit, shell = approver.asked
    assert (edit.kind, [(one.path, one.text) for one in edit.edits]) == ("edit", [(path, "one")])
    assert (shell.kind, shell.command, shell.cwd) == ("shell", "cat a.txt >b.txt", stage.workspace)
    assert (stage.workspace / "b.txt").read_text() == "one"


# Asking.


@pytest.mark.parametrize("options", [None, {"allow_all": "on"}], ids=["modes", "options"])
def test_it_is_made_to_ask_before_its_first_prompt(stage: Stage, options: Json | None) -> None:
    settings = {"mode": "ask", **dict.fromkeys(options or {}, "off")}
    like = {"mode": "auto", "options": options}
    assert end(play(stage, DONE, like=like, about=AcpAgent("", settings=settings))).outcome == "completed"
    methods = [message["method"] for message in heard(stage) if "method" in message]
    change = ["session/set_config_option"] * 2 if options else ["session/set_mode"]
    assert methods == ["initialize", "session/new", *change, "session/prompt"]


@pytest.mark.parametrize(
    ("like", "settings", "why"),
    [
        ({"mode": "auto", "stuck": True, "options": {"x": "y"}}, {"mode": "ask"}, "its mode stays auto"),
        ({"mode": "auto", "modes": ["auto"]}, {"mode": "ask"}, "its mode can't be set to ask: There is no mode ask."),
        ({"modes": []}, {"mode": "ask"}, "it has no setting mode"),
        ({}, {"mode": "ask", "allow_all": "off"}, "it has no setting allow_all"),
        ({}, {}, "nobody knows which of its modes asks; it is in ask"),
        ({"version": 2}, {"mode": "ask"}, "it speaks version 2 of the protocol, not 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_that_can_not_be_held_to_asking_gets_no_prompt(stage: Stage, like: Json, settings: Json, why: str) -> None:
    found = end(play(stage, DONE, like=like, about=AcpAgent("", settings=settings)))
    assert found.outcome == "unguarded"
    assert found.detail.startswith(f"Nothing was done: {why}")
    assert calls(stage, "session/prompt") == []


def test_one_without_modes_of_which_nothing_is_known_is_watched(stage: Stage) -> None:
    assert end(play(stage, DONE, like={"modes": []}, about=AcpAgent(""))).outcome == "completed"


@pytest.mark.parametrize(
    "step",
    [
        {"edit": "a.txt", "text": "x", "unasked": True},
        {"shell": "touch a.txt", "unasked": True},
        {"shell": "touch a.txt", "unasked": True, "kind": "read"},
        {"delete": "old.txt", "unasked": True},
    ],
    ids=["edit", "shell", "shell that says it reads", "delete"],
)
def test_one_that_does_not_ask_is_ended(stage: Stage, step: Json) -> None:
    (stage.workspace / "old.txt").write_text("x")
    found = end(play(stage, step, {"shell": "touch late"}, {"hang": True}))
    assert found.outcome == "unguarded"
    assert found.detail.startswith("It was ended: it did this without asking:")
    assert "late" not in there(stage)


def test_a_command_that_only_reads_may_go_unasked_where_that_is_known(stage: Stage) -> None:
    about = AcpAgent("", settings={"mode": "ask"}, reads_unasked=True)
    assert end(play(stage, {"shell": "ls", "unasked": True}, DONE, about=about)).outcome == "completed"
    events = play(stage, {"edit": "a.txt", "text": "x", "unasked": True}, {"hang": True}, about=about)
    assert end(events).outcome == "unguarded"


@pytest.mark.parametrize(
    "step",
    [
        {"mode": "auto"},
        {
            "notify": {
                "sessionUpdate": "config_option_update",
                "configOptions": [{"id": "mode", "currentValue": "auto"}],
            }
        },
    ],
    ids=["mode", "option"],
)
def test_one_that_changes_its_mode_is_ended(stage: Stage, step: Json) -> None:
    assert end(play(stage, step, {"hang": True})) == TurnEnd(
        "unguarded", "It was ended: its mode became auto, in which it does not ask."
    )


def test_it_is_never_allowed_for_ever(stage: Stage) -> None:
    """The scripted agent offers that first, and would end with 91."""
    assert end(play(stage, {"edit": "a.txt", "text": "x"}, DONE)).outcome == "completed"
    events = play(stage, {"edit": "b.txt", "text": "x"}, DONE, like={"choices": ["allow_always", "reject_once"]})
    assert "b.txt" not in there(stage)
    assert end(events).outcome == "completed"
    assert option([{"kind": "allow_always", "optionId": "a"}], allow=True) == {"outcome": {"outcome": "cancelled"}}


def test_a_dead_approver_allows_nothing(stage: Stage) -> None:
    class Dead:
        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            raise OSError("the database is gone")

    steps: list[Json] = [
        {"edit": "a", "text": "x"},
        {"shell": "touch b"},
        {"write": "c", "text": "x"},
        {"terminal": "touch d"},
        DONE,
    ]
    assert end(play(stage, *steps, approver=Dead())).outcome == "completed"
    assert there(stage) == set()


def test_the_agent_waits_until_it_is_answered(stage: Stage) -> None:
    class Patient:
        def __init__(self) -> None:
            self.there_before: set[str] | None = None

        def answer(self, ask: Ask, withdrawn: Callable[[], bool]) -> Answer:
            threading.Event().wait(0.3)  # a lease that is free only then
            self.there_before = there(stage)
            return Answer(True)

    approver = Patient()
    events = play(stage, {"edit": "a.txt", "text": "x"}, DONE, approver=approver)
    assert approver.there_before == set()
    assert there(stage) == {"a.txt"}
    assert end(events).outcome == "completed"


# A no.


@pytest.mark.parametrize("reject", ["end", "cancel"])
def test_an_agent_whose_turn_a_no_ends_is_told_why_and_goes_on(stage: Stage, reject: str) -> None:
    steps: list[Json] = [{"edit": "held.txt", "text": "x"}, {"edit": "free.txt", "text": "x"}, DONE]
    events = play(stage, *steps, approver=Approver(("held",)), like={"reject": reject})
    assert end(events) == TurnEnd("completed", "", "Done.")
    assert there(stage) == {"free.txt"}
    _, second = [call["prompt"][0]["text"] for call in calls(stage, "session/prompt")]
    assert f"edit {stage.workspace}/held.txt: bob holds it." in second


def test_an_agent_that_finds_another_way_by_itself_is_left_alone(stage: Stage) -> None:
    steps: list[Json] = [{"edit": "held.txt", "text": "x"}, {"edit": "free.txt", "text": "x"}, DONE]
    assert end(play(stage, *steps, approver=Approver(("held",)))).outcome == "completed"
    assert len(calls(stage, "session/prompt")) == 1


def test_an_agent_that_gives_up_after_a_no_is_told_why(stage: Stage) -> None:
    steps: list[Json] = [
        {"edit": "held.txt", "text": "x"},
        {"say": "I can't."},
        {"end": "end_turn"},
        {"say": "Then that was it."},
    ]
    events = play(stage, *steps, approver=Approver(("held",)))
    assert end(events) == TurnEnd("completed", "", "Then that was it.")


def test_there_is_an_end_to_telling_it_why(stage: Stage) -> None:
    steps: list[Json] = [{"edit": "held.txt", "text": "x"}] * 20
    found = end(play(stage, *steps, approver=Approver(("held",)), like={"reject": "cancel"}))
    assert (found.outcome, found.detail) == ("failed", "It ended its turn: cancelled.")
    assert len(calls(stage, "session/prompt")) == 6


def test_one_that_does_what_was_refused_is_ended(stage: Stage) -> None:
    step = {"edit": "held.txt", "text": "x", "anyway": True}
    found = end(play(stage, step, {"hang": True}, approver=Approver(("held",))))
    assert found.outcome == "unguarded"
    assert found.detail.startswith("It was ended: it did what it was not allowed to: edit")


# What is asked.


def asked(call: Json, cwd: str = "/w") -> list[tuple[str, list[str], str]]:
    found = questions({"toolCallId": "c", **call}, Path(cwd))
    return [(ask.kind, [str(edit.path) for edit in ask.edits], ask.command) for ask in found]


@pytest.mark.parametrize(
    ("diff", "text"),
    [
        ({"oldText": "one two\n", "newText": "1\n"}, "1\n"),
        ({"oldText": "one two", "newText": "1\n"}, "1\n"),
        ({"oldText": "two", "newText": "2"}, "one 2\n"),
        ({"oldText": "o", "newText": "0"}, None),
        ({"oldText": "three", "newText": "3"}, None),
        ({"oldText": None, "newText": "all\n"}, "all\n"),
        ({"newText": None}, None),
    ],
    ids=str,
)
def test_what_an_edit_would_make_of_a_file(tmp_path: Path, diff: Json, text: str | None) -> None:
    (tmp_path / "a.txt").write_text("one two\n")
    content = [{"type": "diff", "path": "a.txt", **diff}]
    (ask,) = questions({"toolCallId": "c", "kind": "edit", "content": content}, tmp_path)
    assert ask.edits == (Edit(tmp_path / "a.txt", text),)
    again = {"type": "diff", "path": "a.txt", "oldText": "one", "newText": "1"}
    (ask,) = questions({"toolCallId": "c", "kind": "edit", "content": [*content, again]}, tmp_path)
    assert ask.edits[0].text == (text.replace("one", "1") if text and "one" in text else None)
    content[0]["path"] = "new.txt"
    (ask,) = questions({"toolCallId": "c", "kind": "edit", "content": content}, tmp_path)
    assert ask.edits[0].text == diff["newText"]


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        ({"kind": "edit", "rawInput": {"file_path": "a"}}, [("edit", ["/w/a"], "")]),
        ({"kind": "edit"}, [("edit", [], "")]),
        ({"kind": "read", "content": [{"type": "diff", "path": "/x", "newText": ""}]}, [("edit", ["/x"], "")]),
        ({"kind": "move", "rawInput": {"source": "a", "destination": "/b"}}, [("edit", ["/w/a", "/b"], "")]),
        ({"kind": "read", "locations": [{"path": "a"}]}, [("read", ["/w/a"], "")]),
        ({"kind": "think", "rawInput": {"command": "rm x"}}, [("shell", [], "rm x")]),
        ({"kind": "execute", "rawInput": {"command": ["bash", "-lc", "rm x"]}}, [("shell", [], "rm x")]),
        ({"kind": "execute", "rawInput": {"cmd": ["rm", "a b"]}}, [("shell", [], "rm 'a b'")]),
        (
            {"kind": "edit", "rawInput": {"path": "a", "command": "rm x"}},
            [("edit", ["/w/a"], ""), ("shell", [], "rm x")],
        ),
        ({"kind": "fetch"}, [("tool", [], "")]),
        ({"kind": "something new"}, [("tool", [], "")]),
        ({}, [("tool", [], "")]),
    ],
    ids=str,
)
def test_what_a_step_is_asked_as(call: Json, kinds: list[Any]) -> None:
    assert asked(call) == kinds


def test_a_step_that_does_two_things_needs_both_allowed(stage: Stage) -> None:
    call = {"kind": "edit", "rawInput": {"path": "a.txt", "command": "git push"}}
    approver = Approver(("push",))
    play(stage, {"step": call}, DONE, approver=approver)
    assert [ask.kind for ask in approver.asked] == ["edit", "shell"]
    answers = [message["result"]["outcome"]["optionId"] for message in heard(stage) if "outcome" in str(message)]
    assert answers == ["id-reject_once"]


@pytest.mark.parametrize("call", [{"kind": "execute"}, {"kind": "switch_mode"}], ids=str)
def test_what_is_not_clear_or_changes_the_rules_is_refused_without_a_question(stage: Stage, call: Json) -> None:
    approver = Approver()
    play(stage, {"step": call}, DONE, approver=approver)
    assert approver.asked == []
    assert "id-reject_once" in str(heard(stage))


def test_a_command_may_be_in_the_title_only(stage: Stage) -> None:
    about = AcpAgent("", settings={"mode": "ask"}, titles_commands=True)
    approver = Approver(("push",))
    steps: list[Json] = [{"step": {"kind": "execute", "title": "git push"}}, DONE]
    assert end(play(stage, *steps, approver=approver, about=about)).outcome == "completed"
    assert [ask.command for ask in approver.asked] == ["git push"]
    assert "id-reject_once" in str(heard(stage))


def test_a_policy_can_name_the_tool_where_the_agent_does() -> None:
    (ask,) = questions({"kind": "fetch", "_meta": {"claudeCode": {"toolName": "WebFetch"}}}, Path("/w"))
    assert ask.tool == "WebFetch"
    (ask,) = questions({"kind": "fetch"}, Path("/w"))
    assert ask.tool == "fetch"


# What we do for it.


def test_it_may_read_and_write_files_through_us(stage: Stage) -> None:
    approver = Approver(("held",))
    steps: list[Json] = [
        {"write": "sub/a.txt", "text": "one\ntwo\n"},
        {"read": "sub/a.txt"},
        {"write": "held.txt", "text": "x"},
        {"read": "none.txt"},
    ]
    events = play(stage, *steps, approver=approver)
    said = [event.text for event in events if isinstance(event, Said)]
    assert said == [
        "{}",
        '{"content": "one\\ntwo\\n"}',
        "This is not allowed: bob holds it.",
        f"There is no file {stage.workspace}/none.txt.",
    ]
    assert [ask.kind for ask in approver.asked] == ["edit", "read", "edit", "read"]
    assert there(stage) == {"sub"}


def test_it_may_run_commands_through_us(stage: Stage) -> None:
    steps: list[Json] = [{"terminal": "echo $A $INTARSIA_ROLE"}, {"terminal": "git push"}, {"terminal": "exit 3"}]
    events = play(stage, *steps, approver=Approver(("push",)))
    said = [event.text for event in events if isinstance(event, Said)]
    assert "b agent (0)" in said
    assert "This is not allowed: bob holds it." in said
    assert "(3)" in " ".join(said)
    assert marked(stage.session) == []


def test_what_it_wrote_through_us_needs_no_second_question(stage: Stage) -> None:
    done = {"sessionUpdate": "tool_call", "toolCallId": "w", "kind": "edit", "status": "completed"}
    where = {"locations": [{"path": str(stage.workspace / "a.txt")}]}
    steps: list[Json] = [{"write": "a.txt", "text": "x"}, {"notify": {**done, **where}}, DONE]
    assert end(play(stage, *steps)).outcome == "completed"


def test_our_tools_can_be_called(stage: Stage) -> None:
    def status(given: Mapping[str, Any]) -> str:
        if given["text"] == "bad":
            raise InputError("That is no status.")
        return f"shown {given['text']}"

    tool = Tool("status", "Say how it goes.", {"type": "object"}, status)
    steps: list[Json] = [{"tool": "status", "input": {"text": text}} for text in ("hi", "bad")]
    events = play(stage, *steps, tools=(tool,))
    words = " ".join(event.text for event in events if isinstance(event, Said))
    assert "shown hi" in words
    assert "That is no status." in words
    assert not [event for event in events if isinstance(event, Unenforced)]
    assert [event for event in play(stage, DONE, tools=(tool,)) if isinstance(event, Unenforced)]


def test_an_objection_sends_the_agent_back_to_work(stage: Stage) -> None:
    def objection(last_words: str) -> str:
        return "" if (stage.workspace / "a.txt").exists() else f"After {last_words!r}: there is no a.txt yet."

    steps: list[Json] = [{"say": "That was it."}, {"end": "end_turn"}, {"edit": "a.txt", "text": "x"}, DONE]
    assert end(play(stage, *steps, objection=objection)) == TurnEnd("completed", "", "Done.")
    assert "After 'That was it.'" in calls(stage, "session/prompt")[1]["prompt"][0]["text"]


# Conversations.


def test_a_conversation_is_resumed_and_what_was_said_in_it_is_not_said_again(stage: Stage) -> None:
    events = play(stage, DONE, conversation="acp-7")
    assert events == [Conversation("acp-7"), Said("Done."), TurnEnd("completed", "", "Done.")]
    assert calls(stage, "session/new") == []


@pytest.mark.parametrize(("like", "id"), [({}, "gone"), ({"loads": False}, "acp-7")])
def test_one_that_is_gone_or_can_not_be_resumed_is_begun_anew(stage: Stage, like: Json, id: str) -> None:
    events = play(stage, DONE, conversation=id, like=like)
    assert end(events).outcome == "completed"
    assert events[0] != Conversation(id)
    assert len(calls(stage, "session/new")) == 1


def test_what_is_told_late_of_a_conversation_is_not_taken_for_work(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acp_opening, "QUIET", 3.0)  # thirty times as long as it pauses between two words
    step = {"toolCallId": "old", "kind": "edit", "title": "Edit", "status": "completed"}
    late = [
        {"sessionUpdate": "tool_call", **step},
        {"sessionUpdate": "agent_message_chunk", "content": {"type": "text"}},
    ]
    events = play(stage, DONE, conversation="acp-1", like={"late": late})
    assert end(events) == TurnEnd("completed", "", "Done.")


@pytest.mark.parametrize(("adds_up", "tokens"), [(False, 16), (True, 9)])
def test_tokens_are_counted_once(stage: Stage, adds_up: bool, tokens: int) -> None:
    def ended(given: int) -> Json:
        return {"end": "end_turn", "result": {"usage": {"inputTokens": given, "outputTokens": 1, "totalTokens": 0}}}

    about = AcpAgent("", settings={"mode": "ask"}, adds_up=adds_up)
    steps: list[Json] = [DONE, ended(7), DONE, ended(9)]
    objections = ["More.", ""]
    events = play(stage, *steps, about=about, objection=lambda words: objections.pop(0))
    figures = {event.scope: event.input for event in events if isinstance(event, Usage)}
    assert sum(figures.values()) == tokens


def test_a_model_can_be_chosen(stage: Stage) -> None:
    like = {"options": {"model": "small"}}
    assert end(play(stage, DONE, like=like, model="large")).outcome == "completed"
    assert calls(stage, "session/set_config_option")[0]["value"] == "large"
    assert end(play(stage, DONE, model="large")).outcome == "unguarded"


# Ends.


def test_it_logs_in_with_a_key_that_it_is_given(stage: Stage) -> None:
    about = AcpAgent("", settings={"mode": "ask"}, methods={"THE_KEY": "by-key"})
    like = {"logs_in": True}
    assert end(play(stage, DONE, like=like, about=about, env={"THE_KEY": "k"})).outcome == "completed"
    assert calls(stage, "authenticate") == [{"methodId": "by-key"}]
    assert end(play(stage, DONE, like=like, about=about)).outcome == "auth"
    assert end(play(stage, DONE, like={"key": "THE_KEY"}, about=about)).outcome == "auth"


@pytest.mark.parametrize(
    ("step", "outcome"),
    [
        ({"end": "max_tokens"}, "truncated"),
        ({"end": "max_turn_requests"}, "exhausted"),
        ({"end": "refusal"}, "refused"),
        ({"end": "cancelled"}, "failed"),
        ({"end": "something new"}, "failed"),
        ({"end": "end_turn"}, "failed"),
        ({"exit": 0}, "failed"),
        ({"exit": 3}, "failed"),
        ({"signal": 9}, "killed"),
        ({"error": {"code": -32000, "message": "Log in"}}, "auth"),
        ({"error": {"code": -32603, "message": "Internal error", "data": {"details": "API Error: 529"}}}, "overloaded"),
        ({"error": {"code": -32603, "message": "status 429"}}, "rate_limited"),
        ({"error": {"code": -32603, "message": "status 500"}}, "api_error"),
        ({"error": {"code": -32603, "message": "No idea."}}, "failed"),
    ],
    ids=str,
)
def test_how_a_turn_ends(stage: Stage, step: Json, outcome: str) -> None:
    assert end(play(stage, step)).outcome == outcome


@pytest.mark.parametrize(
    ("agent", "words", "outcome"),
    [
        ("copilot", ["Error: Failed to get response; retried 5 times. Last error: 529 scripted"], "overloaded"),
        ("copilot", ["Error: Authentication failed with provider (HTTP 401)."], "auth"),
        ("copilot", ["Error: Something else."], "api_error"),
        ("copilot", ["Info: Request failed. Retrying...", "Good."], "completed"),
        ("codex-acp", ["Half", "Incomplete response returned, reason: max_output_tokens"], "truncated"),
        ("codex-acp", ["unexpected status 529 <unknown>: scripted 529"], "overloaded"),
        ("codex-acp", ["We\u2019re currently experiencing high demand."], "overloaded"),
        ("codex-acp", ["stream disconnected before completion: Transport error"], "api_error"),
    ],
)
def test_an_error_told_in_words_is_no_success(stage: Stage, agent: str, words: list[str], outcome: str) -> None:
    """As measured: these end their turns as if nothing was wrong."""
    about = replace(AGENTS[agent], settings={"mode": "ask"})
    found = end(play(stage, *[{"say": text} for text in words], about=about))
    assert found.outcome == outcome
    assert outcome != "completed" or found.last_message == "Good."


def test_one_that_is_gone_after_its_last_word_has_failed(stage: Stage) -> None:
    result = {"jsonrpc": "2.0", "id": 2, "result": {"stopReason": "end_turn"}}
    steps: list[Json] = [DONE, {"raw": json.dumps(result)}, {"exit": 5}]
    assert end(play(stage, *steps)).detail == "It ended with exit code 5 after its last word."


def test_a_flood_is_ended(stage: Stage) -> None:
    assert end(play(stage, {"flood": 300_000}, limits=Limits(0, 0, 100_000))).outcome == "flooded"


def test_noise_and_answers_to_nothing_are_no_messages(stage: Stage) -> None:
    answers = [{"jsonrpc": "2.0", "id": id, "result": {"stopReason": "refusal"}} for id in (99, "x", None, -1)]
    steps: list[Json] = [
        {"raw": "Loading…"},
        {"raw": "{broken"},
        *[{"raw": json.dumps(answer)} for answer in answers],
        DONE,
    ]
    assert end(play(stage, *steps)).outcome == "completed"


def test_what_others_tell_under_another_session_is_not_heard(stage: Stage) -> None:
    update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "Not me."}}
    other = {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "other", "update": update}}
    assert Said("Not me.") not in play(stage, {"raw": json.dumps(other)}, DONE)


@pytest.mark.parametrize("adds_up", [False, True])
def test_a_follow_up_goes_on_in_the_same_process_and_session(stage: Stage, adds_up: bool) -> None:
    called: list[str] = []

    def tool(name: str) -> Tool:
        def call(given: Mapping[str, Any]) -> str:
            called.append(name)
            return "ok"

        return Tool("status", "Say how it goes.", {"type": "object"}, call)

    turns = [
        [{"edit": "a.txt", "text": "x"}, {"tool": "status", "input": {}}, DONE, used(7)],
        [{"write": "b.txt", "text": "y"}, {"tool": "status", "input": {}}, DONE, used(9)],
    ]
    script = stage.folder / "script.json"
    script.write_text(json.dumps({"work": [step for steps in turns for step in steps]}))
    approvers = Approver(), Approver(("b.txt",))
    env = {**stage.turn().env, "ACP_HEARD": str(stage.folder / "heard.jsonl")}
    begin = stage.turn(approver=approvers[0], tools=(tool("first"),), env=env, lasting=True)
    running = AcpTurn(
        begin, [sys.executable, str(acp_agent.__file__), str(script)], replace(ASKING, adds_up=adds_up), ""
    )
    first = list(running.events())
    assert running.stays
    id = next(event.id for event in first if isinstance(event, Conversation))
    more = replace(begin, number=2, prompt="Go on.", conversation=id, approver=approvers[1], tools=(tool("second"),))
    assert not running.follow_up(replace(more, conversation="another"))
    assert running.follow_up(more)
    second = list(running.events())
    assert (end(first).outcome, end(second).outcome) == ("completed", "completed")
    assert [prompt["prompt"][0]["text"] for prompt in calls(stage, "session/prompt")] == ["Do it.", "Go on."]
    assert len(calls(stage, "session/new")) == 1
    assert there(stage) == {"a.txt"}
    assert called == ["first", "second"]
    figures = {event.scope: event.input for event in first + second if isinstance(event, Usage)}
    assert sorted(figures.values()) == ([9] if adds_up else [7, 9])
    running.close()
    until(lambda: not marked(stage.session))


def used(tokens: int) -> Json:
    return {"end": "end_turn", "result": {"usage": {"inputTokens": tokens, "outputTokens": 1, "totalTokens": 9}}}


def test_a_stopped_turn_leaves_no_process(stage: Stage) -> None:
    script = stage.folder / "script.json"
    script.write_text(json.dumps({"work": [{"shell": "setsid sleep 600 >/dev/null 2>&1 &"}, {"hang": True}]}))
    argv = [sys.executable, str(acp_agent.__file__), str(script)]
    running = AcpTurn(stage.turn(approver=Approver()), argv, ASKING, "")
    for event in running.events():
        if isinstance(event, ToolResult):
            break
    assert len(marked(stage.session)) >= 2
    running.stop()
    assert marked(stage.session) == []


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("API Error: 529 overloaded_error", "overloaded"),
        ("Request failed with status 403", "auth"),
        ("You exceeded your current quota", "rate_limited"),
        ("Invalid API key", "auth"),
        ("The response was blocked by the content filter", "refused"),
        ("prompt is too long", "exhausted"),
        ("fetch failed", "api_error"),
        ("TypeError: x is undefined", "failed"),
    ],
)
def test_what_an_error_stands_for(text: str, outcome: str) -> None:
    assert of_error(text) == outcome


# The protocol, and the driver.


def test_all_that_is_said_is_the_protocol_of_its_makers(stage: Stage) -> None:
    """What both sides said, against the models of the package `agent-client-protocol`."""
    tool = Tool("status", "Say how it goes.", {"type": "object"}, lambda given: "ok")
    steps: list[Json] = [
        {"edit": "a.txt", "text": "x"},
        {"edit": "held.txt", "text": "x"},
        {"write": "b.txt", "text": "x"},
        {"read": "b.txt"},
        {"terminal": "true"},
        DONE,
    ]
    like = {"mode": "auto", "options": {"x": "y"}}
    events = play(stage, *steps, approver=Approver(("held",)), like=like, tools=(tool,), conversation="acp-1")
    assert end(events).outcome == "completed"
    spoken = [json.loads(line) for line in (stage.folder / "wire-1.jsonl").read_text().splitlines()]
    ours, theirs = heard(stage), {m["id"]: m["method"] for m in spoken if "id" in m and "method" in m}
    validated = 0
    for message in ours:
        if "method" in message:
            _REQUESTS[message["method"]].model_validate(message["params"])
        else:
            _RESPONSES[theirs[message["id"]]].model_validate(message["result"])
        validated += 1
    for message in spoken:
        if "method" in message:
            _REQUESTS[message["method"]].model_validate(message["params"])
    assert validated >= 12


_REQUESTS: dict[str, Any] = {
    "initialize": schema.InitializeRequest,
    "session/new": schema.NewSessionRequest,
    "session/load": schema.LoadSessionRequest,
    "session/set_config_option": schema.SetSessionConfigOptionSelectRequest,
    "session/prompt": schema.PromptRequest,
    "session/update": schema.SessionNotification,
    "session/request_permission": schema.RequestPermissionRequest,
    "fs/read_text_file": schema.ReadTextFileRequest,
    "fs/write_text_file": schema.WriteTextFileRequest,
    "terminal/create": schema.CreateTerminalRequest,
    "terminal/output": schema.TerminalOutputRequest,
    "terminal/wait_for_exit": schema.WaitForTerminalExitRequest,
    "terminal/release": schema.ReleaseTerminalRequest,
}
_RESPONSES: dict[str, Any] = {
    "session/request_permission": schema.RequestPermissionResponse,
    "fs/read_text_file": schema.ReadTextFileResponse,
    "fs/write_text_file": schema.WriteTextFileResponse,
    "terminal/create": schema.CreateTerminalResponse,
    "terminal/output": schema.TerminalOutputResponse,
    "terminal/wait_for_exit": schema.WaitForTerminalExitResponse,
    "terminal/release": schema.ReleaseTerminalResponse,
}


def test_a_driver_needs_an_agent_that_is_known_or_a_command() -> None:
    with pytest.raises(ConfigError, match="needs an agent or a command"):
        AcpDriver()
    with pytest.raises(ConfigError, match="No agent 'gemni'"):
        AcpDriver("gemni")
    with pytest.raises(NotReady, match="no-such-agent"):
        AcpDriver(command="no-such-agent --acp").check()
    assert AcpDriver(command="sh -c ls").version() == ""


def test_every_known_agent_is_made_to_ask_and_says_what_is_weaker() -> None:
    for name, about in AGENTS.items():
        assert about.settings, name
        assert about.weaker, name
        assert AcpDriver(name).capabilities.asks_edits


def test_a_command_takes_the_place_of_the_program_of_a_known_agent(stage: Stage) -> None:
    script = stage.folder / "script.json"
    script.write_text(json.dumps({"agent": {"modes": ["default"], "mode": "default"}, "work": [DONE]}))
    command = shlex.join([sys.executable, str(acp_agent.__file__), str(script)])
    events = list(AcpDriver("gemini", command, options=["--more"]).start(stage.turn()).events())
    assert end(events).outcome == "completed"
