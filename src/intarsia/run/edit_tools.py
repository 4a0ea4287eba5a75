"""The tools with which an agent changes files of the shared tree; the same as the commands of `cli/edit.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from intarsia.agents import Tool
from intarsia.errors import InputError, NotFound
from intarsia.run import sharing, told
from intarsia.workspace.commits import SessionCommits
from intarsia.workspace.edits import Delete, Edit, Write, exchange, import_of, insertion
from intarsia.workspace.portion import Portion
from intarsia.workspace.shared import Done, Shared

_STRING = {"type": "string"}
_FILE = {"type": "string", "description": "Its path from the root of the project."}


def for_session(shared: Shared, portion: Portion, commits: SessionCommits) -> tuple[Tool, ...]:
    """The tools of one session, which they act as."""

    def apply(given: Mapping[str, Any], change: Edit) -> str:
        return said(shared.apply(shared.tree.path(_text(given, "path")), change))

    def read(given: Mapping[str, Any]) -> str:
        path = shared.tree.path(_text(given, "path"))
        content = shared.read(path)
        if content is None:
            raise NotFound(f"There is no file {path}.")
        return content.decode("utf-8", errors="surrogateescape")

    def edit(given: Mapping[str, Any]) -> str:
        everywhere = given.get("all") is True
        return apply(given, exchange(_bytes(given, "old"), _bytes(given, "new"), everywhere=everywhere))

    def insert(given: Mapping[str, Any]) -> str:
        where = _text(given, "where")
        if where not in ("after", "before", "into"):
            raise InputError(f"where is after, before or into, not {where!r}.")
        return apply(given, insertion(_bytes(given, "text"), where, _text(given, "symbol")))  # type: ignore[arg-type]

    def move(given: Mapping[str, Any]) -> str:
        path, to = (shared.tree.path(_text(given, name)) for name in ("path", "to"))
        shared.move(path, to)
        return f"{path} is {to} now."

    def commit(given: Mapping[str, Any]) -> str:
        made = sharing.commit(portion, commits, _text(given, "message"))
        return f"Committed {made[:10]}."

    return (
        _tool("read", "The text of a file as it is now.", read, path=_FILE),
        _tool("edit", "Replace a text that stands in a file once (with all: everywhere).", edit, path=_FILE,
              old=_STRING, new=_STRING, all={"type": "boolean"}),
        _tool("write", "Write a whole file; one that is there must have been read before.",
              lambda given: apply(given, Write(_bytes(given, "text"))), path=_FILE, text=_STRING),
        _tool("insert", "Insert text beside a symbol such as Parser.parse, indented as it is to be.", insert,
              path=_FILE, where={"type": "string", "enum": ["after", "before", "into"]}, symbol=_STRING, text=_STRING),
        _tool("import", "Add an import line to a file, unless it has it.",
              lambda given: apply(given, import_of(_bytes(given, "statement"))), path=_FILE, statement=_STRING),
        _tool("remove", "Delete a file.", lambda given: apply(given, Delete()), path=_FILE),
        _tool("move", "Give a file another name.", move, path=_FILE, to=_FILE),
        _tool("commit", "Commit what you changed, and nothing of what others have in the same files.", commit,
              message=_STRING),
    )  # fmt: skip


def said(done: Done) -> str:
    """What was done, for people and agents."""
    changes = ((change.kind, change.key) for change in done.changes)
    return told.changed(done.path, changes, merged=done.merged, advice=done.advice)


def _tool(
    name: str, description: str, call: Callable[[Mapping[str, Any]], str], **properties: Mapping[str, Any]
) -> Tool:
    required = [key for key in properties if key != "all"]
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return Tool(name, description, schema, call)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise InputError(f"{name!r} is a text that has to be given.")
    return value


def _bytes(given: Mapping[str, Any], name: str) -> bytes:
    return _text(given, name).encode("utf-8", errors="surrogateescape")
