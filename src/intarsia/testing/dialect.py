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

    def stream(self, body: Json, step: Step) -> Iterator[Json]:
        """The same answer as events, each with its `type`."""
        ...

    def error(self, status: int) -> Json: ...


def tool_names(body: Json) -> list[str]:
    return [tool.get("name") or tool.get("type", "") for tool in body.get("tools") or []]


def sent(event: Json) -> str:
    """An event as it goes over the wire."""
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
