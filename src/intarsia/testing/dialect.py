"""What the server needs to know of a vendor's API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from intarsia.testing.place import Said
from intarsia.testing.script import Step

Json = dict[str, Any]


class Dialect(Protocol):
    def conversation(self, body: Json) -> Sequence[Said]:
        """Everything that was said up to now."""
        ...

    def id(self, body: Json, headers: Mapping[str, str]) -> str:
        """The agent program's name for the conversation; empty if it gives none."""
        ...

    def is_side_call(self, body: Json) -> bool:
        """Whether this is no part of the agent's work, though it may quote the prompt: a title, a summary."""
        ...

    def answer(self, body: Json, step: Step) -> Json: ...

    def stream(self, body: Json, step: Step) -> Iterator[Json | str]:
        """The same answer as events, with a `type` where the vendor gives them one."""
        ...

    def error(self, status: int) -> Json: ...


def tool_names(body: Json) -> list[str]:
    declared = [one for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or [tool]]
    return [one.get("name") or one.get("function", {}).get("name") or one.get("type", "") for one in declared]


def sent(event: Json | str) -> str:
    """An event as it goes over the wire."""
    if isinstance(event, str):
        return f"data: {event}\n\n"
    named = f"event: {event['type']}\n" if "type" in event else ""
    return f"{named}data: {json.dumps(event)}\n\n"
