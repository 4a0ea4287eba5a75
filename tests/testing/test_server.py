"""The scripted model server, asked with plain HTTP."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from intarsia.errors import InputError
from intarsia.testing import ModelServer, Step, Usage

Json = dict[str, Any]

SCRIPTS: dict[str, list[Json]] = {
    "work": [
        {"text": "First I look.", "tools": [{"name": "Read", "input": {"file_path": "a.txt"}}]},
        {"tools": [{"name": "apply_patch", "input": "*** Begin Patch"}]},
        {"text": "Done.", "usage": {"input": 70, "output": 7, "cached": 50}},
    ],
    "other": [{"text": "Another script."}],
    "busy": [{"http": 529, "times": 2, "headers": {"retry-after": "1"}, "text": "At last."}],
    "down": [{"http": 500, "times": 0}],
    "slow": [{"delay": 0.1, "text": "Late."}],
    "slower": [{"delay": 600, "text": "Later."}],
    "hung": [{"hang": True}],
    "cut": [{"text": "This will not be said in full.", "cut": True}],
}
TOOLS = [{"name": "Read"}, {"name": "Bash"}]


class Api:
    """One vendor's API: a conversation in, what the model said out."""

    path: str

    def body(self, *turns: str, **more: Any) -> Json:
        """`turns` are of the user and the model in turn; a turn `tool` is the result of one."""
        raise NotImplementedError

    def text(self, answer: Json) -> str:
        raise NotImplementedError

    def of_stream(self, events: list[Json]) -> Json:
        raise NotImplementedError


class Anthropic(Api):
    path = "/v1/messages"

    def body(self, *turns: str, **more: Any) -> Json:
        roles = ("user", "assistant")
        return {
            "model": "m",
            "tools": TOOLS,
            "messages": [_message(roles[i % 2], t) for i, t in enumerate(turns)],
        } | more

    def text(self, answer: Json) -> str:
        return "".join(block["text"] for block in answer["content"] if block["type"] == "text")

    def of_stream(self, events: list[Json]) -> Json:
        """Put together as its documentation says."""
        message: Json = {}
        for event in events:
            match event:
                case {"type": "message_start"}:
                    message = event["message"]
                case {"type": "content_block_start"}:
                    message["content"].append(event["content_block"])
                case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}:
                    message["content"][event["index"]]["text"] += text
                case {"type": "content_block_delta", "delta": {"partial_json": text}}:
                    message["content"][event["index"]]["input"] = json.loads(text)
                case {"type": "message_delta"}:
                    message |= event["delta"]
                    message["usage"] |= event["usage"]
        assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
        return message


def _message(role: str, turn: str) -> Json:
    if turn.startswith("tool: "):
        return {"role": role, "content": [{"type": "tool_result", "tool_use_id": "t", "content": turn}]}
    return {"role": role, "content": [{"type": "text", "text": turn}]}


class OpenAI(Api):
    path = "/v1/responses"

    def body(self, *turns: str, **more: Any) -> Json:
        items: list[Json] = []
        for index, turn in enumerate(turns):
            if turn.startswith("tool: "):
                items.append({"type": "function_call_output", "call_id": "c", "output": turn})
            elif index % 2:
                items += [
                    {"type": "reasoning", "summary": []},
                    {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
                ]
            else:
                items.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": turn}]})
        return {"model": "m", "tools": TOOLS, "input": items} | more

    def text(self, answer: Json) -> str:
        return "".join(item["content"][0]["text"] for item in answer["output"] if item["type"] == "message")

    def of_stream(self, events: list[Json]) -> Json:
        assert [events[0]["type"], events[-1]["type"]] == ["response.created", "response.completed"]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        response: Json = events[-1]["response"]
        assert response["output"] == items
        return response


class Chat(Api):
    path = "/v1/chat/completions"

    def body(self, *turns: str, **more: Any) -> Json:
        def message(index: int, turn: str) -> Json:
            if turn.startswith("tool: "):
                return {"role": "tool", "tool_call_id": "c", "content": turn}
            return {"role": ("user", "assistant")[index % 2], "content": turn}

        system = {"role": "system", "content": "Be brief."}
        return {"model": "m", "tools": TOOLS, "messages": [system, *map(message, range(len(turns)), turns)]} | more

    def text(self, answer: Json) -> str:
        return str(answer["choices"][0]["message"]["content"])

    def of_stream(self, events: list[Json]) -> Json:
        choices = [event["choices"][0] for event in events if event["choices"]]
        message: Json = {}
        for choice in choices:
            message |= choice["delta"]
        return {**events[-1], "choices": [{"message": message, "finish_reason": choices[-1]["finish_reason"]}]}


class Gemini(Api):
    path = "/v1beta/models/m:generateContent"

    def body(self, *turns: str, **more: Any) -> Json:
        def content(index: int, turn: str) -> Json:
            if turn.startswith("tool: "):
                return {"role": "user", "parts": [{"functionResponse": {"name": "n", "response": {"output": turn}}}]}
            return {"role": ("user", "model")[index % 2], "parts": [{"text": turn}]}

        tools = [{"functionDeclarations": TOOLS}]
        return {"tools": tools, "contents": list(map(content, range(len(turns)), turns))} | more

    def text(self, answer: Json) -> str:
        return "".join(part.get("text", "") for part in answer["candidates"][0]["content"]["parts"])

    def of_stream(self, events: list[Json]) -> Json:
        (event,) = events
        return event


@pytest.fixture(params=[Anthropic, OpenAI, Chat, Gemini])
def api(request: pytest.FixtureRequest) -> Api:
    made: Api = request.param()
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer(SCRIPTS) as running:
        yield running


@pytest.fixture
def fresh_server() -> Iterator[ModelServer]:
    """For tests that look at what was asked."""
    with ModelServer(SCRIPTS) as running:
        yield running


def send(
    server: ModelServer, path: str, body: Json | None = None, method: str = "POST", **headers: str
) -> HTTPResponse:
    host = server.url.removeprefix("http://")
    connection = HTTPConnection(host, timeout=60)
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    return connection.getresponse()


def ask(server: ModelServer, api: Api, *turns: str, **more: Any) -> Json:
    path = api.path.replace(":generateC", ":streamGenerateC") if more.get("stream") else api.path
    response = send(server, path, api.body(*turns, **more))
    assert response.status == 200
    if not more.get("stream"):
        answer: Json = json.load(response)
        return answer
    assert (response.getheader("content-type") or "").startswith("text/event-stream")
    events = []
    for chunk in response.read().decode().strip().split("\n\n"):
        *name, data = chunk.split("\n")
        if data == "data: [DONE]":
            continue
        event = json.loads(data.removeprefix("data: "))
        assert name == ([f"event: {event['type']}"] if "type" in event else [])
        events.append(event)
    return api.of_stream(events)


def said(server: ModelServer, api: Api, *turns: str, **more: Any) -> str:
    return api.text(ask(server, api, *turns, **more))


@pytest.mark.parametrize("stream", [False, True])
def test_the_step_is_read_from_the_conversation(server: ModelServer, api: Api, stream: bool) -> None:
    first = "Please [[script:work]]"
    assert said(server, api, first, stream=stream) == "First I look."
    assert said(server, api, first, "m", "tool: x", "m", "tool: y", stream=stream) == "Done."
    assert said(server, api, first, "m", "tool: x", "m", "tool: y", "m", "More!", stream=stream) == "done"


def test_the_script_named_last_is_played_from_its_start(server: ModelServer, api: Api) -> None:
    turns = ("[[script:work]]", "m", "tool: x", "m")
    assert said(server, api, *turns, "Now [[script:other]]") == "Another script."
    assert said(server, api, *turns, "Go on with [[script:work]]") == "Done."


def test_a_script_named_in_the_result_of_a_tool_is_not_played(server: ModelServer, api: Api) -> None:
    assert said(server, api, "[[script:work]]", "m", "tool: x", "m", "tool: [[script:other]]") == "Done."


def test_what_names_no_script_gets_a_plain_answer(server: ModelServer, api: Api) -> None:
    assert said(server, api, "Hello") == "ok"
    assert said(server, api, "[[script:nobody-wrote-this]]") == "done"


def test_a_side_call_that_quotes_the_prompt_does_not_play_its_script(fresh_server: ModelServer, api: Api) -> None:
    assert said(fresh_server, api, "A title for: [[script:work]]", tools=[]) == "ok"
    assert [request.script for request in fresh_server.requests] == [None]


def test_a_verdict_in_json_is_no_part_of_the_script(server: ModelServer) -> None:
    wanted = {"format": {"type": "json_schema", "name": "verdict", "schema": {}}}
    assert said(server, OpenAI(), "Is this safe? [[script:work]]", text=wanted) == "ok"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_in_anthropics_words(server: ModelServer, stream: bool) -> None:
    answer = ask(server, Anthropic(), "[[script:work]]", stream=stream)
    text, tool = answer["content"]
    assert text == {"type": "text", "text": "First I look."}
    assert (tool["type"], tool["name"], tool["input"]) == ("tool_use", "Read", {"file_path": "a.txt"})
    assert answer["stop_reason"] == "tool_use"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_in_openais_words(server: ModelServer, stream: bool) -> None:
    _, call = ask(server, OpenAI(), "[[script:work]]", stream=stream)["output"]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == (
        "function_call",
        "Read",
        {"file_path": "a.txt"},
    )
    (freeform,) = ask(server, OpenAI(), "[[script:work]]", "m", "tool: x", stream=stream)["output"]
    assert (freeform["type"], freeform["input"]) == ("custom_tool_call", "*** Begin Patch")


@pytest.mark.parametrize("stream", [False, True])
def test_usage_is_what_the_script_claims(server: ModelServer, stream: bool) -> None:
    end = ("[[script:work]]", "m", "tool: x", "m", "tool: y")
    anthropic = ask(server, Anthropic(), *end, stream=stream)["usage"]
    assert (anthropic["input_tokens"], anthropic["cache_read_input_tokens"], anthropic["output_tokens"]) == (20, 50, 7)
    openai = ask(server, OpenAI(), *end, stream=stream)["usage"]
    assert (openai["input_tokens"], openai["output_tokens"], openai["total_tokens"]) == (70, 7, 77)
    assert openai["input_tokens_details"] == {"cached_tokens": 50}


def test_errors_are_answered_as_often_as_scripted_in_each_conversation(fresh_server: ModelServer, api: Api) -> None:
    body = api.body("[[script:busy]]")
    for conversation in ("one", "two"):
        headers = {"session_id": conversation, "x-claude-code-session-id": conversation}
        answers = [send(fresh_server, api.path, body, **headers) for _ in range(3)]
        assert [answer.status for answer in answers] == [529, 529, 200]
        assert answers[0].getheader("retry-after") == "1"
        assert "scripted 529" in json.load(answers[0])["error"]["message"]
    assert {request.conversation for request in fresh_server.requests} == {"one", "two"}


def test_an_error_may_last_for_ever(server: ModelServer, api: Api) -> None:
    assert [send(server, api.path, api.body("[[script:down]]")).status for _ in range(5)] == [500] * 5


def test_a_delay_holds_up_nobody_else(fresh_server: ModelServer, api: Api) -> None:
    assert said(fresh_server, api, "[[script:slow]]") == "Late."
    late: list[int] = []
    path, body = api.path, api.body("[[script:slower]]")
    waiting = threading.Thread(target=lambda: late.append(send(fresh_server, path, body).status))
    waiting.start()
    fresh_server.wait_for("slower")
    assert said(fresh_server, api, "[[script:other]]") == "Another script."
    assert late == []
    fresh_server.stop()
    waiting.join()
    assert late == [500]


def test_an_answer_may_wait_until_others_have_asked(fresh_server: ModelServer, api: Api) -> None:
    fresh_server.add({"one": [Step(text="first", awaits=["one", "other"])], "other": [Step(text="second")]})
    answers: list[str] = []
    waiting = threading.Thread(target=lambda: answers.append(said(fresh_server, api, "[[script:one]]")))
    waiting.start()
    fresh_server.wait_for("one")
    assert answers == []
    assert "second" in said(fresh_server, api, "[[script:other]]")
    waiting.join(60)
    assert "first" in answers[0]


def test_a_cut_breaks_off_in_the_middle(server: ModelServer, api: Api) -> None:
    response = send(server, api.path, api.body("[[script:cut]]", stream=True))
    assert response.status == 200
    with pytest.raises((HTTPException, ConnectionError)):
        response.read()


def test_stop_breaks_off_what_hangs_and_frees_the_port(api: Api) -> None:
    before = {*threading.enumerate()}
    with ModelServer(SCRIPTS) as server:
        port = int(server.url.rsplit(":", 1)[1])
        answers: list[int] = []
        waiting = threading.Thread(
            target=lambda: answers.append(send(server, api.path, api.body("[[script:hung]]")).status)
        )
        waiting.start()
        server.wait_for("hung")
    waiting.join(60)
    assert answers == [500]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
    assert {*threading.enumerate()} <= before


def test_probes_of_the_agents_are_answered(fresh_server: ModelServer) -> None:
    assert send(fresh_server, "/", method="HEAD").status == 200
    assert json.load(send(fresh_server, "/v1/messages/count_tokens", {})) == {"input_tokens": 100}
    assert send(fresh_server, "/api/telemetry", {}).status == 404
    asked = [(request.method, request.path, request.status) for request in fresh_server.requests]
    assert asked == [("HEAD", "/", 200), ("POST", "/v1/messages/count_tokens", 200), ("POST", "/api/telemetry", 404)]


def test_the_log_says_what_was_asked(fresh_server: ModelServer, api: Api) -> None:
    ask(fresh_server, api, "[[script:work]]", "m", "tool: it is empty")
    (request,) = fresh_server.requests
    assert (request.number, request.script, request.step, request.status) == (1, "work", 1, 200)
    assert request.tools == ["Read", "Bash"]
    assert "it is empty" in json.dumps(request.said)


def test_waiting_for_what_does_not_come_ends(server: ModelServer) -> None:
    with pytest.raises(TimeoutError):
        server.wait_for("never-asked-for", seconds=0.01)


def test_scripts_may_be_typed_and_come_later(fresh_server: ModelServer, api: Api) -> None:
    fresh_server.add({"typed": [Step(text="Typed.", usage=Usage(input=1))]})
    assert said(fresh_server, api, "[[script:typed]]") == "Typed."


@pytest.mark.parametrize("step", [{"say": "typo"}, {"tools": [{"name": "Read"}]}, {"delay": "long"}])
def test_what_is_no_script_is_refused(step: Json) -> None:
    with pytest.raises(InputError, match="These are no scripts"):
        ModelServer({"bad": [step]})


def test_it_runs_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "scripts.json"
    path.write_text(json.dumps(SCRIPTS), encoding="utf-8")
    argv = [sys.executable, "-m", "intarsia.testing", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split("ANTHROPIC_BASE_URL=")[1].split(";")[0]
            connection = HTTPConnection(url.removeprefix("http://"), timeout=60)
            connection.request("POST", "/v1/messages", json.dumps(Anthropic().body("[[script:other]]")))
            assert Anthropic().text(json.load(connection.getresponse())) == "Another script."
            connection.close()
            assert process.stdout.readline() == "1 POST /v1/messages 200 (other step 0)\n"
        finally:
            process.terminate()


def test_a_file_that_is_no_script_is_refused_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "scripts.json"
    path.write_text("{", encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "intarsia.testing", str(path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
