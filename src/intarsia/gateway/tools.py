"""The operations as eight tools of a model: few, so that it finds the right one, each with what it can do as `action`.

The answers are the same JSON that the endpoints and the commands give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from intarsia.agents import Tool
from intarsia.errors import InputError
from intarsia.gateway import calls, files, leases, messages, words
from intarsia.gateway.operation import Caller, Operation, Site
from intarsia.gateway.watcher import Watcher
from intarsia.kernel import sessions

Ask = Callable[[Operation[Any, Any], Any], Any]
"""Does an operation, given what it takes."""


@dataclass(frozen=True)
class Kind:
    """A tool: one operation, or several by the name of an action."""

    name: str
    about: str
    actions: Mapping[str, Operation[Any, Any]]

    @cached_property
    def schema(self) -> dict[str, Any]:
        return schema(self)


def _one(name: str, about: str, operation: Operation[Any, Any]) -> Kind:
    return Kind(name, about, {"": operation})


KINDS = (
    Kind(
        "lock",
        "Hold files, symbols or anything else with a URI, so that others keep away, and see who holds what.",
        {
            "acquire": leases.acquire,
            "release": leases.release,
            "heartbeat": leases.heartbeat,
            "check": leases.check,
            "wait": leases.wait,
            "list": leases.look,
        },
    ),
    Kind(
        "edit",
        "Read and change files beside others who change the same ones, and commit what you changed.",
        {
            "read": files.read,
            "edit": files.edit,
            "write": files.write,
            "insert": files.insert,
            "import": files.import_,
            "remove": files.remove,
            "move": files.move,
            "commit": files.commit,
        },
    ),
    _one("status", "Say in a few words what you are doing, for the people who watch.", words.status),
    _one("note", "Write something into the record that others should find later, such as a decision.", words.note),
    Kind(
        "message",
        "Write to other agents and to people, and read what they wrote to you; or call another agent to do something "
        "(call), wait for what it gives back (result), and, if you were called, give something back (return).",
        {
            "send": messages.send,
            "inbox": messages.inbox,
            "wait": messages.wait,
            "ack": messages.ack,
            "call": calls.start,
            "result": calls.wait,
            "return": calls.give_back,
        },
    ),
    _one(
        "resolve",
        "End this issue without the usual commit, when none is right, and say why. no_change: nothing needs to change. "
        "obsolete: it no longer applies. already_complete: name the commit that did it. docs_only: you committed "
        "documentation only. blocked: name the issue it waits for. Then end your turn.",
        words.resolve,
    ),
    _one("done", "Say that your work is finished, and learn what is still missing. Then end your turn.", words.done),
    _one("ask", "Ask a person, and wait for the answer; when none comes in time, go on and ask again.", messages.ask),
)


FOR_PROGRAMS = ("here", "encoding", "alone")
"""Fields that commands need and a model does not."""
BESIDE = ("lock", "note", "message", "done", "ask")


def made(ask: Ask, kinds: tuple[Kind, ...] = KINDS) -> tuple[Tool, ...]:
    """The tools of one caller."""
    return tuple(Tool(kind.name, kind.about, kind.schema, _calling(kind, ask)) for kind in kinds)


def for_session(site: Site, session: str, watcher: Watcher, stopping: Callable[[], bool]) -> tuple[Tool, ...]:
    """For the agent of a session that intarsia runs: what it has not got by other tools, until its turn is over."""
    with site.database.read() as tx:
        turn = sessions.get(tx, session).turn

    def withdrawn() -> bool:
        with site.database.read() as tx:
            now = sessions.get(tx, session)
        return stopping() or (now.stage, now.turn) != ("working", turn)

    caller = Caller(site, lambda tx: session, withdrawn, watcher)
    kinds = tuple(kind for kind in KINDS if kind.name in BESIDE)
    return made(lambda operation, given: operation.run(caller, given), kinds)


def _calling(kind: Kind, ask: Ask) -> Callable[[Mapping[str, Any]], str]:
    def call(given: Mapping[str, Any]) -> str:
        operation, values = _chosen(kind, given)
        try:
            asked = msgspec.convert(values, operation.given)
        except msgspec.ValidationError as error:
            raise InputError(f"{kind.name}: {error}.") from error
        return msgspec.json.encode({"ok": True, **msgspec.to_builtins(ask(operation, asked))}).decode()

    return call


def _chosen(kind: Kind, given: Mapping[str, Any]) -> tuple[Operation[Any, Any], dict[str, Any]]:
    """What is null was not given: some models send all that a tool could take."""
    values = {name: value for name, value in given.items() if value is not None}
    action = values.pop("action", "") if "" not in kind.actions else ""
    if action not in kind.actions:
        raise InputError(f"{kind.name}: the action is one of {', '.join(kind.actions)}, not {action!r}.")
    return kind.actions[action], values


def schema(kind: Kind) -> dict[str, Any]:
    """One flat object, which all models can fill in: what all of its actions take."""
    properties: dict[str, Any] = {}
    if "" not in kind.actions:
        properties["action"] = {"type": "string", "enum": list(kind.actions)}
    required = ["action"] if properties else None
    for operation in kind.actions.values():
        model = _model(operation)
        new = {name: value for name, value in model["properties"].items() if name not in (*properties, *FOR_PROGRAMS)}
        properties |= {name: _plain(value) for name, value in new.items()}
        required = required if required is not None else model.get("required", [])
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _plain(value: Any) -> Any:
    """Without what models do not need to know; it is looked at when the tool is called."""
    if not isinstance(value, dict):
        return value
    return {key: _plain(inner) for key, inner in value.items() if key not in ("pattern", "maxItems", "maximum")}


def _model(operation: Operation[Any, Any]) -> dict[str, Any]:
    _, components = msgspec.json.schema_components([operation.given])
    model: dict[str, Any] = components[operation.given.__name__]
    return model
