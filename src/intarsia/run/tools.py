"""Our tools for agents that can call them: what `intarsia resolve` does, and a word on how it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from intarsia.agents import Tool
from intarsia.errors import InputError
from intarsia.kernel.database import Database
from intarsia.kernel.sessions import Session
from intarsia.run import resolution
from intarsia.run.resolution import KINDS


def for_session(database: Database, session: Session, show: Callable[[str], None]) -> tuple[Tool, ...]:
    """The tools of one session, which they act as; `show` shows a text beside it."""

    def resolve(given: Mapping[str, Any]) -> str:
        made = resolution.make(_text(given, "kind"), _text(given, "rationale"))
        with database.transaction() as tx:
            resolution.declare(tx, session, made)
        return f"Recorded: {made.kind}. End your turn now."

    def status(given: Mapping[str, Any]) -> str:
        show(_text(given, "text"))
        return "Shown."

    return (
        Tool("resolve", _RESOLVE, _schema(kind={"type": "string", "enum": list(KINDS)}, rationale=_STRING), resolve),
        Tool(
            "status", "Say in a few words what you are doing, for the people who watch.", _schema(text=_STRING), status
        ),
    )


_STRING = {"type": "string"}
_STATUS = "Say in a few words what you are doing, for the people who watch."
_RESOLVE = (
    "End this issue without the usual commit, when none is right, and say why. no_change: nothing needs to change. "
    "obsolete: the issue no longer applies. already_complete: name the commit that did it. docs_only: you committed "
    "documentation only. blocked: name the issue it waits for. It is verified when you end your turn."
)


def _schema(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise InputError(f"{name!r} is a text that has to be given.")
    return value
