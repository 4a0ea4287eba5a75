"""OpenAI Chat Completions, which many other servers speak too."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence

from intarsia.testing.dialect import Json
from intarsia.testing.place import Author, Said
from intarsia.testing.script import Step, ToolCall, Usage

AUTHORS: Mapping[str, Author] = {"user": "user", "assistant": "model", "tool": "tool"}
STOPS = {"refused": "content_filter", "truncated": "length"}
DONE = "[DONE]"


class Chat:
    def conversation(self, body: Json) -> Sequence[Said]:
        told = [message for message in body["messages"] if message["role"] in AUTHORS]
        return [Said(AUTHORS[message["role"]], message.get("content")) for message in told]

    def id(self, body: Json, headers: Mapping[str, str]) -> str:
        return headers.get("session_id") or str(body.get("prompt_cache_key") or "")

    def is_side_call(self, body: Json) -> bool:
        return not body.get("tools")

    def answer(self, body: Json, step: Step) -> Json:
        choice = {"index": 0, "message": _message(step), "finish_reason": _stop(step)}
        return {**_frame(body, "chat.completion"), "choices": [choice], "usage": _usage(step.usage)}

    def stream(self, body: Json, step: Step) -> Iterator[Json | str]:
        frame = _frame(body, "chat.completion.chunk")
        message = _message(step)
        tools = [{"index": index, **call} for index, call in enumerate(message.pop("tool_calls", []))]
        deltas = [message, *([{"tool_calls": tools}] if tools else [])]
        for delta in deltas:
            yield {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": _stop(step)}]}
        yield {**frame, "choices": [], "usage": _usage(step.usage)}
        yield DONE

    def error(self, status: int) -> Json:
        return {"error": {"type": "server_error", "code": None, "message": f"scripted {status}"}}


def _frame(body: Json, kind: str) -> Json:
    id = f"chatcmpl-{uuid.uuid4().hex[:24]}"
    return {"id": id, "object": kind, "created": int(time.time()), "model": body.get("model", "")}


def _message(step: Step) -> Json:
    message: Json = {"role": "assistant", "content": step.text}
    return {**message, "tool_calls": [_call(tool) for tool in step.tools]} if step.tools else message


def _call(tool: ToolCall) -> Json:
    function = {"name": tool.name, "arguments": json.dumps(tool.input)}
    return {"id": f"call_{uuid.uuid4().hex[:20]}", "type": "function", "function": function}


def _stop(step: Step) -> str:
    return STOPS.get(step.ends) or ("tool_calls" if step.tools else "stop")


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
