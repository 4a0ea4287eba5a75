"""OpenAI Responses."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence

from intarsia.testing.dialect import Json
from intarsia.testing.place import Author, Said
from intarsia.testing.script import Step, ToolCall, Usage

FROM_MODEL = {"function_call", "custom_tool_call", "local_shell_call", "reasoning"}
FROM_TOOL = {"function_call_output", "custom_tool_call_output", "local_shell_call_output"}


class Responses:
    def conversation(self, body: Json) -> Sequence[Said]:
        given = body["input"]
        return [Said("user", given)] if isinstance(given, str) else [Said(_author(item), item) for item in given]

    def id(self, body: Json, headers: Mapping[str, str]) -> str:
        return headers.get("session_id") or body.get("prompt_cache_key") or ""

    def is_side_call(self, body: Json) -> bool:
        wants_json = ((body.get("text") or {}).get("format") or {}).get("type") == "json_schema"
        return wants_json or not body.get("tools")

    def answer(self, body: Json, step: Step) -> Json:
        answer = {**_response(body), "status": "completed", "output": _items(step), "usage": _usage(step.usage)}
        if step.ends == "truncated":
            return {**answer, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
        return answer

    def stream(self, body: Json, step: Step) -> Iterator[Json]:
        done = self.answer(body, step)
        begun = {**done, "status": "in_progress", "output": [], "usage": None}
        events: list[Json] = [{"type": "response.created", "response": begun}]
        for index, item in enumerate(done["output"]):
            at: Json = {"output_index": index, "item_id": item["id"]}
            events.append({"type": "response.output_item.added", "output_index": index, "item": item})
            events.extend({**at, **event} for event in _deltas(item))
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        events.append({"type": f"response.{done['status']}", "response": done})
        for number, event in enumerate(events):
            yield {**event, "sequence_number": number}

    def error(self, status: int) -> Json:
        return {"error": {"type": "server_error", "code": None, "message": f"scripted {status}"}}


def _author(item: Json) -> Author:
    kind = item.get("type")
    if item.get("role") == "assistant" or kind in FROM_MODEL:
        return "model"
    return "tool" if kind in FROM_TOOL else "user"


def _response(body: Json) -> Json:
    id = f"resp_{uuid.uuid4().hex[:24]}"
    return {"id": id, "object": "response", "created_at": int(time.time()), "model": body.get("model")}


def _items(step: Step) -> list[Json]:
    items = [_message(step.text, refused=step.ends == "refused")] if step.text else []
    return items + [_call(tool) for tool in step.tools]


def _message(text: str, *, refused: bool) -> Json:
    content: list[Json] = [{"type": "output_text", "text": text, "annotations": []}]
    if refused:
        content = [{"type": "refusal", "refusal": text}]
    return {**_item("msg", "message"), "role": "assistant", "content": content}


def _call(tool: ToolCall) -> Json:
    called = {"call_id": f"call_{uuid.uuid4().hex[:20]}", "name": tool.name}
    if isinstance(tool.input, str):
        return {**_item("ctc", "custom_tool_call"), **called, "input": tool.input}
    return {**_item("fc", "function_call"), **called, "arguments": json.dumps(tool.input)}


def _item(prefix: str, kind: str) -> Json:
    return {"id": f"{prefix}_{uuid.uuid4().hex[:20]}", "type": kind, "status": "completed"}


def _deltas(item: Json) -> list[Json]:
    """What comes between the start and the end of an item; clients take its content from the end."""
    if item["type"] == "message":
        (part,) = item["content"]
        text = {"content_index": 0, "delta": part.get("text", part.get("refusal"))}
        return [{"type": f"response.{part['type']}.delta", **text}]
    if item["type"] == "function_call":
        return [{"type": "response.function_call_arguments.delta", "delta": item["arguments"]}]
    return [{"type": "response.custom_tool_call_input.delta", "delta": item["input"]}]


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }
