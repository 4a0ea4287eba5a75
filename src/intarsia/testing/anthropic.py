"""Anthropic Messages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from intarsia.testing.dialect import Json
from intarsia.testing.place import Said
from intarsia.testing.script import Step, ToolCall, Usage

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
STOPS = {"refused": "refusal", "truncated": "max_tokens"}


class Messages:
    def conversation(self, body: Json) -> Sequence[Said]:
        return [_said(message["role"], message["content"]) for message in body["messages"]]

    def id(self, body: Json, headers: Mapping[str, str]) -> str:
        return headers.get("x-claude-code-session-id", "")

    def is_side_call(self, body: Json) -> bool:
        return not body.get("tools")

    def answer(self, body: Json, step: Step) -> Json:
        return {
            "id": f"msg_{uuid.uuid4().hex[:24]}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model", ""),
            "content": _blocks(step),
            "stop_reason": STOPS.get(step.ends) or ("tool_use" if step.tools else "end_turn"),
            "stop_sequence": None,
            "usage": _usage(step.usage),
        }

    def stream(self, body: Json, step: Step) -> Iterator[Json]:
        message = self.answer(body, step)
        begun = {**message, "content": [], "stop_reason": None, "usage": {**message["usage"], "output_tokens": 1}}
        yield {"type": "message_start", "message": begun}
        for index, block in enumerate(message["content"]):
            empty, delta = _parts(block)
            yield {"type": "content_block_start", "index": index, "content_block": empty}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": step.usage.output}}
        yield {"type": "message_stop"}

    def error(self, status: int) -> Json:
        kind = ERRORS.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": f"scripted {status}"}}


def _said(role: str, content: Any) -> Said:
    if role == "assistant":
        return Said("model", content)
    results = isinstance(content, list) and any(block.get("type") == "tool_result" for block in content)
    return Said("tool" if results else "user", content)


def _blocks(step: Step) -> list[Json]:
    blocks: list[Json] = [{"type": "text", "text": step.text}] if step.text else []
    return blocks + [_tool_use(tool) for tool in step.tools]


def _tool_use(tool: ToolCall) -> Json:
    return {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:24]}", "name": tool.name, "input": tool.input}


def _parts(block: Json) -> tuple[Json, Json]:
    """A block as it starts, and the one delta that fills it."""
    if block["type"] == "text":
        return {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
    return {**block, "input": {}}, {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
    }
