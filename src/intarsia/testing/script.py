"""Scripts: what the model answers, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from intarsia.errors import InputError


class ToolCall(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the agent is to use, named as the agent declares it; text as input is for freeform tools."""

    name: str
    input: dict[str, Any] | str


class Usage(Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens that the answer claims to have cost; `cached` are among those of `input`."""

    input: int = 1000
    output: int = 50
    cached: int = 0


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """One answer. A step without tools ends the agent's turn.

    `http` answers with that error status and `headers` instead, `times` times for each conversation (0: always);
    `delay` waits so many seconds first, `hang` for ever, `awaits` until agents have asked for these scripts; `cut`
    breaks the connection in the middle of the answer; `ends` says that the model declined, or that its answer was too
    long.
    """

    text: str = ""
    tools: list[ToolCall] = field(default_factory=list)
    http: int = 0
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    hang: bool = False
    awaits: list[str] = field(default_factory=list)
    cut: bool = False
    ends: Literal["", "refused", "truncated"] = ""
    usage: Usage = field(default_factory=Usage)


Script = list[Step]
Scripts = dict[str, Script]
SIDE_CALL = Step(text="ok")
PAST_THE_END = Step(text="done")


def scripts(given: Mapping[str, Sequence[Step | Mapping[str, Any]]]) -> Scripts:
    """Scripts from plain data, such as a JSON file's. Raises InputError."""
    try:
        plain = msgspec.to_builtins(given)
        return msgspec.convert(plain, Scripts)
    except (msgspec.ValidationError, TypeError) as error:
        raise InputError(f"These are no scripts: {error}", hint='Expected: {"NAME": [{"text": "…"}, …], …}') from error
