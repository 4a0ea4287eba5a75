"""Gemini's generateContent and streamGenerateContent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from intarsia.testing.dialect import Json
from intarsia.testing.place import Author, Said
from intarsia.testing.script import Step, Usage

STOPS = {"refused": "SAFETY", "truncated": "MAX_TOKENS"}


class Gemini:
    def conversation(self, body: Json) -> Sequence[Said]:
        return [Said(_author(content), content.get("parts")) for content in body["contents"]]

    def id(self, body: Json, headers: Mapping[str, str]) -> str:
        return headers.get("session_id", "")

    def is_side_call(self, body: Json) -> bool:
        return not body.get("tools")

    def answer(self, body: Json, step: Step) -> Json:
        parts: list[Json] = [{"text": step.text}] if step.text else []
        parts += [{"functionCall": {"name": tool.name, "args": tool.input}} for tool in step.tools]
        reason = STOPS.get(step.ends, "STOP")
        candidate = {"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": reason}
        return {"candidates": [candidate], "usageMetadata": _usage(step.usage)}

    def stream(self, body: Json, step: Step) -> Iterator[Json]:
        yield self.answer(body, step)

    def error(self, status: int) -> Json:
        return {"error": {"code": status, "message": f"scripted {status}", "status": "UNAVAILABLE"}}


def _author(content: Json) -> Author:
    if content.get("role") == "model":
        return "model"
    return "tool" if any("functionResponse" in part for part in content.get("parts") or ()) else "user"


def _usage(usage: Usage) -> Json:
    return {
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cached,
        "candidatesTokenCount": usage.output,
        "totalTokenCount": usage.input + usage.output,
    }
